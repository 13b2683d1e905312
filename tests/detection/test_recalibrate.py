"""A new threshold from other good images; everything else of the model stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish import BurnishError, Detector
from burnish.detection.calibration import Calibration, above
from burnish.detection.recalibrate import find_doubt
from burnish.detection.stages import Stage


@pytest.fixture(scope="module")
def new_parts(metal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine good images that the model has not seen, darker than those it has."""
    folder = tmp_path_factory.mktemp("new") / "good"
    folder.mkdir()
    for number in range(9):
        source = sorted((metal / "test/good").glob("*.png"))[number % 6]
        pixels = np.asarray(Image.open(source)) * (0.5 + 0.03 * number)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"lot{number // 3}_{number}.png")
    return folder


def messages(told: list[Stage]) -> str:
    return "\n".join(stage.message for stage in told)


def test_its_own_held_out_images_give_its_own_calibration(
    detector: Detector, metal: Path, tmp_path: Path
) -> None:
    for name in detector.card.data["held_out"]:
        shutil.copy(metal / "train/good" / name, tmp_path)
    again = detector.calibrate(tmp_path)
    assert again.card.calibration == detector.card.calibration
    assert again.card.data["held_out"] == detector.card.data["held_out"]
    assert again.card.data["oddest"] == detector.card.data["oddest"]


@pytest.mark.parametrize("fusion", ["paper", "scores"])
def test_references_stay_whatever_the_fusion(
    fusion: str, metal: Path, micro: dict, new_parts: Path, tmp_path: Path
) -> None:
    """Else a score would mean something else after each calibration."""
    trained = Detector.train(metal, "tiny", tmp_path, steps=2, fusion=fusion, **micro)
    new = trained.calibrate(new_parts)
    assert new.card.calibration.mu == trained.card.calibration.mu
    assert new.card.calibration.sigma == trained.card.calibration.sigma
    image = next(new_parts.glob("*.png"))
    assert new.inspect(image).score == trained.inspect(image).score


def test_threshold_and_p_values_are_those_of_the_new_images(
    detector: Detector, new_parts: Path
) -> None:
    told: list[Stage] = []
    new = detector.calibrate(new_parts, false_alarms=0.2, on_stage=told.append)
    results = [detector.inspect(path) for path in sorted(new_parts.glob("*.png"))]
    scores = sorted(result.score for result in results)
    assert list(new.card.calibration.scores) == scores
    assert new.threshold == above(scores[7])  # ceil(10 * .8) = 8 of 9
    assert new.inspect(results[0].path).p_value == pytest.approx(
        (1 + sum(score >= results[0].score for score in scores)) / 10
    )
    assert new.card.settings.false_alarms == 0.2
    assert f"threshold {new.threshold:.4g} (good parts" in messages(told)
    assert f"it was {detector.threshold:.4g}" in messages(told)
    assert "at most 20 % of good parts will be called defective" in messages(told)


def test_what_is_usual_of_an_image_is_what_the_new_ones_show(
    detector: Detector, new_parts: Path
) -> None:
    image = sorted(new_parts.glob("*.png"))[0]  # half as bright
    assert "mean" in {unlike.statistic for unlike in detector.inspect(image).out_of_range}
    assert detector.calibrate(new_parts).inspect(image).out_of_range == ()


def test_images_of_one_part_count_once(detector: Detector, new_parts: Path) -> None:
    new = detector.calibrate(new_parts, part_pattern=r"lot\d")
    assert new.card.calibration.parts == 3
    assert new.card.calibration.score_weights == pytest.approx([1 / 3] * 9)
    assert new.card.settings.part_pattern == r"lot\d"  # test images are counted alike
    with pytest.raises(BurnishError, match="found in none of the 9 file names"):
        detector.calibrate(new_parts, part_pattern="batch")


def test_parts_that_are_no_longer_known_are_told(
    metal: Path, micro: dict, new_parts: Path, tmp_path: Path
) -> None:
    for path in (metal / "train/good").glob("*.png"):
        shutil.copy(path, tmp_path / f"p{int(path.stem) // 2}_{path.name}")
    trained = Detector.train(
        tmp_path, "tiny", tmp_path / "run", steps=2, part_pattern=r"p\d+_", **micro
    )
    told: list[Stage] = []
    trained.calibrate(new_parts, part_pattern="", on_stage=told.append)
    assert "each counts as a part of its own" in messages(told)
    told.clear()
    trained.calibrate(new_parts, part_pattern=r"lot\d", on_stage=told.append)
    assert "part of its own" not in messages(told)


def test_images_that_were_learnt_from_are_refused(
    detector: Detector, metal: Path, tmp_path: Path
) -> None:
    with pytest.raises(BurnishError, match="the very images that the model was trained on"):
        detector.calibrate(metal)
    moved = shutil.copytree(metal / "train/good", tmp_path / "elsewhere")
    with pytest.raises(BurnishError, match="the very images that the model was trained on"):
        detector.calibrate(moved)


def test_some_that_were_learnt_from_are_left_out(
    detector: Detector, metal: Path, new_parts: Path, tmp_path: Path
) -> None:
    """Of training's held-out images none was learnt from: they count."""
    folder = shutil.copytree(new_parts, tmp_path / "good")
    held = set(detector.card.data["held_out"])
    names = [path.name for path in sorted((metal / "train/good").glob("*.png"))]
    learnt, spared = next(n for n in names if n not in held), next(n for n in names if n in held)
    for name in (learnt, spared):
        shutil.copy(metal / "train/good" / name, folder / f"again_{name}")
    told: list[Stage] = []
    new = detector.calibrate(folder, on_stage=told.append)
    assert f"again_{learnt}: the model has learnt from it, {learnt}" in messages(told)
    assert len(new.card.calibration.scores) == 10
    assert f"again_{spared}" in new.card.data["held_out"]


def test_copies_and_broken_files_are_left_out(
    detector: Detector, new_parts: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(new_parts, tmp_path / "good")
    shutil.copy(folder / "lot0_0.png", folder / "z.png")
    (folder / "broken.png").write_bytes((folder / "lot0_1.png").read_bytes()[:200])
    told: list[Stage] = []
    new = detector.calibrate(folder, on_stage=told.append)
    assert new.card.calibration == detector.calibrate(new_parts).card.calibration
    assert "z.png: a copy of lot0_0.png" in messages(told)
    assert "skipped: " in messages(told)
    assert "broken.png" in messages(told)
    for number in range(3, 5):
        shutil.copy(folder / "lot0_0.png", folder / f"lot1_{number}.png")
    with pytest.raises(BurnishError, match=r"only 7 of 11 images can be used; at least 8"):
        detector.calibrate(folder)


@pytest.mark.parametrize("settings", [{"tile": 32, "overlap": 8}, {"roi": "8,8 60,8 60,60 8,60"}])
def test_with_tiles_or_a_region(
    settings: dict, metal: Path, micro: dict, new_parts: Path, tmp_path: Path
) -> None:
    trained = Detector.train(metal, "tiny", tmp_path / "run", steps=2, **micro, **settings)
    new = trained.calibrate(new_parts)
    scores = sorted(trained.inspect(path).score for path in new_parts.glob("*.png"))
    assert list(new.card.calibration.scores) == scores
    assert new.card.data.get("tiles") == trained.card.data.get("tiles")
    loaded = Detector.load(new.save(tmp_path / "new.safetensors"))
    assert loaded.card == new.card
    image = next(new_parts.glob("*.png"))
    assert loaded.inspect(image).score == new.inspect(image).score


def test_the_card_names_where_the_threshold_comes_from(detector: Detector, new_parts: Path) -> None:
    data = detector.calibrate(new_parts).card.data
    assert data["calibrated_on"] == str(new_parts.resolve())
    assert data["held_out"] == [path.name for path in sorted(new_parts.glob("*.png"))]
    assert (data["held_out_images"], data["held_out_parts"]) == (9, 9)
    for kept in ("folder", "fingerprint", "training_images", "sizes"):
        assert data[kept] == detector.card.data[kept]


def calibration(scores: list[float]) -> Calibration:
    return Calibration(
        mu=(0.0,), sigma=(1.0,), scores=sorted(scores), peaks=sorted(scores), heat_low=0.0,
        false_alarms=0.1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("now", "doubt"),
    [
        ([10.5, 18.5, 30], ""),  # one score of 19 is as high: p = .1
        ([10.5, 19.5, 30], "higher than nine in ten"),
        ([0, 2.5, 30], ""),  # 17 are as high: p = .9
        ([0, 1.5, 30], "lower than nine in ten"),
    ],
)
def test_scores_far_from_those_of_before_are_told(now: list[float], doubt: str) -> None:
    before = calibration([float(number) for number in range(1, 20)])
    said = find_doubt(before, calibration(now))
    assert (doubt in said) if doubt else said == ""


def test_scores_above_all_of_a_few_parts_are_told() -> None:
    """Five can give no p-value below 1 / 6."""
    before = calibration([1.0, 2.0, 3.0, 4.0, 5.0])
    assert "higher than nine in ten" in find_doubt(before, calibration([4.0, 5.5, 6.0]))
    assert find_doubt(before, calibration([4.0, 4.5, 6.0])) == ""
