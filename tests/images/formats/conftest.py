"""Small trees in the exact layout of a data set, written from arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.images.archives.archive import open_source
from burnish.images.formats import format_named
from burnish.images.formats.base import Item, Options


def grey(seed: int, height: int = 32, width: int = 32) -> np.ndarray:
    """A picture that no other seed gives: uint8 HxW."""
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    return grey


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict], Path]:
    """Write files below a new folder; an array becomes an image of the format the suffix names."""

    def write(files: dict) -> Path:
        root = tmp_path / "source"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, np.ndarray):
                Image.fromarray(content).save(path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content)
        return root

    return write


@pytest.fixture
def items() -> Callable[..., tuple[dict[str, Item], list[str]]]:
    """All items of a source by name in it, and the notes."""

    def read(root: Path, name: str, **options: object) -> tuple[dict[str, Item], list[str]]:
        notes: list[str] = []
        with open_source(root) as source:
            format = format_named(name)
            found = list(format.items(source, Options(**options), notes.append))
            # the source is a folder, so its items can be asked when it is closed
        return {item.source: item for item in found}, notes

    return read
