"""Good images as the model sees them: decoded once, then read from the cache without a copy."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.alignment import Alignment
from burnish.images.alignment_learning import LOOKED_AT, learn_alignment, look_at, side_for
from burnish.images.cache.cache import CachedImages, open_cache
from burnish.images.cache.index import Layout
from burnish.images.reader import Header, prepare_picture, read_image
from burnish.sampling import some_of
from burnish.settings import Settings

SSIM_WINDOW = 11  # px: the least side of an input that the SSIM loss's window fits into


@dataclass(frozen=True)
class ImageStore:
    """Prepared images, by index.

    Attributes:
        paths: N files that can be read, in order.
        skipped: message of every file that could not be read.
        notes: sentences on what reading leaves out of files (further pages, lower bits), one for
            all files with the same loss.
        sizes: (height, width) of each of the N files, px.
        channels: 1 or 3.
        grey: numbers of the images without any colour, however they are stored.
        contents: SHA-256 of each of the N files.
        fingerprint: SHA-256 over names and contents of `paths`, so that a model can tell whether it
            saw these images.
        alignment: how parts are brought into one view; None: images are taken as they lie.
    """

    paths: list[Path]
    skipped: list[str]
    notes: list[str]
    sizes: list[tuple[int, int]]
    channels: int
    grey: list[int]
    contents: list[str]
    fingerprint: str
    alignment: Alignment | None
    _cache: CachedImages
    _places: list[int]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """uint8 (C, H, W), read-only: a view into a memory-mapped file."""
        # If all images turned out grey, the cache still has three channels, all equal.
        return self._cache.image(self._places[index])[: self.channels]

    def prepared(self, index: int) -> NDArray[np.uint8]:
        """The same, with `seen` as a last channel unless that is None."""
        pixels, seen = self[index], self.seen(index)
        return pixels if seen is None else np.concatenate([pixels, seen[None]])

    def seen(self, index: int) -> NDArray[np.uint8] | None:
        """Which pixels are judged, uint8 (H, W), see `Alignment.seen`; None: all."""
        if self.alignment is None or self.alignment.part is None:
            return None
        return self._cache.image(self._places[index])[-1]


def input_unit(settings: Settings) -> int:
    """The sides of the model's input are multiples of this, px: of the patches of all networks."""
    patches = [settings.patch, *([settings.disc_patch] if settings.weight_adversarial else [])]
    return math.lcm(*patches)


def model_size(sizes: Sequence[tuple[int, int]], settings: Settings) -> tuple[int, int]:
    """(height, width) of the model's input in px, multiples of `input_unit`.

    With aspect=keep the median aspect of `sizes` at about image_size**2 pixels.
    """
    unit = input_unit(settings)
    side = side_for(median(math.sqrt(h * w) for h, w in sizes), settings.sides, unit)
    if settings.aspect == "square":
        return side, side
    ratio = median(h / w for h, w in sizes) ** 0.5
    least = math.ceil(SSIM_WINDOW / unit) * unit
    height, width = (max(least, round(side * f / unit) * unit) for f in (ratio, 1 / ratio))
    return height, width


@dataclass(frozen=True)
class InputRecipe:
    """Images as the model's input: at its size, aligned or not, or at their own with tiles."""

    settings: Settings
    alignment: Alignment | None = None

    @property
    def name(self) -> str:
        s, unit = self.settings, input_unit(self.settings)
        if self.alignment is not None:
            size: list[object] = ["aligned", self.alignment.model_dump_json()]
        elif s.tile != "full":
            size = ["own"]
        elif s.aspect == "square":
            size = ["square", *s.sides, unit]
        else:
            size = ["keep", *s.sides, unit]
        return json.dumps([s.colour, *size])

    @property
    def more(self) -> int:
        """Channels beside those of colour."""
        return int(self.alignment is not None and self.alignment.part is not None)

    def layout(self, headers: Sequence[Header]) -> Layout:
        """See `burnish.images.cache.plan.Recipe`."""
        grey = all(header.is_grey for header in headers)
        channels = {"grey": 1, "rgb": 3, "auto": 1 if grey else 3}[self.settings.colour] + self.more
        if self.settings.tile != "full":
            return Layout(channels, None)
        if self.alignment is not None:
            size = self.alignment.size
        else:
            size = model_size([(header.height, header.width) for header in headers], self.settings)
        check_blocks(size, self.settings)
        return Layout(channels, size)

    def pixels(
        self, picture: Image.Image, channels: int, height: int, width: int
    ) -> NDArray[np.uint8]:
        """See `burnish.images.cache.plan.Recipe`."""
        if self.alignment is not None:
            return self.alignment.prepared(np.asarray(picture), channels - self.more)[0]
        return prepare_picture(picture, channels, height, width)


def find_alignment(paths: Sequence[Path], settings: Settings) -> Alignment | None:
    """What `settings.align` asks for, learnt from some of these images.

    Images that are held out later are used too, as for the model's size: neither is a score.

    Raises:
        BurnishError: align=part, but the part is not found in nearly all of them.
    """
    if settings.align == "none" or settings.tile != "full" or settings.roi:
        return None

    def some() -> Iterator[NDArray[np.uint8]]:
        for path in some_of(paths, LOOKED_AT):
            with suppress(BurnishError):  # such files are named when the store is loaded
                yield read_image(path)

    square, unit = settings.aspect == "square", input_unit(settings)
    looks = look_at(some())
    least = max(SSIM_WINDOW, max(settings.mask_blocks) + 1)  # see `check_blocks`
    found = learn_alignment(looks, settings.sides, unit, square, least, settings.part_only)
    if found is None and settings.align == "part":
        seen = sum(look.has_part for look in looks)
        raise BurnishError(
            f"align=part: a part on a plain background was found in {seen} of {len(looks)} "
            "images; nearly all must show one, and not all fill the image at the same place. "
            "Leave align out to take the images as they are"
        )
    return found


def check_blocks(size: tuple[int, int], settings: Settings) -> None:
    """Make sure that mask blocks fit the model's input.

    Raises:
        BurnishError: they do not.
    """
    height, width = size
    if max(settings.mask_blocks) >= min(height, width):
        raise BurnishError(
            f"mask_blocks {settings.mask_blocks} do not fit the model's input of {height} x "
            f"{width} px (height x width): choose smaller blocks or a larger image_size"
        )


def load_store(
    paths: Sequence[Path],
    settings: Settings,
    minimum: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> ImageStore:
    """Images at the model's size, or with tiles at their own, from the cache or into it.

    Unreadable ones are left out and named in `skipped`.

    Args:
        on_progress: called with (done, all) while images are decoded, and not at all when the
            cache has them.

    Raises:
        BurnishError: fewer than `minimum` of the images can be read, mask_blocks do not fit, or
            the cache has no room (see `cache.open_cache`).
    """
    alignment = find_alignment(paths, settings)
    recipe = InputRecipe(settings, alignment)
    cache = open_cache(paths, recipe, on_progress)
    places = [i for i, record in enumerate(cache.records) if not record.error]
    skipped = [record.error for record in cache.records if record.error]
    if len(places) < minimum:
        raise BurnishError(
            f"only {len(places)} of {len(paths)} images can be read; at least {minimum} are "
            "needed. " + "; ".join(skipped[:5])
        )
    if cache.layout.size is not None:
        check_blocks(cache.layout.size, settings)
    good = [cache.records[i] for i in places]
    grey = [number for number, record in enumerate(good) if record.is_grey]
    without_colour = settings.colour == "auto" and len(grey) == len(good)
    return ImageStore(
        paths=[paths[i] for i in places],
        skipped=skipped,
        notes=notes_together((record.path, note) for record in good for note in record.notes),
        sizes=[record.source for record in good if record.source is not None],
        channels=1 if without_colour else cache.layout.channels - recipe.more,
        grey=grey,
        contents=[record.content for record in good],
        fingerprint=fingerprint_of((paths[i], cache.records[i].content) for i in places),
        alignment=alignment,
        _cache=cache,
        _places=places,
    )


def fingerprint_of(images: Iterable[tuple[Path, str]]) -> str:
    """SHA-256 over the names and contents (their SHA-256 each, hexadecimal) of images."""
    digest = hashlib.sha256()
    for path, content in images:
        digest.update(os.fsencode(path.name) + b"\0" + bytes.fromhex(content))
    return digest.hexdigest()


def notes_together(notes: Iterable[tuple[str, str]]) -> list[str]:
    """(path, note) -> sentences: each note with the first path it applies to, and how many."""
    alike: dict[str, list[str]] = {}
    for path, note in notes:
        alike.setdefault(note, []).append(path)
    return [
        f"{first}: {note}" + (f", and so of {len(others)} more" if others else "")
        for note, (first, *others) in alike.items()
    ]
