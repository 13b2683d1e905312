"""Procedural metal: pictures of flawless parts, for the demo and the tests.

Each surface is a sum of Gaussian random fields (white noise shaped in the Fourier domain: a
streak is a field that is long one way and narrow the other), lit by a slow gradient, blurred
as a lens blurs and recorded with sensor noise. Gaussian fields have no outliers, so a good part
never carries a mark that could be taken for a defect.

Lengths: fine texture is in pixels, as a camera of fixed magnification sees it; everything slow
(lighting, long streaks) is relative to the shorter side.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from burnish.errors import BurnishError, nearest

Size = tuple[int, int]
Plane = NDArray[np.float32]

MIN_SIDE = 32
"""Shortest side, in pixels, on which textures and defects still look like something."""


def make_surface(kind: str, size: Size, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one flawless metal surface.

    Parts of one kind differ as real ones do: a few grey levels of brightness, a degree of
    orientation, a few per cent of texture contrast, and every grain of the texture itself.

    Args:
        kind: one of `SURFACES`.
        size: (height, width) in pixels, both at least 32.
        rng: the only source of randomness; the same state gives the same image.

    Returns:
        uint8 HxW.

    Raises:
        BurnishError: unknown kind, or a size too small.
    """
    if kind not in _TEXTURES:
        raise BurnishError(
            f"unknown surface {kind!r}; known: {', '.join(SURFACES)}.{nearest(kind, SURFACES)}"
        )
    if min(size) < MIN_SIDE:
        raise BurnishError(
            f"surface size {size[0]}x{size[1]} is too small; "
            f"both sides must be at least {MIN_SIDE} pixels."
        )
    base, texture = _TEXTURES[kind](size, rng)
    texture *= rng.normal(1.0, 0.03)
    clean = (base + rng.normal(0.0, 2.0)) * _lighting(size, rng) * (1.0 + texture)
    return _photograph(clean, rng)


def gaussian_field(
    size: Size, along: float, across: float, angle: float, rng: np.random.Generator
) -> Plane:
    """Smooth noise with an elliptic Gaussian correlation, about zero mean and unit deviation.

    Args:
        size: (height, width) in pixels.
        along: smoothing (Gaussian sigma) in pixels in the direction `angle`.
        across: the same, at right angles to it.
        angle: direction in radians; 0 is horizontal, positive turns down the image.
        rng: source of randomness.

    Returns:
        float32 HxW.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    # The Fourier transform wraps round, so a larger field is made and its middle kept.
    reach_y, reach_x = np.hypot((along * sine, along * cosine), (across * cosine, across * sine))
    height = fft.next_fast_len(int(size[0] + min(4 * reach_y, 0.4 * size[0]) + 4), real=True)
    width = fft.next_fast_len(int(size[1] + min(4 * reach_x, 0.4 * size[1]) + 4), real=True)
    frequency_y = np.fft.fftfreq(height).astype(np.float32)[:, None]
    frequency_x = np.fft.rfftfreq(width).astype(np.float32)[None, :]
    spectrum_along = along * (cosine * frequency_x + sine * frequency_y)
    spectrum_across = across * (cosine * frequency_y - sine * frequency_x)
    transfer = np.exp(-2.0 * math.pi**2 * (spectrum_along**2 + spectrum_across**2))
    transfer[0, 0] = 0.0  # zero mean: the brightness of a part is set elsewhere
    noise = rng.standard_normal((height, width), dtype=np.float32)
    field = fft.irfft2(fft.rfft2(noise) * transfer, s=(height, width))
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    field /= field.std()
    return np.asarray(field[top : top + size[0], left : left + size[1]], dtype=np.float32)


def _brushed(size: Size, rng: np.random.Generator) -> tuple[float, Plane]:
    """Brushed: fine, nearly horizontal streaks of several lengths, over faint wider ones."""
    side = min(size)
    angle = math.radians(rng.normal(0.0, 0.5))
    texture = 0.040 * gaussian_field(size, 0.45 * side, 0.55, angle, rng)
    texture += 0.030 * gaussian_field(size, 0.12 * side, 0.45, angle, rng)
    texture += 0.022 * gaussian_field(size, 0.60 * side, 2.5, angle, rng)
    return 150.0, texture


def _rolled(size: Size, rng: np.random.Generator) -> tuple[float, Plane]:
    """Rolled: broad vertical bands, a faint waviness across them and short fine grain."""
    side = min(size)
    angle = math.radians(90.0 + rng.normal(0.0, 0.5))
    texture = 0.030 * gaussian_field(size, 0.9 * side, 4.0, angle, rng)
    texture += 0.024 * gaussian_field(size, 0.4 * side, 0.9, angle, rng)
    texture += 0.026 * gaussian_field(size, 7.0, 0.45, angle, rng)
    rows = np.arange(size[0], dtype=np.float32)[:, None]
    bend = 4.0 * gaussian_field(size, 0.2 * side, 0.2 * side, 0.0, rng)
    period = 0.19 * side * rng.uniform(0.95, 1.05)
    phase = rng.uniform(0.0, 2.0 * math.pi)
    texture += 0.014 * np.sin(2.0 * math.pi * (rows + bend) / period + phase)
    return 168.0, texture


def _cast(size: Size, rng: np.random.Generator) -> tuple[float, Plane]:
    """Cast: a granular relief lit from the upper left, on blotchy grey."""
    side = min(size)
    relief = gaussian_field(size, 0.9, 0.9, 0.0, rng)
    relief += 1.6 * gaussian_field(size, 1.8, 1.8, 0.0, rng)
    # A slope that faces the lamp is bright; tanh keeps grains from glinting like the rim of a pit.
    slope = 0.4 * ndimage.sobel(relief, axis=0) + 0.9 * ndimage.sobel(relief, axis=1)
    texture = 0.075 * np.tanh(0.7 * slope / slope.std())
    texture += 0.055 * gaussian_field(size, 1.2, 1.2, 0.0, rng)
    texture += 0.045 * gaussian_field(size, 0.5, 0.5, 0.0, rng)
    texture += 0.024 * gaussian_field(size, 0.05 * side, 0.05 * side, 0.0, rng)
    texture += 0.030 * gaussian_field(size, 0.16 * side, 0.16 * side, 0.0, rng)
    return 118.0, texture.astype(np.float32)


def _ground(size: Size, rng: np.random.Generator) -> tuple[float, Plane]:
    """Ground: two families of wide arcs that cross, as a cup wheel leaves them."""
    side = min(size)
    texture = 0.042 * _arcs(size, (1.6 * side, -0.35 * side), rng)
    texture += 0.042 * _arcs(size, (1.7 * side, 1.30 * side), rng)
    texture += 0.016 * gaussian_field(size, 0.5, 0.5, 0.0, rng)
    return 140.0, texture


def _arcs(size: Size, centre: tuple[float, float], rng: np.random.Generator) -> Plane:
    """Streaks that run in circles round `centre` (y, x in pixels): a field in polar coordinates."""
    y, x = _grid(size)
    centre_y, centre_x = np.asarray(centre) + rng.normal(0.0, 0.02 * min(size), 2)
    radius = np.hypot(y - centre_y, x - centre_x)
    arc = np.arctan2(y - centre_y, x - centre_x) * radius.mean()
    radius -= radius.min()
    arc -= arc.min()
    # Two samples a pixel, so that linear interpolation does not blur in stripes.
    sheet_size = (int(2 * radius.max()) + 3, int(arc.max()) + 3)
    sheet = gaussian_field(sheet_size, 0.5 * min(size), 1.2, 0.0, rng)
    streaks = ndimage.map_coordinates(sheet, [2 * radius, arc], order=1)
    return np.asarray(streaks, dtype=np.float32)


def _lighting(size: Size, rng: np.random.Generator) -> Plane:
    """Slow gradient, about 1 on average: a lamp at the upper left and a fall-off to the corners."""
    y, x = _grid(size)
    u, v = 2.0 * x / size[1] - 1.0, 2.0 * y / size[0] - 1.0
    angle = rng.normal(math.radians(35.0), math.radians(8.0))
    slope = rng.normal(0.10, 0.012)
    fall = rng.normal(0.05, 0.008)
    gradient = -slope * (u * math.cos(angle) + v * math.sin(angle))
    return (1.0 + gradient - fall * (u**2 + v**2 - 0.67)).astype(np.float32)


def _photograph(clean: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Grey levels as a camera records them: lens blur, shot and read noise, eight bits."""
    seen = ndimage.gaussian_filter(clean, 0.45)
    deviation = np.sqrt(0.8 + 0.012 * np.clip(seen, 0.0, 255.0))
    seen = seen + deviation * rng.standard_normal(seen.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(seen), 0, 255), dtype=np.uint8)


def _grid(size: Size) -> tuple[Plane, Plane]:
    """Row and column of each pixel, float32, shapes Hx1 and 1xW."""
    y, x = np.ogrid[: size[0], : size[1]]
    return y.astype(np.float32), x.astype(np.float32)


_TEXTURES: dict[str, Callable[[Size, np.random.Generator], tuple[float, Plane]]] = {
    "brushed": _brushed,
    "rolled": _rolled,
    "cast": _cast,
    "ground": _ground,
}
"""Kind -> mean grey level and relative texture (float32 HxW, 0 = plain)."""

SURFACES: tuple[str, ...] = tuple(_TEXTURES)
