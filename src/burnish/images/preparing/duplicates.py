"""Byte-identical images of a source: one is kept, and parts that share one become one part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from burnish.images.formats.names import some
from burnish.images.preparing.split import TEST, TRAIN
from burnish.images.preparing.survey import Found


def settle(found: Sequence[Found], keep_split: bool) -> tuple[list[Found], list[str]]:
    """Keep the first of each set of byte-identical images.

    Copies that disagree on good or defective cannot be trusted and all go. Where only the kinds of
    defect or the masks differ, those of the first are kept.

    Args:
        found: in the source's order.
        keep_split: whether the source's own split counts: then a good training image stays before
            a copy that is tested, and a defective test image before one that training leaves out.

    Returns:
        The images that stay, in their order, and what was done, as sentences.
    """
    groups: dict[str, list[Found]] = defaultdict(list)
    for image in found:
        groups[image.sha256].append(image)
    parts = _Union()
    kept: set[int] = set()
    copies, across, contradicting, kinds, masks = [], [], [], [], []
    for group in groups.values():
        first = group[0]
        if keep_split:
            wanted = TEST if first.is_defect else TRAIN
            first = next((image for image in group if image.item.split == wanted), first)
        for other in group:
            if not first.blank:  # two black windows need not be of one part
                parts.join(first.part, other.part)
        if len({image.is_defect for image in group}) > 1:
            contradicting += [image.item.source for image in group]
            continue
        kept.add(id(first))
        rest = [image for image in group if image is not first]
        copies += [image.item.source for image in rest]
        if keep_split and first.item.split == TRAIN:
            across += [image.item.source for image in rest if image.item.split == TEST]
        if len({image.item.kind for image in group}) > 1:
            kinds.append(f"{first.item.source} ({first.item.kind})")
        if len({image.mask for image in group}) > 1:
            masks.append(first.item.source)
    notes = []
    if copies:
        copy, are = ("copy", "is") if len(copies) == 1 else ("copies", "are")
        notes.append(f"{len(copies)} exact {copy} of another image {are} dropped: {some(copies)}")
    if across:
        notes.append(
            f"{len(across)} of them were test images that are also trained on: {some(across)}"
        )
    if contradicting:
        notes.append(
            f"{len(contradicting)} images are dropped because byte-identical copies disagree on "
            f"good or defective: {some(contradicting, 6)}"
        )
    if kinds:
        notes.append(f"copies name different kinds of defect; the first counts: {some(kinds)}")
    if masks:
        notes.append(f"the masks of copies differ; that of the first is kept: {some(masks)}")
    named = {image.part for image in found if not image.own_part}
    for part in sorted(named):
        if parts.root(part) != part:
            notes.append(f"{part} and {parts.root(part)} share an image: they count as one part")
    staying = [image for image in found if id(image) in kept]
    return [replace(image, part=parts.root(image.part)) for image in staying], notes


class _Union:
    """Which parts are the same; each goes by the first of their names."""

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
