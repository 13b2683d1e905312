"""Decode masks in every form that data sets use: image files, run lengths, polygons, boxes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.reading.decoding import format_of, opened
from burnish.images.reading.header import upright

Mask = NDArray[np.bool_]
LOSSY = 127  # in a JPEG the black around a defect is not quite 0


def mask_of_file(data: bytes, name: str) -> Mask:
    """The mask in an image file: bool HxW, True where any channel is above 0 (JPEG: above 127).

    Small values count, as data sets number their defects 1, 2, 3; an alpha channel does not.

    Raises:
        BurnishError: it cannot be read.
    """
    with opened(data, name) as (image, file):
        lossy = format_of(image) == "JPEG"
        picture = upright(image, file)
        # Not by `read_image`, which keeps the upper 8 of 16 bits: small values would become 0.
        if picture.mode not in ("1", "L", "I", "F") and not picture.mode.startswith("I;16"):
            picture = picture.convert("RGB")
        array = np.asarray(picture)
    marked = array > (LOSSY if lossy else 0)
    return np.asarray(marked if marked.ndim == 2 else marked.any(axis=2), bool)


def mask_in(source: Source, name: str) -> Mask:
    """The mask in one file of a source; see `mask_of_file`."""
    return mask_of_file(source.read(name), name)


def mask_loader(source: Source, name: str | None) -> Callable[[], Mask | None]:
    """What loads the mask in one file of a source; without a file it gives None."""
    return lambda: mask_in(source, name) if name else None


def mask_of_runs(runs: Sequence[int], height: int, width: int, first: int = 1) -> Mask:
    """Pairs of start and length, down the columns (Kaggle's run-length encoding) -> bool HxW.

    Args:
        first: number of the first pixel.

    Raises:
        BurnishError: an odd number of values, or a run that leaves the image.
    """
    if len(runs) % 2:
        raise BurnishError(f"{len(runs)} run-length values: they come in pairs")
    flat = np.zeros(height * width, bool)
    for number, length in zip(runs[::2], runs[1::2], strict=True):
        start = number - first
        if start < 0 or length < 0 or start + length > flat.size:
            raise BurnishError(
                f"a run of {length} from pixel {number} leaves the image of {width} x {height} px"
            )
        flat[start : start + length] = True
    return flat.reshape(width, height).T


def mask_of_counts(counts: Sequence[int] | str, height: int, width: int) -> Mask:
    """COCO's run lengths, plain or compressed: off, on, off, ... down the columns -> bool HxW.

    Raises:
        BurnishError: they do not add up to the image.
    """
    try:
        lengths = _uncompressed(counts) if isinstance(counts, str) else [int(c) for c in counts]
    except (ValueError, TypeError, OverflowError) as error:
        raise BurnishError(f"run lengths that are no numbers: {error}") from error
    if min(lengths, default=0) < 0 or sum(lengths) != height * width:
        raise BurnishError(
            f"run lengths that sum to {sum(lengths)} px do not fit an image of {width} x {height}"
        )
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def _uncompressed(text: str) -> list[int]:
    """pycocotools' `rleFrString`: 5 bits a character, from the fourth on differences."""
    lengths: list[int] = []
    value, shift = 0, 0
    for char in text:
        code = ord(char) - 48
        if not 0 <= code < 64:
            raise BurnishError(f"{char!r} does not belong into COCO's compressed run lengths")
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        if len(lengths) > 2:
            value += lengths[-2]
        lengths.append(value)
        value, shift = 0, 0
    if shift:
        raise BurnishError("COCO's compressed run lengths are cut off")
    return lengths


@dataclass(frozen=True)
class Patch:
    """A mask that covers only a part of an image, from (top, left) on."""

    top: int
    left: int
    mask: Mask


def polygon_patch(points: Sequence[tuple[float, float]], height: int, width: int) -> Patch:
    """Pixels whose centre lies in a polygon of (x, y) in px (a pixel is 1 wide), cut to HxW.

    A polygon too thin to hold any centre marks the pixels at its corners, so as not to vanish.
    """
    x, y = np.asarray(points, float).T
    top, left = max(math.floor(y.min()), 0), max(math.floor(x.min()), 0)
    h = min(max(math.ceil(y.max()), math.floor(y.min()) + 1), height) - top
    w = min(max(math.ceil(x.max()), math.floor(x.min()) + 1), width) - left
    if h <= 0 or w <= 0:
        return Patch(0, 0, np.zeros((0, 0), bool))
    # Even-odd rule, row by row: at which x does the line through the pixels' centres cross edges?
    mask = np.zeros((h, w), bool)
    x_end, y_end = np.roll(x, -1), np.roll(y, -1)
    for row in range(h):
        centre = top + row + 0.5
        hit = (y <= centre) != (y_end <= centre)
        share = (centre - y[hit]) / (y_end[hit] - y[hit])
        crossings = np.sort(x[hit] + share * (x_end[hit] - x[hit]))
        for start, end in crossings.reshape(-1, 2):
            first, last = math.ceil(start - left - 0.5), math.ceil(end - left - 0.5)
            mask[row, max(first, 0) : max(last, 0)] = True
    if not mask.any():
        rows = np.clip(np.floor(y) - top, 0, h - 1).astype(int)
        mask[rows, np.clip(np.floor(x) - left, 0, w - 1).astype(int)] = True
    return Patch(top, left, mask)


def box_patch(x: float, y: float, w: float, h: float, height: int, width: int) -> Patch:
    """Pixels that a box (left, top, width, height; px) touches by half or more; cut to HxW.

    A box too thin for that still marks a row or column; one outside the image marks nothing.
    """
    (left, right), (top, bottom) = _covered(x, x + w, width), _covered(y, y + h, height)
    return Patch(top, left, np.ones((bottom - top, right - left), bool))


def _covered(start: float, end: float, length: int) -> tuple[int, int]:
    if start >= length or (start < 0 and end <= 0):
        return 0, 0
    first = min(max(round(start), 0), length - 1)
    return first, min(max(round(end), first + 1), length)
