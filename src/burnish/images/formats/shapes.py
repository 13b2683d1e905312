"""Boxes and polygons of object detection -> where each kind lies in a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.errors import BurnishError
from burnish.images.dataset import GOOD_NAMES
from burnish.images.formats.masks import Patch
from burnish.images.formats.names import some
from burnish.images.formats.windows import Labels

SIDES = {"train": "train", "training": "train", "val": "test", "valid": "test",
         "validation": "test", "test": "test"}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """One marked object.

    Attributes:
        kind: index of its kind.
        patches: each gives pixels of it, given height and width of the frame.
        name: what errors call it.
    """

    kind: int
    patches: Sequence[Callable[[int, int], Patch]]
    name: str


def note_good(kinds: Iterable[str], note: Callable[[str], None]) -> None:
    """Note the classes that mark good parts, which some detection sets have; `paint` skips them."""
    if good := [kind for kind in kinds if kind.lower() in GOOD_NAMES]:
        note(f"what is marked as {some(good)} is no defect, and counts as good")


def paint(shapes: Sequence[Shape], kinds: Sequence[str], height: int, width: int) -> Labels:
    """Kind + 1 of each pixel, 0 for nothing; where shapes overlap, the smaller one is seen.

    Args:
        kinds: their names; those that mean good mark nothing.

    Raises:
        BurnishError: a shape cannot be drawn, or marks no pixel: the defect must not silently
            count as good.
    """
    labels = np.zeros((height, width), np.uint16)
    patches = []
    for shape in shapes:
        if kinds[shape.kind].lower() in GOOD_NAMES:
            continue
        try:
            areas = [int(patch(height, width).mask.sum()) for patch in shape.patches]
        except BurnishError as error:
            raise BurnishError(f"{shape.name}: {error}") from error
        if not any(areas):
            raise BurnishError(f"{shape.name} marks no pixel of its {width} x {height}")
        patches += [
            (area, shape.kind, patch) for area, patch in zip(areas, shape.patches, strict=True)
        ]
    patches.sort(key=lambda one: -one[0])
    for _, kind, patch in patches:
        drawn = patch(height, width)  # again: all at once, large ones would fill the memory
        rows, columns = drawn.mask.shape
        view = labels[drawn.top : drawn.top + rows, drawn.left : drawn.left + columns]
        view[drawn.mask] = kind + 1
    return labels


def split_of(paths: Iterable[str]) -> dict[str, str]:
    """ "train" or "test" by path; all empty unless every path says so and both sides occur."""
    sides = {path: side_of(path) for path in paths}
    return sides if set(sides.values()) == {"train", "test"} else dict.fromkeys(sides, "")


def side_of(path: str) -> str:
    """ "train" or "test" by the folders (and file name) of `path`; "" when they do not say."""
    for word in reversed(path.lower().replace(".", "/").replace("_", "/").split("/")):
        if word.rstrip("0123456789") in SIDES:
            return SIDES[word.rstrip("0123456789")]
    return ""
