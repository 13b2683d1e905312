"""Markdown, CSV and HTML say the same, and no label breaks them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.errors import BurnishError
from burnish.studies.file import Study
from burnish.studies.report import Report, Table, to_csv, to_html, to_markdown, write_report

NASTY = "a|b *c* <script>alert(1)</script>\n# d"
STUDY = Study.model_validate(
    {"title": "T", "question": "Q?", "paper_says": "P.", "remarks": ["R."],
     "scale": {"small": {"about": "", "preset": "tiny", "datasets": {"d": ""}}},
     "row": [{"label": "a"}]}
)  # fmt: skip
REPORT = Report(
    study=STUDY, says=(NASTY,), problems=(),
    tables=(
        Table("Image AUROC", "", ("setting", "ours", "paper: Kole"),
              ((NASTY, "0.900", "0.990"), ("last", "0.800", "")), frozenset({2})),
    ),
    facts={"command": "burnish study x.toml --data a_b", "machine": "M"},
    lines=({"setting": NASTY, "image_auroc": 0.9}, {"setting": "b", "seed": 1}),
)  # fmt: skip


def test_markdown_keeps_its_columns_and_marks_the_paper() -> None:
    text = to_markdown(REPORT)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    for line in table:
        assert line.replace("\\|", "").count("|") == 4
    assert table[0] == "| setting | ours | *paper: Kole* |"
    assert table[2].endswith("| 0.900 | *0.990* |")
    assert table[3] == "| last | 0.800 |  |"
    assert "<script>" not in text.replace("\\<script>", "")
    assert "```sh\nburnish study x.toml --data a_b\n```" in text


def test_a_study_that_no_paper_speaks_of_says_nothing_of_one() -> None:
    own = replace(REPORT, study=STUDY.model_copy(update={"paper_says": ""}))
    assert "The paper says" in to_markdown(REPORT)
    assert "The paper says" not in to_markdown(own)
    assert "The paper says" in to_html(REPORT)
    assert "The paper says" not in to_html(own)


def test_html_is_escaped_and_whole() -> None:
    page = to_html(REPORT)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<em>") == 2
    assert "http" not in page.replace("http-equiv", "")


def test_columns_keep_their_places_where_the_first_run_is_not_there_yet() -> None:
    there = {"setting": "b", "image_auroc": 0.9, "steps": 40, "cell": "b-0"}
    head = to_csv([there]).splitlines()[0]
    assert head == "setting,image_auroc,steps,cell"
    assert to_csv([{"setting": "a", "cell": "a-0"}, there]).splitlines()[:2] == [head, "a,,,a-0"]


def test_files_are_written(tmp_path: Path) -> None:
    files = write_report(REPORT, tmp_path / "table05-small")
    assert [f.name for f in files] == [f"table05-small{s}" for s in (".md", ".csv", ".html")]
    rows = list(csv.DictReader(io.StringIO(files[1].read_text())))
    assert rows[0] == {"setting": NASTY, "image_auroc": "0.9", "seed": ""}
    (tmp_path / "file").write_text("")
    with pytest.raises(BurnishError, match="cannot write"):
        write_report(REPORT, tmp_path / "file" / "table05-small")
