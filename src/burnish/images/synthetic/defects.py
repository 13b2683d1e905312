"""Synthetic defects with exact masks, drawn on any picture of metal, procedural or real.

A defect is a relief (`burnish.images.synthetic.reliefs`) scaled by an amplitude taken from the
picture itself, so that a scratch shows on a dark casting as it does on a bright sheet; or a piece
of the picture put where it does not belong (`burnish.images.synthetic.cutpaste`).

Lengths are shares of the shorter side, with a floor of about a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from burnish.errors import BurnishError, nearest
from burnish.images.statistics import has_colour
from burnish.images.synthetic.cutpaste import Patch, change_by_pasting, draw_patch
from burnish.images.synthetic.reliefs import LARGE, RELIEFS, Plane, Relief
from burnish.images.synthetic.room import Region, Room, Window
from burnish.images.synthetic.surfaces import MIN_SIDE

Shape = TypeVar("Shape", Relief, Patch)

DEFECTS: tuple[str, ...] = tuple(RELIEFS)
"""The kinds of the procedural data set."""

CUTPASTE = "cutpaste"

STAINS: tuple[str, ...] = (*DEFECTS, *LARGE, CUTPASTE)
"""The kinds for any real picture."""

DISCOLOURATION = "discolouration"
"""The kind for colour pictures alone: rust or heat tint that is neither darker nor brighter."""

KINDS: tuple[str, ...] = (*STAINS, DISCOLOURATION)
"""All that `draw_defect` knows."""

MATERIAL_CHANGE = 1.5
"""Smallest change, in grey levels, that counts as part of a defect."""

RUST_TINT = (0.45, 1.0, 1.5)
"""How much a stain darkens red, green and blue: least in red, which leaves brown."""

DETAIL = 3.0
"""Sigma, px: what a surface's texture stands out from."""


def draw_defect(
    image: NDArray[np.uint8],
    kind: str,
    rng: np.random.Generator,
    strength: float = 1.0,
    *,
    allowed: Region | None = None,
    at_edge: bool = False,
) -> tuple[NDArray[np.uint8], Region]:
    """Draw one defect at a random place, size, orientation and contrast.

    The amplitude follows the local texture and the range of the image, times a random factor
    (some defects are easy to see, some hard) and `strength`. Where a mark would vanish because
    the picture is already black (or white) there, it is drawn with the opposite sign. The kind
    `uneven` changes the picture's own texture too; `discolouration` changes hue alone.

    Args:
        image: uint8 HxW or HxWx3 (RGB), sides of at least 32 pixels; never modified. In colour
            for a discolouration.
        kind: one of `KINDS`.
        rng: the only source of randomness.
        strength: factor on the amplitude; 0 draws nothing, 1 is the usual mix. For `cutpaste`,
            which pastes texture of another place, it scales opacity (up to 1) and jitter.
        allowed: bool HxW, where a defect may lie; None: anywhere. At least 90 % of the shape lies
            inside, the rest is cut off; a shape that does not fit is drawn smaller.
        at_edge: whether it lies across the edge of the allowed region or of the image, as chips do;
            what reaches beyond is cut off.

    Returns:
        The image with the defect (same shape, uint8) and its mask (bool HxW). Outside the mask
        nothing changed; a few pixels within it may keep their value (the line between the bright
        and the dark half of a dent, say).

    Raises:
        BurnishError: unknown kind, an image of another type or shape, a strength below 0, or an
            allowed region of another shape, or too small for any defect.
    """
    if kind not in KINDS:
        raise BurnishError(
            f"unknown defect {kind!r}; known: {', '.join(KINDS)}.{nearest(kind, KINDS)}"
        )
    _check(image, strength, allowed)
    room = Room(image.shape[:2], allowed, at_edge)
    if kind == CUTPASTE:
        window, change, support = _pasted(image, rng, strength, room)
    elif kind == DISCOLOURATION:
        window, change, support = _discoloured(image, rng, strength, room)
    else:
        window, change, support = _drawn(image, kind, rng, strength, room)
    material = _changed(change, min(image.shape[:2])) & support
    if allowed is not None:
        material &= allowed[window]
    change = np.where(material if change.ndim == 2 else material[:, :, None], change, 0.0)
    if image.ndim == 3 and change.ndim == 2:
        tint = RUST_TINT if kind == "stain" else (1.0, 1.0, 1.0)
        change = change[:, :, None] * _hue(image[window]) * np.asarray(tint, dtype=np.float32)
    drawn = image.copy()
    drawn[window] = np.clip(np.rint(image[window] + change), 0, 255).astype(np.uint8)
    mask = np.zeros(image.shape[:2], dtype=np.bool_)
    mask[window] = material
    return drawn, mask


def _fitted(
    kind: str,
    draw: Callable[[float, np.random.Generator], Shape],
    rng: np.random.Generator,
    room: Room,
) -> tuple[Shape, Window]:
    """The largest shape that there is room for, cut to it, and where it lies.

    Raises:
        BurnishError: there is none.
    """
    for side in room.sides():
        shape = draw(side, rng)
        if (placed := room.place(shape.support, rng)) is not None:
            window, canvas = placed
            return shape.cut(canvas), window
    raise BurnishError(
        f"the region where defects may lie is too small or too thin for a {kind}: "
        "mark a larger region"
    )


def _drawn(
    image: NDArray[np.uint8],
    kind: str,
    rng: np.random.Generator,
    strength: float,
    room: Room,
) -> tuple[Window, Plane, Region]:
    """Window, change (float32, grey levels, shape of the window) and support of a relief."""
    relief, window = _fitted(kind, (RELIEFS | LARGE)[kind], rng, room)
    amplitude = strength * rng.uniform(0.7, 1.4) * _contrast(image, window)
    change = _keep_in_range(_grey(image[window]), amplitude * relief.profile)
    if relief.gain is not None:
        grey = _grey(image)
        detail = (grey - ndimage.gaussian_filter(grey, DETAIL))[window]
        change += (np.exp(strength * relief.gain) - 1.0) * detail
    return window, change, relief.support


def _pasted(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    strength: float,
    room: Room,
) -> tuple[Window, NDArray[np.float32], Region]:
    """As `_drawn`, for a pasted patch; the change is HxW or HxWx3, as the image is."""
    patch, window = _fitted(CUTPASTE, draw_patch, rng, room)
    amplitude = strength * rng.uniform(0.7, 1.4) * _contrast(image, window)
    change = change_by_pasting(image, window, patch, room.allowed, amplitude, strength, rng)
    return window, change, patch.support


def _discoloured(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    strength: float,
    room: Room,
) -> tuple[Window, NDArray[np.float32], Region]:
    """As `_drawn`: the shape of a stain, whose change (HxWx3) adds up to 0 over the channels.

    Its contrast follows the fine detail of the colours: that of the brightness does not hide a hue.
    """
    if not has_colour(image):
        raise BurnishError(
            f"a {DISCOLOURATION} differs in colour alone, and the image is grey: draw another kind"
        )
    relief, window = _fitted(DISCOLOURATION, RELIEFS["stain"], rng, room)
    below = image[window].astype(np.float32)
    colours = below - below.mean(axis=2, keepdims=True)
    detail = colours - ndimage.gaussian_filter(colours, (DETAIL, DETAIL, 0.0))
    texture = 1.4826 * float(np.median(np.abs(detail)))
    amplitude = strength * rng.uniform(0.7, 1.4) * (14.0 + 2.2 * texture)
    hue = rng.normal(size=3)
    hue -= hue.mean()
    change = amplitude * np.abs(relief.profile)[:, :, None] * (hue / np.abs(hue).max())
    # Cut at black or white, one channel alone would change the brightness too.
    left = np.where(change > 0.0, 255.0 - below, below) / np.maximum(np.abs(change), 1e-6)
    change *= np.minimum(left.min(axis=2, keepdims=True), 1.0)
    return window, np.asarray(change, dtype=np.float32), relief.support


def _changed(change: NDArray[np.float32], side: int) -> Region:
    """Where a change (HxW or HxWx3, grey levels) counts as part of the defect: bool HxW.

    Args:
        side: the image's shorter one, px.
    """
    most = np.abs(change) if change.ndim == 2 else np.abs(change).max(axis=2)
    material = most >= MATERIAL_CHANGE
    # Closed over the line between the bright and the dark side, whose width grows with the image.
    return material | ndimage.binary_closing(material, iterations=max(2, side // 64))


def _check(image: NDArray[np.uint8], strength: float, allowed: Region | None) -> None:
    shape = image.shape
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and shape[2] != 3):
        raise BurnishError(
            f"a defect cannot be drawn on an array of {image.dtype} with shape {shape}; "
            "give uint8 HxW (grey) or HxWx3 (RGB)."
        )
    if min(shape[:2]) < MIN_SIDE:
        raise BurnishError(
            f"a defect cannot be drawn on an image of {shape[0]}x{shape[1]} pixels; "
            f"both sides must be at least {MIN_SIDE}."
        )
    if not (math.isfinite(strength) and strength >= 0.0):
        raise BurnishError(f"defect strength is {strength}; it must be a number of 0 or more.")
    if allowed is not None and (allowed.shape != shape[:2] or allowed.dtype != np.bool_):
        raise BurnishError(
            f"the region where defects may lie is {allowed.dtype} of shape {allowed.shape}; "
            f"it must be bool {shape[0]}x{shape[1]}, as the image is."
        )


def _contrast(image: NDArray[np.uint8], window: Window) -> float:
    """Amplitude, in grey levels, that shows among the texture round `window`.

    Texture is measured on the fine detail alone: an edge of the part or a shadow beside the
    defect does not make a defect easier or harder to see.
    """
    margin = max(4, min(image.shape[:2]) // 16)
    rows, columns = (slice(max(0, axis.start - margin), axis.stop + margin) for axis in window)
    around = _grey(image[rows, columns])
    detail = around - ndimage.gaussian_filter(around, DETAIL)
    texture = 1.4826 * float(np.median(np.abs(detail)))
    step = max(1, min(image.shape[:2]) // 64)  # the range of the image needs no more than a sample
    low, high = np.percentile(_grey(image[::step, ::step]), (2.0, 98.0))
    return min(14.0 + 2.2 * texture + 0.10 * float(high - low), 90.0)


def _grey(image: NDArray[np.uint8]) -> Plane:
    """float32 HxW, 0 to 255: the mean of the channels."""
    return (image.mean(axis=2) if image.ndim == 3 else image).astype(np.float32)


def _hue(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The surroundings' colour, which shade keeps: float32 HxWx3, mean 1 over the channels."""
    smooth = ndimage.gaussian_filter(image.astype(np.float32), (DETAIL, DETAIL, 0.0)) + 1.0
    return np.asarray(smooth / smooth.mean(axis=2, keepdims=True), dtype=np.float32)


def _keep_in_range(grey: Plane, change: Plane) -> Plane:
    """Turn the sign of the bright or the dark part of `change` where there is no room for it."""
    change = change.copy()
    for part, room in ((change > 0.0, 255.0 - grey), (change < 0.0, grey)):
        wanted = np.abs(change[part])
        if np.minimum(room[part], wanted).sum() < 0.5 * wanted.sum():
            change[part] *= -1.0
    return change
