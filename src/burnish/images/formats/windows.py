"""Windows cut from large frames that are labelled by place: with masks, boxes or polygons.

The RailHead set was made so: a frame becomes square windows, edge to edge, the last ones moved in
so that they end with the frame. A window with a marked place is defective, of the kind with the
largest area in it; a window without is good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.dataset import GOOD
from burnish.images.formats.base import Item, unusable
from burnish.images.formats.masks import Mask
from burnish.images.formats.names import some
from burnish.images.png import png_bytes
from burnish.images.reader import read_header_bytes, read_image_bytes

FEW = 16  # px; fewer marked pixels, cut off by the window's border, say neither good nor defective
Labels = NDArray[np.uint16]


@dataclass(frozen=True)
class Frame:
    """A large image with marked places.

    Attributes:
        source: name inside the source; it is the part too, where none is given.
        stem: begins the windows' file names.
        load: the image file's bytes.
        labels: given height and width in px, where each kind lies: uint16 HxW, 0 for nothing, n for
            the kind `kinds[n - 1]`.
        kinds: names of the kinds.
        split: "train", "test" or empty.
        part: the physical part; empty: the frame.
    """

    source: str
    stem: str
    load: Callable[[], bytes]
    labels: Callable[[int, int], Labels]
    kinds: tuple[str, ...]
    split: str = ""
    part: str = ""


def starts(length: int, side: int) -> list[int]:
    """Where windows of `side` px begin along `length` px: edge to edge, the last one moved in."""
    if length <= side:
        return [0]
    return [*range(0, length - side, side), length - side]


def cut(frames: Iterator[Frame], side: int, note: Callable[[str], None]) -> Iterator[Item]:
    """The windows of all frames, in order.

    Args:
        side: of a window, px; frames that are narrower get windows of their width (or height);
            0: frames are not cut.
    """
    unclear: list[str] = []
    slot = _Slot()
    for frame in frames:
        try:
            if side:
                yield from _windows(frame, side, slot, unclear)
            else:
                yield _whole(frame)
        except BurnishError as error:
            yield unusable(frame.source, str(error).removeprefix(f"{frame.source}: "))
    if unclear:
        note(
            f"{len(unclear)} windows that only graze a marked place (fewer than {FEW} px of it) "
            f"are left out, as neither good nor defective: {some(unclear)}"
        )


def _whole(frame: Frame) -> Item:
    header = read_header_bytes(frame.load(), frame.source)
    labels = frame.labels(header.height, header.width)
    kind = _kind(labels, frame.kinds)

    def mask() -> Mask | None:
        return frame.labels(header.height, header.width) > 0 if kind != GOOD else None

    return Item(frame.source, frame.stem, kind, frame.part, frame.load, mask, frame.split)


def _windows(frame: Frame, side: int, slot: _Slot, unclear: list[str]) -> Iterator[Item]:
    _, labels = slot.hold(frame)
    height, width = labels.shape
    side = min(side, height, width)
    lefts = starts(width, side)
    for top in starts(height, side):
        for left in lefts:
            name = f"{frame.source}#{left},{top},{side},{side}"
            if grazes(labels, top, left, side):
                unclear.append(name)
                continue
            stem = f"{frame.stem}_{top:04d}" + (f"_{left:04d}" if len(lefts) > 1 else "")
            cutter = _Cutter(slot, frame, (slice(top, top + side), slice(left, left + side)))
            kind = _kind(labels[cutter.place], frame.kinds)
            mask = cutter.mask if kind != GOOD else lambda: None
            part = frame.part or frame.source
            yield Item(name, stem, kind, part, cutter.png, mask, frame.split)


def grazes(labels: Labels, top: int, left: int, side: int) -> bool:
    """Whether a window holds only a few marked px, and they go on outside of it."""
    window = labels[top : top + side, left : left + side] > 0
    if not 0 < window.sum() < FEW:
        return False
    around = labels[max(top - 1, 0) : top + side + 1, max(left - 1, 0) : left + side + 1] > 0
    return int(around.sum()) > int(window.sum())


def _kind(window: Labels, kinds: tuple[str, ...]) -> str:
    areas = np.bincount(window.ravel(), minlength=len(kinds) + 1)[1:]
    return kinds[int(areas.argmax())] if areas.any() else GOOD


class _Slot:
    """Holds the pixels of one frame at a time, as windows are asked for frame by frame.

    Several threads may ask; the lock is held only while a frame is loaded.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._held = (np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.uint16))

    def hold(self, frame: Frame) -> tuple[NDArray[np.uint8], Labels]:
        """Pixels (HxW or HxWx3) and labels (HxW) of this frame, whatever is held afterwards."""
        with self._lock:
            if self._frame is not frame:
                self._frame = None
                pixels = read_image_bytes(frame.load(), frame.source)
                self._held = pixels, frame.labels(*pixels.shape[:2])
                self._frame = frame
            return self._held


@dataclass(frozen=True)
class _Cutter:
    """Cuts one window out of its frame."""

    slot: _Slot
    frame: Frame
    place: tuple[slice, slice]

    def png(self) -> bytes:
        pixels, _ = self.slot.hold(self.frame)
        return png_bytes(Image.fromarray(pixels[self.place]))

    def mask(self) -> Mask:
        _, labels = self.slot.hold(self.frame)
        return labels[self.place] > 0
