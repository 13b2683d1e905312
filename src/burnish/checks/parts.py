"""Findings about parts: on both sides of a split, or not known at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from burnish.checks.finding import Finding, counted, some
from burnish.checks.measure import Measured
from burnish.checks.subject import DataSet

SHOWN = 5


def find_part_problems(data: DataSet, images: Sequence[Measured]) -> list[Finding]:
    """Find parts on both sides of a split, and data in which every image is a part of its own.

    Args:
        images: those that could be read.
    """
    return [*_parts_across(images), *_unknown(data)]


def _unknown(data: DataSet) -> list[Finding]:
    sides = Counter(subject.split for subject in data.subjects)
    if data.parts_known or sides["train"] < 2 or sides["test"] < 2:
        return []
    return [
        Finding(
            "unknown-parts",
            "note",
            "Which images show one part is not known",
            f"Each of {counted(len(data.subjects), 'image')} counts as a part of its own, so it "
            "cannot be seen whether pictures of one part lie in train and in test.",
            "Where parts were taken more than once, name them: --part REGEX finds the part's name "
            "in the file name.",
            figures={"train": sides["train"], "test": sides["test"]},
        )
    ]


def _parts_across(images: Sequence[Measured]) -> list[Finding]:
    sides: dict[str, dict[str, list[str]]] = {}
    for image in images:
        subject = image.subject
        if subject.part and subject.split:
            sides.setdefault(subject.part, {}).setdefault(subject.split, []).append(image.name)
    crossing = {part: found for part, found in sides.items() if len(found) > 1}
    if not crossing:
        return []
    groups = tuple(
        tuple(name for side in ("train", "test") for name in found[side])
        for found in crossing.values()
    )
    said = [
        f"{part} ({len(found['train'])} in train, {len(found['test'])} in test)"
        for part, found in crossing.items()
    ]
    tested = sum(len(found["test"]) for found in crossing.values())
    return [
        Finding(
            "same-part-on-both-sides",
            "error",
            "The same part in train and test",
            f"{counted(len(crossing), 'part')} of {len(sides):,} "
            f"{'lies' if len(crossing) == 1 else 'lie'} on both sides, with "
            f"{counted(tested, 'test image')}: {some(said, SHOWN)}.",
            "Split by part (`burnish data prepare ... --split part`): figures on parts seen in "
            "training flatter.",
            tuple(name for group in groups for name in group),
            groups,
            {"parts": sorted(crossing), "test_images": tested},
        )
    ]
