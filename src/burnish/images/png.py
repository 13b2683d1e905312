"""Pictures as PNG: in memory, and as files written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from burnish.files import atomic_path


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write pixels (HxW or HxWx3) as a PNG, whole or not at all.

    Raises:
        BurnishError: as `atomic_path`.
    """
    with atomic_path(path) as beside:
        Image.fromarray(pixels).save(beside, format="PNG", compress_level=3)
