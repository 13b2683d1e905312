"""Copies: groups of digests, and the search for near ones against a slow obvious one."""

from __future__ import annotations

import time

import numpy as np
import pytest

from burnish.checks import duplicates
from burnish.checks.duplicates import near_pairs, same


def slow_pairs(hashes: np.ndarray, details: np.ndarray, limit: float) -> set[tuple[int, int]]:
    pairs = set()
    for i in range(len(hashes)):
        for j in range(i + 1, len(hashes)):
            one, other = details[i].astype(float), details[j].astype(float)
            alike = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
            if (hashes[i] != hashes[j]).sum() <= 64 and alike >= limit:
                pairs.add((i, j))
    return pairs


def population(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes and details of unrelated images, and noisy copies of some of them behind."""
    rng = np.random.default_rng(seed)
    hashes = rng.random((count, 256)) < 0.5
    details = rng.normal(0, 35, (count, 4096))
    copies = rng.choice(count, count // 8, replace=False)
    flips = rng.random((len(copies), 256)) < rng.choice([0.02, 0.35], (len(copies), 1))
    noise = rng.normal(0, 1, (len(copies), 4096)) * rng.choice([4, 25], (len(copies), 1))
    hashes = np.concatenate((hashes, hashes[copies] ^ flips))
    details = np.concatenate((details, details[copies] + noise))
    return hashes, np.clip(details, -127, 127).astype(np.int8)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pairs_are_those_of_the_slow_search(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", 50)  # pairs across blocks must not be lost
    hashes, details = population(160, seed)
    pairs, limit = near_pairs(hashes, details)
    expected = slow_pairs(hashes, details, limit)
    assert {(pair.first, pair.second) for pair in pairs} == expected
    assert len(expected) > 2
    assert [p.correlation for p in pairs] == sorted((p.correlation for p in pairs), reverse=True)
    for pair in pairs:
        assert pair.distance == (hashes[pair.first] != hashes[pair.second]).sum()
        one, other = details[[pair.first, pair.second]].astype(float)
        expected_r = one @ other / np.sqrt((one @ one) * (other @ other))
        assert pair.correlation == pytest.approx(expected_r, abs=1e-5)


def test_the_limit_rises_where_all_look_alike() -> None:
    rng = np.random.default_rng(7)
    common, own = rng.normal(0, 35, 4096), rng.normal(0, 15, (60, 4096))
    alike = np.clip(common + own, -127, 127).astype(np.int8)
    hashes = np.zeros((60, 256), bool)  # as close as can be
    pairs, limit = near_pairs(hashes, alike)
    # Any two share 35^2 of 35^2 + 15^2 of their variance: 0.845; a third of the way from 1.
    assert limit == pytest.approx(1 - (1 - 0.85) / 3, abs=0.01)
    assert pairs == []
    copy = np.clip(alike[:1].astype(float) + rng.normal(0, 3, (1, 4096)), -127, 127)
    pairs, _ = near_pairs(np.zeros((61, 256), bool), np.concatenate((alike, copy.astype(np.int8))))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 60)]


def test_flat_images_are_like_nothing() -> None:
    assert near_pairs(np.zeros((9, 256), bool), np.zeros((9, 4096), np.int8))[0] == []


def test_none_or_one_image_has_no_pairs() -> None:
    assert near_pairs(np.zeros((0, 256), bool), np.zeros((0, 4096), np.int8))[0] == []
    assert near_pairs(np.zeros((1, 256), bool), np.ones((1, 4096), np.int8))[0] == []


def test_same_groups_in_order_of_their_first() -> None:
    assert same(["b", "a", "c", "a", "b", "a"]) == [[0, 4], [1, 3, 5]]
    assert same([]) == []


@pytest.mark.slow
def test_ten_thousand_images_in_seconds() -> None:
    rng = np.random.default_rng(4)
    hashes = rng.random((10_000, 256)) < 0.5
    details = rng.integers(-127, 128, (10_000, 4096), dtype=np.int8)
    start = time.perf_counter()
    pairs, _ = near_pairs(hashes, details)
    assert time.perf_counter() - start < 30  # 4 s on one idle core
    assert pairs == []
