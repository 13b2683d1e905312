"""Trivial statistics against numpy, scipy, Pillow and scikit-learn."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from scipy.ndimage import laplace
from sklearn.metrics import roc_auc_score

from burnish.images import statistics
from burnish.images.reader import Header, read_header_bytes
from burnish.images.statistics import (
    STATISTICS,
    auroc,
    bytes_follow_pixels,
    histogram,
    robust_z,
    sharpness,
    statistics_of,
)


@pytest.fixture
def grey() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.clip(rng.normal(120, 40, (83, 61)), 0, 255).astype(np.uint8)


def test_every_statistic_is_described_and_measured(grey: np.ndarray) -> None:
    assert list(statistics_of(grey)) == list(STATISTICS)


def test_brightness_against_numpy(grey: np.ndarray) -> None:
    found = statistics_of(grey, file_bytes=777)
    assert found["mean"] == pytest.approx(grey.mean(), abs=1e-9)
    assert found["spread"] == pytest.approx(grey.std(), abs=1e-9)
    assert found["darkest"] == grey.min()
    assert found["brightest"] == grey.max()
    assert found["dark"] == np.quantile(grey, 0.001, method="inverted_cdf")
    assert found["bright"] == np.quantile(grey, 0.999, method="inverted_cdf")
    assert (found["width"], found["height"], found["area"]) == (61, 83, 61 * 83)
    assert found["file_bytes"] == 777
    assert found["colour"] == 0


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "JPEG", "WEBP"])
def test_bytes_follow_pixels_where_files_are_packed_alike(grey: np.ndarray, format: str) -> None:
    def header(pixels: np.ndarray, format: str = format) -> Header:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format)
        return read_header_bytes(file.getvalue(), "x")

    one, lossless = header(grey), format in ("PNG", "BMP", "TIFF")
    assert bytes_follow_pixels([one, header(255 - grey)]) == lossless
    assert not bytes_follow_pixels([one, header(grey[1:])])
    assert not bytes_follow_pixels([one, header(np.stack([grey] * 3, axis=2))])
    assert not bytes_follow_pixels([one, header(grey, "JPEG" if lossless else "PNG")])
    assert not bytes_follow_pixels([])


def test_corners_are_squares_of_an_eighth(grey: np.ndarray) -> None:
    found = statistics_of(grey)
    assert found["corner_top_left"] == pytest.approx(grey[:7, :7].mean())
    assert found["corner_top_right"] == pytest.approx(grey[:7, -7:].mean())
    assert found["corner_bottom_left"] == pytest.approx(grey[-7:, :7].mean())
    assert found["corner_bottom_right"] == pytest.approx(grey[-7:, -7:].mean())


def test_sharpness_against_scipy(grey: np.ndarray) -> None:
    inside = laplace(grey.astype(float))[1:-1, 1:-1]
    assert sharpness(grey) == pytest.approx(inside.var(), rel=1e-9)


def test_strips_do_not_change_anything(grey: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros(grey.shape, bool)
    mask[20:30, 5:50] = True
    whole, outside = statistics_of(grey), statistics_of(grey, 0, mask)
    monkeypatch.setattr(statistics, "STRIP", 200)  # three rows at a time
    assert statistics_of(grey) == pytest.approx(whole, rel=1e-12)
    assert statistics_of(grey, 0, mask) == pytest.approx(outside, rel=1e-12)


def test_colour_is_measured_on_luma_and_by_range() -> None:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    found = statistics_of(rgb)
    luma = np.asarray(Image.fromarray(rgb).convert("L"))
    assert found["mean"] == pytest.approx(luma.mean())
    assert found["colour"] == pytest.approx(np.ptp(rgb.astype(int), axis=2).mean())


def test_masked_pixels_do_not_count(grey: np.ndarray) -> None:
    mask = np.zeros(grey.shape, bool)
    mask[10:14, 10:30] = True
    marked = grey.copy()
    marked[mask] = 0  # a black scratch
    found = statistics_of(marked, 0, mask)
    kept = grey[~mask]
    assert found["mean"] == pytest.approx(kept.mean())
    assert found["darkest"] == kept.min()
    assert found["bright"] == np.quantile(kept, 0.999, method="inverted_cdf")
    near = np.zeros(mask.shape, bool)
    near[9:15, 10:30] = near[10:14, 9:31] = True  # the Laplacian looks one pixel around
    inside = np.zeros(mask.shape, bool)
    inside[1:-1, 1:-1] = True
    expected = laplace(marked.astype(float))[inside & ~near].var()
    assert found["sharpness"] == pytest.approx(expected, rel=1e-9)


def test_nothing_left_is_nan_and_tiny_images_are_fine() -> None:
    grey = np.full((4, 4), 9, np.uint8)
    assert np.isnan(statistics_of(grey, 0, np.ones((4, 4), bool))["mean"])
    assert np.isnan(statistics_of(grey, 0, np.ones((4, 4), bool))["sharpness"])
    one = statistics_of(np.array([[7]], np.uint8))
    assert (one["mean"], one["spread"], one["sharpness"], one["bright"]) == (7, 0, 0, 7)


def test_histogram_counts_every_pixel_once(grey: np.ndarray) -> None:
    assert np.array_equal(histogram(grey), np.histogram(grey, np.arange(257))[0])


def test_auroc_against_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(2)
    positive, negative = rng.integers(3, 12, 57), rng.integers(0, 9, 91)
    expected = roc_auc_score([1] * 57 + [0] * 91, [*positive, *negative])
    assert auroc(positive, negative) == pytest.approx(expected, abs=1e-12)
    assert auroc(negative, positive) == pytest.approx(1 - expected, abs=1e-12)


def test_auroc_of_nothing_is_nan_and_nans_are_left_out() -> None:
    assert np.isnan(auroc([], [1.0]))
    assert np.isnan(auroc([1.0], [np.nan]))
    assert auroc([2.0, np.nan], [1.0, np.nan, 3.0]) == 0.5


def test_robust_z_against_scipy() -> None:
    rng = np.random.default_rng(3)
    normal, values = rng.normal(50, 4, 300), np.array([50.0, 90.0, np.nan])
    mad = stats.median_abs_deviation(normal)
    expected = (values - np.median(normal)) / (1.4826 * mad)
    np.testing.assert_allclose(robust_z(values, normal), expected, rtol=1e-12)
    assert robust_z([7.0], [5.0, 5.0, 5.0], least=0.5)[0] == pytest.approx(4.0)
