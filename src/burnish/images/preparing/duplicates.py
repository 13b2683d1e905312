"""Byte-identical images of a source: one is kept, and parts that share one become one part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from burnish.images.formats.names import some
from burnish.images.preparing.split import TEST, TRAIN
from burnish.images.preparing.survey import Found


def drop_copies(found: Sequence[Found], keep_split: bool) -> tuple[list[Found], list[str]]:
    """Keep one of each set of byte-identical images: the first, but for the source's split.

    Copies that disagree on good or defective cannot be trusted and are all dropped. Where only the
    kinds of defect or the masks differ, those of the image that stays count.

    Args:
        found: in the source's order.
        keep_split: whether the source's own split is kept: then a good image of its training side
            stays rather than a copy in its test side, and a defective one the other way round, as
            training leaves defective images out.

    Returns:
        The images that stay, in their order, and what was done, as sentences.
    """
    groups: dict[str, list[Found]] = defaultdict(list)
    for image in found:
        groups[image.sha256].append(image)
    parts, dropped = _Union(), _Dropped()
    kept: set[int] = set()
    for group in groups.values():
        first = _one_to_keep(group, keep_split)
        for other in group:
            if not first.blank:  # two black windows need not be of one part
                parts.join(first.part, other.part)
        if dropped.add(group, first, keep_split):
            kept.add(id(first))
    notes = dropped.notes()
    named = {image.part for image in found if not image.own_part}
    for part in sorted(named):
        if parts.root(part) != part:
            notes.append(f"{part} and {parts.root(part)} share an image: they count as one part")
    staying = [image for image in found if id(image) in kept]
    return [replace(image, part=parts.root(image.part)) for image in staying], notes


def _one_to_keep(group: Sequence[Found], keep_split: bool) -> Found:
    """Of byte-identical images the first; where the split counts, the first on the right side."""
    first = group[0]
    if not keep_split:
        return first
    wanted = TEST if first.is_defect else TRAIN
    return next((image for image in group if image.item.split == wanted), first)


@dataclass
class _Dropped:
    """What is dropped, by name in the source.

    Attributes:
        copies: of an image that stays.
        across: those of them that lie in the source's test side, the image in its training side.
        contradicting: copies that disagree on good or defective.
        kinds, masks: images that stay, whose copies name another kind or have another mask.
    """

    copies: list[str] = field(default_factory=list)
    across: list[str] = field(default_factory=list)
    contradicting: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)

    def add(self, group: Sequence[Found], first: Found, keep_split: bool) -> bool:
        """Note what one group of copies loses; gives whether `first` stays."""
        if len({image.is_defect for image in group}) > 1:
            self.contradicting += [image.item.source for image in group]
            return False
        rest = [image for image in group if image is not first]
        self.copies += [image.item.source for image in rest]
        if keep_split and first.item.split == TRAIN:
            self.across += [image.item.source for image in rest if image.item.split == TEST]
        if len({image.item.kind for image in group}) > 1:
            self.kinds.append(f"{first.item.source} ({first.item.kind})")
        if len({image.mask for image in group}) > 1:
            self.masks.append(first.item.source)
        return True

    def notes(self) -> list[str]:
        notes = []
        if self.copies:
            count = len(self.copies)
            copy, are = ("copy", "is") if count == 1 else ("copies", "are")
            notes.append(
                f"{count} exact {copy} of another image {are} dropped: {some(self.copies)}"
            )
        if self.across:
            notes.append(
                f"{len(self.across)} of them were test images that are also trained on: "
                f"{some(self.across)}"
            )
        if self.contradicting:
            notes.append(
                f"{len(self.contradicting)} images are dropped because byte-identical copies "
                f"disagree on good or defective: {some(self.contradicting, 6)}"
            )
        if self.kinds:
            listed = some(self.kinds)
            notes.append(f"copies name different kinds of defect; the first counts: {listed}")
        if self.masks:
            notes.append(
                f"the masks of copies differ; that of the first is kept: {some(self.masks)}"
            )
        return notes


class _Union:
    """Union-find over names of parts: parts that are the same go by the first of their names."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def root(self, part: str) -> str:
        while part in self._above:
            part = self._above[part]
        return part

    def join(self, one: str, other: str) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        if low != high:
            self._above[high] = low
