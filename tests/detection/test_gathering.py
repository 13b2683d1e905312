"""What is gathered from views, against a list of all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from burnish.detection.gathering import MOST, FoldedMoments, Folds, SomeViews, some_places
from burnish.detection.view import View


@pytest.mark.parametrize("views", [1, MOST - 1, MOST, MOST + 1, 2 * MOST, 5 * MOST + 7])
def test_kept_views_are_never_too_many_and_rows_belong_together(views: int) -> None:
    kept = SomeViews()
    for number in range(views):
        if kept.wants():
            kept.add(
                number, number=torch.tensor(number), square=torch.full((2, 3), float(number**2))
            )
    numbers = kept["number"].tolist()
    assert len(set(numbers)) == len(numbers) == min(views, MOST)
    assert kept["square"].shape == (len(numbers), 2, 3)
    assert torch.equal(kept["square"][:, 1, 2], (kept["number"].float()) ** 2)
    if views <= MOST:
        assert numbers == list(range(views))


def test_each_view_is_kept_as_often_as_any_other_and_kinds_that_take_turns_alike() -> None:
    """Over many seeds: those that came first, last and in between, of even and of odd number."""
    views, seeds = 3 * MOST, 40
    counts = np.zeros(views)
    for seed in range(seeds):
        kept = SomeViews(seed)
        for number in range(views):
            if kept.wants():
                kept.add(number, number=torch.tensor(number))
        counts[kept["number"].numpy()] += 1
    expected = seeds * MOST / 3
    for group in (counts[:MOST], counts[MOST : 2 * MOST], counts[2 * MOST :]):
        assert abs(group.sum() - expected) < 0.06 * expected
    assert abs(counts[::2].sum() - counts[1::2].sum()) < 0.06 * expected * 3


def test_the_first_view_too_many_takes_a_place_as_often_as_it_should(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("burnish.detection.gathering.MOST", 2)
    counts = np.zeros(3)
    for seed in range(900):
        kept = SomeViews(seed)
        for number in range(3):
            if kept.wants():
                kept.add(number, number=torch.tensor(number))
        counts[kept["number"][:2].numpy()] += 1
    assert counts == pytest.approx(600, abs=60)  # four deviations


OF = [0, 2, 1, 0, 2, 2]  # the folds of six views


def test_all_teach_and_all_but_each_fold() -> None:
    folds = Folds(OF)
    assert folds.count == 3
    assert folds.training_sets == [(0, 1, 2), (1, 2), (0, 2), (0, 1)]
    assert [folds.of(view) for view in range(6)] == OF
    assert Folds().training_sets == [(0,)]
    assert Folds().of(99) == 0


@pytest.mark.parametrize("partly", [False, True])
def test_moments_by_folds_against_numpy(partly: bool) -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(3, 2, (6, 2, 4, 5))
    inside = rng.random((6, 4, 5)) < 0.8 if partly else np.ones((6, 4, 5), bool)
    inside[:, 0, 0] = False  # no view reaches there
    moments = FoldedMoments(Folds(OF), 2, 4, 5)
    for view in range(6):
        moments.add(view, torch.from_numpy(maps[view]), torch.from_numpy(inside[view]))
    for chosen, (mean, deviation) in zip(
        Folds(OF).training_sets, moments.results(0.5), strict=True
    ):
        assert mean.dtype == deviation.dtype == torch.float32
        used = [view for view in range(6) if OF[view] in chosen]
        where = np.broadcast_to(inside[used][:, None], (len(used), 2, 4, 5))
        seen = where.any(axis=(0, 1))
        shown = np.where(where, maps[used], np.nan)[:, :, seen]
        expected, spread = np.nanmean(shown, axis=0), np.nanstd(shown, axis=0)
        usual = spread.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(mean.numpy()[:, seen], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            deviation.numpy()[:, seen], spread + 0.5 * usual, rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(mean.numpy()[:, 0, 0], expected.mean(axis=1), rtol=1e-5)
        np.testing.assert_allclose(deviation.numpy()[:, 0, 0], 1.5 * usual[:, 0], rtol=1e-4)


def test_kept_rows_by_folds() -> None:
    """By the views' own numbers, where some were never offered."""
    kept = SomeViews()
    for view in (0, 2, 3, 5):
        assert kept.wants()
        kept.add(view, number=torch.tensor(view))
    assert kept["number"][kept.of(Folds(OF), (0, 1))].tolist() == [0, 2, 3]
    assert kept["number"][kept.of(Folds(OF), (2,))].tolist() == [5]
    assert kept["number"][kept.of(Folds(), (0,))].tolist() == [0, 2, 3, 5]


def test_the_places_of_a_view_are_its_own() -> None:
    rng = np.random.default_rng(0)
    one, two = (View(rng.integers(0, 256, (1, 8, 9), dtype=np.uint8)) for _ in range(2))
    spots = some_places(one, None, 72, 2000, 0)
    assert torch.equal(some_places(one, None, 72, 2000, 0), spots)
    assert not torch.equal(some_places(two, None, 72, 2000, 0), spots)
    assert not torch.equal(some_places(one, None, 72, 2000, 1), spots)
    assert set(spots.tolist()) == set(range(72))


def test_places_lie_in_the_region_and_hang_on_nothing_outside_it() -> None:
    rng = np.random.default_rng(0)
    inside = rng.random((8, 9)) < 0.3
    pixels = rng.integers(0, 256, (1, 8, 9), dtype=np.uint8)
    found = []
    for image in (pixels, np.where(inside, pixels, 255 - pixels).astype(np.uint8)):
        view = View(image, inside)
        found.append(some_places(view, torch.from_numpy(inside), 72, 2000, 3))
    assert torch.equal(found[0], found[1])
    assert set(found[0].tolist()) == set(np.flatnonzero(inside).tolist())
