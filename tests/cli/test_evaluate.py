"""`burnish evaluate`: tables on the screen, JSON, switches, and mistakes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def test_every_table_shows_what_the_record_holds(
    burnish, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    code, text, err = burnish(
        "evaluate", run_folder, metal, "--stress-images", 4, "--report", tmp_path
    )
    assert code == 0, err
    saved = json.loads((tmp_path / "evaluation.json").read_text())
    low, high = saved["intervals"]["image_auroc"]
    assert f"{saved['image_auroc']:.3f} [{low:.3f} to {high:.3f}]" in text
    first = saved["trivial"][0]  # of PNGs of one size: no statistic to beat
    assert (first["statistic"], first["follows_pixels"]) == ("file_bytes", True)
    assert f"file size (does not count)  {first['auroc']:.3f}" in text
    best = saved["trivial"][1]
    assert f"AUROC {best['auroc']:.3f}: {best['label']}" in text
    assert f"AUROC {saved['equalised']['image_auroc']:.3f}, false alarms" in text
    assert re.search(
        rf"AUPRO to 30 % false positives +{saved['pixels']['overall']['aupro']:.3f}", text
    )
    assert "escapes at other false-alarm rates (display only)" in text
    rows = [line for line in text.splitlines() if line.startswith("brightness -25 %")]
    assert len(rows) == 1
    assert len(saved["stress"]) == 17
    assert {row["n_good"] + row["n_defect"] for row in saved["stress"]} == {4}
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert len(lines) == 17
    assert lines[0].endswith("part,scale_scores,out_of_range,equalised_score")


def test_no_figure_is_cut_off_in_a_narrow_terminal(
    burnish, run_folder: Path, metal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    code, text, err = burnish("evaluate", run_folder, metal, "--report", tmp_path)
    assert code == 0, err
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    monkeypatch.setenv("COLUMNS", "80")
    _, text, _ = burnish("evaluate", run_folder, metal, "--report", tmp_path)
    saved = json.loads((tmp_path / "evaluation.json").read_text())
    assert saved["kinds"]
    for kind in saved["kinds"]:  # a line each, from first to last figure
        pixel = f"{kind['pixels']['aupro']:.3f}"
        caught = rf"{kind['caught']} \({100 * kind['recall']:.0f} %\)"
        line = rf"^{kind['kind']} +{kind['images']} +{caught} .* {pixel} *$"
        assert re.search(line, text, re.M), kind


def test_switches_leave_parts_out(burnish, run_folder: Path, metal: Path, tmp_path: Path) -> None:
    code, text, _ = burnish(
        "evaluate",
        run_folder,
        metal,
        "--json",
        "--no-pixels",
        "--no-equalised",
        "--report",
        tmp_path,
    )
    found = json.loads(text)
    assert code == 0
    assert (found["pixels"], found["equalised"], found["stress"]) == (None, None, [])
    assert found["not_available"]["pixels"] == "not asked for"
    code, text, err = burnish(
        "evaluate", run_folder, metal, "--no-pixels", "--no-equalised", "--report", tmp_path
    )
    assert code == 0, err
    assert "n/a: not asked for" in text
    assert "equalised" not in text


def test_masks_that_cannot_be_used_are_told(
    burnish, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(metal, tmp_path / "metal"))
    mask = min((copy / "ground_truth").rglob("*.png"))
    mask.write_bytes(b"")
    code, text, err = burnish("evaluate", run_folder, copy, "--no-equalised", "--report", tmp_path)
    assert code == 0
    assert f"not used: {mask}" in err.replace("\n", "")
    assert "1 with a mask that cannot be used" in text


def test_images_that_lie_too_deep_are_told(
    burnish, run_folder: Path, metal: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Path(shutil.copytree(metal, tmp_path / "metal"))
    image = min((copy / "test" / "good").iterdir())
    (copy / "test" / "good" / "more").mkdir()
    image.rename(copy / "test" / "good" / "more" / image.name)
    code, _, _ = burnish(
        "evaluate", run_folder, copy, "--no-equalised", "--no-pixels", "--report", tmp_path
    )
    assert code == 0
    assert f"1 image is not evaluated (test/good/more/{image.name}, say)" in caplog.text


def test_only_good_images_and_no_masks_are_no_error(
    burnish, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(metal, tmp_path / "metal"))
    for folder in (copy / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    code, text, err = burnish(
        "evaluate", run_folder, copy, "--stress-images", 2, "--report", tmp_path / "report"
    )
    assert code == 0, err
    assert "n/a: there are no defective test images" in text
    assert "nothing is known of missed defects" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--stress-images", "1"], "2"),
        (["--false-alarms", "2"], "between 0 and 1"),
    ],
)
def test_wrong_arguments_are_told(
    burnish, run_folder: Path, metal: Path, arguments: list[str], told: str
) -> None:
    code, _, err = burnish("evaluate", run_folder, metal, *arguments)
    assert code == 2
    assert told in err


def test_a_place_for_the_report_that_cannot_be_is_told_before_any_image(
    burnish, run_folder: Path, metal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("images were inspected")

    monkeypatch.setattr("burnish.evaluation.evaluate.evaluate", never)
    code, _, err = burnish("evaluate", run_folder, metal, "--report", tmp_path / "report.html")
    assert code == 2
    assert "is to be a folder" in err
    assert f"give {tmp_path / 'report'}" in err.replace("\n", "")
    assert not (tmp_path / "report.html").exists()
    (tmp_path / "file").write_text("kept")
    code, _, err = burnish("evaluate", run_folder, metal, "--report", tmp_path / "file")
    assert code == 2
    assert "cannot write" in err
    assert (tmp_path / "file").read_text() == "kept"


def test_the_report_of_other_data_is_not_replaced_in_silence(
    burnish: Callable, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    shutil.copytree(metal, tmp_path / "other")
    next((tmp_path / "other" / "test" / "good").iterdir()).unlink()
    plain = ("--no-pixels", "--no-equalised", "--report", tmp_path / "report")
    said = [burnish("evaluate", run_folder, data, *plain)[2]
            for data in (metal, metal, tmp_path / "other")]  # fmt: skip
    assert ["is replaced" in err for err in said] == [False, False, True]
    assert str(metal) in said[2]
