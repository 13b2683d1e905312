"""Images that come into a folder while it is watched."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from burnish.images.arriving import arriving


class Folder:
    """A watched folder in which something happens at each pause; the watch ends after the last."""

    def __init__(self, path: Path, *happenings: Callable[[], object]) -> None:
        self.path, self._happenings, self._turn = path, happenings, count()

    def given(self) -> list[str]:
        found = []
        try:
            for path in arriving([self.path], self._pause):
                assert isinstance(path, Path), path
                found.append(path.relative_to(self.path).as_posix())
        except TimeoutError:
            pass
        return found

    def _pause(self) -> None:
        turn = next(self._turn)
        if turn == len(self._happenings):
            raise TimeoutError
        self._happenings[turn]()


def nothing() -> None:
    pass


def write(path: Path, content: str, age: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    when = time.time() - age
    os.utime(path, (when, when))


def test_what_is_there_comes_first_and_oldest_first(tmp_path: Path) -> None:
    write(tmp_path / "a.png", "1", age=5)
    write(tmp_path / "b/c.png", "2", age=9)
    write(tmp_path / "notes.txt", "no image", age=9)
    write(tmp_path / ".hidden.png", "no image", age=9)
    assert Folder(tmp_path, nothing).given() == ["b/c.png", "a.png"]


def test_a_file_comes_once_it_no_longer_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    growing = [lambda n=n: write(path, "x" * n) for n in range(1, 5)]
    assert Folder(tmp_path, *growing).given() == []
    assert Folder(tmp_path, *growing, nothing).given() == ["a.png"]
    assert Folder(tmp_path, *growing, nothing, nothing, nothing).given() == ["a.png"]
    path.unlink()
    growing = [lambda n=n: write(path, "x" * n, age=60) for n in range(1, 5)]  # a clock behind
    assert Folder(tmp_path, *growing).given() == []
    assert Folder(tmp_path, *growing, nothing, nothing).given() == ["a.png"]


def test_what_changes_while_others_are_inspected_waits(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.png", "1", age=10)
    found = []
    with suppress(TimeoutError):
        for path in arriving([tmp_path], Folder(tmp_path, nothing, nothing, nothing)._pause):
            assert isinstance(path, Path)
            found.append(path.read_text())
            if len(found) == 1:  # meanwhile
                (tmp_path / "b.png").unlink()
                write(tmp_path / "c.png", "half")
    assert found == ["1", "half"]


def test_a_file_written_anew_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "latest.png"
    write(path, "1", age=10)
    again = Folder(tmp_path, nothing, lambda: write(path, "2"), nothing, nothing)
    assert again.given() == ["latest.png"] * 2
    write(path, "1", age=10)
    renamed = Folder(tmp_path, nothing, lambda: (write(path.with_suffix(".tmp"), "3", age=3),
                     path.with_suffix(".tmp").replace(path)), nothing)  # fmt: skip
    assert renamed.given() == ["latest.png"] * 2


def test_what_is_taken_away_and_put_back_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write(path, "1", age=10)
    watched = Folder(
        tmp_path, nothing, path.unlink, lambda: write(path, "1", age=10), nothing, nothing
    )
    assert watched.given() == ["a.png"] * 2


def test_what_cannot_be_looked_at_comes_once_and_again_when_it_can(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.symlink_to("a.png")  # leads to itself; reading it tells

    def mended() -> None:
        path.unlink()
        write(path, "1", age=10)

    assert Folder(tmp_path, nothing, nothing).given() == ["a.png"]
    assert Folder(tmp_path, nothing, mended, nothing, nothing).given() == ["a.png"] * 2


def test_a_folder_that_cannot_be_listed_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in/a.png", "1", age=10)
    write(tmp_path / "in/sub/b.png", "2", age=9)
    shut, listed = str(tmp_path / "in/sub"), os.scandir  # root, whom tests may run as, lists any

    def fails(number: int) -> None:
        def scandir(path: str) -> object:
            if os.fspath(path) == shut:
                raise OSError(number, os.strerror(number), shut)
            return listed(path)

        monkeypatch.setattr(os, "scandir", scandir)

    def opens() -> None:
        monkeypatch.setattr(os, "scandir", listed)

    def given(*happenings: Callable[[], object]) -> list[str]:
        watched, told = Folder(tmp_path / "in", *happenings), []
        with suppress(TimeoutError):
            for found in arriving([watched.path], watched._pause):
                told.append(found.name if isinstance(found, Path) else found.message)
        return told

    def gone() -> None:
        fails(errno.ENOENT)

    def refused() -> None:
        fails(errno.EACCES)

    said = f"{shut} cannot be listed: Permission denied"
    assert given(nothing, refused, nothing, opens, nothing) == ["a.png", "b.png", said]
    assert given(nothing, refused, opens, refused) == ["a.png", "b.png", said, said]
    opens()
    # Taken away and put back.
    assert given(nothing, gone, opens, nothing) == ["a.png", "b.png", "b.png"]
    refused()
    assert given(nothing, opens, nothing) == [said, "a.png", "b.png"]


def test_a_folder_without_any_permission_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in/a.png", "1", age=10)
    shut, listed, looked = tmp_path / "in", os.scandir, os.stat

    def scandir(path: str) -> object:
        if Path(path) == shut:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    def stat(path: str, **options: object) -> object:
        if not isinstance(path, int) and Path(path).parent == shut:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return looked(path, **options)  # type: ignore[arg-type]

    def closes() -> None:
        monkeypatch.setattr(os, "scandir", scandir)
        monkeypatch.setattr(os, "stat", stat)

    told = []
    with suppress(TimeoutError):
        for found in arriving([shut], Folder(shut, nothing, closes, nothing, monkeypatch.undo,
                                             nothing, nothing)._pause):  # fmt: skip
            told.append(found.name if isinstance(found, Path) else found.message)
    assert told == ["a.png", f"{shut} cannot be listed: Permission denied"]


def test_a_folder_that_is_gone_is_told_once_and_watched_again(tmp_path: Path) -> None:
    watched, away = tmp_path / "in", tmp_path / "away"
    write(watched / "a.png", "1", age=10)

    def back() -> None:
        away.rename(watched)
        write(watched / "b.png", "2")

    happenings = nothing, lambda: watched.rename(away), nothing, nothing, back, nothing, nothing
    told = []
    with suppress(TimeoutError):
        # As a shell completes the name.
        for found in arriving([f"{watched}/"], Folder(watched, *happenings)._pause):
            told.append(found.name if isinstance(found, Path) else found.message)
    assert told == ["a.png", f"no such folder: {watched}/", "b.png"]
