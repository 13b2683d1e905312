"""Findings about images that are copies of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from burnish.checks.duplicates import MAX_DISTANCE, NearPair, near_pairs, same
from burnish.checks.finding import Finding, Severity, counted, some
from burnish.checks.measure import Measured

SHOWN = 5


def find_copies(images: Sequence[Measured]) -> list[Finding]:
    """Exact and near duplicates, what lies on both sides of the split, labels that conflict.

    Args:
        images: those that could be read.
    """
    groups = same([image.pixels for image in images])
    findings = [
        *_across(images, groups),
        *_conflicting_labels(images, groups),
        *_conflicting_masks(images, groups),
        *_exact(images, groups),
    ]
    repeats = {index for group in groups for index in group[1:]}
    alone = [index for index in range(len(images)) if index not in repeats]
    if len(alone) > 1:
        pairs, limit = near_pairs(
            np.stack([images[i].hash for i in alone]),
            np.stack([images[i].detail.ravel() for i in alone]),
        )
        pairs = [
            NearPair(alone[p.first], alone[p.second], p.correlation, p.distance) for p in pairs
        ]
        findings += _near(images, pairs, limit)
    return findings


def _names(images: Sequence[Measured], group: Sequence[int]) -> tuple[str, ...]:
    return tuple(images[index].name for index in group)


def _all(groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _sides(images: Sequence[Measured], group: Sequence[int]) -> set[str]:
    return {str(images[index].subject.split) for index in group} - {""}


def _exact(images: Sequence[Measured], groups: Sequence[Sequence[int]]) -> list[Finding]:
    if not groups:
        return []
    named = tuple(_names(images, group) for group in groups)
    repeats = sum(len(group) - 1 for group in groups)
    alike = sum(len({images[index].sha256 for index in group}) == 1 for group in groups)
    packing = (
        ""
        if alike == len(groups)
        else (f" In {counted(len(groups) - alike, 'group')} the files differ, the pixels do not.")
    )
    return [
        Finding(
            "duplicates",
            "warning",
            "Exact duplicates",
            f"{counted(repeats, 'image')} of {len(images):,} "
            f"{'repeats' if repeats == 1 else 'repeat'} another one exactly: "
            f"{repetitions(images, groups)}.{packing}",
            "Keep one of each: a copy counts twice in training, and in every figure. Parts that "
            "share images are one part.",
            _all(named),
            named,
            {"groups": len(groups), "repeats": repeats, "groups_equal_byte_for_byte": alike},
        )
    ]


def repetitions(images: Sequence[Measured], groups: Sequence[Sequence[int]]) -> str:
    """The repetitions in words, by part if whole parts repeat: `kos26 repeats kos01 (8 images)`."""
    parts: Counter[tuple[str, str]] = Counter()
    single: list[str] = []
    for group in groups:
        first = images[group[0]]
        for index in group[1:]:
            part, other = images[index].subject.part, first.subject.part
            if part and other and part != other:
                parts[part, other] += 1
            else:
                single.append(f"{images[index].name} repeats {first.name}")
    said = [f"{b} repeats {a} ({counted(n, 'image')})" for (b, a), n in parts.most_common()]
    return some(said + single, SHOWN)


def _across(images: Sequence[Measured], groups: Sequence[Sequence[int]]) -> list[Finding]:
    crossing = [group for group in groups if len(_sides(images, group)) > 1]
    if not crossing:
        return []
    named = tuple(_names(images, group) for group in crossing)
    tested = sum(images[index].subject.split == "test" for group in crossing for index in group)
    return [
        Finding(
            "same-image-on-both-sides",
            "error",
            "The same image in train and test",
            f"{counted(tested, 'test image')} {'is' if tested == 1 else 'are'} also in the "
            f"training set: {repetitions(images, crossing)}.",
            "Take them out of one side: a model is not tested on what it has learned.",
            _all(named),
            named,
            {"groups": len(crossing), "test_images": tested},
        )
    ]


def _conflicting_labels(
    images: Sequence[Measured], groups: Sequence[Sequence[int]]
) -> list[Finding]:
    findings = []
    disputed = [g for g in groups if len({images[i].subject.is_defect for i in g}) > 1]
    if disputed:
        findings.append(_disputed(images, disputed, "error", "good and defective"))
    kinds = [
        group
        for group in groups
        if group not in disputed and len({images[i].subject.kind for i in group}) > 1
    ]
    if kinds:
        findings.append(_disputed(images, kinds, "warning", "different kinds of defect"))
    return findings


def _disputed(
    images: Sequence[Measured], groups: Sequence[Sequence[int]], severity: Severity, what: str
) -> Finding:
    named = tuple(_names(images, group) for group in groups)
    said = [
        " and ".join(f"{images[i].name} ({images[i].subject.kind})" for i in group[:4])
        for group in groups
    ]
    return Finding(
        "conflicting-labels",
        severity,
        "Copies with contradicting labels",
        f"{counted(len(groups), 'image')} {'is' if len(groups) == 1 else 'are'} labelled both "
        f"as {what}: {some(said, SHOWN)}.",
        "Look at them and correct the label, or leave all copies out.",
        _all(named),
        named,
        {"groups": len(groups), "kinds": [[images[i].subject.kind for i in g] for g in groups]},
    )


def _conflicting_masks(
    images: Sequence[Measured], groups: Sequence[Sequence[int]]
) -> list[Finding]:
    disputed = []
    for group in groups:
        defects = [index for index in group if images[index].subject.is_defect]
        masks = [images[index].mask for index in defects]
        if len({mask.digest for mask in masks if mask is not None}) > 1:
            disputed.append(defects)
    if not disputed:
        return []
    named = tuple(_names(images, group) for group in disputed)
    return [
        Finding(
            "conflicting-masks",
            "warning",
            "Copies with different masks",
            f"{counted(len(disputed), 'image')} {'has' if len(disputed) == 1 else 'have'} "
            f"different masks on the copies: {some([' and '.join(g) for g in named], SHOWN)}.",
            "Keep the copy whose mask is right.",
            _all(named),
            named,
            {"groups": len(disputed)},
        )
    ]


def _near(images: Sequence[Measured], pairs: Sequence[NearPair], limit: float) -> list[Finding]:
    """One finding for pairs that matter (between parts or sides), one for those that do not."""
    rule = (
        f"(perceptual hashes within {MAX_DISTANCE} of 256 bits, fine structure correlating above "
        f"{limit:.3f})"
    )
    findings = []
    harmful = [pair for pair in pairs if _matters(images, pair)]
    harmless = [pair for pair in pairs if not _matters(images, pair)]
    crossing = sum(len(_sides(images, (p.first, p.second))) > 1 for p in harmful)
    opposed = sum(
        images[p.first].subject.is_defect != images[p.second].subject.is_defect for p in harmful
    )
    if harmful:
        extra = f", {crossing} of them with one image in train and one in test" if crossing else ""
        if opposed:
            extra += f", {opposed} of them one good and one defective"
        advice = (
            "Look at them: if they show one part, give both the same part name (--part), so that "
            "a split keeps them together."
        )
        findings.append(_pairs(images, harmful, "warning", rule, extra, advice, limit))
    if harmless:
        advice = "They are of one part, or all in the test set: each counts, but as less than two."
        findings.append(_pairs(images, harmless, "note", rule, "", advice, limit))
    return findings


def _matters(images: Sequence[Measured], pair: NearPair) -> bool:
    one, other = images[pair.first].subject, images[pair.second].subject
    if one.split != other.split:
        return True
    same_part = bool(one.part) and one.part == other.part
    return not same_part and one.split != "test"


def _pairs(
    images: Sequence[Measured],
    pairs: Sequence[NearPair],
    severity: Severity,
    rule: str,
    extra: str,
    advice: str,
    limit: float,
) -> Finding:
    named = tuple((images[p.first].name, images[p.second].name) for p in pairs)
    parts = Counter((images[p.second].subject.part, images[p.first].subject.part) for p in pairs)
    whole = [
        f"{b} and {a} ({counted(n, 'pair')})"
        for (b, a), n in parts.most_common()
        if n > 1 and a and b and a != b
    ]
    single = [
        " and ".join(group)
        for group, p in zip(named, pairs, strict=True)
        if not (whole and parts[images[p.second].subject.part, images[p.first].subject.part] > 1)
    ]
    where = (
        "within one part or within the test set"
        if severity == "note"
        else "that count as two parts"
    )
    return Finding(
        "near-duplicates" if severity == "warning" else "near-duplicates-harmless",
        severity,
        "Near duplicates" if severity == "warning" else "Near duplicates that do no harm",
        f"{counted(len(pairs), 'pair')} of images {where} "
        f"{'is' if len(pairs) == 1 else 'are'} all but the same{extra}: "
        f"{some(whole + single, SHOWN)} {rule}.",
        advice,
        _all(named),
        named,
        {
            "pairs": len(pairs),
            "limit": round(limit, 4),
            "correlation": [round(pair.correlation, 4) for pair in pairs],
            "distance": [pair.distance for pair in pairs],
        },
    )
