"""Good metal parts of kinds that no setting was chosen on, drawn by rules.

Each differs from part to part as its real counterpart does: the pattern starts anywhere, the part
lies turned, a number is stamped on it, the lamp's highlight sits a little elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from burnish.images.synthetic.surfaces import gaussian_field, make_surface

Plane = NDArray[np.float64]
Part = tuple[Plane, NDArray[np.bool_] | None]
"""Grey levels HxW or HxWx3, and bool HxW: the part where there is a background."""

SIDE = 256


def perforated(rng: np.random.Generator) -> Part:
    """A sheet with staggered round holes; the cut starts anywhere in the pattern."""
    x, y = _turned(SIDE, np.radians(rng.normal(0.0, 1.0)), rng.uniform(0, 40, 2))
    pitch, radius = 34.0, 10.0
    row = np.round(y / (pitch * 0.866))
    shift = pitch / 2 * (row % 2)
    across = (x - shift + pitch / 2) % pitch - pitch / 2
    distance = np.hypot(across, y - row * pitch * 0.866)
    hole = np.clip(distance - radius + 0.5, 0, 1)
    rim = np.exp(-(((distance - radius - 2) / 1.5) ** 2)) * np.sin(np.arctan2(y, across) - 0.8)
    sheet = _grain(SIDE, 60.0, 0.6, 0.05, rng)
    return _lit(22 + hole * (128 * sheet + 18 * rim), rng), None


def knurled(rng: np.random.Generator) -> Part:
    """A diamond knurl lit from the upper left; the diamonds lie anywhere."""
    x, y = _turned(SIDE, np.radians(rng.normal(0.0, 0.5)), rng.uniform(0, 40, 2))
    ridge = [np.abs(((x + s * 1.8 * y) / 22.0) % 1 - 0.5) for s in (1, -1)]
    height = ndimage.gaussian_filter(12 * np.minimum(*ridge), 0.8)
    down, right = np.gradient(height)
    shade = 120 - 55 * (0.6 * right + 0.8 * down) / 0.5
    return _lit(shade * _grain(SIDE, 1.0, 1.0, 0.06, rng), rng), None


def turned(rng: np.random.Generator) -> Part:
    """The face of a lathe-turned disc that fills the picture, with the lamp's two bright fans."""
    centre = SIDE / 2 + rng.normal(0.0, 2.0, 2)
    y, x = np.mgrid[:SIDE, :SIDE] - centre[:, None, None]
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    fans = np.exp(4 * (np.cos(2 * (angle - 0.6 - rng.normal(0.0, 0.04))) - 1))
    rings = 0.10 * np.sin(2 * np.pi * radius / 3.7 + rng.uniform(0, 6.3))
    fine = ndimage.gaussian_filter1d(rng.normal(0.0, 1.0, 800), 1.0)
    rings = rings + 0.12 * np.interp(radius * 2, np.arange(800), fine)
    face = (70 + 110 * fans) * (1 + rings) * _grain(SIDE, 0.7, 0.7, 0.03, rng)
    hole = np.clip(radius - 24 + 0.5, 0, 1)
    return _lit(18 + hole * (face - 18), rng), None


def milled(rng: np.random.Generator) -> Part:
    """Face milling: the arcs that a cutter leaves at each feed, in two overlapping passes."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    phase, feed = rng.uniform(0, 9.0, 2), 9.0 * rng.normal(1.0, 0.01)
    shade = np.full((SIDE, SIDE), 135.0)
    for turn, middle in enumerate((70 + rng.normal(0, 2.0), 190 + rng.normal(0, 2.0))):
        inside = np.abs(y - middle) < 74
        along = x - np.sqrt(np.maximum(80.0**2 - (y - middle) ** 2, 0)) * (1 if turn else -1)
        scallop = ((along + phase[turn]) / feed) % 1
        jitter = np.interp(along, np.arange(-400, 400), rng.normal(0.0, 1.0, 800))
        shade = np.where(inside, 118 + 40 * scallop + 6 * jitter + 10 * turn, shade)
    return _lit(shade * _grain(SIDE, 1.0, 0.6, 0.04, rng), rng), None


def woven(rng: np.random.Generator) -> Part:
    """Plain-woven wire mesh over black, anywhere and turned by a few degrees."""
    x, y = _turned(SIDE, np.radians(rng.normal(0.0, 2.0)), rng.uniform(0, 40, 2))
    pitch, wire = 20.0, 5.5
    shade, top = np.full((SIDE, SIDE), 14.0), np.full((SIDE, SIDE), -9.0)
    for u, v in ((x, y), (y, x)):
        lane = np.round(u / pitch)
        off = u - lane * pitch
        level = np.cos(np.pi * (v / pitch + lane + (0 if u is x else 1))) + 0.2
        over = (np.abs(off) < wire) & (level > top)
        round_ = np.sqrt(np.maximum(1 - (off / wire) ** 2, 0))
        shade = np.where(over, 40 + (70 + 35 * level) * round_ + 20 * off / wire, shade)
        top = np.where(over, level, top)
    return _lit(ndimage.gaussian_filter(shade, 0.7), rng), None


def weld(rng: np.random.Generator) -> Part:
    """A weld bead across rolled plate; its ripples start anywhere, its edges waver."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    plate = make_surface("rolled", (SIDE, SIDE), rng) * 0.75
    middle = 128 + rng.normal(0, 3.0) + 5 * gaussian_field((1, SIDE), 40, 1, 0, rng)[0]
    half = 38 + 2.5 * gaussian_field((1, SIDE), 15, 1, 0, rng)[0]
    off = (y - middle) / half
    bend = 5 * gaussian_field((1, SIDE), 20, 1, 0, rng)[0]
    ripple = np.sin(2 * np.pi * (x + bend + 22 * off**2 + rng.uniform(0, 14)) / 14)
    dome = np.sqrt(np.maximum(1 - off**2, 0))
    bead = (60 + 75 * dome - 30 * off + 20 * ripple * dome) * _grain(SIDE, 1.5, 1.5, 0.06, rng)
    inside = np.clip((1 - np.abs(off)) * half + 0.5, 0, 1)
    burnt = 1 - 0.35 * np.exp(-((np.maximum(np.abs(off) - 1, 0) * half / 14) ** 2))
    return _lit(inside * bead + (1 - inside) * plate * burnt, rng), None


def stamped(rng: np.random.Generator) -> Part:
    """Brushed plate with a punched number that differs from part to part, at its usual place."""
    plate = make_surface("brushed", (SIDE, SIDE), rng).astype(np.float64)
    drawn = Image.new("L", (SIDE, SIDE))
    number = f"{rng.integers(0, 10**6):06d}"
    place = tuple(np.array([60, 150]) + rng.normal(0.0, 2.0, 2))
    ImageDraw.Draw(drawn).text(place, number, fill=255, font=ImageFont.load_default(38))
    depth = ndimage.gaussian_filter(np.asarray(drawn, dtype=np.float64) / 255, 1.0)
    down, right = np.gradient(depth)
    return _lit(plate - 25 * depth + 130 * (right + down), rng), None


def gear(rng: np.random.Generator) -> Part:
    """A toothed wheel with five holes and a keyway, turned to any angle, on a dark belt."""
    centre = SIDE / 2 + rng.normal(0.0, 5.0, 2)
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIDE, :SIDE] - centre[:, None, None]
    radius, angle = np.hypot(x, y), np.arctan2(y, x) - turn
    teeth = 96 + 9 * np.tanh(3 * np.cos(22 * angle))
    part = np.clip(teeth - radius + 0.5, 0, 1)
    for number in range(5):
        at = 2 * np.pi * number / 5 + turn
        part *= np.clip(np.hypot(x - 55 * np.cos(at), y - 55 * np.sin(at)) - 12 + 0.5, 0, 1)
    part *= np.clip(radius - 20 + 0.5, 0, 1)
    key = (np.abs(radius * np.sin(angle)) < 5) & (radius * np.cos(angle) > 0) & (radius < 28)
    part = ndimage.gaussian_filter(part * ~key, 0.6)
    fans = 0.12 * np.cos(2 * (np.arctan2(y, x) - 0.6))
    rings = 0.06 * np.sin(2 * np.pi * radius / 5.1 + rng.uniform(0, 6.3))
    metal = 150 * (1 + fans + rings) * _grain(SIDE, 0.8, 0.8, 0.04, rng)
    belt = 32 * _grain(SIDE, 2.0, 2.0, 0.10, rng)
    return _lit(belt + part * (metal - belt), rng), part > 0.9


def brass_nut(rng: np.random.Generator) -> Part:
    """A hexagonal brass nut in colour, ground in any direction, at any angle on a grey tray."""
    centre = SIDE / 2 + rng.normal(0.0, 5.0, 2)
    turn = rng.uniform(0, np.pi / 3)
    y, x = np.mgrid[:SIDE, :SIDE] - centre[:, None, None]
    radius, angle = np.hypot(x, y), np.arctan2(y, x) - turn
    flat = radius * np.cos((angle + np.pi / 6) % (np.pi / 3) - np.pi / 6)
    part = np.clip(88 - flat + 0.5, 0, 1) * np.clip(radius - 42 + 0.5, 0, 1)
    part = ndimage.gaussian_filter(part, 0.6)
    bevel = 0.25 * np.exp(-(((radius - 46) / 3) ** 2)) + 0.18 * (radius > 86)
    ground = _grain(SIDE, 9.0, 0.7, 0.06, rng, rng.uniform(0, np.pi))
    metal = 150 * (1 + bevel * np.cos(np.arctan2(y, x) - 2.3)) * ground
    hues = np.array([1.14, 0.98, 0.62]) * (1 + 0.015 * rng.normal(size=3))
    blotch = 1 + 0.015 * gaussian_field((SIDE, SIDE), 30, 30, 0, rng)[..., None] * [1, 0, -1]
    tray = 70 * _grain(SIDE, 1.2, 1.2, 0.06, rng)[..., None] * np.array([1.0, 1.0, 1.03])
    image = tray + part[..., None] * (metal[..., None] * hues * blotch - tray)
    return _lit(image, rng), part > 0.9


def strip(rng: np.random.Generator) -> Part:
    """A long rolled strip, 160 x 1280 px."""
    return make_surface("rolled", (160, 1280), rng).astype(np.float64), None


def casting(rng: np.random.Generator) -> Part:
    """A cast surface of 1024 x 1024 px."""
    return make_surface("cast", (1024, 1024), rng).astype(np.float64), None


SURFACES: dict[str, Callable[[np.random.Generator], Part]] = {
    draw.__name__: draw
    for draw in (perforated, knurled, turned, milled, woven, weld, stamped, gear, brass_nut)
} | {"strip": strip, "casting": casting}  # fmt: skip


def _turned(side: int, angle: float, start: Plane) -> tuple[Plane, Plane]:
    """x and y of each pixel, turned by `angle` and moved by `start`."""
    y, x = np.mgrid[:side, :side].astype(np.float64)
    return (
        np.cos(angle) * x - np.sin(angle) * y + start[0],
        np.sin(angle) * x + np.cos(angle) * y + start[1],
    )


def _grain(
    side: int,
    along: float,
    across: float,
    amount: float,
    rng: np.random.Generator,
    angle: float = 0,
) -> Plane:
    """A fine texture about 1."""
    return 1 + amount * gaussian_field((side, side), along, across, angle, rng).astype(np.float64)


def _lit(image: Plane, rng: np.random.Generator) -> Plane:
    """Under a lamp that is 3 % brighter or darker at times and falls off to one side, noisy."""
    height, width = image.shape[:2]
    v, u = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    lamp = rng.normal(1.0, 0.03) * (1 - rng.normal(0.06, 0.01) * u - rng.normal(0.06, 0.01) * v)
    shaped = lamp if image.ndim == 2 else lamp[..., None]
    return image * shaped + rng.normal(0.0, 1.5, image.shape)
