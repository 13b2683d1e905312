"""`burnish compare-runs` as a user calls it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from burnish import Detector
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.record import Evaluation, save_json


def burnish(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "burnish.cli.main", *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def record(detector: Detector, metal: Path) -> Evaluation:
    return evaluate(detector, metal, equalised=False)


@pytest.fixture(scope="module")
def two(record: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    for number, name in enumerate(("one", "two")):
        model = record.model.model_copy(
            update={"settings": record.model.settings | {"tome_r": number}}
        )
        save_json(record.model_copy(update={"model": model}), folder / name / "evaluation.json")
    return [folder / "one", folder / "two"]


def test_table_and_page(two: list[Path], record: Evaluation, tmp_path: Path) -> None:
    done = burnish("compare-runs", *two, "--out", tmp_path / "side")
    assert done.returncode == 0, done.stderr
    assert f"image AUROC {record.image_auroc:.3f} {record.image_auroc:.3f}" in " ".join(
        done.stdout.split()
    )
    assert " ".join(done.stdout.split()).endswith("tome_r 0 1")
    assert f"page: {tmp_path / 'side/compare.html'}" in done.stderr
    assert (tmp_path / "side/compare.html").exists()


def test_names_are_no_markup(two: list[Path], tmp_path: Path) -> None:
    odd = shutil.copytree(two[0], tmp_path / "one[red]")
    done = burnish("compare-runs", odd, two[1])
    assert done.returncode == 0, done.stderr
    assert "AUROC against one[red]" in " ".join(done.stdout.split())


def test_json_alone_on_stdout(two: list[Path], record: Evaluation) -> None:
    done = burnish("compare-runs", *two, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [entry["image_auroc"] for entry in told["runs"]] == [record.image_auroc] * 2
    assert told["differing_settings"] == {"tome_r": [0, 1]}
    assert done.stderr == ""


def test_different_test_sets_are_said(two: list[Path], record: Evaluation, tmp_path: Path) -> None:
    other = record.model_copy(update={"test_fingerprint": "f" * 64})
    save_json(other, tmp_path / "other/evaluation.json")
    done = burnish("compare-runs", two[0], tmp_path / "other", "--json")
    assert done.returncode == 0
    assert done.stderr.startswith("careful: These runs were tested on 2 different test sets")
    assert json.loads(done.stdout)["same_test_set"] is False


def test_other_training_images_are_said(
    two: list[Path], record: Evaluation, metal: Path, tmp_path: Path
) -> None:
    model = record.model.model_copy(update={"training_fingerprint": "f" * 64})
    save_json(record.model_copy(update={"model": model}), tmp_path / "other/evaluation.json")
    done = burnish("compare-runs", two[0], tmp_path / "other")
    assert done.returncode == 0
    assert done.stderr.startswith("careful: These models did not learn from the same images: one")
    assert done.stderr.count("careful") == 1
    learnt = record.model.training_images
    assert f"images learnt from {learnt} {learnt}" in " ".join(done.stdout.split())
    assert "f" * 16 in done.stdout


def test_a_run_without_evaluation_is_told_how(two: list[Path], run_folder: Path) -> None:
    for arguments, said in (
        ((two[0], run_folder), f"burnish evaluate {run_folder} DATA"),
        ((two[0],), "at least two"),
        ((two[0], "/nowhere"), "/nowhere does not exist"),
    ):
        done = burnish("compare-runs", *arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_an_out_that_cannot_be_written(two: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = burnish("compare-runs", *two, "--out", tmp_path / "file")
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
