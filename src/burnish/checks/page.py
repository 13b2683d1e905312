"""One self-contained HTML page about a check: opens offline, prints, works on a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from burnish import __version__
from burnish.checks.check import Check
from burnish.checks.finding import Finding, counted, printable
from burnish.checks.pictures import Histogram, histogram, mask_picture, thumbnail
from burnish.checks.rules import RULES
from burnish.checks.shortcuts import Contrast
from burnish.checks.subject import Subject
from burnish.errors import BurnishError
from burnish.files import atomic_write
from burnish.images.reader import read_image_bytes
from burnish.images.statistics import number

MOST = {"error": 60, "warning": 60, "note": 12}  # groups, or single images, shown a finding
SIDE_BY_SIDE = 8  # copies of one image, or images of one part
TYPICAL = 4  # images shown of each of the two groups that a statistic tells apart
HISTOGRAMS = 4
TELLING = ("shortcut", "shift", "easy-defects", "file-size")


@dataclass(frozen=True)
class Picture:
    """One thumbnail with its caption; `problem` says why there is none."""

    name: str
    about: str
    uri: str
    problem: str = ""
    mask_uri: str = ""


@dataclass(frozen=True)
class Row:
    """Pictures that belong together; `title` may be empty."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Exhibit:
    """A finding with its pictures.

    Attributes:
        rows: groups side by side; single images all stand in one row.
        histograms: of the statistics concerned.
        groups: what the two colours of the histograms are.
        hidden: what is not shown, in words; empty when all is.
    """

    finding: Finding
    rows: tuple[Row, ...]
    histograms: tuple[Histogram, ...]
    groups: tuple[str, str]
    hidden: str


def write_page(check: Check, out: str | Path) -> Path:
    """Write the page in one step: no script, no request to anywhere, pictures inside.

    Args:
        check: its data set must still be open: the images shown are read again, one at a time.
        out: the HTML file.

    Raises:
        BurnishError: `out` cannot be written.
    """
    subjects = {subject.name: subject for subject in check.data.subjects}
    environment = Environment(
        loader=PackageLoader("burnish.checks", "templates"),
        autoescape=True,  # file names come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "printable": printable}
    page = environment.get_template("check.html.j2").render(
        check=check,
        title=printable(check.data.path.resolve().name),
        exhibits=[_exhibit(finding, check, subjects) for finding in check.findings],
        counts=check.counts(),
        statistics=_statistics(check),
        rules=RULES,
        version=__version__,
    )
    atomic_write(out, page)
    return Path(out)


def _exhibit(finding: Finding, check: Check, subjects: Mapping[str, Subject]) -> Exhibit:
    if finding.code in TELLING:
        return _telling(finding, check, subjects)
    with_mask = finding.code.startswith("mask") or finding.code == "conflicting-masks"
    rows, hidden, most = [], [], MOST[finding.severity]
    for group in finding.groups[:most]:
        more = len(group) - SIDE_BY_SIDE
        title = f"{counted(len(group), 'image')}, {SIDE_BY_SIDE} shown" if more > 0 else ""
        rows.append(Row(title, _pictures(group[:SIDE_BY_SIDE], subjects, with_mask)))
    if len(finding.groups) > most:
        hidden.append(f"{most} of {len(finding.groups):,} groups are shown")
    if finding.images and not finding.groups:
        rows.append(Row("", _pictures(finding.images[:most], subjects, with_mask)))
        if len(finding.images) > most:
            hidden.append(f"{most} of {len(finding.images):,} images are shown")
    return Exhibit(finding, tuple(rows), (), ("", ""), "; ".join(hidden))


def _telling(finding: Finding, check: Check, subjects: Mapping[str, Subject]) -> Exhibit:
    contrasts = check.contrasts.shift if finding.code == "shift" else check.contrasts.shortcut
    by_name = {contrast.name: contrast for contrast in contrasts}
    told = [by_name[entry["statistic"]] for entry in finding.figures["statistics"]]
    first, second = finding.figures["groups"]
    rows = []
    for place, (values, name) in enumerate(
        zip((told[0].first, told[0].second), (first, second), strict=True)
    ):
        distance = np.abs(values - np.median(values))
        chosen = [told[0].names[place][i] for i in np.argsort(distance, kind="stable")[:TYPICAL]]
        about = f"{name}: typical in {told[0].about.label}, {number(float(np.median(values)))}"
        rows.append(Row(about, _pictures(chosen, subjects, with_mask=False)))
    return Exhibit(
        finding, tuple(rows), tuple(histogram(c) for c in told[:HISTOGRAMS]), (first, second), ""
    )


def _pictures(
    names: Sequence[str], subjects: Mapping[str, Subject], with_mask: bool
) -> tuple[Picture, ...]:
    return tuple(_picture(subjects[name], with_mask) for name in names)


def _picture(subject: Subject, with_mask: bool) -> Picture:
    name = printable(subject.name)
    about = printable(" ".join(word for word in (subject.split, subject.kind) if word))
    try:
        image = read_image_bytes(subject.data(), subject.name)
    except BurnishError as error:
        return Picture(name, about, "", printable(str(error)))
    mask, problem = None, ""
    try:
        mask = subject.mask() if with_mask else None
    except BurnishError as error:
        problem = printable(str(error))
    other_size = mask is not None and mask.shape != image.shape[:2]
    if mask is not None and other_size:
        problem = (
            f"image {image.shape[1]} x {image.shape[0]}, mask {mask.shape[1]} x {mask.shape[0]} px"
        )
        return Picture(name, about, thumbnail(image), problem, mask_picture(mask))
    return Picture(name, about, thumbnail(image, mask), problem)


def _statistics(check: Check) -> list[tuple[Contrast | None, Contrast | None]]:
    """Shortcut and shift of every statistic side by side; empty if neither could be computed."""
    shift = {contrast.name: contrast for contrast in check.contrasts.shift}
    shortcut = {contrast.name: contrast for contrast in check.contrasts.shortcut}
    return [(shortcut.get(name), shift.get(name)) for name in dict.fromkeys((*shortcut, *shift))]
