"""Windows cover their frame, and say what lies in them."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.dataset import GOOD
from burnish.images.formats.base import Item
from burnish.images.formats.windows import Frame, cut, grazes, starts


def frame_of(pixels: np.ndarray, labels: np.ndarray, kinds: tuple[str, ...] = ("a", "b")) -> Frame:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Frame("f/x.png", "x", file.getvalue, lambda h, w: labels, kinds)


def windows(frame: Frame, side: int) -> tuple[list[Item], list[str]]:
    notes: list[str] = []
    return list(cut(iter([frame]), side, notes.append)), notes


@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 32, 33, 160])
def test_starts_cover_everything_and_stay_inside(length: int) -> None:
    found = starts(length, 16)
    side = min(16, length)
    covered = np.zeros(length, int)
    for start in found:
        assert 0 <= start <= length - side
        covered[start : start + side] += 1
    assert covered.all()
    assert len(found) == -(-length // 16)  # no more of them than needed


def test_windows_are_the_frame_cut_up(picture: Callable) -> None:
    pixels, labels = picture(0, 100, 70), np.zeros((100, 70), np.uint16)
    items, _ = windows(frame_of(pixels, labels), 32)
    assert len(items) == 4 * 3
    for item in items:
        left, top, width, height = map(int, item.source.split("#")[1].split(","))
        with Image.open(io.BytesIO(item.data())) as window:
            assert np.array_equal(
                np.asarray(window), pixels[top : top + height, left : left + width]
            )
        assert (width, height) == (32, 32)
        assert item.stem == f"x_{top:04d}_{left:04d}"
        assert (item.part, item.kind, item.mask()) == ("f/x.png", GOOD, None)


def test_narrow_frames_get_windows_of_their_width(picture: Callable) -> None:
    items, _ = windows(frame_of(picture(0, 100, 20), np.zeros((100, 20), np.uint16)), 256)
    assert [item.source for item in items] == [
        f"f/x.png#0,{top},20,20" for top in range(0, 100, 20)
    ]
    assert items[1].stem == "x_0020"  # frame and row, as RailHead has it


def test_the_kind_is_that_of_the_largest_area(picture: Callable) -> None:
    labels = np.zeros((64, 32), np.uint16)
    labels[2:8, 2:8] = 1
    labels[10:20, 10:20] = 2
    items, _ = windows(frame_of(picture(0, 64, 32), labels), 32)
    assert [item.kind for item in items] == ["b", GOOD]
    mask = items[0].mask()
    assert mask is not None
    assert np.array_equal(mask, labels[:32] > 0)


def test_what_only_grazes_a_window_is_left_out(picture: Callable) -> None:
    labels = np.zeros((96, 32), np.uint16)
    labels[20:33, 0:10] = 1  # 1 row, 10 px, reaches into the second window
    labels[70:72, 5:9] = 1  # 8 px, but whole: a small flaw
    items, notes = windows(frame_of(picture(0, 96, 32), labels), 32)
    assert [(item.stem, item.kind) for item in items] == [("x_0000", "a"), ("x_0064", "a")]
    assert "1 windows that only graze" in notes[0]
    assert "f/x.png#0,32,32,32" in notes[0]
    assert not grazes(labels, 64, 0, 32)


def test_uncut_frames_keep_their_bytes(picture: Callable) -> None:
    labels = np.zeros((50, 40), np.uint16)
    labels[3, 3] = 2
    frame = frame_of(picture(0, 50, 40), labels)
    (item,), _ = windows(frame, 0)
    assert (item.data(), item.kind, item.source) == (frame.load(), "b", "f/x.png")
    mask = item.mask()
    assert mask is not None
    assert np.argwhere(mask).tolist() == [[3, 3]]


def test_one_broken_frame_does_not_end_the_others(picture: Callable) -> None:
    whole = frame_of(picture(0), np.zeros((32, 32), np.uint16))
    broken = Frame("f/broken.png", "y", lambda: b"junk", whole.labels, ("a",))
    items = list(cut(iter([broken, whole]), 32, lambda text: None))
    assert [item.source for item in items] == ["f/broken.png", "f/x.png#0,0,32,32"]
    with pytest.raises(BurnishError, match=r"f/broken.png: .*not an image"):
        items[0].data()
    assert items[1].data()


def test_windows_read_in_threads_are_of_their_own_frame(picture: Callable) -> None:
    """One thread asks for a window of the second frame while the other reads the first."""
    reading, read = threading.Event(), threading.Event()

    def slow(height: int, width: int) -> np.ndarray:
        reading.set()
        read.wait(0.3)  # with a lock the other thread must wait for this one
        return np.ones((height, width), np.uint16)

    pixels = [picture(seed, 32 * (1 + seed), 32) for seed in range(2)]
    first, second = (frame_of(one, np.ones(one.shape[:2], np.uint16)) for one in pixels)
    read.set()
    a, b, *_ = cut(iter([Frame("a", "a", first.load, slow, ("k",)), second]), 32, print)
    reading.clear()
    read.clear()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(a.data)
        assert reading.wait(10)
        other = pool.submit(b.data)
        other.add_done_callback(lambda _: read.set())
        for window, frame in ((one, pixels[0]), (other, pixels[1])):
            with Image.open(io.BytesIO(window.result(10))) as image:
                assert np.array_equal(np.asarray(image), frame[:32])
