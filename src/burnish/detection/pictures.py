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

PANEL_SIDE = 320, 640  # px, least and most of a panel's longer side
OPACITY = 0.75
AMBER = (150, 90, 0)
BAND_PIXELS = 1_000_000  # coloured at a time
BOXED = 10  # most regions that are boxed: more would bury the map
RED = (255, 40, 40)
RED_INK, GREEN_INK, GREY = (190, 20, 20), (20, 120, 50), (70, 70, 70)


@lru_cache(maxsize=1)
def _colours() -> NDArray[np.float64]:
    try:
        from matplotlib import colormaps
    except OSError as error:  # no folder at all that it may write its cache to
        raise BurnishError(f"heat maps cannot be drawn: {error}") from error

    return np.asarray(colormaps["turbo"](np.linspace(0, 1, 256)))[:, :3] * 255


def heat(anomaly_map: NDArray[np.float32], heat_range: tuple[float, float]) -> NDArray[np.float64]:
    """Anomaly map to [0, 1] on the calibrated scale: 0.5 is the pixel threshold."""
    low, high = heat_range
    return np.clip((anomaly_map.astype(np.float64) - low) / (high - low), 0, 1)


def heatmap(result: Result) -> Image.Image:
    """The heat map laid over the grey part, RGB at the size of the input.

    Pixels no hotter than good parts, and those outside the region of interest, keep no colour.
    """
    grey = to_channels(result.image, 1)
    picture = np.empty((*grey.shape, 3), dtype=np.uint8)
    rows = max(1, BAND_PIXELS // grey.shape[1])
    for top in range(0, len(grey), rows):  # float64 of a whole large image takes gigabytes
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
    """Absolute difference of part and reconstruction, amplified 4 times, grey; of colour images
    the largest difference of the three channels."""
    pair = result.image, result.reconstruction
    if any(one.ndim == 2 for one in pair):  # a model of grey says nothing of colour
        pair = to_channels(pair[0], 1), to_channels(pair[1], 1)
    by = np.abs(pair[0].astype(np.int16) - pair[1])
    by = by if by.ndim == 2 else by.max(axis=2)
    return Image.fromarray(np.clip(4 * by, 0, 255).astype(np.uint8))


def outline(picture: Image.Image, result: Result) -> Image.Image:
    """Draw boxes round a defect's worst regions, or a ring round its peak where it has none.

    Args:
        picture: RGB at the size of the input; drawn on in place, and returned.
    """
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


def panel_pictures(result: Result) -> dict[str, Image.Image]:
    """The four panels of `panels` by title, each at the size of the input."""
    return {
        "part": Image.fromarray(result.image),
        "reconstruction": Image.fromarray(result.reconstruction),
        "residual x4": residual(result),
        "heat map": outline(heatmap(result), result),
    }


def panels(result: Result) -> Image.Image:
    """Part, reconstruction, residual and heat map side by side, below a line with the verdict.

    Further lines hold what the heat map cannot show, see `_remarks`.
    """
    pictures, remarks = panel_pictures(result), _remarks(result)
    size = _panel_size(*result.image.shape[:2])
    small = ImageFont.load_default(13)
    gap, foot = 12, 26
    head = 40 + 18 * len(remarks)
    words = max((2 * gap + round(small.getlength(text)) for text in remarks), default=0)
    full = (max(4 * size[0] + 5 * gap, 560, words), head + size[1] + foot + gap)
    canvas = Image.new("RGB", full, "white")
    draw = ImageDraw.Draw(canvas)
    _draw_verdict(draw, result, gap, full[0] - gap)
    for index, text in enumerate(remarks):
        draw.text((gap, 36 + 18 * index), text, fill=AMBER, font=small)
    for index, (title, picture) in enumerate(pictures.items()):
        left = gap + index * (size[0] + gap)
        canvas.paste(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR), (left, head))
        place = (left, head + size[1] + 5)
        draw.text(place, title, fill=GREY, font=ImageFont.load_default(14))
    return canvas


def _panel_size(height: int, width: int) -> tuple[int, int]:
    """(width, height) of a panel, px: the longer side within `PANEL_SIDE`, the aspect kept."""
    least, most = PANEL_SIDE
    zoom = min(max(height, width, least), most) / max(height, width)
    return max(1, round(width * zoom)), max(1, round(height * zoom))


def _remarks(result: Result) -> list[str]:
    """What the heat map cannot show: a surface unlike good parts as a whole, an image unlike the
    training images, more regions than are boxed."""
    remarks = [f"unlike training: {unlike}" for unlike in result.out_of_range]
    if result.all_over:
        near = f"most of all near {result.peak[0]},{result.peak[1]}"
        remarks.insert(0, f"the surface as a whole is unlike good parts, {near}")
    if len(result.regions) > BOXED:
        remarks.append(f"{len(result.regions)} places stand out; the {BOXED} worst are boxed")
    return remarks


def _draw_verdict(draw: ImageDraw.ImageDraw, result: Result, left: int, right: int) -> None:
    """The verdict from `left` on; up to `right` the file's name, cut at its start to fit."""
    line = (
        f"{result.headline}   score {result.score:.4g}   "
        f"threshold {result.threshold:.4g}   p-value {result.p_value:.3g}"
    )
    large, small = ImageFont.load_default(17), ImageFont.load_default(13)
    draw.text((left, 11), line, fill=RED_INK if result.is_defect else GREEN_INK, font=large)
    name = "" if result.path is None else result.path.name.encode("utf-8", "replace").decode()
    room = right - 3 * left - large.getlength(line)
    while name and small.getlength(name) > room:
        name = name[1:]
    draw.text((right, 14), name, fill=GREY, font=small, anchor="ra")


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
