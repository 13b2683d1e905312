"""The interface of a data format: files of a source in, items with label, part and mask out.

A new format is one class with `name`, `summary`, `fits` and `items`, and one line in the registry
(`burnish.images.formats`), or an entry point of the group `burnish.formats` of another package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.dataset import GOOD
from burnish.images.formats.masks import Mask


@dataclass(frozen=True)
class Item:
    """One image of a source and what is known of it. Pixels are only loaded when asked for.

    Attributes:
        source: name inside the source; windows cut from a frame append `#x,y,w,h` in px.
        stem: file name to write, without suffix; unique within its kind.
        kind: "good" or the defect's name.
        part: the physical part; empty where the format does not know it (every image then counts
            as a part of its own).
        data: loads the image file's bytes (PNG, JPEG, BMP, TIFF or WebP).
        mask: loads the mask, bool HxW, True on the defect; returns None where there is none.
        split: "train" or "test" where the source has a split of its own, else empty.
    """

    source: str
    stem: str
    kind: str
    part: str
    data: Callable[[], bytes]
    mask: Callable[[], Mask | None] = lambda: None
    split: str = ""


def unusable(source: str, why: str) -> Item:
    """An image that cannot be used: loading it raises `why`, which `prepare` reports."""

    def data() -> bytes:
        raise BurnishError(f"{source}: {why}")

    return Item(source, source, GOOD, "", data)


@dataclass(frozen=True)
class Options:
    """What the user may say about a source; each format uses what concerns it.

    Attributes:
        part: regular expression that finds the part's name in the path; empty: the format's rule.
        good, bad: glob patterns of good and defective files (format `folder`).
        window: side of windows cut from large frames, px; 0: not cut (formats with boxes; rails).
        table: name of the table inside the source (formats `csv` and `severstal`); empty: the only
            one.
        category: which object to take where a source holds several (`mvtec`, `mpdd`, `btad`,
            `visa`): its folder, or "." where it lies at the top.
    """

    part: re.Pattern[str] | None = None
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    window: int = 256
    table: str = ""
    category: str = ""


class Format(Protocol):
    """One layout of images on disk."""

    name: str
    summary: str

    def fits(self, source: Source) -> bool:
        """Whether the source looks like this format; cheap, reads no image."""
        ...

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterable[Item]:
        """Every image of the source, in a fixed order.

        Args:
            note: called once with each thing the user should know (what was left out and why).

        Raises:
            BurnishError: the source is not of this format; says what was expected and is there.
        """
        ...
