"""Check a data set: measure its images in one pass, and collect the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from burnish import __version__
from burnish.checks.amount import find_shortage
from burnish.checks.copies import find_copies
from burnish.checks.files import find_file_problems
from burnish.checks.finding import Finding, by_severity, counted, printable
from burnish.checks.looks import find_outliers
from burnish.checks.masks import find_mask_problems
from burnish.checks.measure import measure_all
from burnish.checks.parts import find_part_problems
from burnish.checks.shortcuts import Contrasts, contrasts_of, find_shift, find_shortcuts
from burnish.checks.sources import open_data
from burnish.checks.subject import DataSet
from burnish.settings import Holdout


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes:
        data: the data set.
        findings: errors first, then warnings, then notes.
        contrasts: every statistic's AUROC, whether it tells anything or not.
        false_alarms, holdout: what was asked for.
        read: number of images that could be read.
        created: time of the check, UTC, ISO 8601.
    """

    data: DataSet
    findings: tuple[Finding, ...]
    contrasts: Contrasts
    false_alarms: float
    holdout: Holdout
    read: int
    created: str

    def __repr__(self) -> str:
        # Not every image: a notebook shows what a cell ends with.
        return f"Check({str(self.data.path)!r}: {self.verdict})"

    @property
    def is_clean(self) -> bool:
        """Whether nothing is worse than a note."""
        return all(finding.severity == "note" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One sentence: how many images, and how much is wrong with them."""
        kinds = Counter(finding.severity for finding in self.findings)
        images = counted(len(self.data.subjects), "image")
        notes = counted(kinds["note"], "note")
        if self.is_clean:
            return f"Nothing wrong was found in {images} ({notes})."
        said = [counted(kinds[s], s) for s in ("error", "warning") if kinds[s]]
        trust = "Not fit for use as it is" if kinds["error"] else "To be read with care"
        return f"{trust}: {' and '.join(said)} in {images} ({notes})."

    def counts(self) -> list[dict[str, Any]]:
        """Images, masks not counted, by side and kind: split, kind, images, parts."""
        table: dict[tuple[str, str], list[str]] = {}
        for subject in self.data.subjects:
            table.setdefault((subject.split, subject.kind), []).append(subject.part)
        order = {"train": 0, "test": 1, "": 2}
        return [
            {
                "split": split,
                "kind": printable(kind),
                "images": len(parts),
                "parts": len(set(parts) - {""}),
            }
            for (split, kind), parts in sorted(
                table.items(), key=lambda e: (order[e[0][0]], e[0][1] != "good", e[0][1])
            )
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "data": printable(str(self.data.path)),
            "form": self.data.form,
            "created": self.created,
            "burnish_version": __version__,
            "clean": self.is_clean,
            "verdict": self.verdict,
            "images": len(self.data.subjects),
            "read": self.read,
            "counts": self.counts(),
            "asked": {"false_alarms": self.false_alarms, "holdout": self.holdout},
            "findings": [finding.as_json() for finding in self.findings],
            "statistics": {
                "shortcut": [contrast.as_json() for contrast in self.contrasts.shortcut],
                "shift": [contrast.as_json() for contrast in self.contrasts.shift],
            },
        }


def check_data(
    path: str | Path,
    false_alarms: float = 0.01,
    holdout: Holdout = "auto",
    *,
    form: str = "",
    part: str = "",
    category: str = "",
) -> Check:
    """Open a data set and check it, as `burnish data check` does.

    Args:
        path: MVTec AD layout, a folder of good images, or a raw source (folder, zip, tar).
        false_alarms: wanted share of good parts called defective, in (0, 1).
        holdout: share of good images that training would hold out, in (0, 1), or "auto".
        form: name of a raw source's format (`burnish data formats`); empty: guessed.
        part: regular expression that finds the part's name in a file's stem (in a raw source: in
            its path); empty, or if it does not match: as the manifest or the format says.
        category: which object to take where a raw source holds several.

    Raises:
        BurnishError: there is nothing that can be checked.
    """
    with open_data(Path(path), form, part, category) as opened:
        return check(opened, false_alarms, holdout)


def check(
    data: DataSet,
    false_alarms: float = 0.01,
    holdout: Holdout = "auto",
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Check:
    """Check a data set: one pass over its images, in threads; memory holds a few KB for each.

    Args:
        data: from `burnish.checks.sources.open_data`, still open.
        false_alarms: wanted share of good parts called defective, in (0, 1).
        holdout: share of good images that training would hold out, in (0, 1), or "auto".
        on_image: called with (images done, images in all).
    """
    images = list(measure_all(data.subjects, on_image))
    read = [image for image in images if not image.problem]
    contrasts = contrasts_of(data, read)
    findings = [
        *find_file_problems(data, images),
        *find_copies(read),
        *find_part_problems(data, read),
        *find_mask_problems(data, read),
        *find_outliers(read),
        *find_shortcuts(data, contrasts),
        *find_shift(contrasts),
        *find_shortage(data, read, false_alarms, holdout),
    ]
    return Check(
        data,
        tuple(by_severity(findings)),
        contrasts,
        false_alarms,
        holdout,
        len(read),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
