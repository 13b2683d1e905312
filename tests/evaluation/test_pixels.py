"""Pixel metrics from bins against scikit-learn and a slow AUPRO over every threshold."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from burnish.errors import BurnishError
from burnish.evaluation import intervals, pixels
from burnish.evaluation.pixels import BINS, Binning, PixelCounter

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
HEAT = (0.2, 1.0)


def slow_aupro(images: list[tuple[Map, Mask | None]], limit: float = 0.3) -> float:
    """Bergmann et al. as written: at every threshold the mean overlap of all regions and the
    false-positive rate; the curve integrated by trapezoids and cut at the limit."""
    regions, unmarked = [], []
    for values, mask in images:
        marked = np.zeros(values.shape, bool) if mask is None else mask
        unmarked.append(values[~marked])
        labels, count = ndimage.label(marked, structure=np.ones((3, 3)))
        regions += [values[labels == i] for i in range(1, count + 1)]
    normal = np.concatenate(unmarked)
    cuts = np.unique(np.concatenate([normal, *regions]))[::-1]
    x = [0.0] + [float((normal >= cut).mean()) for cut in cuts]
    y = [0.0] + [float(np.mean([(r >= cut).mean() for r in regions])) for cut in cuts]
    inside = [(a, b) for a, b in zip(x, y, strict=True) if a <= limit]
    after = next(((a, b) for a, b in zip(x, y, strict=True) if a > limit), None)
    if after is not None:
        a, b = inside[-1]
        inside.append((limit, b + (after[1] - b) * (limit - a) / (after[0] - a)))
    xs, ys = zip(*inside, strict=True)
    return float(np.trapezoid(ys, xs)) / limit


def counted(
    images: list[tuple[Map, Mask | None]], heat: tuple[float, float] = HEAT
) -> PixelCounter:
    counter = PixelCounter(*heat)
    for number, (values, mask) in enumerate(images):
        counter.add("good" if mask is None else "dent", str(number), values, mask)
    return counter


def agree(images: list[tuple[Map, Mask | None]], heat: tuple[float, float], slack: float) -> None:
    found = counted(images, heat).overall()
    scores = np.concatenate([v.ravel() for v, _ in images])
    truth = np.concatenate([np.zeros(v.size, bool) if m is None else m.ravel() for v, m in images])
    assert found.defect_share == pytest.approx(truth.mean())
    if truth.all():
        assert (found.auroc, found.average_precision, found.aupro) == (None, None, None)
        return
    assert found.auroc == pytest.approx(roc_auc_score(truth, scores), abs=slack)
    expected = average_precision_score(truth, scores)
    assert found.average_precision == pytest.approx(expected, abs=slack)
    precision, recall, _ = precision_recall_curve(truth, scores)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max()
    assert found.best_f1 == pytest.approx(best, abs=slack)
    assert found.aupro == pytest.approx(slow_aupro(images), abs=slack)


# A few distinct values, each in a bin of its own: then nothing is lost and all must agree exactly.
LEVELS = arrays(np.float32, (9, 7), elements=st.sampled_from([-50.0, 0.0, 0.25, 1.0, 3.0, 1e6]))
MASKS = arrays(np.bool_, (9, 7))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(LEVELS, st.one_of(st.none(), MASKS)), min_size=1, max_size=4))
def test_tied_and_degenerate_maps_agree_exactly(images: list[tuple[Map, Mask | None]]) -> None:
    images = [(v, m if m is None or m.any() else None) for v, m in images]
    if any(m is not None for _, m in images):
        agree(images, HEAT, 1e-9)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([1e-6, 1.0, 1e6]))
def test_continuous_maps_agree_up_to_the_width_of_a_bin(seed: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    images: list[tuple[Map, Mask | None]] = []
    for number in range(4):
        blobs = ndimage.gaussian_filter(rng.normal(size=(24, 20)), 2) > 0.15
        mask = blobs if number % 2 and blobs.any() else None
        values = rng.normal(size=(24, 20)) + (0 if mask is None else 1.5 * mask)
        images.append(((unit * values).astype(np.float32), mask))
    if any(m is not None for _, m in images):
        agree(images, (unit * 2.0, unit * 4.0), 2e-3)


def test_the_stated_error_bounds_what_the_bins_cost() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 300)).astype(np.float32)
    mask = np.zeros((300, 300), bool)
    mask[100:140, 60:200] = True
    values[mask] += 0.5
    counter = counted([(values, mask)], (2.5, 4.5))
    exact = roc_auc_score(mask.ravel(), values.ravel())
    error = counter.auroc_error()
    assert abs(counter.overall().auroc - exact) <= error < 1e-3  # type: ignore[operator]


def test_bins_keep_the_order_of_all_finite_numbers() -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = np.sort(values[np.isfinite(values)])
    index = Binning.of(*HEAT).index(values)
    assert (np.diff(index) >= 0).all()
    assert index.min() >= 0
    assert index.max() <= BINS - 1


def test_a_bin_begins_at_its_lower_edge() -> None:
    binning = Binning.of(*HEAT)
    for index in (1, 20_000, 32_768, 33_000, 50_000):
        edge = binning.lower_edge(index)
        step = 1e-3 * (binning.lower_edge(index + 1) - edge)
        around = np.array([edge - step, edge + step])
        assert binning.index(around).tolist() == [index - 1, index]  # type: ignore[arg-type]
    at = binning.index(np.float32([1.0]))[0]  # the hottest of a good image
    width = binning.lower_edge(int(at) + 1) - binning.lower_edge(int(at))
    assert width == pytest.approx(0.0014 * (HEAT[1] - HEAT[0]), rel=0.02)


def test_a_region_counts_the_same_whatever_its_size_and_corners_connect() -> None:
    values = np.zeros((20, 20), np.float32)
    mask = np.zeros((20, 20), bool)
    mask[1, 1] = mask[2, 2] = True  # one region: 8-connected
    mask[8:18, 8:18] = True
    values[1, 1] = values[2, 2] = 5.0  # only the small one is found
    counter = counted([(values, mask)])
    found = counter.overall()
    assert found.components == 2
    # half the regions before any false positive, then straight to (1, 1)
    assert found.aupro == pytest.approx((0.5 + (0.5 + 0.5 * 0.3)) / 2)


def test_outside_the_region_of_interest_nothing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(40, 30)).astype(np.float32)
    mask = ndimage.gaussian_filter(rng.normal(size=(40, 30)), 2) > 0.1
    inside = np.zeros((40, 30), bool)
    inside[5:31, 4:22] = True
    monkeypatch.setattr(pixels, "BAND", 100)  # bands of three rows
    counter = PixelCounter(*HEAT)
    counter.add("bad", "p", values, mask, inside)
    counter.add("good", "q", values[::-1], None, inside)
    cut = counted([(values[5:31, 4:22], mask[5:31, 4:22]), (values[::-1][5:31, 4:22], None)])
    assert counter.overall() == cut.overall()


def test_bands_and_boxes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(50, 33)).astype(np.float32)
    mask = rng.random((50, 33)) < 0.1
    whole = counted([(values, mask), (values[::-1], None)]).overall()
    monkeypatch.setattr(pixels, "BAND", 100)
    assert counted([(values, mask), (values[::-1], None)]).overall() == whole


def test_kinds_stand_against_all_good_images() -> None:
    rng = np.random.default_rng(3)
    maps = [rng.normal(size=(16, 16)).astype(np.float32) for _ in range(4)]
    masks = [rng.random((16, 16)) < 0.2 for _ in range(3)]
    counter = PixelCounter(*HEAT)
    counter.add("good", "g", maps[0], None)
    for kind, values, mask in zip("aab", maps[1:], masks, strict=True):
        counter.add(kind, kind, values, mask)
    only_b = counted([(maps[0], None), (maps[3], masks[2])]).overall()
    assert counter.of_kind("b") == only_b
    assert counter.of_kind("c") is None
    assert counter.overall().images == 3


def test_intervals_are_the_slow_loop_over_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of the drawn parts counted again from the pixels, on the fine bins."""
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    rng = np.random.default_rng(4)
    parts = []
    for number in range(8):
        mask = np.zeros((20, 20), bool)
        mask[3:8, 4:12] = number % 4 != 3
        values = rng.normal(size=(20, 20)) + mask * rng.uniform(0, 2.5)
        parts.append((values.astype(np.float32), mask if mask.any() else None))
    counter = counted(parts)
    found = counter.intervals()
    (drawn,) = intervals.draw_parts(8, 1)
    again: dict[str, list[float]] = {name: [] for name in found}
    for counts in drawn:
        chosen = [part for part, count in zip(parts, counts, strict=True) for _ in range(count)]
        one = counted(chosen).overall()
        for name, values in again.items():
            values.append(getattr(one, name))
    for name, values in again.items():
        expected = tuple(np.quantile(values, [0.025, 0.975]))
        assert found[name] == pytest.approx(expected, abs=0.01), name
    assert sum(mask is not None for _, mask in parts[:6]) == 5
    assert set(counted(parts[:6]).intervals()) == set(found)
    assert counted(parts[:5]).intervals() == {}


def test_intervals_lie_round_the_fine_figure_and_within_0_and_1() -> None:
    """Where good images reach far, a coarse bin holds most of what the fine ones tell apart."""
    rng = np.random.default_rng(4)
    mask = np.zeros((20, 20), bool)
    mask[3:8, 4:12] = True
    images = [rng.normal(size=(20, 20)) + 5 * rng.uniform(0.6, 1.4) * mask for _ in range(8)]
    counter = counted([(values.astype(np.float32), mask) for values in images], (0.0, 300.0))
    fine, found = counter.overall(), counter.intervals()
    assert set(found) == {"auroc", "average_precision", "aupro"}
    for name, (low, high) in found.items():
        value = getattr(fine, name)
        assert 0.98 < value < 0.999
        assert 0.9 < low < value < high <= 1


def test_a_figure_that_no_resample_changes_has_no_interval() -> None:
    """As of image figures: eight parts without a fault do not show how parts differ."""
    mask = np.zeros((20, 20), bool)
    mask[3:8, 4:12] = True
    counter = counted([(np.float32(9 * mask), mask)] * 8)
    assert counter.overall().auroc == 1
    assert counter.intervals() == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_is_refused(bad: float) -> None:
    values = np.zeros((4, 4), np.float32)
    values[2, 1] = bad
    with pytest.raises(BurnishError, match="not finite"):
        counted([(values, None)])


def test_a_mask_of_everything_and_no_good_image_have_no_metric() -> None:
    found = counted([(np.ones((4, 4), np.float32), np.ones((4, 4), bool))]).overall()
    assert (found.auroc, found.average_precision, found.aupro) == (None, None, None)
    assert (found.best_f1, found.defect_share) == (1.0, 1.0)
    found = counted([(np.ones((4, 4), np.float32), None)]).overall()
    assert (found.auroc, found.average_precision, found.aupro) == (None, None, None)
    assert (found.best_f1, found.best_f1_threshold, found.defect_share) == (None, None, 0.0)


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(256, 256)).astype(np.float32)
    mask = np.zeros((256, 256), bool)
    mask[20:60, 30:50] = True
    counter = PixelCounter(*HEAT)
    counter.add("dent", "one part", values, mask)
    tracemalloc.start()
    try:
        for _ in range(30):
            counter.add("dent", "one part", values, mask)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000
    assert peak < 12_000_000  # a few 64-bit numbers a pixel of one image, and the bins
