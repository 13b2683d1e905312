"""A data set of procedural metal, in the folder layout of MVTec AD, for the demo and the tests.

    out/train/good/000.png            out/test/good/000.png
    out/test/<kind>/000.png           out/ground_truth/<kind>/000_mask.png    (0 or 255)
    out/synth.json                    what the folder holds
    out/manifest.csv                  one line an image; each is a part of its own

Every image has a seed of its own, made from the split, the kind and the index: image 7 is the
same image whether the set holds ten images or a thousand, and an interrupted run can be completed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.errors import BurnishError, nearest
from burnish.files import atomic_write
from burnish.images.manifest import MANIFEST, ManifestRow, write_manifest
from burnish.images.png import save_png
from burnish.images.synthetic.defects import DEFECTS, draw_defect
from burnish.images.synthetic.surfaces import MIN_SIDE, SURFACES, make_surface

FORMAT = 1
"""Raised whenever the same settings would give other images."""

MIXED = "mixed"
"""The surface name that cycles through all of `SURFACES`."""

SETTINGS_FILE = "synth.json"

SOURCE = "synth"
"""Where the manifest says that the images come from."""

MOST_PIXELS = 1 << 24
"""Largest image: a surface is made in memory, as floating-point fields and their spectra."""

_SPLIT_KEY = {"train": 0, "test": 1}
_KIND_KEY = {kind: key for key, kind in enumerate(("good", *DEFECTS))}


@dataclass(frozen=True)
class _Settings:
    format: int
    surface: str
    size: tuple[int, int]
    seed: int
    train: int
    good: int
    defects: int

    def __post_init__(self) -> None:
        surfaces = (*SURFACES, MIXED)
        if self.surface not in surfaces:
            raise BurnishError(
                f"unknown surface {self.surface!r}; known: {', '.join(surfaces)}."
                f"{nearest(self.surface, surfaces)}"
            )
        for name in ("train", "good", "defects", "seed"):
            if getattr(self, name) < 0:
                raise BurnishError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if min(self.size) < MIN_SIDE:
            raise BurnishError(
                f"size {self.size[0]}x{self.size[1]} is too small; "
                f"both sides must be at least {MIN_SIDE} pixels."
            )
        if self.size[0] * self.size[1] > MOST_PIXELS:
            raise BurnishError(
                f"size {self.size[0]}x{self.size[1]} is too large; at most "
                f"{MOST_PIXELS:,} pixels are possible, as 4096x4096."
            )

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"size": list(self.size)}


@dataclass(frozen=True)
class _Item:
    """One image of the set, and the mask beside it when it shows a defect."""

    split: str
    kind: str
    index: int

    @property
    def image(self) -> str:
        return f"{self.split}/{self.kind}/{self.index:03d}.png"

    @property
    def mask(self) -> str | None:
        if self.kind == "good":
            return None
        return f"ground_truth/{self.kind}/{self.index:03d}_mask.png"


def write_dataset(
    out: str | Path,
    *,
    train: int,
    good: int,
    defects: int,
    size: tuple[int, int] = (128, 128),
    surface: str = "brushed",
    seed: int = 0,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write a set of grey PNG images (uint8) and masks (0 or 255) in MVTec AD layout.

    Called again with the same settings it writes what is missing, and nothing when all is there.

    Args:
        out: folder to make; it may hold an earlier or interrupted set with the same settings.
        train: number of good images to train on.
        good: number of good images to test on.
        defects: number of defective images to test on, spread evenly over `DEFECTS`.
        size: (height, width) in pixels, both at least 32.
        surface: one of `SURFACES`, or "mixed", which cycles through them.
        seed: 0 or more; together with the place of an image in the set it decides its pixels.
        on_image: called with (images done, images in all).

    Returns:
        `out` as a path.

    Raises:
        BurnishError: a setting out of range, or a folder that holds something else.
    """
    out = Path(out)
    shape = (int(size[0]), int(size[1]))
    settings = _Settings(FORMAT, surface, shape, int(seed), int(train), int(good), int(defects))
    _claim(out, settings)
    present = {path.relative_to(out).as_posix() for path in out.glob("*/*/*.png")}
    items = list(_items(settings))
    complete = (out / MANIFEST).exists()
    for done, item in enumerate(items, 1):
        if item.image not in present or not (item.mask is None or item.mask in present):
            image, mask = _make(item, settings)
            save_png(out / item.image, image)
            if item.mask is not None:
                save_png(out / item.mask, mask.astype(np.uint8) * 255)
            complete = False
        on_image(done, len(items))
    if not complete:
        write_manifest(out, (_row(item, out, settings) for item in items))
    return out


def _claim(out: Path, settings: _Settings) -> None:
    """Make `out` ours by writing the settings into it; refuse a folder of other content."""
    if out.exists() and not out.is_dir():
        raise BurnishError(f"{out} is a file; a data set needs a folder. Choose another name.")
    record = out / SETTINGS_FILE
    wanted = settings.as_json()
    if record.exists():
        try:
            found = json.loads(record.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BurnishError(
                f"{record} cannot be read ({error}). Delete the folder or choose another."
            ) from error
        if found == wanted:
            return
        if not isinstance(found, dict):
            found = {}
        differing = ", ".join(
            f"{name} {found.get(name)} (wanted {value})"
            for name, value in wanted.items()
            if found.get(name) != value
        )
        raise BurnishError(
            f"{out} holds images made with other settings: {differing}. "
            "Delete the folder or choose another."
        )
    # Hidden files do not count: a write that was killed may have left one.
    if out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise BurnishError(
            f"{out} is not empty and holds no {SETTINGS_FILE}, so its content is not ours to "
            "mix with. Choose an empty or new folder."
        )
    atomic_write(record, json.dumps(wanted, indent=2) + "\n")


def _items(settings: _Settings) -> Iterator[_Item]:
    for index in range(settings.train):
        yield _Item("train", "good", index)
    for index in range(settings.good):
        yield _Item("test", "good", index)
    for number in range(settings.defects):
        yield _Item("test", DEFECTS[number % len(DEFECTS)], number // len(DEFECTS))


def _make(item: _Item, settings: _Settings) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Image uint8 HxW and mask bool HxW of one item, whatever the counts in `settings`."""
    place = (_SPLIT_KEY[item.split], _KIND_KEY[item.kind], item.index)
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=place))
    surface = settings.surface
    if surface == MIXED:
        # Offset by the kind, so that even with one image per kind several surfaces are shown.
        surface = SURFACES[(item.index + _KIND_KEY[item.kind]) % len(SURFACES)]
    image = make_surface(surface, settings.size, rng)
    if item.kind == "good":
        return image, np.zeros(settings.size, dtype=np.bool_)
    return draw_defect(image, item.kind, rng)


def _row(item: _Item, out: Path, settings: _Settings) -> ManifestRow:
    digest = hashlib.sha256((out / item.image).read_bytes()).hexdigest()
    label, part = "good" if item.kind == "good" else "defect", item.image.removesuffix(".png")
    height, width = settings.size
    return ManifestRow(
        item.image,
        digest,
        item.split,
        label,
        item.kind,
        item.mask or "",
        part,
        SOURCE,
        width,
        height,
    )
