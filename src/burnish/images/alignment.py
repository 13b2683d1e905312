"""Alignment: bring every part to the same place and direction, and map results back.

Parts that lie before a plain background at any place and angle are found in each image anew
(`burnish.images.pose`), turned to one direction and cut out; what a detector finds is put back to
where the part lay. `burnish.images.alignment_learning` learns it from training images.

Shapes: h x w the working size, V x U the model's input, H x W the image.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from burnish.images.bilinear import sample
from burnish.images.dial import Dial
from burnish.images.pose import ODD, Pose, find_pose
from burnish.images.reader import resize, to_channels

AT_ONCE = 1 << 20  # pixels put back at a time: memory stays flat, however large the image
LONGEST, LARGEST_SCALE = 1024, 64  # of the working size, px, and of `Alignment.scale`

_F = np.float32


class Alignment(BaseModel):
    """How parts are brought into one view; saved with the model.

    Attributes:
        height, width: the working size, px.
        turned: whether parts are turned to their longer axis.
        dial: how parts without one are turned; None: they have one, or are only moved.
        ahead: weights of `Pose.features` whose sum is positive when a part lies the right way.
        left, top: corner of the view from the part's middle, px of the working size, along and
            across its axis.
        scale: px of the view per px of the working size.
        size: (V, U) of the view, px.
        part: where parts are in the view, and a little beside, by cells of a px of the working
            size: rows of bits, in hexadecimal. Nothing else is judged. None: the whole view is, and
            what it shows beyond the image's edge too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    height: int = Field(ge=1, le=LONGEST)
    width: int = Field(ge=1, le=LONGEST)
    turned: bool
    dial: Dial | None = None
    ahead: tuple[float, ...] = Field(min_length=ODD, max_length=ODD)
    left: float
    top: float
    scale: float = Field(gt=0, le=LARGEST_SCALE)
    size: tuple[int, int]
    part: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _part_fits(self) -> Alignment:
        if self.part is not None:
            high, wide = cells_of(self.size, self.scale)
            digits = 2 * math.ceil(wide / 8)
            row = re.compile(f"[0-9a-f]{{{digits}}}")
            if len(self.part) != high or not all(map(row.fullmatch, self.part)):
                raise ValueError(f"part: not {high} rows of {digits} hexadecimal digits")
        return self

    @property
    def turns(self) -> bool:
        """Whether parts are turned, or only moved."""
        return self.turned or self.dial is not None

    @property
    def enlarged(self) -> tuple[int, int]:
        """(height, width) at which an image has the scale of the view."""
        return round(self.height * self.scale), round(self.width * self.scale)

    def _pose(self, large: NDArray[np.uint8]) -> Pose:
        """The pose of the part in a grey image of the size `enlarged`, the right way round."""
        small = resize(large, self.height, self.width)
        found = find_pose(small, self.turned)
        if self.dial is not None and found.found:
            return replace(found, along=self.dial.along(small, found.x, found.y))
        ahead = sum(_F(a) * _F(f) for a, f in zip(self.ahead, found.features, strict=True))
        return found.reversed() if ahead < 0 else found

    def view(self, image: NDArray[np.uint8], channels: int) -> tuple[NDArray[np.uint8], Pose]:
        """The part, turned and cut out: uint8 (channels, V, U), and its pose. Beyond the image's
        edge the edge's pixels are continued.

        Args:
            image: HxW or HxWx3.
        """
        image = to_channels(image, channels)
        large = resize(image, *self.enlarged)
        pose = self._pose(large if channels == 1 else resize(to_channels(image, 1), *self.enlarged))
        levels = large[None] if large.ndim == 2 else large.transpose(2, 0, 1)
        rows, columns = self._places(pose)
        view = sample(levels.astype(_F), rows, columns)
        return np.floor(view + _F(0.5)).astype(np.uint8), pose

    def seen(self, pose: Pose) -> NDArray[np.uint8] | None:
        """Which pixels of a view are judged: uint8 (V, U), 255 where they show the part or what is
        beside it, 0 farther away and beyond the image's edge; None: all are."""
        if self.part is None:
            return None
        weight = _within(*self._places(pose), self.enlarged) * part_weight(self)
        return np.floor(weight * 255 + _F(0.5)).astype(np.uint8)

    def beyond(self, pose: Pose) -> float:
        """How much of where the part should be, and of what is beside it, lies beyond the image's
        edge, a share; 0 where all of the view is judged."""
        seen = self.seen(pose)
        return 0.0 if seen is None else 1 - float(seen.sum() / 255 / part_weight(self).sum())

    def prepared(self, image: NDArray[np.uint8], channels: int) -> tuple[NDArray[np.uint8], Pose]:
        """The preprocessing of an aligned model: `view`, with `seen` as a last channel if there is
        one, uint8 (channels [+ 1], V, U)."""
        view, pose = self.view(image, channels)
        seen = self.seen(pose)
        return (view if seen is None else np.concatenate([view, seen[None]])), pose

    def _places(self, pose: Pose) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where each pixel of the view lies in the enlarged image: row and column, px."""
        height, width = self.size
        scale, (cos, sin) = _F(self.scale), map(_F, pose.along)
        t = (np.arange(width, dtype=_F) + _F(0.5)) / scale + _F(self.left)
        u = (np.arange(height, dtype=_F) + _F(0.5)) / scale + _F(self.top)
        x = _F(pose.x) + t * cos - u[:, None] * sin
        y = _F(pose.y) + t * sin + u[:, None] * cos
        high, wide = self.enlarged
        return (
            y * _F(high / self.height) - _F(0.5),
            x * _F(wide / self.width) - _F(0.5),
        )

    def put_back(
        self, maps: NDArray[np.float32], pose: Pose, height: int, width: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Maps of the view as they lie on the image.

        Args:
            maps: float32 (K, V, U).
            pose: of the part in the image.

        Returns:
            Maps, float32 (K, height, width), with the view's edge values continued outside of it;
            and the view's weight at each pixel, float32 (height, width), see `_within`.
        """
        back = np.empty((len(maps), height, width), dtype=_F)
        weight = np.empty((height, width), dtype=_F)
        scale, (cos, sin) = _F(self.scale), map(_F, pose.along)
        x = (np.arange(width, dtype=_F) + _F(0.5)) * _F(self.width / width) - _F(pose.x)
        y = (np.arange(height, dtype=_F) + _F(0.5)) * _F(self.height / height) - _F(pose.y)
        band = max(1, AT_ONCE // width)
        for first in range(0, height, band):
            some = slice(first, first + band)
            down = y[some, None]
            columns = (x * cos + down * sin - _F(self.left)) * scale - _F(0.5)
            rows = (down * cos - x * sin - _F(self.top)) * scale - _F(0.5)
            back[:, some] = sample(maps, rows, columns)
            weight[some] = _within(rows, columns, self.size)
        return back, weight


def cells_of(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Cells of a px of the working size that cover a view of `size` (height, width)."""
    high, wide = (math.ceil(side / scale) for side in size)
    return high, wide


def part_weight(alignment: Alignment) -> NDArray[np.float32]:
    """`Alignment.part` for each pixel of the view, float32 (V, U), 0 to 1; not to be written to."""
    assert alignment.part is not None
    return _weight_of(alignment.part, alignment.size, alignment.scale)


@lru_cache(maxsize=4)  # the same for every image of a model
def _weight_of(part: tuple[str, ...], size: tuple[int, int], scale: float) -> NDArray[np.float32]:
    packed = np.frombuffer(bytes.fromhex("".join(part)), dtype=np.uint8)
    bits = np.unpackbits(packed.reshape(len(part), -1), axis=1)[:, : cells_of(size, scale)[1]]
    rows, columns = ((np.arange(side, dtype=_F) + _F(0.5)) / _F(scale) - _F(0.5) for side in size)
    places = np.broadcast_arrays(rows[:, None], columns)
    return sample(bits[None].astype(_F), *places)[0]


def _within(
    rows: NDArray[np.float32], columns: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """How much places count in a picture of this size (height, width): 0 outside, 1 from the
    centres of its outermost pixels inwards. A ramp, not a step: rounding in the last digit must not
    decide whether a pixel counts."""
    inwards = [
        np.minimum(places + _F(0.5), _F(length - 0.5) - places)
        for places, length in zip((rows, columns), size, strict=True)
    ]
    return (2 * np.minimum(*inwards)).clip(0, 1)
