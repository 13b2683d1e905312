"""The two surface-defect sets of Kolektor and ViCoS Lab."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.dataset import GOOD
from burnish.images.formats.base import Item, Options, unusable
from burnish.images.formats.masks import mask_in, mask_loader
from burnish.images.formats.names import by_stem, find_sibling, matches, not_this, without_suffix


class Kolektor:
    """KolektorSDD: `kosNN/PartM.jpg` with `PartM_label.bmp`; any marked pixel makes it defective.

    The eight surfaces of one commutator, kosNN, are one part.
    """

    name = "kolektor"
    summary = "KolektorSDD: kosNN/PartM.jpg with PartM_label.bmp; the part is kosNN"

    _tree = r"(?P<part>kos\d+)/(?P<stem>Part\d+)\.(?:jpg|jpeg|png|bmp)"

    def fits(self, source: Source) -> bool:
        return bool(matches(source.names(), self._tree))

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        files = by_stem(names)
        found = matches(names, self._tree)
        if not found:
            raise not_this("KolektorSDD", "kosNN/PartM.jpg", names)
        for match in found:
            part, stem = match["part"], f"{match['part']}_{match['stem']}"
            label = find_sibling(without_suffix(match.string) + "_label", files)
            yield labelled(source, match.string, label, stem, "crack", part)


class Kolektor2:
    """KolektorSDD2: `{train,test}/NNNNN.png` with `NNNNN_GT.png`; no part is known."""

    name = "kolektor2"
    summary = "KolektorSDD2: train/NNNNN.png with NNNNN_GT.png, test/ likewise"

    _tree = r"(?P<side>train|test)/(?P<stem>\d+)\.(?:png|jpg|jpeg)"

    def fits(self, source: Source) -> bool:
        files = by_stem(source.names())
        return any(f"{without_suffix(m.string)}_gt".lower() in files for m in self._found(source))

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        files = by_stem(names)
        if not self.fits(source):
            raise not_this("KolektorSDD2", "train/NNNNN.png with NNNNN_GT.png", names)
        for match in sorted(self._found(source), key=lambda m: m["side"] != "train"):
            label = find_sibling(without_suffix(match.string) + "_GT", files)
            side = match["side"].lower()
            yield labelled(source, match.string, label, match["stem"], "defect", split=side)

    def _found(self, source: Source) -> list[re.Match[str]]:
        return matches(source.names(), self._tree)


def labelled(
    source: Source,
    name: str,
    label: str | None,
    stem: str,
    kind: str,
    part: str = "",
    split: str = "",
) -> Item:
    """The image `name`, labelled by its mask: `kind` if anything is marked, else good."""
    if label is None:
        return unusable(name, "it has no label file")
    try:
        marked = mask_in(source, label).any()
    except BurnishError as error:
        return unusable(name, f"its label cannot be read: {error}")
    load = mask_loader(source, label if marked else None)
    return Item(name, stem, kind if marked else GOOD, part, partial(source.read, name), load, split)
