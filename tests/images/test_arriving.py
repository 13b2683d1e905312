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

from burnish import BurnishError
from burnish.images.arriving import SETTLED, arriving


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
    assert Folder(tmp_path).given() == ["b/c.png", "a.png"]


def test_a_file_comes_once_it_no_longer_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    growing = [lambda n=n: write(path, "x" * n) for n in range(1, 5)]
    assert Folder(tmp_path, *growing).given() == []
    assert Folder(tmp_path, *growing, nothing).given() == ["a.png"]
    assert Folder(tmp_path, *growing, nothing, nothing, nothing).given() == ["a.png"]


def test_a_file_written_anew_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "latest.png"
    write(path, "1", age=10)
    again = Folder(tmp_path, lambda: write(path, "2"), nothing, nothing)
    assert again.given() == ["latest.png"] * 2
    write(path, "1", age=10)
    renamed = Folder(tmp_path, lambda: (write(path.with_suffix(".tmp"), "3", age=SETTLED + 1),
                                        path.with_suffix(".tmp").replace(path)))  # fmt: skip
    assert renamed.given() == ["latest.png"] * 2


def test_what_is_taken_away_and_put_back_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write(path, "1", age=10)
    watched = Folder(tmp_path, path.unlink, lambda: write(path, "1", age=10), nothing)
    assert watched.given() == ["a.png"] * 2


def test_what_cannot_be_looked_at_comes_once_and_again_when_it_can(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.symlink_to("a.png")  # leads to itself; reading it tells

    def mended() -> None:
        path.unlink()
        write(path, "1", age=10)

    assert Folder(tmp_path, nothing, nothing).given() == ["a.png"]
    assert Folder(tmp_path, nothing, mended, nothing).given() == ["a.png"] * 2


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
    assert given(refused, nothing, opens, nothing) == ["a.png", "b.png", said]
    assert given(refused, opens, refused) == ["a.png", "b.png", said, said]
    opens()
    assert given(gone, opens, nothing) == ["a.png", "b.png", "b.png"]  # taken away and put back
    refused()
    assert given(nothing, opens) == [said, "a.png", "b.png"]


def test_a_folder_that_is_gone_ends_it(tmp_path: Path) -> None:
    watched = tmp_path / "in"
    watched.mkdir()
    with pytest.raises(BurnishError, match=r"no such folder: .*in"):
        Folder(watched, watched.rmdir).given()
