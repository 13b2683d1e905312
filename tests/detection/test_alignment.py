"""Detectors of parts that lie at any place and angle, from training to the picture of the flaw."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from burnish import BurnishError, Detector
from burnish.detection.model_file import save_model
from burnish.images.reader import read_image
from burnish.images.store import load_store

Bolt = Callable[..., NDArray[np.uint8]]


def test_training_and_inspection_see_the_same(bolts_run: Path, bolts: Path) -> None:
    detector = Detector.load(bolts_run)
    alignment = detector.card.alignment
    assert alignment is not None
    paths = sorted(bolts.iterdir())
    store = load_store(paths, detector.card.settings, 1)
    assert store.alignment == alignment
    shape = detector.card.shape
    assert alignment.size == (shape.height, shape.width)
    for index, path in enumerate(paths):
        pixels, pose = detector.prepare(read_image(path))
        assert pose is not None
        assert np.array_equal(store.prepared(index), pixels)
        assert np.array_equal(store[index], pixels[:1])


def test_held_out_images_score_as_calibrated(bolts_run: Path, bolts: Path) -> None:
    detector = Detector.load(bolts_run)
    held = [bolts / name for name in detector.card.data["held_out"]]
    scores = sorted(detector.inspect(path).score for path in held)
    assert scores == pytest.approx(detector.card.calibration.scores, abs=1e-5)


def test_a_flaw_is_shown_where_it_lies(bolts_run: Path, bolt: Bolt) -> None:
    detector = Detector.load(bolts_run)
    near = 0
    for number, angle in enumerate(np.linspace(-3, 3, 10)):
        image = bolt((120, 150), (75, 60), angle, 80, seed=number)
        x, y = 75 + 12 * np.cos(angle), 60 + 12 * np.sin(angle)
        spot = np.hypot(*(np.mgrid[:120, :150] - np.array([y, x])[:, None, None])) < 6
        image[spot] = 250
        result = detector.inspect(image)
        assert result.anomaly_map.shape == result.reconstruction.shape == image.shape
        near += np.hypot(result.peak[0] - x, result.peak[1] - y) < 8
        assert result.regions
        # What lies beyond the view is as cold as the map gets, and painted as it is.
        assert result.anomaly_map[0, 0] == result.anomaly_map.min()
        assert result.reconstruction[0, 0] == image[0, 0]
    assert near >= 8


def test_nothing_is_judged_beside_the_part(bolts_run: Path, bolt: Bolt) -> None:
    """Dirt on the table, and specks at the image's edge, which are streaks where the view reaches
    beyond it."""
    detector = Detector.load(bolts_run)
    image = bolt((120, 150), (112, 60), 0.05, 80)
    image[::6, -1] = image[24:30, 90:96] = 60
    prepared, pose = detector.prepare(image)
    assert pose is not None
    assert pose.found
    beyond = prepared[1] == 0
    assert 0.2 < beyond.mean() < 0.6
    references = detector.scorer.scorer.references(
        detector.card.calibration.mu, detector.card.calibration.sigma
    )
    judged = detector.scorer.score(prepared, *references)
    everywhere = detector.scorer.score(prepared[:1], *references)
    assert np.unique(judged.anomaly_map[beyond]).size == 1
    assert judged.anomaly_map[beyond][0] == judged.anomaly_map.min()
    sure = prepared[1] == 255
    assert np.allclose(judged.anomaly_map[sure], everywhere.anomaly_map[sure], atol=1e-5)
    assert everywhere.anomaly_map[beyond].max() > judged.anomaly_map.max()
    assert judged.score < everywhere.score


def test_a_part_that_the_edge_cuts_off_is_noted(bolts_run: Path, bolt: Bolt) -> None:
    detector = Detector.load(bolts_run)
    whole, cut = (detector.inspect(bolt((120, 150), (x, 60), 0.1, 80)) for x in (75, 122))
    assert whole.notes == ()
    (note,) = cut.notes
    assert re.fullmatch(r"the image's edge cuts off \d+ % of where the part should be: .*", note)
    assert 5 <= int(re.findall(r"\d+", note)[0]) < 50


def test_an_image_without_a_part_is_judged_and_noted(bolts_run: Path) -> None:
    detector = Detector.load(bolts_run)
    result = detector.inspect(np.full((120, 150), 205, np.uint8))
    assert any("no part was found" in note for note in result.notes)
    assert np.isfinite(result.score)


@pytest.mark.parametrize(("alone", "ending"), [(True, "judged alone"), (False, "cut out")])
def test_training_tells_what_is_judged(
    bolts: Path, turning: dict, tmp_path: Path, alone: bool, ending: str
) -> None:
    told: list[str] = []
    changes = {**turning, "steps": 1, "part_only": alone}
    Detector.train(bolts, "tiny", tmp_path, **changes, on_stage=lambda s: told.append(s.message))
    assert any(f"turned to one direction and {ending})" in line for line in told)


def test_align_part_says_when_there_are_none(metal: Path, micro: dict, tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match=r"found in 0 of \d+ images.*Leave align out"):
        Detector.train(metal, "tiny", tmp_path / "run", **micro, align="part")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_auto_leaves_surfaces_as_they_are(metal: Path, micro: dict, tmp_path: Path) -> None:
    changes = {**micro, "steps": 2}
    auto = Detector.train(metal, "tiny", tmp_path / "auto", align="auto", **changes)
    plain = Detector.train(metal, "tiny", tmp_path / "plain", **changes)
    assert auto.card.alignment is None
    image = metal / "test" / "good" / "000.png"
    assert auto.inspect(image).score == plain.inspect(image).score


@pytest.mark.parametrize("other", [{"tile": 32, "overlap": 8}, {"roi": "1,1 90,1 90,90"}])
def test_part_needs_whole_images(bolts: Path, micro: dict, tmp_path: Path, other: dict) -> None:
    with pytest.raises(BurnishError, match="align=part"):
        Detector.train(bolts, "tiny", tmp_path / "run", **{**micro, "align": "part", **other})


def test_a_resumed_run_aligns_as_before(bolts_run: Path, bolts: Path, turning: dict) -> None:
    before = Detector.load(bolts_run).card
    again = Detector.train(bolts, "tiny", bolts_run, resume=True, **turning)
    assert again.card.alignment == before.alignment
    assert again.card.calibration == before.calibration


def test_a_view_that_is_not_the_models_input(bolts_run: Path, tmp_path: Path) -> None:
    model = Detector.load(bolts_run).model
    assert model.card.alignment is not None
    other = {"size": (10**6, 10**6), "part": None}
    huge = model.card.alignment.model_copy(update=other)
    card = model.card.model_copy(update={"alignment": huge})
    save_model(tmp_path / "huge.safetensors", replace(model, card=card))
    with pytest.raises(BurnishError, match=r"at alignment\.size"):
        Detector.load(tmp_path / "huge.safetensors")
