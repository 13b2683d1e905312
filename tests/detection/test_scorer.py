"""Calibration and inspection share one path; its statistics against numpy."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from burnish.configuration import make_settings
from burnish.detection.calibration import Calibration
from burnish.detection.gathering import Folds
from burnish.detection.image_scorer import ImageScorer
from burnish.detection.learning import learn_positions
from burnish.detection.scorer import Scorer
from burnish.detection.view import View, to_tensor
from burnish.method.generator import Generator, InputShape
from burnish.method.lines import LineModel, line_map
from burnish.method.texture import surface

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 1, 32, 32), dtype=np.uint8)


def scorer(**changes: object) -> Scorer:
    small = {
        "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 16,
        "heads": 2, "depth_encoder": 1, "depth_decoder": 1, "smoothing": 1.0, "fusion": "max",
        "reduction": "top", "top_share": 0.01, "false_alarms": 0.2,
    }  # fmt: skip
    settings = make_settings("tiny", small | changes)
    torch.manual_seed(0)
    return Scorer(Generator(settings, InputShape(1, 32, 32)), settings, torch.device("cpu"))


def calibrate(made: Scorer) -> Calibration:
    ticks: list[None] = []
    scorer = ImageScorer(made, made.settings)
    calibration, scores = scorer.calibrate(PIXELS, lambda: ticks.append(None))
    assert len(ticks) == 2 * len(PIXELS) == scorer.calibration_passes * len(PIXELS)
    assert tuple(sorted(scores)) == calibration.scores
    return calibration


def all_errors(made: Scorer) -> np.ndarray:
    """(N, S, H, W) float64."""
    return np.concatenate([made.errors(View(image))[0].numpy() for image in PIXELS]).astype(float)


def test_to_tensor() -> None:
    found = to_tensor(np.array([[0, 255, 51]], np.uint8), torch.device("cpu"))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, [[-1, 1, -0.6]], atol=1e-6)
    to_tensor(PIXELS[:, :, ::-1, ::-1], torch.device("cpu"))  # any strides


@pytest.mark.parametrize("position", [False, True])
@pytest.mark.parametrize("fusion", ["paper", "mean", "max"])
def test_calibration_against_numpy(fusion: str, position: bool) -> None:
    made = scorer(fusion=fusion)
    if position:
        (made.position,) = learn_positions(made, partial(map, View, PIXELS[:4]), Folds())
    found, errors = calibrate(made), all_errors(made)
    mu, sigma = errors.mean(axis=(0, 2, 3)), errors.std(axis=(0, 2, 3))
    np.testing.assert_allclose(found.mu, mu, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.sigma, sigma, rtol=1e-4)
    if fusion == "paper":
        chosen = (errors.mean(axis=(2, 3)) - mu).argmax(axis=1)
        maps = errors[np.arange(len(errors)), chosen]
    else:
        z = (errors - mu[:, None, None]) / sigma[:, None, None]
        maps = z.mean(axis=1) if fusion == "mean" else z.max(axis=1)
    flat = np.sort(maps.reshape(len(maps), -1), axis=1)
    np.testing.assert_allclose(found.scores, np.sort(flat[:, -10:].mean(axis=1)), rtol=1e-3)
    np.testing.assert_allclose(found.peaks, np.sort(flat[:, -1]), rtol=1e-3)
    heat_low = np.median(np.quantile(flat, 0.99, axis=1))
    assert found.heat_low == pytest.approx(heat_low, rel=1e-3)
    assert found.false_alarms == 0.2


def test_a_calibration_image_scores_as_it_was_calibrated() -> None:
    made = scorer()
    found = calibrate(made)
    references = made.references(found.mu, found.sigma)
    again = [made.score(View(image), *references).score for image in PIXELS[::-1]]
    assert tuple(sorted(again)) == found.scores  # to the bit


def test_positions_against_numpy() -> None:
    made = scorer()
    errors = all_errors(made)
    ((mean, deviation),) = learn_positions(made, partial(map, View, PIXELS), Folds())
    made.position = mean, deviation
    np.testing.assert_allclose(mean, errors.mean(axis=0), rtol=1e-5, atol=1e-7)
    spread = errors.std(axis=0)
    expected = spread + 0.25 * spread.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(deviation, expected, rtol=1e-4)
    standardised = (errors - errors.mean(axis=0)) / expected
    np.testing.assert_allclose(all_errors(made), standardised, atol=1e-3)
    # From the raw errors once more.
    (again,) = learn_positions(made, partial(map, View, PIXELS), Folds())
    assert torch.equal(again[0], mean)
    assert torch.equal(again[1], deviation)


def test_positions_of_views_with_regions_of_their_own_against_numpy() -> None:
    made = scorer()
    insides = np.zeros((len(PIXELS), 32, 32), dtype=bool)
    insides[:, 4:24, 8:30] = True
    insides[::2, 4:14] = False
    seen = list(map(View, PIXELS, insides))
    errors = np.concatenate([made.errors(view)[0].numpy() for view in seen]).astype(float)
    ((mean, deviation),) = learn_positions(made, lambda: seen, Folds())
    shown = np.where(insides[:, None], errors, np.nan)
    anywhere = insides.any(axis=0)
    expected = np.nanmean(shown[..., anywhere], axis=0)
    spread = np.nanstd(shown[..., anywhere], axis=0)
    np.testing.assert_allclose(mean[:, anywhere], expected, rtol=1e-4)
    slack = 0.25 * spread.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(deviation[:, anywhere], spread + slack, rtol=1e-3)
    # Where no view reaches, the average of all places that one does.
    for scale in range(2):
        assert mean[scale, 0, 0].item() == pytest.approx(expected[scale].mean(), rel=1e-4)
        usual = (spread + slack)[scale].mean()
        assert deviation[scale, 0, 0].item() == pytest.approx(usual, rel=1e-3)


def test_reported_reconstruction_is_the_chosen_scales() -> None:
    made = scorer(fusion="paper")
    errors, painted, _ = made.errors(View(PIXELS[0]))
    means = errors.mean(dim=(0, 2, 3))
    for scale in (0, 1):
        mu = means.clone()
        mu[scale] -= 1  # makes this scale exceed its reference most
        scored = made.score(View(PIXELS[0]), mu, torch.ones(2))
        assert scored.scale == scale
        assert torch.equal(scored.reconstruction, painted[0, scale])
        assert torch.equal(scored.anomaly_map, errors[0, scale])


def region() -> np.ndarray:
    inside = np.zeros((32, 32), dtype=bool)
    inside[4:24, 8:30] = True
    return inside


@pytest.mark.parametrize("fusion", ["paper", "max"])
@pytest.mark.parametrize("reduction", ["mean", "max", "top"])
def test_nothing_outside_the_region_matters(fusion: str, reduction: str) -> None:
    made, inside = scorer(fusion=fusion, reduction=reduction), region()
    seen = [View(image, inside) for image in PIXELS]
    (made.position,) = learn_positions(made, lambda: seen, Folds())
    references = made.references([0.1, 0.1], [0.5, 0.5])
    other = np.where(inside, PIXELS[0], 255 - PIXELS[1])
    one = made.score(View(PIXELS[0], inside), *references)
    two = made.score(View(other, inside), *references)
    assert one.score == two.score
    assert torch.equal(one.anomaly_map, two.anomaly_map)
    assert torch.equal(one.reconstruction[:, inside], two.reconstruction[:, inside])
    # Outside, the part itself is shown and the map is as cold as anywhere.
    expected = to_tensor(other, torch.device("cpu"))
    assert torch.equal(two.reconstruction[:, ~inside], expected[:, ~inside])
    assert (one.anomaly_map[~inside] == one.anomaly_map[inside].min()).all()
    values = np.sort(one.anomaly_map[inside].numpy().astype(float))
    by_hand = {"mean": values.mean(), "max": values[-1], "top": values[-4:].mean()}  # 1 % of 440
    assert one.score == pytest.approx(by_hand[reduction], rel=1e-5)


def test_smoothing_at_the_regions_border_takes_only_what_lies_inside() -> None:
    made, inside = scorer(smoothing=2.0), region()
    view = View(PIXELS[0], inside)
    found = made.errors(view)[0][0, 0].numpy()
    painted = made.errors(view)[1][0, 0, 0].numpy()
    raw = (painted - to_tensor(PIXELS[0, 0], torch.device("cpu")).numpy()) ** 2  # preset tiny
    y, x = np.mgrid[:32, :32]
    for row, column in ((4, 8), (10, 15), (23, 29)):
        weight = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 2.0**2)) * inside
        expected = (weight * raw).sum() / weight.sum()
        assert found[row, column] == pytest.approx(expected, rel=0.01)
    assert (found[~inside] == 0).all()


@pytest.mark.parametrize("reduction", ["mean", "top"])
def test_scores_of_the_scales_alone_are_of_the_region(reduction: str) -> None:
    made, inside = scorer(reduction=reduction, fusion="max", top_share=0.5), region()
    view = View(PIXELS[0], inside)
    errors = made.errors(view)[0][0].numpy()[:, inside]
    found = made.score(view, *made.references([0.1, 0.3], [0.5, 0.25]))
    values = np.sort((errors - [[0.1], [0.3]]) / [[0.5], [0.25]], axis=1)
    expected = (values if reduction == "mean" else values[:, -220:]).mean(axis=1)
    np.testing.assert_allclose(found.scale_scores, expected, rtol=1e-4)


def test_lines_are_those_of_the_region() -> None:
    made, inside = scorer(), region()
    rng = np.random.default_rng(0)
    line = LineModel(
        1, torch.zeros(16, 8, 8), torch.from_numpy(rng.uniform(0.1, 1, (16, 8, 8))).float()
    )
    made.use_lines([line])
    assert made.maps == 3
    images = to_tensor(PIXELS[:1], torch.device("cpu"))
    field = surface(images, images[:, None], torch.from_numpy(inside))
    expected = line_map(field, line.at(32, 32), torch.from_numpy(inside))
    found = made.errors(View(PIXELS[0], inside)).errors
    torch.testing.assert_close(found[:, 2], expected)


def test_scores_of_the_scales_alone() -> None:
    made = scorer(reduction="max", fusion="max")
    mu, sigma = made.references([0.1, 0.3], [0.5, 0.25])
    errors = made.errors(View(PIXELS[0]))[0][0].numpy()
    found = made.score(View(PIXELS[0]), mu, sigma)
    expected = [(errors[0].max() - 0.1) / 0.5, (errors[1].max() - 0.3) / 0.25]
    np.testing.assert_allclose(found.scale_scores, expected, rtol=1e-5)
    assert found.score == pytest.approx(max(found.scale_scores))
