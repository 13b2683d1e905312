"""Cut-and-paste: a piece of a picture, put where it does not belong.

After C.-L. Li et al., "CutPaste: Self-Supervised Learning for Anomaly Detection and Localization"
(CVPR 2021), section 2.1: a patch, or a long thin scar, is jittered, turned and pasted. Smaller here
than there, since these are to look like flaws, and with a soft edge, since a hard one gives itself
away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from burnish.images.synthetic.reliefs import Plane, Relief, frame

ELSEWHERE = 20
"""Draws of a place to cut from; a small picture may have none that is far enough."""


@dataclass(frozen=True)
class Patch:
    """A piece to cut, as it lies once pasted.

    Attributes:
        relief: `profile` is the cover, 0 to 1, with a soft edge.
        u, v: float32 NxN, the column and row each pixel is cut from, px from the centre of the cut.
    """

    relief: Relief
    u: Plane
    v: Plane

    @property
    def support(self) -> NDArray[np.bool_]:
        """As of a `Relief`."""
        return self.relief.support

    def cut(self, canvas: tuple[slice, slice]) -> Patch:
        """The same patch, cut to the part of the canvas that is used."""
        return Patch(self.relief.cut(canvas), self.u[canvas], self.v[canvas])


def draw_patch(side: float, rng: np.random.Generator) -> Patch:
    """A rectangle (two in three) or a scar, of random size and direction.

    Args:
        side: px of the picture's shorter side. A rectangle covers 0.4 to 2 % of a square of it,
            three times as long as wide at most; a scar is 0.12 to 0.35 sides long.
    """
    if rng.random() < 2 / 3:
        area, aspect = side**2 * rng.uniform(0.004, 0.02), 3.0 ** rng.uniform(-1.0, 1.0)
        length, width = math.sqrt(area * aspect), math.sqrt(area / aspect)
    else:
        length, width = side * rng.uniform(0.12, 0.35), side * rng.uniform(0.012, 0.04)
    length, width = max(length, 5.0), max(width, 2.5)
    edge = max(1.5, 0.012 * side)
    u, v = frame(math.hypot(length, width) / 2 + edge, rng)
    cover = np.clip((length / 2 - np.abs(u)) / edge + 0.5, 0.0, 1.0)
    cover *= np.clip((width / 2 - np.abs(v)) / edge + 0.5, 0.0, 1.0)
    return Patch(Relief(cover.astype(np.float32), cover > 0.02), u, v)


def change_by_pasting(
    image: NDArray[np.uint8],
    window: tuple[slice, slice],
    patch: Patch,
    allowed: NDArray[np.bool_] | None,
    amplitude: float,
    strength: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """What pasting changes in `window`, in grey levels.

    Brightness is jittered by up to a quarter of `amplitude`, contrast by up to 15 %. Where what is
    pasted hardly differs from what it covers, it is made brighter or darker until it shows.

    Args:
        image: uint8 HxW or HxWx3, cut from and pasted into.
        window: rows and columns, as large as the patch.
        allowed: bool HxW, where the centre of the cut may lie.
        amplitude: grey levels by which a defect shows here.
        strength: below 1, the patch lets through what it covers; also a factor on the jitter.

    Returns:
        float32, shaped as `image[window]`.
    """
    centre = _centre(image.shape, window, patch, allowed, rng)
    pasted = _sample(image, centre[0] + patch.v, centre[1] + patch.u)
    cover = patch.relief.profile
    shade = amplitude * rng.uniform(-0.25, 0.25)
    contrast = strength * rng.uniform(-0.15, 0.15)
    core = cover > 0.5
    jitter = shade + contrast * (pasted - pasted[core].mean(axis=0))
    below = image[window].astype(np.float32)
    change = np.clip(below + min(strength, 1.0) * (pasted - below) + jitter, 0.0, 255.0) - below

    grey = change if change.ndim == 2 else change.mean(axis=2)
    lacking = 0.7 * amplitude - float(np.percentile(np.abs(grey[core]), 90))
    if lacking > 0.0:
        mean = float(below[core].mean() + grey[core].mean())
        brighter = grey[core].mean() > 0.0
        if lacking > (255.0 - mean if brighter else mean):  # too few levels that way
            brighter = not brighter
        change = change + (lacking if brighter else -lacking)
    weight = cover if change.ndim == 2 else cover[:, :, None]
    return np.asarray(change * weight, dtype=np.float32)


def _centre(
    size: tuple[int, ...],
    window: tuple[slice, slice],
    patch: Patch,
    allowed: NDArray[np.bool_] | None,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Row and column to cut round: the cut lies wholly inside the image if that is large enough."""
    reach_v, reach_u = (
        float(np.abs(plane[patch.relief.support]).max()) for plane in (patch.v, patch.u)
    )
    target = [(axis.start + axis.stop) / 2 for axis in window]
    spots = None if allowed is None else np.flatnonzero(allowed)
    place = (0, 0)
    for _ in range(ELSEWHERE):
        free = []
        for reach, side in ((reach_v, size[0]), (reach_u, size[1])):
            low = min(math.ceil(reach), side // 2)
            free.append(int(rng.integers(low, max(low + 1, side - low))))
        if spots is not None:
            free = [int(i) for i in np.unravel_index(rng.choice(spots), size[:2])]
        place = (free[0], free[1])
        if math.dist(place, target) > max(reach_u, reach_v):
            break
    return place


def _sample(source: NDArray[np.uint8], rows: Plane, columns: Plane) -> NDArray[np.float32]:
    """`source` at fractional places, cubic: linear interpolation would blur the texture away."""
    low = [max(0, math.floor(plane.min()) - 8) for plane in (rows, columns)]
    high = [math.ceil(plane.max()) + 9 for plane in (rows, columns)]
    piece = source[low[0] : high[0], low[1] : high[1]].astype(np.float32)
    at = [rows - low[0], columns - low[1]]
    channels = [piece] if piece.ndim == 2 else list(np.moveaxis(piece, 2, 0))
    taken = [ndimage.map_coordinates(one, at, order=3, mode="mirror") for one in channels]
    return np.clip(taken[0] if piece.ndim == 2 else np.stack(taken, axis=2), 0.0, 255.0)
