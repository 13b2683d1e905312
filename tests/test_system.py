"""What systems do otherwise; and whether everything works where what Windows lacks is taken away.

The last is no test on Windows: paths, consoles and open files behave otherwise there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from burnish import system
from burnish.cli.inspect import place_below
from burnish.system import (
    common_folder,
    folder_lock,
    in_use,
    mark_in_use,
    open_to_write_at,
    quoted,
    size_on_disk,
    sync_file,
    sync_folder,
    write_at,
)

# What Windows' Python lacks or refuses: locks by fcntl, opening folders, syncing what is open for
# reading, times by a descriptor, block counts.
LIKE_WINDOWS = """
import fcntl, os, shutil, sys
opened, synced, timed = os.open, os.fsync, os.utime

def open_(path, *given, **named):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    return opened(path, *given, **named)

def fsync(handle):
    if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(9, "Bad file descriptor")
    synced(handle)

def utime(path, *given, **named):
    if isinstance(path, int):
        raise TypeError("utime: path should be string, bytes or os.PathLike, not int")
    timed(path, *given, **named)

os.open, os.fsync, os.utime = open_, fsync, utime
for name in ("pwrite", "pread", "sched_getaffinity", "sync", "getuid", "geteuid", "mkfifo"):
    delattr(os, name)
shutil._use_fd_functions = False
sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["pwd"] = None
"""


@pytest.fixture(params=["as here", "as on Windows"])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "as on Windows":
        monkeypatch.setattr(system, "fcntl", None)
        monkeypatch.delattr(os, "pwrite")
    return request.param


def test_a_folder_has_one_owner(here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with folder_lock(folder) as first, folder_lock(folder) as second:
        assert (first, second) == (True, False)
    with folder_lock(folder) as again:
        assert again
    assert list(folder.iterdir()) == []
    monkeypatch.chdir(folder)
    with folder_lock(Path()) as here_too, folder_lock(folder) as second:
        assert (here_too, second) == (True, False)


def test_threads_write_at_their_places(here: str, tmp_path: Path) -> None:
    path, parts = tmp_path / "pixels", [bytes([k]) * 100_003 for k in range(16)]
    path.touch()
    file = open_to_write_at(path)
    threads = [
        threading.Thread(target=write_at, args=(file, memoryview(part), k * len(part)))
        for k, part in enumerate(parts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(file)
    assert path.read_bytes() == b"".join(parts)
    assert size_on_disk(tmp_path / "none") == 0


def test_holes_take_no_room(tmp_path: Path) -> None:
    path = tmp_path / "holes"
    with open(path, "wb") as file:
        file.truncate(10**9)
    assert size_on_disk(path) < 10**6


def test_a_marked_file_is_in_use(tmp_path: Path) -> None:
    """Not as on Windows: there an open file cannot be renamed, here it can."""
    path = tmp_path / "used"
    assert not in_use(path)
    with open(path, "ab") as one, open(path, "ab") as other:
        assert not in_use(path)
        mark_in_use(one)
        mark_in_use(other)
        one.close()
        assert in_use(path)
    assert not in_use(path)


def test_as_on_windows_a_file_that_can_be_renamed_is_not_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "fcntl", None)
    path = tmp_path / "used"
    path.write_bytes(b"kept")
    assert not in_use(path)
    assert path.read_bytes() == b"kept"

    def refused(*_: object) -> None:
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(os, "replace", refused)
    assert in_use(path)


def test_syncing(here: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    sync_file(tmp_path / "file")
    sync_folder(tmp_path)
    assert (tmp_path / "file").read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("windows", "path", "word"),
    [
        (False, "runs/rail", "runs/rail"),
        (False, "my runs/ü", "'my runs/ü'"),
        (True, r"D:\runs\rail", r"D:\runs\rail"),
        (True, r"D:\my runs\ü", r'"D:\my runs\ü"'),
    ],
)
def test_a_path_in_a_command_is_one_word(
    windows: bool, path: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if windows:
        monkeypatch.setattr(system, "fcntl", None)
    assert quoted(Path(path)) == word


def burnish(*command: object, ends: tuple[int, ...] = (0,)) -> str:
    code = f"{LIKE_WINDOWS}\nfrom burnish.cli.main import run\nrun()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, command)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in ends, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_main_job_without_what_windows_lacks(
    metal: Path, micro: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))
    data, run = tmp_path / "data", tmp_path / "run"
    burnish("data", "prepare", metal, data)
    changes = [f"{key}={json.dumps(value)}" for key, value in (micro | {"steps": 4}).items()]
    settings = [word for change in changes for word in ("--set", change)]
    burnish("train", data, "--preset", "tiny", "--out", run, *settings)
    burnish("train", data, "--preset", "tiny", "--out", run, *settings, "--resume")
    parts = sorted((data / "test" / "good").iterdir())
    found = burnish("inspect", run, *parts, "--json", ends=(0, 1))
    assert len(json.loads(found)) == len(parts)
    burnish("evaluate", run, data)
    burnish("export", run, "--to", "torch-export")
    burnish("data", "cache")
    json.loads(burnish("doctor", "--json"))


@pytest.mark.parametrize(
    ("kind", "files", "root", "places"),
    [
        (PureWindowsPath, [r"C:\in\a.png", r"D:\in\a.png"], None, [r"C\in\a.png", r"D\in\a.png"]),
        (PureWindowsPath, [r"C:\in\a.png", r"\\nas\line 1\b.png"], None,
         [r"C\in\a.png", r"nas_line_1\b.png"]),
        (PureWindowsPath, [r"C:\in\A\a.png", r"c:\IN\a\b.png"], r"C:\in\a", ["a.png", "b.png"]),
        (PurePosixPath, ["/in/a/1.png", "/in/ab/2.png"], "/in", ["a/1.png", "ab/2.png"]),
        (PurePosixPath, ["/in/1.png", "/2.png"], "/", ["in/1.png", "2.png"]),
        (PurePosixPath, ["/in/a/1.png"], "/in/a", ["1.png"]),
    ],
)  # fmt: skip
def test_files_have_one_root_or_a_folder_by_drive(
    kind: type[PurePath], files: list[str], root: str | None, places: list[str]
) -> None:
    paths = [kind(file) for file in files]
    found = common_folder(path.parent for path in paths)
    assert found == (None if root is None else kind(root))
    assert [str(place_below(path, found)) for path in paths] == places
