"""Shortcuts and shift: trivial statistics that tell groups of images apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.checks.finding import Finding, Severity, counted, some
from burnish.checks.measure import Measured
from burnish.checks.subject import DataSet
from burnish.images.reader import Header
from burnish.images.statistics import STATISTICS, Statistic, auroc, bytes_follow_pixels, number

TELLS = 0.8  # AUROC, in either direction
CHANCE = 0.05  # chance that any statistic separates two groups of this size that are alike


@dataclass(frozen=True)
class Contrast:
    """How well one statistic tells two groups of images apart.

    Attributes:
        name: of the statistic.
        about: its description.
        first, second: values of the groups, one per image.
        names: of the images of both.
        auroc: chance that a value of `second` exceeds one of `first`, in [0, 1].
        outside: the same with masked pixels left out of `second`, where it has masks; None where
            there is none.
        p: chance of an AUROC as far from 1/2 if the groups were alike (Mann-Whitney U, two-sided),
            times the number of statistics tried (Bonferroni), at most 1.
        unmasked: whether images of `second` have no mask: `outside` takes these whole.
    """

    name: str
    about: Statistic
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    names: tuple[tuple[str, ...], tuple[str, ...]]
    auroc: float
    outside: float | None
    p: float
    unmasked: bool = False

    @property
    def strength(self) -> float:
        """AUROC in the better direction, in [0.5, 1]."""
        return max(self.auroc, 1 - self.auroc)

    @property
    def tells(self) -> bool:
        return self.strength > TELLS and self.p < CHANCE

    @property
    def by_the_defect(self) -> bool:
        """Whether the difference lies in the marked pixels, not in the rest of the image."""
        return self.outside is not None and max(self.outside, 1 - self.outside) <= TELLS

    def as_json(self) -> dict[str, Any]:
        return {
            "statistic": self.name,
            "label": self.about.label,
            "unit": self.about.unit,
            "auroc": round(self.auroc, 4),
            "auroc_outside_masks": None if self.outside is None else round(self.outside, 4),
            "p_adjusted": float(f"{self.p:.3g}"),
            "means": [round(float(self.first.mean()), 4), round(float(self.second.mean()), 4)],
            "medians": [
                round(float(np.median(self.first)), 4),
                round(float(np.median(self.second)), 4),
            ],
            "images": [len(self.first), len(self.second)],
            "tells": self.tells,
        }


@dataclass(frozen=True)
class Contrasts:
    """All contrasts of a data set; empty where a group is missing.

    Attributes:
        shortcut: good against defective test images (of all images where there is no split).
        shift: good training against good test images.
        bytes_follow_pixels: of all images, see `burnish.images.statistics`.
    """

    shortcut: tuple[Contrast, ...]
    shift: tuple[Contrast, ...]
    bytes_follow_pixels: bool = False


def contrasts_of(data: DataSet, images: Sequence[Measured]) -> Contrasts:
    """Set the groups of a data set against each other in every statistic.

    Beside those of `burnish.images.statistics` these are the file format and whether the file
    holds colour.

    Args:
        images: those that could be read.
    """
    tested = [i for i in images if i.subject.split == "test" or not data.is_split]
    good = [i for i in tested if not i.subject.is_defect]
    defects = [i for i in tested if i.subject.is_defect]
    trained = [i for i in images if i.subject.split == "train" and not i.subject.is_defect]
    return Contrasts(
        _contrasts(good, defects),
        _contrasts(trained, good) if trained else (),
        bytes_follow_pixels(i.header for i in images if i.header is not None),
    )


def find_shortcuts(data: DataSet, contrasts: Contrasts) -> list[Finding]:
    """Statistics that tell good from defective images without looking for defects."""
    telling = [contrast for contrast in contrasts.shortcut if contrast.tells]
    where = "test images" if data.is_split else "images"
    light = [contrast for contrast in telling if not contrast.by_the_defect]
    defect = [contrast for contrast in telling if contrast.by_the_defect]
    files = [contrast for contrast in light if contrast.name == "file_bytes"]
    if contrasts.bytes_follow_pixels or (defect and len(files) == len(light)):
        # A flaw changes the file's size, which no mask can exclude.
        light = [contrast for contrast in light if contrast.name != "file_bytes"]
        defect = [*defect, *files] if defect else []
    findings = []
    if contrasts.bytes_follow_pixels and files and not light and not defect:
        findings.append(
            _finding(
                "file-size", "note", "File size tells defects, as it follows from the pixels",
                files, f"tells good from defective {where}", ("good", "defective"),
                "All images are of one lossless format and one size, so the size of a file follows "
                "from the texture of its pixels, and a flaw changes that by itself: alone it is no "
                "proof of a shortcut.",
            )
        )  # fmt: skip
    if light:
        unsure = all(c.about.of_few and (c.outside is None or c.unmasked) for c in light)
        findings.append(
            _finding(
                "shortcut", "warning", "A shortcut: defects told without looking for them", light,
                f"tells good from defective {where}", ("good", "defective"),
                "It may be the defects that do it, which only masks could show: "
                "look at the pictures."
                if unsure
                else "Good and defective pictures differ in more than defects. Take both under "
                "the same conditions; until then a high score on this set shows little.",
            )
        )  # fmt: skip
    if defect:
        findings.append(
            _finding(
                "easy-defects", "note", "Defects that a trivial statistic finds", defect,
                f"tells good from defective {where}, but not outside the masks",
                ("good", "defective"),
                "The defects themselves do it, so this is no shortcut; a detector should do "
                "better than that.",
            )
        )  # fmt: skip
    return findings


def find_shift(contrasts: Contrasts) -> list[Finding]:
    """Statistics in which good test images are unlike good training images."""
    telling = [contrast for contrast in contrasts.shift if contrast.tells]
    if not telling:
        return []
    return [
        _finding(
            "shift", "warning", "A shift: good test images unlike good training images", telling,
            "tells good test images from good training images", ("train", "test"),
            "A threshold set on training images does not fit the test images: take both under "
            "the same conditions, or expect other false-alarm rates than promised.",
        )
    ]  # fmt: skip


def _finding(
    code: str, severity: Severity, title: str, telling: Sequence[Contrast], does: str,
    groups: tuple[str, str], advice: str,
) -> Finding:  # fmt: skip
    leading = [c for c in telling if c.by_the_defect] or telling
    best = max(contrast.strength for contrast in leading)
    # Among those that tell about equally well, the simplest comes first.
    first = next(contrast for contrast in leading if contrast.strength > best - 0.01)
    others = sorted((c for c in telling if c is not first), key=lambda c: -c.strength)
    average = [number(float(v.mean())) for v in (first.first, first.second)]
    outside = ""
    if first.outside is not None and not first.by_the_defect:
        outside = f", {_strength(first.outside):.3f} outside the masks"
    rest = some([f"{c.about.label} ({c.strength:.3f})" for c in others], 4)
    message = (
        f"The {first.about.label} alone {does}: AUROC {first.strength:.3f}{outside} "
        f"({groups[0]} {average[0]}, {groups[1]} {average[1]} {first.about.unit} on average, "
        f"{counted(len(first.first), 'image')} against {len(first.second):,})."
    )
    if rest:
        message += f" So do: {rest}." if len(others) > 1 else f" So does: {rest}."
    return Finding(
        code, severity, title, message, advice,
        figures={"groups": list(groups), "statistics": [c.as_json() for c in (first, *others)]},
    )  # fmt: skip


def _strength(value: float) -> float:
    return max(value, 1 - value)


def _contrasts(first: Sequence[Measured], second: Sequence[Measured]) -> tuple[Contrast, ...]:
    if not first or not second:
        return ()
    columns = {name: (about, *_columns(first, second, name)) for name, about in STATISTICS.items()}
    headers = [i.header for i in (*first, *second) if i.header is not None]
    for format in sorted({header.format for header in headers}):
        about = Statistic(f"file format (whether {format})", "share", of_pixels=False)
        columns[f"is_{format.lower()}"] = (about, *_shares(first, second, _is_format(format)))
    about = Statistic("file holding colour", "share", of_pixels=False)
    columns["holds_colour"] = (about, *_shares(first, second, lambda header: not header.is_grey))
    varied = {
        name: entry for name, entry in columns.items()
        if name in STATISTICS or np.ptp(np.concatenate(entry[1:3])) > 0
    }  # fmt: skip
    # Constant columns tell nothing, so they need no correction.
    tried = sum(bool(np.ptp(np.concatenate(entry[1:3])) > 0) for entry in varied.values())
    names = (tuple(image.name for image in first), tuple(image.name for image in second))
    unmasked = any(image.outside is None for image in second)
    return tuple(
        Contrast(
            name, about, one, other, names, auroc(other, one),
            None if outside is None else auroc(outside, one), _p_value(one, other, tried), unmasked,
        )
        for name, (about, one, other, outside) in varied.items()
    )  # fmt: skip


def _columns(
    first: Sequence[Measured], second: Sequence[Measured], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    one = np.array([image.statistics[name] for image in first])
    other = np.array([image.statistics[name] for image in second])
    masked = [i.outside is not None and i.subject.is_defect for i in second]
    # All images, also those without masks: the masked ones alone may not be representative.
    outside = np.array(
        [i.statistics[name] if i.outside is None else i.outside[name] for i in second]
    )
    known = STATISTICS[name].of_pixels and np.isfinite(outside[masked]).any()
    return one, other, outside if known else None


def _shares(
    first: Sequence[Measured], second: Sequence[Measured], holds: Callable[[Header], bool]
) -> tuple[NDArray[np.float64], NDArray[np.float64], None]:
    def column(images: Sequence[Measured]) -> NDArray[np.float64]:
        return np.array([float(i.header is not None and holds(i.header)) for i in images])

    return column(first), column(second), None


def _is_format(format: str) -> Callable[[Header], bool]:
    return lambda header: header.format == format


def _p_value(one: NDArray[np.float64], other: NDArray[np.float64], tried: int) -> float:
    from scipy.stats import mannwhitneyu

    if np.ptp(np.concatenate((one, other))) == 0:
        return 1.0
    p = float(mannwhitneyu(other, one, alternative="two-sided").pvalue)
    return min(1.0, p * tried)
