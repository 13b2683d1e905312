"""Reliefs: the shapes of the drawn kinds of defect, apart from any picture.

A relief is a signed profile (dark below 0, bright above) and its support, both drawn from distance
fields, so edges are antialiased. Lengths are shares of a side, with a floor of about a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.images.synthetic.surfaces import gaussian_field

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Relief:
    """Shape of a defect: `profile` float32 NxN, about -1 to 1, `support` bool NxN.

    `gain`: float32 NxN, logarithm of the factor on the picture's own texture, or None.
    """

    profile: Plane
    support: NDArray[np.bool_]
    gain: Plane | None = None

    def cut(self, canvas: tuple[slice, slice]) -> Relief:
        """The part of the canvas that is used."""
        gain = None if self.gain is None else self.gain[canvas]
        return Relief(self.profile[canvas], self.support[canvas], gain)


# --- the kinds ----------------------------------------------------------------------------------


def _scratch(side: float, rng: np.random.Generator) -> Relief:
    """Thin long line, slightly curved: a bright core between dark edges, fading at both ends."""
    length = side * rng.uniform(0.2, 0.65)
    width = max(1.0, side * rng.uniform(0.007, 0.014))
    u, v = frame(0.6 * length, rng)
    bend = rng.normal(0.0, 0.12)
    wiggle = rng.normal(0.0, 0.012)
    path_u = np.linspace(-length / 2, length / 2, 33, dtype=np.float32)
    t = 2.0 * path_u / length
    path_v = length * (bend * (t**2 - 0.33) + wiggle * np.sin(5.0 * t)) / 2
    taper = np.clip(4.0 * (1.0 - np.abs(t)), 0.0, 1.0)
    core = _line(u, v, path_u, path_v, width * (0.4 + 0.6 * taper))
    whole = _line(u, v, path_u, path_v, width * (0.4 + 0.6 * taper) + 1.8)
    profile = 1.4 * core - 0.7 * (whole - core)
    pressure = 0.75 + 0.25 * np.sin(rng.uniform(2.0, 6.0) * t + rng.uniform(0.0, 6.0))
    profile *= np.interp(u, path_u, pressure)
    return Relief(profile.astype(np.float32), whole > 0.1)


def _pit(side: float, rng: np.random.Generator) -> Relief:
    """One to four small round craters: dark within, with a rim that is lit on one side."""
    largest = max(1.4, side * rng.uniform(0.016, 0.042))
    u, v = frame(8.0 * largest, rng)
    profile = np.zeros(u.shape, dtype=np.float32)
    for crater in range(int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1]))):
        offset_u, offset_v = np.clip(rng.normal(0.0, 2.0 * largest, 2), -5 * largest, 5 * largest)
        radius = largest if crater == 0 else max(1.4, largest * rng.uniform(0.4, 0.9))
        du, dv = (u, v) if crater == 0 else (u - offset_u, v - offset_v)
        turn, distance = np.arctan2(dv, du), np.hypot(du, dv)
        # Nearly round: the second and third harmonics make an oval with a dented side.
        outline = radius * (
            1.0
            + 0.10 * np.cos(2.0 * turn + rng.uniform(0.0, 2.0 * math.pi))
            + 0.06 * np.cos(3.0 * turn + rng.uniform(0.0, 2.0 * math.pi))
        )
        hole = np.clip(outline - distance + 0.5, 0.0, 1.0)
        rim = np.clip(outline + 0.8 + 0.25 * radius - distance + 0.5, 0.0, 1.0) - hole
        lit = np.clip(np.cos(turn) + 0.2, 0.0, 1.0)
        floor = -hole * (1.0 - 0.25 * lit * np.minimum(distance / radius, 1.0))
        # Where craters meet, the hollow of one takes away the rim of the other.
        profile = np.where(hole > 0.0, np.minimum(profile, floor), profile)
        profile = np.where(profile >= 0.0, np.maximum(profile, 0.75 * lit * rim), profile)
    return Relief(profile.astype(np.float32), np.abs(profile) > 0.1)


def _stain(side: float, rng: np.random.Generator) -> Relief:
    """Rust: an irregular dark patch with a soft edge, uneven within."""
    radius = side * rng.uniform(0.055, 0.16)
    u, v = frame(1.6 * radius, rng)
    oval = rng.uniform(0.65, 1.0)
    cover = np.clip(_depth(u, v / oval, radius, 0.35, 0.22, rng) / 0.45, 0.0, 1.0)
    cover = cover * cover * (3.0 - 2.0 * cover)
    uneven = 0.8 + 0.15 * gaussian_field(u.shape, 0.15 * radius, 0.15 * radius, 0.0, rng)
    profile = -cover * np.clip(uneven, 0.4, 1.0)
    return Relief(profile.astype(np.float32), cover > 0.05)


def _dent(side: float, rng: np.random.Generator) -> Relief:
    """Shallow hollow: smooth shading, bright on one side and dark on the other."""
    radius = side * rng.uniform(0.06, 0.17)
    u, v = frame(1.1 * radius, rng)
    distance = np.hypot(u, v / rng.uniform(0.7, 1.0)) / radius
    bowl = np.clip(1.0 - distance**2, 0.0, 1.0)
    # The slope, along u, of the bowl (1 - d^2)^3, its peak brought to 1, in a little shade.
    profile = 3.49 * (u / radius) * bowl**2 - 0.15 * bowl
    return Relief(profile.astype(np.float32), distance < 0.9)


def _crack(side: float, rng: np.random.Generator) -> Relief:
    """Thin dark jagged line that branches and tapers to nothing."""
    length = side * rng.uniform(0.2, 0.55)
    width = max(1.1, side * rng.uniform(0.007, 0.014))
    u, v = frame(0.8 * length, rng)
    u = u + length / 2
    path_u, path_v = _jagged(length, rng)
    taper = np.linspace(1.0, 0.55, path_u.size)
    cover = _line(u, v, path_u, path_v, width * taper)
    for _ in range(int(rng.integers(0, 4))):
        joint = int(rng.integers(path_u.size // 5, 4 * path_u.size // 5))
        turn = float(rng.choice([-1.0, 1.0])) * rng.uniform(0.4, 1.0)
        branch_u, branch_v = _jagged(length * rng.uniform(0.15, 0.4), rng)
        turned_u, turned_v = _turned(u - path_u[joint], v - path_v[joint], turn)
        thinner = 0.75 * width * taper[joint] * np.linspace(1.0, 0.3, branch_u.size)
        thinner = np.maximum(thinner, 0.6)  # any thinner, and it would break into dots
        cover = np.maximum(cover, _line(turned_u, turned_v, branch_u, branch_v, thinner))
    return Relief(-1.3 * cover, cover > 0.1)


def _wear(side: float, rng: np.random.Generator) -> Relief:
    """A large worn area: rough, and darker or brighter as a whole."""
    radius = side * rng.uniform(0.2, 0.4)
    u, v = frame(1.3 * radius, rng)
    oval = rng.uniform(0.4, 1.0)
    cover = np.clip(_depth(u, v / oval, radius, 0.2, 0.15, rng) / 0.3, 0.0, 1.0)
    grain = max(1.0, side * rng.uniform(0.005, 0.02))
    rough = gaussian_field(u.shape, grain, grain, 0.0, rng)
    shade = rng.uniform(-0.7, 0.7)
    profile = cover * np.clip(shade + 0.5 * rough, -1.5, 1.5)
    return Relief(profile.astype(np.float32), cover > 0.05)


def _uneven(side: float, rng: np.random.Generator) -> Relief:
    """A badly ground or coated area: very large, with a soft border, rougher or smoother, and
    darker or brighter."""
    radius = side * rng.uniform(0.3, 0.7)
    u, v = frame(1.3 * radius, rng)
    oval = rng.uniform(0.5, 1.0)
    cover = np.clip(_depth(u, v / oval, radius, 0.3, 0.2, rng) / 0.5, 0.0, 1.0)
    shade, gain = rng.choice([-1.0, 1.0], 2) * rng.uniform((0.7, 0.5), 1.0)
    profile, gains = (np.asarray(value * cover, dtype=np.float32) for value in (shade, gain))
    return Relief(profile, cover > 0.05, gains)


# --- drawing ------------------------------------------------------------------------------------


def frame(reach: float, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """A square canvas that reaches `reach` pixels from its centre, turned at random.

    Returns:
        u, v: float32 NxN, coordinates in pixels along and across the defect.
    """
    half = math.ceil(reach) + 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    shift_y, shift_x = rng.uniform(-0.5, 0.5, 2).astype(np.float32)  # not on the pixel grid
    return _turned(x - shift_x, y - shift_y, rng.uniform(0.0, 2.0 * math.pi))


def _depth(
    u: Plane, v: Plane, radius: float, grain: float, raggedness: float, rng: np.random.Generator
) -> Plane:
    """Depth inside a ragged disc: 1 at its centre, 0 at its outline; `grain` in radii."""
    ragged = gaussian_field(u.shape, grain * radius, grain * radius, 0.0, rng)
    depth = 1.0 - np.hypot(u, v) / radius
    # Ragged near its outline only, so that the patch stays in one piece.
    depth += raggedness * ragged * np.exp(-((depth / 0.6) ** 2))
    return np.asarray(depth, dtype=np.float32)


def _turned(u: Plane, v: Plane, angle: float) -> tuple[Plane, Plane]:
    """Coordinates in axes turned by `angle` radians."""
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return cosine * u + sine * v, cosine * v - sine * u


def _line(
    u: Plane,
    v: Plane,
    path_u: NDArray[np.floating],
    path_v: NDArray[np.floating],
    width: NDArray[np.floating],
) -> Plane:
    """Coverage in [0, 1] (float32 HxW) of the line v = path(u), antialiased over one pixel.

    `path_u` rises; `width`, in pixels, is given at each of its points. The distance to the line
    is the vertical one times the cosine of its slope, right for lines that bend gently.
    """
    offset = v - np.interp(u, path_u, path_v)
    slope = np.gradient(path_v, path_u)
    across = np.abs(offset) / np.sqrt(1.0 + np.interp(u, path_u, slope) ** 2)
    beyond = np.maximum(np.maximum(path_u[0] - u, u - path_u[-1]), 0.0)
    half = np.interp(u, path_u, width) / 2
    # A line thinner than a pixel covers part of it, never more than its width.
    cover = np.clip(half + 0.5 - np.hypot(across, beyond), 0.0, np.minimum(1.0, 2.0 * half))
    return np.asarray(cover, dtype=np.float32)


def _jagged(length: float, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Random zigzag from (0, 0) over `length` pixels: u rises, v wanders in short steps."""
    steps = max(4, int(length / rng.uniform(3.0, 5.0)))
    u = np.concatenate(([0.0], np.cumsum(rng.uniform(0.5, 1.5, steps))))
    u *= length / u[-1]
    zigzag = rng.normal(0.0, 0.55, steps) * np.diff(u)
    v = np.concatenate(([0.0], np.cumsum(zigzag)))
    return u.astype(np.float32), v.astype(np.float32)


RELIEFS: dict[str, Callable[[float, np.random.Generator], Relief]] = {
    "scratch": _scratch,
    "pit": _pit,
    "stain": _stain,
    "dent": _dent,
    "crack": _crack,
}
"""Kind -> relief, for a picture whose shorter side is so many pixels long."""

LARGE: dict[str, Callable[[float, np.random.Generator], Relief]] = {
    "wear": _wear,
    "uneven": _uneven,
}
"""The same, for kinds that cover much of the picture: not part of the procedural data set."""
