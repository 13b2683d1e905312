"""Split images by part, drawn at random by a seed. One rule for every data set:

`share` of the parts without a defect go to training; all other parts are tested. If the parts
without a defect hold fewer than half of the good images (in KolektorSDD nearly every commutator has
a crack somewhere), most good images would be lost to training. Training parts are then drawn from
all parts, and their defective images are left out: they show parts that were trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from burnish.errors import BurnishError

TRAIN, TEST, LEFT_OUT = "train", "test", ""
ENOUGH = 0.5  # share of the good images that parts without a defect must hold


@dataclass(frozen=True)
class Split:
    """A side for each image.

    Attributes:
        sides: "train", "test" or "" (left out), in the order of the images.
        notes: what was decided, and what it costs, as sentences.
    """

    sides: tuple[str, ...]
    notes: tuple[str, ...]


def draw(parts: Iterable[str], share: float, seed: int) -> set[str]:
    """Draw `share` of the distinct `parts`, rounded: at least one, and of several never all.

    The parts are ranked by a hash of seed and name, so that the draw depends neither on their order
    nor on the version of a random generator.
    """
    ranked = sorted(set(parts), key=lambda p: hashlib.sha256(f"{seed}\0{p}".encode()).digest())
    count = round(share * len(ranked))
    return set(ranked[: min(max(count, 1), max(len(ranked) - 1, 1))])


def by_part(parts: Sequence[str], defective: Sequence[bool], share: float, seed: int) -> Split:
    """Split by part, by the rule at the head of this file. No part lies on both sides.

    Args:
        parts: the part of each image.
        defective: whether it shows a defect.
        share: of the parts drawn from that goes to training, in (0, 1).
        seed: of the draw.

    Raises:
        BurnishError: all images are of one part.
    """
    everything = set(parts)
    good = sum(not bad for bad in defective)
    if not good:
        return Split((TEST,) * len(parts), ("no image is good: all of them go to test",))
    if len(everything) < 2:
        raise BurnishError(
            f"all {len(parts)} images are of one part, '{next(iter(everything), '')}': two are "
            "needed to train on one and test on another; look at --part"
        )
    flawed = {part for part, bad in zip(parts, defective, strict=True) if bad}
    clean = everything - flawed
    in_clean = sum(part in clean for part in parts)
    if in_clean >= ENOUGH * good:
        train = draw(clean, share, seed)
        mixed = good - in_clean
        notes = [
            f"split by part, seed {seed}: {len(train)} of {len(clean)} parts without a defect go "
            "to train, all other parts to test"
        ]
        if mixed:
            notes.append(f"{mixed} good images of parts that also show a defect lie in test/good")
        sides = tuple(TRAIN if part in train else TEST for part in parts)
        return Split(sides, tuple(notes))
    train = draw(everything, share, seed)
    sides = tuple(
        TEST if part not in train else LEFT_OUT if bad else TRAIN
        for part, bad in zip(parts, defective, strict=True)
    )
    notes = [
        f"split by part, seed {seed}: {len(train)} of {len(everything)} parts go to train, drawn "
        f"from all of them, as the {len(clean)} parts without a defect hold only {in_clean} of "
        f"{good} good images",
        f"{sides.count(LEFT_OUT)} defective images of training parts are left out",
    ]
    return Split(sides, tuple(notes))


def as_given(parts: Sequence[str], defective: Sequence[bool], given: Sequence[str]) -> Split:
    """Keep the source's own split; the notes name the parts that lie on both sides of it.

    Args:
        given: "train" or "test" for each image.
    """
    sides = tuple(
        LEFT_OUT if bad and side == TRAIN else side
        for side, bad in zip(given, defective, strict=True)
    )
    notes = ["the source's own split is kept"]
    both = sorted(crossing(parts, sides))
    if both:
        all_parts = len(set(parts))
        counts = {TRAIN: 0, TEST: 0}
        for part, side in zip(parts, sides, strict=True):
            if part in both and side:
                counts[side] += 1
        some = ", ".join(both[:3]) + (", ..." if len(both) > 3 else "")
        notes.append(
            f"{len(both)} of {all_parts} parts lie on BOTH sides ({counts[TRAIN]} images in train, "
            f"{counts[TEST]} in test): {some}; --split part splits anew, by part"
        )
    if lost := sides.count(LEFT_OUT):
        notes.append(
            f"{lost} defective images in the source's train side are left out (training takes good "
            "ones only); --split part can test on them"
        )
    return Split(sides, tuple(notes))


def crossing(parts: Sequence[str], sides: Sequence[str]) -> set[str]:
    """Parts with images on both sides."""
    seen: dict[str, set[str]] = {TRAIN: set(), TEST: set(), LEFT_OUT: set()}
    for part, side in zip(parts, sides, strict=True):
        seen[side].add(part)
    return seen[TRAIN] & seen[TEST]
