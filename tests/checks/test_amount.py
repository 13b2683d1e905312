"""Enough images for the rate asked for, by the arithmetic of calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.detection.calibration import needed_images, promised_rate


@pytest.mark.parametrize("rate", [0.5, 0.3, 0.2, 0.11, 0.1, 0.05, 0.01, 0.003])
def test_needed_and_promised_are_those_of_calibration(clean: Path, found, rate: float) -> None:
    findings = found(clean, false_alarms=rate)
    held = 10  # of 24, as fewer than 10 parts promise little
    if held >= needed_images(rate):
        assert "too-few-for-rate" not in findings
        return
    figures = findings["too-few-for-rate"].figures
    assert figures["held_out"] == held
    assert figures["needed"] == needed_images(rate)
    assert figures["promised"] == pytest.approx(promised_rate(held, rate), abs=1e-6)


def test_parts_are_held_out_whole(clean: Path, found) -> None:
    figures = found(clean, false_alarms=0.01, part=r"^\d")["too-few-for-rate"].figures
    assert figures["held_out"] in (4, 10, 14)  # parts 0 and 1 have ten images, 2 has four


def test_one_part_cannot_be_held_out(clean: Path, found) -> None:
    for path in sorted((clean / "train/good").iterdir()):
        path.rename(path.with_name(f"coil_{path.name}"))
    assert found(clean, part="^coil")["one-part"].severity == "error"


def test_fewer_than_eight_are_too_few(clean: Path, found) -> None:
    for path in sorted((clean / "train/good").iterdir())[7:]:
        path.unlink()
    finding = found(clean)["too-few-training-images"]
    assert finding.severity == "error"
    assert finding.figures == {"good_images": 7, "needed": 8}


def test_a_small_test_set_is_noted(clean: Path, found) -> None:
    for path in sorted((clean / "test/scratch").iterdir())[3:]:
        path.unlink()
        (clean / "ground_truth/scratch" / f"{path.stem}_mask.png").unlink()
    finding = found(clean, false_alarms=0.05)["small-test"]
    assert finding.severity == "note"
    assert "12 good images cannot show a false-alarm rate of 5 %" in finding.message
    assert "one is 33 % of them" in finding.message
