"""Decide where each image of a source goes: duplicates, split, names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.errors import BurnishError
from burnish.images.dataset import GOOD, MIN_GOOD
from burnish.images.preparing.duplicates import drop_copies
from burnish.images.preparing.naming import Names, safe_kind, safe_name
from burnish.images.preparing.split import TRAIN, as_given, by_part
from burnish.images.preparing.survey import Found


@dataclass(frozen=True)
class Placed:
    """An image with its place in the prepared folder.

    Attributes:
        found: the image.
        split: "train" or "test".
        path, mask: where it and its mask go, relative, with slashes; no mask: empty.
    """

    found: Found
    split: str
    path: str
    mask: str


def place(
    found: list[Found], split: str, train: float, seed: int
) -> tuple[list[Placed], list[str]]:
    """Drop duplicates, split, and give names.

    Args:
        found: in the source's order.
        split: "auto", "source" or "part".
        train, seed: of a split by part: the share of parts that go to training, and its seed.

    Returns:
        The images to write, and what was decided, as sentences.

    Raises:
        BurnishError: the source's split is wanted and missing or incomplete; or all images are of
            one part.
    """
    keep = _keeps_split(found, split)
    found, notes = drop_copies(found, keep)
    if all(image.own_part for image in found):
        notes.append(
            "no part is known, so every image counts as a part of its own; if several images show "
            "one part, say how its name is found in the path with --part REGEX"
        )
    parts = [image.part for image in found]
    defective = [image.is_defect for image in found]
    if keep:
        sides = as_given(parts, defective, [image.item.split for image in found])
    else:
        sides = by_part(parts, defective, train, seed)
    notes += sides.notes
    placed = _named(found, sides.sides)
    learnt = sum(one.split == TRAIN for one in placed)
    if learnt < MIN_GOOD:
        notes.append(f"train/good holds {learnt} images; burnish train needs at least {MIN_GOOD}")
    if not any(one.found.is_defect for one in placed):
        notes.append("no test image shows a defect: `burnish evaluate` will have nothing to find")
    return placed, notes


def _keeps_split(found: Sequence[Found], split: str) -> bool:
    """Whether the source's own split is kept; refuses one that is missing or incomplete."""
    given = [image.item.split for image in found]
    own = all(given)
    if split == "source" and not any(given):
        raise BurnishError("--split source: this source has no split of its own")
    if any(given) and not own and split != "part":
        raise BurnishError(
            f"{given.count('')} of {len(given)} images have no split in the source, the others "
            "have: use --split part, or mend the source"
        )
    return own and split != "part"


def _named(found: Sequence[Found], sides: Sequence[str]) -> list[Placed]:
    """Give every image a unique path on its side; those without a side are left out."""
    names: dict[str, Names] = {}
    placed = []
    for image, side in zip(found, sides, strict=True):
        if not side:
            continue
        kind = GOOD if not image.is_defect else safe_kind(image.item.kind)
        folder = f"{side}/{kind}"
        stem = names.setdefault(folder.lower(), Names()).unique(safe_name(image.item.stem))
        mask = f"ground_truth/{kind}/{stem}_mask.png" if image.mask else ""
        placed.append(Placed(image, side, f"{folder}/{stem}{image.suffix}", mask))
    return placed
