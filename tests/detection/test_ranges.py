"""Ranges of trivial statistics over the training images, and what is flagged as outside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from burnish import Detector
from burnish.detection.model_file import load_model, save_model
from burnish.detection.ranges import (
    MARGIN,
    WATCHED,
    TrainingRange,
    Unlike,
    find_unlike,
    learn_ranges,
    prepared_statistics,
)
from burnish.images.reader import read_image


def test_statistics_are_numpys_own() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 40, 50), dtype=np.uint8)
    found = prepared_statistics(image)
    assert set(found) == set(WATCHED)
    assert found["mean"] == pytest.approx(image.mean())
    assert found["spread"] == pytest.approx(image.std())
    assert found["dark"] == np.quantile(image, 0.001, method="inverted_cdf")
    edges = ndimage.laplace(image[0].astype(float))[1:-1, 1:-1]
    assert found["sharpness"] == pytest.approx(edges.var())
    assert found["colour"] == 0


def test_only_the_region_of_interest_counts() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (3, 30, 30), dtype=np.uint8)
    inside = np.zeros((30, 30), bool)
    inside[5:20, 4:25] = True
    before = prepared_statistics(image, inside)
    image[:, ~inside] = 255
    assert prepared_statistics(image, inside) == before
    assert prepared_statistics(image)["mean"] > before["mean"]


def test_of_colour_images_the_tint_is_watched_too() -> None:
    rng = np.random.default_rng(4)
    image = rng.integers(0, 256, (3, 30, 30), dtype=np.uint8)
    inside = rng.random((30, 30)) < 0.4
    found = prepared_statistics(image, inside)
    red, green, blue = (channel[inside].astype(float).mean() for channel in image)
    assert found["red"] == pytest.approx(red - green)
    assert found["blue"] == pytest.approx(blue - green)
    nothing = prepared_statistics(image, np.zeros((30, 30), bool))
    assert np.isnan(nothing["red"])
    assert set(learn_ranges([found, nothing])) == set()


def test_a_part_of_another_colour_is_marked(brass: Path, micro: dict, tmp_path: Path) -> None:
    """With red and blue exchanged it is as bright and as colourful as before."""
    detector = Detector.train(brass, "tiny", tmp_path, steps=2, **micro)
    assert set(detector.card.ranges) == {*WATCHED, "red", "blue"}
    exchanged = read_image(next((brass / "train/good").iterdir()))[..., ::-1].copy()
    labels = [unlike.label for unlike in detector.inspect(exchanged).out_of_range]
    assert {"red less green", "blue less green"} <= set(labels)
    as_it_is = read_image(next((brass / "train/good").iterdir()))
    assert "red less green" not in str(detector.inspect(as_it_is).out_of_range)


def test_ranges_are_minimum_maximum_mean_and_deviation() -> None:
    rng = np.random.default_rng(2)
    images = [dict.fromkeys(WATCHED, float(v)) for v in rng.normal(100, 10, 30)]
    images[3]["sharpness"] = float("nan")  # an image of less than 3 px a side inside the region
    values = np.array([image["mean"] for image in images])
    ranges = learn_ranges(images)
    assert set(ranges) == set(WATCHED) - {"sharpness"}
    assert ranges["mean"].low == values.min()
    assert ranges["mean"].high == values.max()
    assert ranges["mean"].mean == pytest.approx(values.mean())
    assert ranges["mean"].deviation == pytest.approx(values.std())
    assert learn_ranges([]) == {}


def test_flagged_beyond_the_margin_and_by_how_much() -> None:
    ranges = {
        "mean": TrainingRange(low=100, high=140, mean=120, deviation=8),
        "spread": TrainingRange(low=20, high=30, mean=25, deviation=2),
    }
    assert find_unlike({"mean": 100 - 8 * MARGIN, "spread": 30 + 2 * MARGIN}, ranges) == ()
    mean, spread = find_unlike({"mean": 60, "spread": 36}, ranges)  # the worst first
    assert (mean.statistic, mean.value, mean.low, mean.high, mean.by) == ("mean", 60, 100, 140, -5)
    assert spread.by == 3
    assert str(mean) == ("mean brightness 60 (training 100 to 140; 5.0 sd below)")
    assert find_unlike({"mean": float("nan")}, ranges) == ()


def test_large_values_are_written_without_an_exponent() -> None:
    unlike = Unlike("sharpness", "sharpness", 28457.2, 67.24, 1261.3, 2.3)
    assert str(unlike) == "sharpness 28,457 (training 67.2 to 1,261; 2.3 sd above)"


def test_training_images_that_are_all_the_same_still_leave_room() -> None:
    ranges = learn_ranges([dict.fromkeys(WATCHED, 200.0)] * 9)
    assert find_unlike(dict.fromkeys(WATCHED, 202.0), ranges) == ()  # 1 % of 200
    assert len(find_unlike(dict.fromkeys(WATCHED, 202.1), ranges)) == len(WATCHED)
    dark = learn_ranges([dict.fromkeys(WATCHED, 10.0)] * 9)
    assert find_unlike(dict.fromkeys(WATCHED, 10.5), dark) == ()  # half a grey level
    assert len(find_unlike(dict.fromkeys(WATCHED, 10.51), dark)) == len(WATCHED)


def test_the_card_holds_what_training_images_say(detector: Detector, metal: Path) -> None:
    held_out = set(detector.card.data["held_out"])
    shape = detector.card.shape
    learnt = [p for p in (metal / "train/good").iterdir() if p.name not in held_out]
    means = [
        np.asarray(
            Image.open(p)
            .convert("L")
            .resize((shape.width, shape.height), Image.Resampling.BILINEAR)
        ).mean()
        for p in learnt
    ]
    known = detector.card.ranges["mean"]
    assert (known.low, known.high) == pytest.approx((min(means), max(means)))
    assert known.mean == pytest.approx(np.mean(means))


def test_no_training_image_is_flagged_and_a_dimmed_one_is(detector: Detector, metal: Path) -> None:
    held_out = set(detector.card.data["held_out"])
    for path in (metal / "train/good").iterdir():
        result = detector.inspect(path)
        if path.name not in held_out:
            assert result.out_of_range == ()
        dimmed = detector.inspect((read_image(path) * 0.4).astype(np.uint8))
        assert {"mean"} <= {unlike.statistic for unlike in dimmed.out_of_range}
        assert all(unlike.by < 0 for unlike in dimmed.out_of_range)
    assert json.dumps(dimmed.to_dict())
    assert dimmed.to_dict()["out_of_range"][0]["statistic"] == dimmed.out_of_range[0].statistic


def test_a_model_without_ranges_loads_and_flags_nothing(
    run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    model = load_model(run_folder)
    old = replace(model, card=model.card.model_copy(update={"ranges": {}}))
    save_model(tmp_path / "old.safetensors", old)
    detector = Detector.load(tmp_path / "old.safetensors")
    result = detector.inspect(np.zeros((64, 64), np.uint8))
    assert (result.out_of_range, result.statistics) == ((), {})


@pytest.mark.parametrize(("images", "rate"), [(10, 0.20), (20, 0.07), (50, 0.015)])
def test_how_often_an_image_like_few_others_is_marked(images: int, rate: float) -> None:
    """docs/evaluation.md names these rates: normal values of five independent statistics."""
    rng, draws, marked = np.random.default_rng(0), 1000, 0
    for _ in range(draws):
        table = rng.normal(100, 20, (images + 1, len(WATCHED)))
        table[:, WATCHED.index("colour")] = 0  # of grey images
        *training, new = (dict(zip(WATCHED, row.tolist(), strict=True)) for row in table)
        marked += bool(find_unlike(new, learn_ranges(training)))
    assert marked / draws == pytest.approx(rate, abs=0.03)
