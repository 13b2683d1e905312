"""Survey a source in one pass: which images can be read, and what is known of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from burnish.errors import BurnishError
from burnish.images.dataset import GOOD
from burnish.images.formats.base import Item
from burnish.images.formats.masks import Mask
from burnish.images.formats.names import some, without_suffix
from burnish.images.parts import part_in
from burnish.images.reader import read_header_bytes, read_image_bytes, suffix_of
from burnish.images.reading.decoding import SUFFIXES_OF

WINDOW = re.compile(r"#\d+,\d+,\d+,\d+$")
UNREAD = {
    ".gif", ".jp2", ".j2k", ".heic", ".heif", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga",
    ".dng", ".raw", ".exr", ".hdr", ".npy", ".dcm", ".psd", ".ico", ".jxl",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A readable image of the source; its pixels are not kept.

    Attributes:
        item: the image as the format describes it.
        part: the physical part, never empty.
        sha256: of the image file, hexadecimal.
        mask: SHA-256 of the mask's pixels, empty without one.
        suffix: the one that fits the content, with the dot.
        width, height: px, as decoded.
        blank: whether all pixels are the same.
    """

    item: Item
    part: str
    sha256: str
    mask: str
    suffix: str
    width: int
    height: int
    blank: bool

    @property
    def is_defect(self) -> bool:
        return self.item.kind != GOOD

    @property
    def own_part(self) -> bool:
        """Whether the image counts as a part of its own because nothing better is known."""
        return self.part == own_part(self.item.source)


@dataclass
class Survey:
    """What was found in a source.

    Attributes:
        found: the images to be used, in the source's order.
        left_out: images that cannot be used: the reason, by name in the source.
        notes: what else the user should know, as sentences.
    """

    found: list[Found] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def own_part(source: str) -> str:
    """The part of an image whose part is unknown: the image itself."""
    return without_suffix(WINDOW.sub("", source))


def named_part(source: str, pattern: re.Pattern[str] | None) -> str:
    """The part that a pattern finds in an image's path (first group, or the whole match), or ""."""
    return part_in(WINDOW.sub("", source), pattern) or ""


def unmatched_note(pattern: str, unmatched: Sequence[str], images: int) -> str:
    """The note on images that `pattern` does not match.

    Args:
        pattern: the user's, for the names of parts.
        unmatched: those images.
        images: number of all images.

    Raises:
        BurnishError: it matches none of them, which is a slip: the pattern would have no effect.
    """
    if len(unmatched) == images:
        raise BurnishError(
            f"--part '{pattern}' matches no image; it is searched in paths like {some(unmatched)}"
        )
    return (
        f"--part '{pattern}' does not match {len(unmatched)} images; they "
        f"keep the format's part, or are parts of their own: {some(unmatched)}"
    )


def survey(
    items: Callable[[Callable[[str], None]], Iterable[Item]],
    part: re.Pattern[str] | None,
    on_image: Callable[[int], None] = lambda done: None,
) -> Survey:
    """Decode every image once, and describe it.

    Args:
        items: takes a function for notes, and gives the images of the source.
        part: finds the part's name in the image's path (first group, or the whole match).
        on_image: called with the number of images done.

    Raises:
        BurnishError: the source is not of its format, or `part` matches no image.
    """
    result = Survey()
    unmatched: list[str] = []
    renamed: list[str] = []
    unmasked: list[str] = []
    for done, item in enumerate(items(result.note), 1):
        try:
            found = _look(item, _part(item, part, unmatched), unmasked)
        except BurnishError as error:
            result.left_out[item.source] = str(error).removeprefix(item.source).lstrip(": ")
        else:
            if not WINDOW.search(item.source) and not item.source.lower().endswith(found.suffix):
                renamed.append(item.source)
            result.found.append(found)
        on_image(done)
    if part and unmatched:
        images = len(result.found) + len(result.left_out)
        result.note(unmatched_note(part.pattern, unmatched, images))
    if renamed:
        result.note(
            f"{len(renamed)} images have a suffix that contradicts their content; it is corrected: "
            f"{some(renamed)}"
        )
    if unmasked:
        result.note(f"{len(unmasked)} masks are not used: {some(unmasked)}")
    return result


def not_read(names: Iterable[str]) -> str | None:
    """A note on the files of image formats that are not read, if there are any."""
    other = [name for name in names if PurePosixPath(name).suffix.lower() in UNREAD]
    if not other:
        return None
    return (
        f"{len(other)} files are of a format that is not read (convert them to PNG to use them): "
        f"{some(other)}"
    )


def digest_of(mask: Mask) -> str:
    """SHA-256 over size and pixels of a mask."""
    head = f"{mask.shape[0]} {mask.shape[1]}\0".encode()
    return hashlib.sha256(head + np.packbits(mask).tobytes()).hexdigest()


def _part(item: Item, pattern: re.Pattern[str] | None, unmatched: list[str]) -> str:
    if name := named_part(item.source, pattern):
        return name
    if pattern is not None:
        unmatched.append(item.source)
    return item.part or own_part(item.source)


def _look(item: Item, part: str, unmasked: list[str]) -> Found:
    data = item.data()
    header = read_header_bytes(data, item.source)
    pixels = read_image_bytes(data, item.source)  # damage shows only when they are decoded
    mask = ""
    marked = _mask(item, header.height, header.width, unmasked)
    if item.kind == GOOD:
        if marked is not None and marked.any():
            raise BurnishError(f"{item.source}: it is labelled good, but its mask marks a defect")
    elif marked is None:
        pass
    elif marked.any():
        mask = digest_of(marked)
    else:
        unmasked.append(f"{item.source} (nothing is marked in it)")
    blank = bool((pixels == pixels[0, 0]).all())
    return Found(
        item,
        part,
        hashlib.sha256(data).hexdigest(),
        mask,
        _suffix(item.source, header.format),
        header.width,
        header.height,
        blank,
    )


def _mask(item: Item, height: int, width: int, unmasked: list[str]) -> Mask | None:
    try:
        mask = item.mask()
    except BurnishError as error:
        unmasked.append(f"{item.source} ({error})")
        return None
    if mask is not None and mask.shape != (height, width):
        rows, columns = mask.shape
        unmasked.append(f"{item.source} ({columns} x {rows} px, the image {width} x {height})")
        return None
    return mask


def _suffix(source: str, format: str) -> str:
    suffix = PurePosixPath(source).suffix.lower()
    return suffix if suffix in SUFFIXES_OF[format] else suffix_of(format)
