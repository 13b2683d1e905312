"""Findings of a check, with severities, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from burnish import files

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing to know about the data.

    Attributes:
        code: what kind of thing, stable for programs ("duplicates", "shortcut", ...).
        severity: "error": results will be wrong; "warning": they may be; "note": good to know.
        title: the kind in a few words.
        message: what was found, where.
        advice: what to do; may be empty.
        images: names of the images involved, all of them.
        groups: names that belong together (copies of one image, pairs), for findings about groups.
        figures: numbers behind the message, JSON values.
    """

    code: str
    severity: Severity
    title: str
    message: str
    advice: str = ""
    images: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "message": self.message,
            "advice": self.advice,
            "images": [printable(name) for name in self.images],
            "groups": [[printable(name) for name in group] for group in self.groups],
            "figures": dict(self.figures),
        }


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Sort stably: errors, then warnings, then notes."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def printable(text: str) -> str:
    """Text for terminal, JSON and HTML: file names may hold anything, control characters too."""
    return files.visible(files.printable(text))


def some(names: Sequence[str], count: int = 3) -> str:
    """The first few names, and how many more there are: `a, b, c and 4 more`."""
    more = len(names) - count
    listed = ", ".join(printable(name) for name in names[:count])
    return listed + (f" and {more:,} more" if more > 0 else "")


def counted(number: int, one: str) -> str:
    """`1 image`, `2 images`, `1,344 images`."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"
