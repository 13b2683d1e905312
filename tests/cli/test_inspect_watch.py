"""`burnish inspect --watch` as a line runs it: a process of its own, images that come, a signal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from burnish import Detector


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "burnish.cli.main", "inspect", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        # A shell lets what it starts in the background ignore SIGINT, and the tests with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def read(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def end(process: subprocess.Popen[str], sign: int = signal.SIGINT) -> tuple[int, str, str]:
    process.send_signal(sign)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()  # else a test that fails would wait for it without end
    assert "Traceback" not in err
    return process.returncode, out, err


def test_images_are_judged_as_they_come(run_folder: Path, metal: Path, tmp_path: Path) -> None:
    folder, heat = tmp_path / "in", tmp_path / "in/heat"
    folder.mkdir()
    defects = sorted((metal / "test").glob("[!g]*/*.png"))
    shutil.copy(defects[0], folder / "a.png")
    with start(run_folder, folder, "--watch", "--json", "--heatmaps", heat) as process:
        first = json.loads(read(process, 1)[0])
        shutil.copy(defects[1], folder / "b.png")
        second = json.loads(read(process, 1)[0])
        content = defects[2].read_bytes()
        with (folder / "c.png").open("wb") as file:  # a camera that takes its time
            for start_of in range(0, len(content), len(content) // 4 + 1):
                file.write(content[start_of : start_of + len(content) // 4 + 1])
                file.flush()
                time.sleep(0.1)
        third = json.loads(read(process, 1)[0])
        (folder / "d.png").write_bytes(b"no picture")
        broken = json.loads(read(process, 1)[0])
        code, rest, err = end(process)
    detector = Detector.load(run_folder)
    for row, source in zip((first, second, third), defects, strict=False):
        assert row["score"] == detector.inspect(source).score
    assert [Path(row["path"]).name for row in (first, second, third)] == ["a.png", "b.png", "c.png"]
    assert (broken["verdict"], Path(broken["path"]).name) == ("error", "d.png")
    assert rest == ""  # its own heat maps in the folder are no parts
    assert sorted(path.name for path in heat.iterdir()) == [f"{n}.png.heatmap.png" for n in "abc"]
    assert code == 2
    assert "d.png" in err


@pytest.mark.parametrize(
    ("kind", "sign", "code"),
    [("good", signal.SIGINT, 0), ("good", signal.SIGTERM, 143), ("none", signal.SIGINT, 0)],
)
def test_how_it_ends(
    kind: str, sign: int, code: int, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    if kind == "good":
        shutil.copy(metal / "test/good/000.png", tmp_path)
    with start(run_folder, tmp_path, "--watch", "--false-alarms", 0.001) as process:
        if kind == "good":
            assert "good" in read(process, 1)[0]
        else:
            assert process.stderr is not None
            process.stderr.readline()  # the promise: it is up
            time.sleep(0.5)
        found, _, err = end(process, sign)
    assert found == code
    assert (f"{int(kind == 'good')} image" in err) == (sign == signal.SIGINT)


def test_a_folder_that_cannot_be_listed_is_an_error(
    run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # so deep that even root cannot list it by its path
        os.mkdir("d" * 250, dir_fd=folder)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    with start(run_folder, tmp_path, "--watch", "--json") as process:
        row = json.loads(read(process, 1)[0])
        shutil.copy(metal / "test/good/000.png", tmp_path)
        assert "score" in json.loads(read(process, 1)[0])
        code, _, err = end(process)
    assert (row["verdict"], code) == ("error", 2)
    assert "cannot be listed: File name too long" in row["error"]
    assert err.count("cannot be listed") == 1


def test_it_wants_folders(burnish: Callable, run_folder: Path, metal: Path, tmp_path: Path) -> None:
    for path in (metal / "test/good/000.png", tmp_path / "none"):
        code, _, err = burnish("inspect", run_folder, path, "--watch")
        assert code == 2
        assert f"--watch wants folders, and {path} is none" in err
