"""One pass over images: what is kept of each, in order, with few in memory."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable

import imagehash
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import median_abs_deviation

from burnish.checks.measure import fine_structure, measure, measure_all, perceptual_hash
from burnish.checks.subject import Subject
from burnish.errors import BurnishError
from burnish.images.statistics import statistics_of


def packed(pixels: np.ndarray, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


def subject(data: bytes, name: str = "a.png", mask: np.ndarray | None = None) -> Subject:
    return Subject(name, "test", "scratch", "", lambda: data, lambda: mask, ".png")


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1])


def test_measure_keeps_digests_statistics_and_mask_facts(
    surface: Callable[[int], np.ndarray],
) -> None:
    pixels, mask = surface(1), np.zeros((96, 96), bool)
    mask[3:5, 10:20] = True
    data = packed(pixels)
    kept = measure(subject(data, mask=mask))
    assert kept.problem == ""
    assert kept.sha256 == hashlib.sha256(data).hexdigest()
    assert kept.statistics == statistics_of(pixels, len(data))
    assert kept.outside == statistics_of(pixels, len(data), mask)
    assert kept.mask is not None
    assert (kept.mask.width, kept.mask.height, kept.mask.marked) == (96, 96, 20)
    assert kept.header is not None
    assert (kept.header.format, kept.header.width) == ("PNG", 96)


def test_pixels_are_equal_however_they_are_packed(surface: Callable[[int], np.ndarray]) -> None:
    pixels = surface(2)
    one, other = (measure(subject(packed(pixels, compress_level=n))) for n in (1, 9))
    assert one.sha256 != other.sha256
    assert one.pixels == other.pixels
    assert measure(subject(packed(pixels.T.copy()))).pixels != one.pixels
    flat = np.zeros((4, 9), np.uint8)  # the same bytes in another shape
    assert measure(subject(packed(flat))).pixels != measure(subject(packed(flat.T.copy()))).pixels


def test_hash_is_the_library_s(surface: Callable[[int], np.ndarray]) -> None:
    pixels = surface(3)
    expected = imagehash.phash(Image.fromarray(pixels), hash_size=16).hash.ravel()
    assert np.array_equal(perceptual_hash(pixels), expected)


def test_fine_structure_is_the_image_less_its_blur(surface: Callable[[int], np.ndarray]) -> None:
    pixels = np.kron(surface(4)[:64, :64], np.ones((2, 2), np.uint8))  # halves exactly
    small = surface(4)[:64, :64].astype(float)
    expected = small - gaussian_filter(small, 1.0)
    most = 3 * median_abs_deviation(expected.ravel(), center=lambda v, axis: 0, scale="normal")
    expected = np.clip(expected, -most, most)
    found = fine_structure(pixels)
    assert found.dtype == np.int8
    np.testing.assert_allclose(found, 127 * (expected - expected.mean()) / (2 * most), atol=0.52)


def test_copies_correlate_and_others_do_not(surface: Callable[[int], np.ndarray]) -> None:
    big = np.asarray(Image.fromarray(surface(5)).resize((700, 700), Image.Resampling.BICUBIC))
    mine = fine_structure(big)
    jpeg = np.asarray(Image.open(io.BytesIO(packed(big, "JPEG", quality=60))))
    half = np.asarray(Image.fromarray(big).resize((350, 350), Image.Resampling.LANCZOS))
    brighter = (big * 0.8 + 30).astype(np.uint8)
    stained = big.copy()
    stained[100:200, 200:210] = 0  # 0.2 % of it
    for copy in (jpeg, half, brighter, stained):
        assert correlation(mine, fine_structure(copy)) > 0.9
    assert abs(correlation(mine, fine_structure(surface(6)))) < 0.2


def test_flat_and_tiny_images_have_no_structure() -> None:
    assert not fine_structure(np.full((300, 200), 77, np.uint8)).any()
    assert fine_structure(np.array([[5]], np.uint8)).shape == (64, 64)
    assert perceptual_hash(np.array([[5]], np.uint8)).shape == (256,)


def test_what_cannot_be_read_is_told(surface: Callable[[int], np.ndarray]) -> None:
    data = packed(surface(7))
    assert "truncated" in measure(subject(data[: len(data) // 2])).problem
    assert "empty" in measure(subject(b"")).problem
    assert "not an image" in measure(subject(b"hello" * 99)).problem
    assert "holds a JPEG, not a PNG" in measure(subject(packed(surface(7), "JPEG"))).problem


def test_a_bad_mask_does_not_hide_the_image(surface: Callable[[int], np.ndarray]) -> None:
    def broken() -> np.ndarray:
        raise BurnishError("m.png is empty (0 bytes)")

    data = packed(surface(8))
    kept = measure(Subject("a.png", "test", "scratch", "", lambda: data, broken))
    assert (kept.problem, kept.mask) == ("", None)
    assert kept.mask_problem == "m.png is empty (0 bytes)"


def test_order_is_kept_and_few_are_ahead(surface: Callable[[int], np.ndarray]) -> None:
    data, lock, started, most = packed(surface(9)), threading.Lock(), 0, 0
    taken = 0

    def load() -> bytes:
        nonlocal started, most
        with lock:
            started += 1
            most = max(most, started - taken)
        return data

    subjects = [Subject(f"{i}", "", "good", "", load, lambda: None) for i in range(200)]
    seen: list[tuple[int, int]] = []
    names = []
    for kept in measure_all(subjects, lambda done, total: seen.append((done, total))):
        taken += 1
        names.append(kept.name)
    assert names == [f"{i}" for i in range(200)]
    assert seen[-1] == (200, 200)
    assert most <= 4 * 8 + 1


def test_leaving_early_stops_the_rest(surface: Callable[[int], np.ndarray]) -> None:
    data, loaded = packed(surface(9)), []

    def load() -> bytes:
        loaded.append(1)
        return data

    subjects = [Subject(f"{i}", "", "good", "", load, lambda: None) for i in range(500)]
    passing = measure_all(subjects)
    next(passing)
    passing.close()  # type: ignore[attr-defined]
    assert len(loaded) < 100


@pytest.mark.parametrize("shape", [(3000, 2000), (257, 5)])
def test_any_shape_is_measured(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    kept = measure(subject(packed(pixels, compress_level=1)))
    assert kept.problem == ""
    assert kept.detail.any()
