"""Whole images from tiles: stitched maps, worst tile, region of interest, calibration."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from burnish.configuration import make_settings
from burnish.detection.gathering import Folds
from burnish.detection.image_scorer import ImageScorer
from burnish.detection.learning import learn_positions
from burnish.detection.scorer import Scorer
from burnish.detection.view import View
from burnish.images.tiles import Grid
from burnish.method.generator import Generator, InputShape

BIG = np.random.default_rng(1).integers(0, 256, (3, 1, 75, 110), dtype=np.uint8)


def scorers(roi: np.ndarray | None = None, **changes: object) -> tuple[Scorer, ImageScorer]:
    small = {
        "tile": 32, "overlap": 8, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 16,
        "heads": 2, "depth_encoder": 1, "depth_decoder": 1, "smoothing": 1.0, "fusion": "max",
        "reduction": "top", "top_share": 0.01, "false_alarms": 0.2,
    }  # fmt: skip
    settings = make_settings("tiny", small | changes)
    torch.manual_seed(0)
    made = Scorer(Generator(settings, InputShape(1, 32, 32)), settings, torch.device("cpu"))
    return made, ImageScorer(made, settings, roi)


def references(made: Scorer) -> tuple[torch.Tensor, torch.Tensor]:
    return made.references([0.1, 0.12], [0.3, 0.4])


@pytest.mark.parametrize("fusion", ["paper", "max"])
def test_where_nothing_is_cut_tiles_give_what_the_whole_gives(fusion: str) -> None:
    made, tiled = scorers(fusion=fusion)
    _, whole = scorers(fusion=fusion, tile="full", image_size=32)
    image = np.ascontiguousarray(BIG[0, :, :32, :32])
    one, two = tiled.score(image, *references(made)), whole.score(image, *references(made))
    assert one.score == two.score
    assert one.scale == two.scale
    assert np.array_equal(one.anomaly_map, two.anomaly_map)
    assert np.array_equal(one.reconstruction, two.reconstruction)


@pytest.mark.parametrize("mu", [(0.1, 0.12), (0.3, 0.05)])
def test_stitching_against_an_obvious_version(mu: tuple[float, float]) -> None:
    made, tiled = scorers()
    known = made.references(mu, [0.3, 0.4])
    found = tiled.score(BIG[0], *known)
    assert found.scale == int(mu[0] > mu[1])
    total, weight, painted = np.zeros((75, 110)), np.zeros((75, 110)), np.zeros((75, 110))
    scores = []
    ramp = np.minimum(np.arange(1, 33), np.arange(32, 0, -1))
    for tile in Grid.of(75, 110, 32, 8):
        y, x = slice(tile.top, tile.top + 32), slice(tile.left, tile.left + 32)
        scored = made.score(View(BIG[0][:, y, x]), *known)
        scores.append((scored.score, scored.scale, scored.scale_scores))
        w = np.outer(ramp, ramp)
        total[y, x] += w * scored.anomaly_map.numpy()
        painted[y, x] += w * (scored.reconstruction[0].clamp(-1, 1).numpy() + 1) * 127.5
        weight[y, x] += w
    np.testing.assert_allclose(found.anomaly_map, total / weight, rtol=1e-4, atol=1e-4)
    assert (found.score, found.scale) == max(scores)[:2]
    assert found.scale_scores == tuple(np.max([by_scale for *_, by_scale in scores], axis=0))
    assert found.reconstruction.shape == (1, 75, 110)
    assert np.abs(found.reconstruction[0] - painted / weight).max() <= 0.51


def test_an_image_smaller_than_a_tile() -> None:
    made, tiled = scorers()
    found = tiled.score(BIG[0, :, :20, :28].copy(), *references(made))
    assert found.anomaly_map.shape == (20, 28)
    assert np.isfinite(found.score)
    padded = np.pad(BIG[0, :, :20, :28], ((0, 0), (0, 12), (0, 4)), mode="symmetric")
    inside = np.zeros((32, 32), dtype=bool)
    inside[:20, :28] = True
    direct = made.score(View(padded, inside), *references(made))
    np.testing.assert_allclose(found.anomaly_map, direct.anomaly_map[:20, :28], rtol=1e-6)
    assert found.score == direct.score


def region() -> np.ndarray:
    inside = np.zeros((75, 110), dtype=bool)
    inside[10:40, 50:105] = True
    return inside


def test_nothing_outside_the_region_matters() -> None:
    made, tiled = scorers(region())
    other = np.where(region(), BIG[0], BIG[1])
    one, two = (tiled.score(image, *references(made)) for image in (BIG[0], other))
    assert one.score == two.score
    assert np.array_equal(one.anomaly_map, two.anomaly_map)
    assert np.array_equal(two.reconstruction[:, ~region()], other[:, ~region()])
    assert (one.anomaly_map[~region()] == one.anomaly_map[region()].min()).all()
    seen = {(tile.top, tile.left) for tile, _ in tiled.views(BIG[0])}
    every = {(tile.top, tile.left) for tile in Grid.of(75, 110, 32, 8)}
    assert seen == {(t, x) for t, x in every if t < 40 and t + 32 > 10 and x < 105 and x + 32 > 50}


@pytest.mark.parametrize("roi", [None, region()], ids=["all", "roi"])
def test_calibration_on_tiles_against_numpy(roi: np.ndarray | None) -> None:
    made, tiled = scorers(roi)
    found, scores = tiled.calibrate(BIG)
    assert sorted(scores) == list(found.scores)
    errors = []
    for image in BIG:
        for _, view in tiled.views(image):
            error = made.errors(view)[0][0].numpy().reshape(2, -1).astype(float)
            errors.append(error if view.inside is None else error[:, view.inside.ravel()])
    pixels = np.concatenate(errors, axis=1)
    np.testing.assert_allclose(found.mu, pixels.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.sigma, pixels.std(axis=1), rtol=1e-5)
    scored = [tiled.score(image, *made.references(found.mu, found.sigma)) for image in BIG]
    assert found.scores == tuple(sorted(s.score for s in scored))
    inside = np.ones((75, 110), bool) if roi is None else roi
    values = [s.anomaly_map[inside] for s in scored]
    assert found.peaks == tuple(sorted(float(v.max()) for v in values))
    heat_low = np.median([np.quantile(v, 0.99) for v in values])
    assert found.heat_low == pytest.approx(heat_low, rel=1e-6)


def test_scores_and_peaks_of_a_part_share_its_weight() -> None:
    """Each has its own order, and the shares lie along with it."""
    images = np.random.default_rng(2).integers(0, 256, (9, 1, 40, 40), dtype=np.uint8)
    parts, shares = list("aaabbcdef"), [1 / 3] * 3 + [1 / 2] * 2 + [1.0] * 4
    made, tiled = scorers(reduction="mean")
    found, scores = tiled.calibrate(images, parts=parts)
    known = made.references(found.mu, found.sigma)
    peaks = [float(tiled.score(image, *known).anomaly_map.max()) for image in images]
    assert found.parts == 6
    by_score, by_peak = (sorted(zip(values, shares, strict=True)) for values in (scores, peaks))
    assert list(zip(found.scores, found.score_weights, strict=True)) == by_score
    assert list(zip(found.peaks, found.peak_weights, strict=True)) == by_peak
    assert found.score_weights != found.peak_weights
    alone, _ = tiled.calibrate(images, parts=list("abcdefghi"))
    assert (alone.parts, alone.score_weights, alone.peak_weights) == (9, None, None)


def test_references_of_tiles_count_those_of_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer tiles taken than there are: numbers are drawn of those that hold the region."""
    monkeypatch.setattr("burnish.detection.image_scorer.MEASURED_TILES", 2)
    small = np.zeros((75, 110), bool)
    small[60:70, 100:108] = True
    made, tiled = scorers(small)
    measured = []
    errors = made.errors
    monkeypatch.setattr(made, "errors", lambda view: measured.append(view) or errors(view))
    mu, sigma = tiled._measure_references(BIG, lambda: None)
    assert len(measured) == 2
    assert np.isfinite([*mu, *sigma]).all()


def test_a_flaw_of_three_pixels_raises_the_score_and_is_found_where_it_is() -> None:
    made, tiled = scorers(smoothing=0.5)
    smooth = np.full((1, 300, 400), 120, dtype=np.uint8)
    seen = [view for _, view in tiled.views(smooth)]
    (made.position,) = learn_positions(made, lambda: seen, Folds())
    flawed = smooth.copy()
    flawed[0, 201:204, 333:336] = 255
    calibration, _ = tiled.calibrate(smooth[None])
    marks = made.references(calibration.mu, calibration.sigma)
    clean, found = tiled.score(smooth, *marks), tiled.score(flawed, *marks)
    assert found.score > clean.score + 1
    y, x = np.unravel_index(found.anomaly_map.argmax(), found.anomaly_map.shape)
    assert (abs(y - 202), abs(x - 334)) <= (2, 2)
