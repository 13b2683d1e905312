"""Findings about files: unreadable, unseen, unlike the manifest, unlike each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from burnish.checks.finding import Finding, Severity, counted, some
from burnish.checks.measure import Measured
from burnish.checks.subject import DataSet
from burnish.images.dataset import GOOD, is_misnamed_good
from burnish.images.reader import Header
from burnish.images.statistics import DIM


def find_file_problems(data: DataSet, images: Sequence[Measured]) -> list[Finding]:
    """Find problems of files.

    Args:
        images: all of them, those that could not be read too.
    """
    read = [image for image in images if not image.problem]
    return [
        *_unreadable(images),
        *_against_manifest(data, read),
        *_train_defects(data),
        *_good_as_defects(data),
        *_unseen(data),
        *_differing(
            read,
            "modes",
            "warning",
            "Grey and colour mixed",
            _mode,
            "Convert all to one: what is grey in one group and colour in another is told apart by "
            "that alone.",
        ),
        *_differing(
            read,
            "bit-depths",
            "warning",
            "Bit depths that differ",
            _bits,
            "Take all with one setting of the camera.",
        ),
        *_differing(
            read,
            "formats",
            "note",
            "File formats that differ",
            _format,
            "JPEG leaves traces that a model can see: use one format for all.",
        ),
        *_differing(
            read,
            "sizes",
            "note",
            "Image sizes that differ",
            _size,
            "Every image is brought to one size for the model: choose it, or tiles, with that in "
            "mind.",
        ),
        *_pages(read),
        *_dim(read),
    ]


def _unreadable(images: Sequence[Measured]) -> list[Finding]:
    bad = [image for image in images if image.problem]
    if not bad:
        return []
    return [
        Finding(
            "unreadable",
            "error",
            "Files that cannot be read",
            f"{counted(len(bad), 'image')} of {len(images):,} cannot be read: "
            f"{some([image.problem for image in bad])}.",
            "Replace or remove them; training and evaluation stop at, or leave out, such files.",
            tuple(image.name for image in bad),
            figures={"problems": {image.name: image.problem for image in bad}},
        )
    ]


def _against_manifest(data: DataSet, read: Sequence[Measured]) -> list[Finding]:
    if data.manifest is None:
        return []
    by_name = {image.name: image for image in read}
    present = {subject.name for subject in data.subjects}
    missing = sorted(set(data.manifest) - present)
    extra = sorted(present - set(data.manifest))
    changed, moved = [], []
    for name, image in by_name.items():
        listed = data.manifest.get(name)
        if listed is not None:
            if listed.sha256 != image.sha256:
                changed.append(name)
            if (listed.split, listed.kind) != (image.subject.split, image.subject.kind):
                moved.append(name)
    said = [
        f"{counted(len(names), 'image')} {what} ({some(names)})"
        for names, what in (
            (missing, "listed but not there"),
            (changed, "changed since"),
            (extra, "not listed"),
            (moved, "listed with another split or kind than its folder says"),
        )
        if names
    ]
    if not said:
        return []
    return [
        Finding(
            "manifest",
            "error",
            "The manifest does not fit the folder",
            f"manifest.csv disagrees with what lies there: {'; '.join(said)}.",
            "Run `burnish data prepare` again, into a new folder.",
            (*changed, *extra, *moved),
            figures={"missing": missing, "changed": changed, "extra": extra, "moved": moved},
        )
    ]


def _train_defects(data: DataSet) -> list[Finding]:
    names = data.train_defects
    if not names:
        return []
    folders = sorted({name.rsplit("/", 1)[0] for name in names})
    return [
        Finding(
            "train-not-good",
            "warning",
            "Images under train that are not in train/good",
            f"{counted(len(names), 'image')} in {some(folders)}: only train/good is learned from.",
            "Move defects to test/<kind>, and good ones to train/good.",
            figures={"files": list(names)},
        )
    ]


def _good_as_defects(data: DataSet) -> list[Finding]:
    names = [subject.name for subject in data.subjects if is_misnamed_good(subject.kind)]
    if not names:
        return []
    folders = sorted({name.rsplit("/", 1)[0] for name in names})
    return [
        Finding(
            "good-as-defects",
            "error",
            "Good images under a name of defects",
            f"{counted(len(names), 'image')} in {some(folders)} would count as defective: "
            "evaluate, export and bench refuse them.",
            f"Rename the folder to {GOOD}.",
            tuple(names),
            figures={"images": len(names)},
        )
    ]


def _unseen(data: DataSet) -> list[Finding]:
    findings = []
    if data.unseen:
        findings.append(
            Finding(
                "unseen",
                "warning",
                "Images where none is looked for",
                f"{counted(len(data.unseen), 'image')} would never be used: {some(data.unseen)}.",
                "Images belong in train/good and test/<kind> themselves, or in a plain folder "
                "without sub-folders.",
                figures={"files": list(data.unseen)},
            )
        )
    if data.others:
        kinds = [f"{n} {suffix or 'without suffix'}" for suffix, n in data.others.items()]
        findings.append(
            Finding(
                "other-files",
                "note",
                "Files that are no images",
                f"{counted(sum(data.others.values()), 'file')} left alone: {some(kinds)}.",
                figures={"suffixes": dict(data.others)},
            )
        )
    if data.notes:
        findings += [
            Finding("source", "note", "What reading the source left out", note)
            for note in data.notes
        ]
    return findings


def _differing(
    read: Sequence[Measured],
    code: str,
    severity: Severity,
    title: str,
    value_of: Callable[[Header], str],
    advice: str,
) -> list[Finding]:
    values = Counter(value_of(image.header) for image in read if image.header is not None)
    if len(values) < 2:
        return []
    usual = values.most_common(1)[0][0]
    said = [f"{value} ({counted(n, 'image')})" for value, n in values.most_common()]
    odd = [image.name for image in read if image.header and value_of(image.header) != usual]
    tail = f" Not {usual}: {some(odd)}." if len(odd) <= len(read) / 4 else ""
    figures: dict[str, Any] = {"counts": dict(values.most_common())}
    message = f"{counted(len(values), 'kind')}: {some(said, 4)}.{tail}"
    return [Finding(code, severity, title, message, advice, tuple(odd), figures=figures)]


def _mode(header: Header) -> str:
    return "grey" if header.is_grey else "colour"


def _bits(header: Header) -> str:
    return f"{header.bits} bit"


def _format(header: Header) -> str:
    return header.format


def _size(header: Header) -> str:
    return f"{header.width} x {header.height} px"


def _pages(read: Sequence[Measured]) -> list[Finding]:
    several = [image for image in read if image.header is not None and image.header.pages > 1]
    if not several:
        return []
    said = [f"{i.name} ({i.header.pages})" for i in several if i.header is not None]
    return [
        Finding(
            "pages",
            "note",
            "Files of several pages",
            f"{counted(len(several), 'file')} with more than one page or frame, of which the "
            f"first is read: {some(said)}.",
            "Save the pages as images of their own if they matter.",
            tuple(image.name for image in several),
            figures={"pages": {i.name: i.header.pages for i in several if i.header is not None}},
        )
    ]


def _dim(read: Sequence[Measured]) -> list[Finding]:
    deep = [(image, image.header.mode) for image in read if image.header and image.header.bits > 8]
    return [
        *_dim_of(
            [image for image, mode in deep if mode != "F"],
            "16-bit images that use few of their bits",
            "with 16 bits",
            "only the upper 8 bits are read",
        ),
        *_dim_of(
            [image for image, mode in deep if mode == "F"],
            "Floating-point images that use little of their range",
            "in floating point",
            "a value of 1 is white",
        ),
    ]


def _dim_of(deep: Sequence[Measured], title: str, which: str, why: str) -> list[Finding]:
    # Image by image: one that uses its whole range says nothing about the others.
    dim = [image for image in deep if image.statistics["bright"] < DIM]
    if not dim:
        return []
    most = max(image.statistics["brightest"] for image in dim)
    said = f": {some([image.name for image in dim])}" if len(dim) < len(deep) else ""
    return [
        Finding(
            "dim",
            "warning",
            title,
            f"{len(dim):,} of {counted(len(deep), 'image')} {which} come out nearly black: of "
            f"255 grey levels they reach {most:.0f}, for {why}{said}.",
            "Scale them to the full range, all by one factor, before they are used.",
            tuple(image.name for image in dim),
            figures={"brightest": most},
        )
    ]
