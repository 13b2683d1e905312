"""Helpers for the file names in a source: finding images and categories, listing names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from burnish.errors import BurnishError, nearest
from burnish.images.archives.archive import Source
from burnish.images.reading.decoding import SUFFIXES


def is_image(name: str) -> bool:
    """Whether the suffix is that of an image format that is read."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def without_suffix(name: str) -> str:
    """`a/b.c.png` -> `a/b.c`."""
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix else name


def some(names: Iterable[str], count: int = 3) -> str:
    """The first few of `names`, and how many more there are: `a, b, c and 4 more`."""
    listed = list(names)
    more = len(listed) - count
    return ", ".join(listed[:count]) + (f" and {more} more" if more > 0 else "")


def text_in(source: Source, name: str) -> str:
    """A text file of a source, in UTF-8 with or without a mark at its head."""
    return source.read(name).decode("utf-8-sig", "replace")


def find_sibling(stem: str, known: dict[str, str]) -> str | None:
    """The file whose name without suffix is `stem`, else one that differs only in case."""
    return known.get(stem) or known.get(stem.lower())


def by_stem(names: Iterable[str]) -> dict[str, str]:
    """Image files by name without suffix, both as it is and in lower case, for `find_sibling`.

    Of several files with one name the first wins.
    """
    exact: dict[str, str] = {}
    lower: dict[str, str] = {}
    for name in names:
        if is_image(name):
            stem = without_suffix(name)
            exact.setdefault(stem, name)
            lower.setdefault(stem.lower(), name)
    return lower | exact


def matches(names: Iterable[str], pattern: str) -> list[re.Match[str]]:
    """Full matches of `pattern` over `names`, case ignored, in their order.

    The pattern starts at the format's own tree. Folders above it are matched by the group `root`,
    which ends with a slash unless it is empty.
    """
    compiled = re.compile(rf"(?P<root>(?:.+?/)?){pattern}", re.IGNORECASE)
    return [found for name in names if (found := compiled.fullmatch(name))]


def one_root(roots: Sequence[str], category: str, what: str) -> str:
    """Choose one root if a source holds the same tree for several objects.

    Args:
        roots: as the group `root` of `matches`.
        category: the one wanted, by its last folder or its whole path, "." for the source's own
            top; or "".
        what: the format, for errors.

    Raises:
        BurnishError: there are several and none was named, or none has that name.
    """
    paths = {str(PurePosixPath(root)): root for root in sorted(set(roots))}
    lasts = Counter(PurePosixPath(path).name for path in paths)
    known = {
        path if lasts[last := PurePosixPath(path).name] > 1 else last or path: root
        for path, root in paths.items()
    }
    there = ", ".join(sorted(known)) + (" (. is the source itself)" if "." in known else "")
    if category:
        if category not in paths | known:
            raise BurnishError(
                f"no class '{category}' in this source; it holds {there}."
                + nearest(category, known)
            )
        return (paths | known)[category]
    if len(known) > 1:
        raise BurnishError(
            f"this source holds {len(known)} classes of {what}: {there}; choose one with --class"
        )
    return next(iter(known.values()))


def not_this(what: str, wanted: str, names: Sequence[str]) -> BurnishError:
    """The error for a source that is not of a format: what was looked for, and what is there."""
    there = f"it holds {some(names)}" if names else "it is empty"
    return BurnishError(f"this is not {what}: no {wanted} in it; {there}")
