"""The report of a study: tables and sentences, as Markdown, CSV and one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.files import atomic_write
from burnish.studies.file import Study
from burnish.tables import csv_text

Line = Mapping[str, Any]  # one line of the CSV


@dataclass(frozen=True)
class Table:
    """A table of formatted text.

    Attributes:
        caption: what the figures are.
        note: how to read them; may be empty.
        head: column names.
        rows: one text per column.
        of_paper: indices of the columns with the paper's figures.
    """

    caption: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    of_paper: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Report:
    """Everything that a study writes.

    Attributes:
        says: the conclusions, as sentences.
        problems: runs that failed, and why.
        facts: scale, machine, commit, command and the like, by name.
        lines: for the CSV.
        figure: a PNG, where there is one.
    """

    study: Study
    says: tuple[str, ...]
    problems: tuple[str, ...]
    tables: tuple[Table, ...]
    facts: Mapping[str, str]
    lines: tuple[Line, ...]
    figure: bytes | None = field(default=None, repr=False)


def origin_facts(results: Iterable[Mapping[str, Any]], precision: bool = False) -> dict[str, str]:
    """What the runs ran on, for a report's facts: each value that occurs, or "–" without a run.

    Args:
        results: as `cells` keeps them; the last of their commits counts.
        precision: whether to name it.
    """
    done = list(results)
    named = {"precision": "precision"} if precision else {}
    keys = {"machine": "hardware", **named, "torch": "torch"}
    facts = {name: "; ".join(sorted({str(r[key]) for r in done})) for name, key in keys.items()}
    facts["commits"] = ", ".join(sorted({r["commits"][-1] for r in done}))
    return {name: text or "–" for name, text in facts.items()}


def write_report(report: Report, stem: Path) -> list[Path]:
    """Write `stem`.md, .csv, .html (and .png), each in one step; returns the paths."""
    image = stem.with_name(stem.name + ".png")
    written = []
    for suffix, text in (
        (".md", to_markdown(report, image.name)),
        (".csv", to_csv(report.lines)),
        (".html", to_html(report)),
    ):
        path = stem.with_name(stem.name + suffix)
        atomic_write(path, text)
        written.append(path)
    if report.figure is not None:
        atomic_write(image, report.figure)
        written.append(image)
    return written


def to_markdown(report: Report, figure_name: str = "") -> str:
    """As Markdown; the paper's columns are in italics."""
    study = report.study
    parts = [f"# {_plain(study.title)}", _plain(study.question)]
    if study.paper_says:
        parts.append(f"**The paper says:** {_plain(study.paper_says)}")
    parts.append("## What these runs say")
    parts.append("\n".join(f"- {_plain(sentence)}" for sentence in report.says))
    if report.problems:
        parts.append("## Failed")
        parts.append("\n".join(f"- {_plain(problem)}" for problem in report.problems))
    if report.figure is not None:
        parts.append(f"![{_plain(study.title)}]({figure_name})")
    for table in report.tables:
        parts.append(f"## {_plain(table.caption)}")
        if table.note:
            parts.append(_plain(table.note))
        parts.append(_markdown_table(table))
    if study.remarks:
        parts.append("## Mind")
        parts.append("\n".join(f"- {_plain(remark)}" for remark in study.remarks))
    parts.append("## How it was run")
    facts = {**report.facts}
    command = facts.pop("command", "")
    if command:
        parts.append(f"```sh\n{command}\n```")
    parts.append("\n".join(f"- {_plain(k)}: {_plain(v)}" for k, v in facts.items()))
    return "\n\n".join(parts) + "\n"


def to_csv(lines: Sequence[Line]) -> str:
    """As CSV; columns in the order of the fullest line: the first run may not be there yet."""
    fullest = sorted(lines, key=len, reverse=True)
    return csv_text(dict.fromkeys(name for line in fullest for name in line), lines)


def to_html(report: Report) -> str:
    """As one HTML file that opens offline."""
    from burnish.evaluation.pages import render

    figure = "" if report.figure is None else base64.b64encode(report.figure).decode("ascii")
    return render("study.html.j2", title=report.study.title, report=report, figure=figure)


def _markdown_table(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        marked = [f"*{c}*" if i in table.of_paper and c else c for i, c in enumerate(cells)]
        return f"| {' | '.join(marked)} |"

    rows = [[_plain(cell) for cell in row] for row in table.rows]
    rule = ["---"] + ["---:"] * (len(table.head) - 1)
    return "\n".join(
        [line([_plain(h) for h in table.head]), f"| {' | '.join(rule)} |", *map(line, rows)]
    )


def _plain(text: str) -> str:
    """One line that Markdown shows as it is."""
    flat = " ".join(str(text).split())
    for mark in ("\\", "|", "*", "<", "_", "`"):
        flat = flat.replace(mark, f"\\{mark}")
    return flat
