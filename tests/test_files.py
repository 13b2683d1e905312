"""Files are whole or not there, whatever happens in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from burnish.errors import BurnishError
from burnish.files import atomic_path, atomic_write, check_writable, save_tensors


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("content", ["Größe\n", b"\x00\xff", "", b""])
def test_write_and_overwrite(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "new" / "folders" / "a.txt"
    for _ in range(2):
        atomic_write(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
        assert names(path.parent) == ["a.txt"]
    atomic_write(str(path), "other")
    assert path.read_text() == "other"


def test_what_cannot_be_written_is_told_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    kept = tmp_path / "a.txt"
    kept.write_text("kept")
    check_writable(kept)
    check_writable(tmp_path / "new" / "b.txt")
    assert kept.read_text() == "kept"
    assert names(tmp_path) == ["a.txt", "new"]
    assert names(tmp_path / "new") == []
    for path in (kept / "b.txt", Path("/proc/burnish/b.txt")):  # in a file; no folder to be made
        with pytest.raises(BurnishError, match=f"cannot write {path}: "):
            check_writable(path)
    assert kept.read_text() == "kept"


CHECKING = """
import sys
from burnish.files import check_writable
for _ in range(300):
    check_writable(sys.argv[1])
"""


def test_two_processes_may_check_the_same_path(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHECKING, str(tmp_path / "a.txt")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert names(tmp_path) == []


def test_until_the_end_the_old_file_is_what_others_see(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic_write(path, "old")
    with atomic_path(path) as beside:
        assert beside.parent == tmp_path  # a rename across file systems would copy
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("there", [True, False])
def test_failure_in_the_middle_leaves_what_was_there(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "a.txt"
    if there:
        path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as beside:  # noqa: PT012
        beside.write_text("half a n")
        _ = 1 / 0
    assert names(tmp_path) == (["a.txt"] if there else [])
    if there:
        assert path.read_text() == "old"


def test_no_link_that_others_lay_is_followed(tmp_path: Path) -> None:
    """In a folder shared with others, one under the name of the file beside would be."""
    (tmp_path / "shared").mkdir()
    path, theirs = tmp_path / "shared" / "a.txt", tmp_path / "theirs"
    theirs.write_text("kept")
    theirs.chmod(0o600)
    path.symlink_to(theirs)
    (path.parent / f".a.txt.{os.getpid()}.part").symlink_to(theirs)
    atomic_write(path, "new")
    assert (path.is_symlink(), path.read_text()) == (False, "new")
    assert (theirs.read_text(), theirs.stat().st_mode & 0o777) == ("kept", 0o600)


KILLED = """
import os, signal, sys
from burnish.files import atomic_path
with atomic_path(sys.argv[1]) as beside:
    beside.write_text("half a n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_in_the_middle_leaves_the_old_file_and_does_not_bar_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    atomic_write(path, "new")
    assert path.read_text() == "new"


def test_file_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a.txt") as beside:
            beside.touch(mode=0o600)  # some writers make their files private
        assert os.umask(0o027) == 0o027  # and leaves it as it was
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="cannot write"), atomic_path(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []


def test_folders_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    for path in (
        tmp_path / "file" / "a.txt",  # the parent is a file
        tmp_path / "file" / "b" / "a.txt",
        Path("/proc/burnish/a.txt"),  # not even root makes folders there
        Path("/proc/a.txt"),
        tmp_path / "folder",  # the name is taken by a folder
        tmp_path / ("x" * 300),
    ):
        with pytest.raises(BurnishError, match=r"cannot write .*Choose a folder") as error:
            atomic_write(path, "new")
        assert str(path) in str(error.value)
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


FULL = """
import resource, sys
from burnish.errors import BurnishError
from burnish.files import atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # writes beyond fail as on a full disk
try:
    atomic_write(sys.argv[1], "n" * 1001)
except BurnishError as error:
    assert "cannot write" in str(error) and "has room" in str(error), error
else:
    raise SystemExit("nothing was raised")
"""


def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_save_tensors(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(5.0), "b": torch.zeros(2, 3)}
    save_tensors(tmp_path / "t.safetensors", tensors, {"key": "text"})
    found = load_file(tmp_path / "t.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[k], tensors[k]) for k in tensors)
    assert names(tmp_path) == ["t.safetensors"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BurnishError, match="cannot write"):  # safetensors has errors of its own
        save_tensors(tmp_path / "file" / "t.safetensors", tensors, {})
