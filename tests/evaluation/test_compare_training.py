"""What models learnt from, side by side: the same images, others, or not known."""

from __future__ import annotations

import csv
import json
import re
from html import unescape
from pathlib import Path

import pytest

from burnish import Detector
from burnish.evaluation.compare import Run
from burnish.evaluation.compare_page import write_comparison
from burnish.evaluation.compare_training import (
    by_training_data,
    same_training_data,
    training_facts,
    training_warning,
)
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.record import Evaluation

FIRST = {"training_fingerprint": "a" * 64, "training_folder": "/data/rail",
         "training_images": 400, "held_out_images": 100}  # fmt: skip
SECOND = {"training_fingerprint": "b" * 64, "training_folder": "/data/<b>axle</b>",
          "training_images": 90, "held_out_images": 30}  # fmt: skip
UNKNOWN = {"training_fingerprint": None, "training_folder": None, "training_images": None}


@pytest.fixture
def run(evaluation: Evaluation):
    def learnt(name: str, facts: dict[str, object]) -> Run:
        model = evaluation.model.model_copy(update=facts)
        return Run(name, Path(name), evaluation.model_copy(update={"model": model}))

    return learnt


def test_other_images_are_said_with_the_facts(run) -> None:
    runs = [run("one", FIRST), run("two", SECOND), run("three", FIRST)]
    assert [[r.name for r in group] for group in by_training_data(runs)] == [
        ["one", "three"], ["two"],
    ]  # fmt: skip
    assert same_training_data(runs) is False
    said = training_warning(runs)
    assert said.startswith("These models did not learn from the same images: one, three from ")
    assert f"/data/rail, fingerprint {'a' * 16} (400 learnt, 100 held out); two from " in said
    assert f"/data/<b>axle</b>, fingerprint {'b' * 16} (90 learnt, 30 held out)." in said


def test_the_same_images_in_another_folder_are_the_same(run) -> None:
    runs = [run("one", FIRST), run("two", FIRST | {"training_folder": "/elsewhere"})]
    assert same_training_data(runs) is True
    assert training_warning(runs) == ""


def test_what_is_not_known_is_neither_the_same_nor_another(run) -> None:
    runs = [run("one", FIRST), run("old", UNKNOWN)]
    assert same_training_data(runs) is None
    assert same_training_data([run("old", UNKNOWN), run("older", UNKNOWN)]) is None
    assert training_warning(runs) == ""
    assert same_training_data([*runs, run("two", SECOND)]) is False
    assert "old" not in training_warning([*runs, run("two", SECOND)])
    facts = training_facts(runs)
    assert facts["training folder"] == ["/data/rail", "not known"]
    assert facts["data fingerprint"] == ["a" * 16, "not known"]


def test_page_csv_and_json_hold_the_facts(run, tmp_path: Path) -> None:
    html = write_comparison([run("one", FIRST), run("two", SECOND)], tmp_path).read_text()
    assert "<b>axle" not in html
    top = unescape(html[: html.index("</header>")])
    assert "These models did not learn from the same images: one from /data/rail" in top
    text = " ".join(unescape(re.sub(r"<(?!b>axle|/b>)[^>]*>", " ", html)).split())
    assert "training folder /data/rail /data/<b>axle</b>" in text
    assert "images learnt from 400 90 images held out 100 30" in text
    assert f"data fingerprint {'a' * 16} {'b' * 16}" in text
    with open(tmp_path / "compare.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    told = json.loads((tmp_path / "compare.json").read_text())
    for row, entry, facts in zip(rows, told["runs"], (FIRST, SECOND), strict=True):
        assert {key: entry[key] for key in facts} == facts
        assert {key: row[key] for key in facts} == {k: str(v) for k, v in facts.items()}
    assert told["same_training_data"] is False


def test_the_same_images_are_no_matter_for_the_head(run, tmp_path: Path) -> None:
    html = write_comparison([run("one", FIRST), run("two", FIRST)], tmp_path).read_text()
    assert "did not learn" not in html
    assert json.loads((tmp_path / "compare.json").read_text())["same_training_data"] is True


def test_a_trained_model_tells_its_folder(detector: Detector, metal: Path) -> None:
    model = evaluate(detector, metal, pixels=False, equalised=False).model
    data = detector.card.data
    assert model.training_folder == str(metal.resolve())
    assert model.training_fingerprint == data["fingerprint"]
    assert (model.training_images, model.held_out_images) == (
        data["training_images"], data["held_out_images"],
    )  # fmt: skip
