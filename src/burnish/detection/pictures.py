"""Pictures of a result: heat map overlay and the four panels of the paper's Figure 10."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from burnish.detection.result import Result
from burnish.errors import BurnishError
from burnish.files import atomic_path
from burnish.images.reader import SUFFIXES, to_channels

PANEL_SIDE = 320, 640  # px, at least and at most, that the longer side of a panel is shown at
OPACITY = 0.75
AMBER = (150, 90, 0)
BAND_PIXELS = 1_000_000
BOXED = 10  # regions; more would bury the map
RED = (255, 40, 40)


@lru_cache(maxsize=1)
def _colours() -> NDArray[np.float64]:
    from matplotlib import colormaps

    return np.asarray(colormaps["turbo"](np.linspace(0, 1, 256)))[:, :3] * 255


def heat(anomaly_map: NDArray[np.float32], heat_range: tuple[float, float]) -> NDArray[np.float64]:
    """Anomaly map to [0, 1] on the calibrated scale: 0.5 is the pixel threshold."""
    low, high = heat_range
    return np.clip((anomaly_map.astype(np.float64) - low) / (high - low), 0, 1)


def heatmap(result: Result) -> Image.Image:
    """Colour laid over the grey part; what is no hotter than good parts stays uncoloured, and what
    lies outside the region of interest."""
    grey = to_channels(result.image, 1)
    picture = np.empty((*grey.shape, 3), dtype=np.uint8)
    rows = max(1, BAND_PIXELS // grey.shape[1])
    for top in range(0, len(grey), rows):  # by bands: eight bytes a value add up on a big image
        band = slice(top, top + rows)
        warmth = heat(result.anomaly_map[band], result.heat_range)
        base = grey[band, :, None].astype(np.float64)
        colour = _colours()[(warmth * 255).round().astype(int)]
        alpha = OPACITY * np.clip(2 * warmth, 0, 1)[..., None]
        if result.inside is not None:
            alpha *= result.inside[band, :, None]
        picture[band] = np.round(base * (1 - alpha) + colour * alpha).astype(np.uint8)
    return Image.fromarray(picture)


def residual(result: Result) -> Image.Image:
    """Absolute difference of part and reconstruction, grey, 4 times amplified; of colours that of
    the channel where it is greatest."""
    pair = result.image, result.reconstruction
    if any(one.ndim == 2 for one in pair):  # a model of grey says nothing of colour
        pair = to_channels(pair[0], 1), to_channels(pair[1], 1)
    by = np.abs(pair[0].astype(np.int16) - pair[1])
    by = by if by.ndim == 2 else by.max(axis=2)
    return Image.fromarray(np.clip(4 * by, 0, 255).astype(np.uint8))


def outline(picture: Image.Image, result: Result) -> Image.Image:
    """Draw a defect's worst regions as boxes onto a picture of the input's size, in place; where
    there are none, a ring round the peak."""
    if not result.is_defect:
        return picture
    draw = ImageDraw.Draw(picture)
    line = max(1, round(max(picture.size) / 200))
    away = max(line, round(max(picture.size) / 60))  # a flaw of few px would lie under the line
    for region in result.regions[:BOXED]:
        left, top = region.x - away, region.y - away
        right, bottom = region.x + region.width - 1 + away, region.y + region.height - 1 + away
        draw.rectangle((left, top, right, bottom), outline=RED, width=line)
    if not result.regions and not result.all_over:
        x, y = result.peak
        draw.ellipse((x - away, y - away, x + away, y + away), outline=RED, width=line)
    return picture


def panels(result: Result) -> Image.Image:
    """Part, reconstruction, residual, heat map, side by side under a line with the verdict.

    More lines say that the surface is unlike good parts as a whole, which no place of the heat map
    shows, and in what the part is unlike the training images.
    """
    pictures = {
        "part": Image.fromarray(result.image),
        "reconstruction": Image.fromarray(result.reconstruction),
        "residual x4": residual(result),
        "heat map": outline(heatmap(result), result),
    }
    height, width = result.image.shape[:2]
    least, most = PANEL_SIDE
    zoom = min(max(height, width, least), most) / max(height, width)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    says = [f"unlike training: {unlike}" for unlike in result.out_of_range]
    if result.all_over:
        near = f"most of all near {result.peak[0]},{result.peak[1]}"
        says.insert(0, f"the surface as a whole is unlike good parts, {near}")
    if len(result.regions) > BOXED:
        says.append(f"{len(result.regions)} places stand out; the {BOXED} worst are boxed")
    small = ImageFont.load_default(13)
    gap, foot = 12, 26
    head = 40 + 18 * len(says)
    words = max((2 * gap + round(small.getlength(text)) for text in says), default=0)
    full = (max(4 * size[0] + 5 * gap, 560, words), head + size[1] + foot + gap)
    canvas = Image.new("RGB", full, "white")
    draw = ImageDraw.Draw(canvas)
    line = (
        f"{result.headline}   score {result.score:.4g}   "
        f"threshold {result.threshold:.4g}   p-value {result.p_value:.3g}"
    )
    ink = (190, 20, 20) if result.is_defect else (20, 120, 50)
    large = ImageFont.load_default(17)
    draw.text((gap, 11), line, fill=ink, font=large)
    name = "" if result.path is None else result.path.name.encode("utf-8", "replace").decode()
    room = full[0] - 4 * gap - large.getlength(line)
    while name and small.getlength(name) > room:
        name = name[1:]
    draw.text((full[0] - gap, 14), name, fill=(70, 70, 70), font=small, anchor="ra")
    for index, text in enumerate(says):
        draw.text((gap, 36 + 18 * index), text, fill=AMBER, font=small)
    for index, (name, picture) in enumerate(pictures.items()):
        left = gap + index * (size[0] + gap)
        canvas.paste(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR), (left, head))
        place = (left, head + size[1] + 5)
        draw.text(place, name, fill=(70, 70, 70), font=ImageFont.load_default(14))
    return canvas


def save_picture(picture: Image.Image, path: Path) -> Path:
    """Write a picture whole or not at all.

    Raises:
        BurnishError: unknown suffix, or the folder cannot be written to.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BurnishError(f"{path}: give a picture's name ending in {', '.join(SUFFIXES)}")
    with atomic_path(path) as beside:
        picture.save(beside, format=Image.registered_extensions()[path.suffix.lower()])
    return path
