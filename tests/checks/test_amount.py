"""Enough images for the rate asked for, by the arithmetic of calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.detection.calibration import needed_parts, promised_rate


@pytest.mark.parametrize("rate", [0.5, 0.3, 0.2, 0.11, 0.1, 0.05, 0.01, 0.003, 1e-320])
def test_needed_and_promised_are_those_of_calibration(clean: Path, found, rate: float) -> None:
    findings = found(clean, false_alarms=rate)
    held = 10  # of 24, as fewer than 10 parts promise little
    if held >= needed_parts(rate):
        assert "too-few-for-rate" not in findings
        return
    figures = findings["too-few-for-rate"].figures
    assert figures["held_out"] == held
    assert figures["needed"] == needed_parts(rate)
    assert figures["promised"] == pytest.approx(promised_rate(held, rate), abs=1e-6)


def test_parts_are_held_out_whole(clean: Path, found) -> None:
    figures = found(clean, false_alarms=0.01, part=r"^\d")["too-few-for-rate"].figures
    assert figures["held_out"] in (1, 2)  # parts 0 and 1 have ten images, 2 has four


def test_parts_are_counted_not_images(clean: Path, found) -> None:
    """24 images of 3 parts: two held out at most promise 33 %, however many images they have."""
    finding = found(clean, false_alarms=0.4, part=r"^\d").get("too-few-for-rate")
    held = found(clean, false_alarms=0.01, part=r"^\d")["too-few-for-rate"]
    assert held.figures["promised"] == pytest.approx(1 / (1 + held.figures["held_out"]), abs=1e-6)
    assert (finding is None) == (held.figures["held_out"] >= needed_parts(0.4))
    assert "Too few good parts" in held.title
    assert "24 good images of 3 parts" in held.message
    assert "parts, hold out more" in held.advice


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
