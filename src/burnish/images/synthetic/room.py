"""Find a random window of the image for a drawn defect.

A shape is drawn on a canvas; the window is the part of the image that it then covers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Window = tuple[slice, slice]
Region = NDArray[np.bool_]

INSIDE = 0.9
"""Share of a defect that must lie where defects are allowed."""

TRIES, SMALLER, SMALLEST = 50, 0.75, 1.0 / 16
"""Places tried for a defect of one size, the factor to the next size, and the last size."""

EDGE, LEFT, LEAST = 0.08, 0.2, 8
"""How far from the edge the middle of a defect at the edge may lie, of the shorter side; the share
of it that must be left when what reaches beyond is cut off, and pixels (fewer: nine tenths)."""


@dataclass(frozen=True)
class Room:
    """The places where a defect may lie.

    Attributes:
        size: (height, width) of the image.
        allowed: bool HxW, where a defect may lie; None: anywhere.
        at_edge: whether it must lie across the edge of that.
    """

    size: tuple[int, ...]
    allowed: Region | None
    at_edge: bool = False

    def sides(self) -> list[float]:
        """Sides to draw a shape for, in turn, until one fits."""
        side = float(min(self.size))
        if self.allowed is None and not self.at_edge:
            return [side]  # always fits: what is too large is cut
        steps = math.floor(math.log(SMALLEST) / math.log(SMALLER)) + 1
        return [side * SMALLER**step for step in range(steps)]

    def place(self, support: Region, rng: np.random.Generator) -> tuple[Window, Window] | None:
        """A window of the image for a shape, and the part of the canvas that it shows.

        None if no allowed place was found for the shape.
        """
        if self.at_edge:
            return self._across_edge(support, rng)
        cut = self._cut(support)
        height, width = (axis.stop - axis.start for axis in cut)
        if self.allowed is None:
            top = int(rng.integers(0, self.size[0] - height + 1))
            left = int(rng.integers(0, self.size[1] - width + 1))
            return (slice(top, top + height), slice(left, left + width)), cut
        shape, spots = support[cut], np.flatnonzero(self.allowed)
        wanted = INSIDE * int(np.count_nonzero(support))
        for spot in rng.choice(spots, TRIES) if spots.size else ():
            row, column = divmod(int(spot), self.size[1])
            top = min(max(row - height // 2, 0), self.size[0] - height)
            left = min(max(column - width // 2, 0), self.size[1] - width)
            window = (slice(top, top + height), slice(left, left + width))
            if np.count_nonzero(self.allowed[window] & shape) >= wanted:
                return window, cut
        return None

    def _cut(self, support: Region) -> Window:
        """The canvas without its blank margins, and no larger than the image."""
        canvas = []
        for axis, side in enumerate(self.size):
            start, stop = _inked(support, axis)
            surplus = max(0, stop - start - side)
            canvas.append(slice(start + surplus // 2, stop - (surplus - surplus // 2)))
        return canvas[0], canvas[1]

    def _across_edge(
        self, support: Region, rng: np.random.Generator
    ) -> tuple[Window, Window] | None:
        whole = int(np.count_nonzero(support))
        wanted = max(LEFT * whole, min(INSIDE * whole, LEAST))
        (top, bottom), (left, right) = _inked(support, 0), _inked(support, 1)
        for spot in rng.choice(self._edge, TRIES) if self._edge.size else ():
            row, column = divmod(int(spot), self.size[1])
            rows = _shown(row - (bottom - top) // 2, top, bottom, self.size[0])
            columns = _shown(column - (right - left) // 2, left, right, self.size[1])
            window, cut = (rows[0], columns[0]), (rows[1], columns[1])
            shape = support[cut] if self.allowed is None else support[cut] & self.allowed[window]
            if np.count_nonzero(shape) >= wanted:
                return window, cut
        return None

    @cached_property
    def _edge(self) -> NDArray[np.intp]:
        """Indices of the pixels near the edge of the allowed region."""
        allowed = np.ones(self.size, np.bool_) if self.allowed is None else self.allowed
        near = max(1, round(EDGE * min(self.size)))
        framed = np.pad(allowed, 1)  # beyond the image is outside
        distance = ndimage.distance_transform_cdt(framed, "chessboard")[1:-1, 1:-1]
        return np.flatnonzero(allowed & (distance <= near))


def _shown(first: int, start: int, stop: int, side: int) -> tuple[slice, slice]:
    """Of a canvas's `start` to `stop` laid from `first` on: what lies within the image's side, and
    the part of the canvas there."""
    low, high = max(first, 0), min(first + stop - start, side)
    return slice(low, high), slice(low - first + start, high - first + start)


def _inked(support: Region, axis: int) -> tuple[int, int]:
    """First row or column that a shape covers, and the one after the last."""
    inked = np.flatnonzero(support.any(axis=1 - axis))
    return int(inked[0]), int(inked[-1]) + 1
