"""Which images are copies of each other: exact ones by digest, near ones by hash and detail.

Names: hash_NK is bool (images, bits), detail_ND is int8 (images, pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DISTANCE = 64  # of 256 bits
LEAST, MOST = 0.90, 0.96  # bounds of the correlation of fine structure that makes a copy
CLOSER = 3.0  # a copy is so many times as close as nearest neighbours usually are
SAMPLE = 500  # images whose nearest neighbours say what is usual
BLOCK = 1024
EVERY, SLACK = 17, 0.35  # a first look at one pixel of 17 is off by 0.06 or so


@dataclass(frozen=True)
class NearPair:
    """Two images (indices, first < second) and how alike they are.

    Attributes:
        correlation: of fine structure, in [-1, 1].
        distance: of perceptual hashes, bits of 256.
    """

    first: int
    second: int
    correlation: float
    distance: int


def same(digests: Sequence[str]) -> list[list[int]]:
    """Groups (two or more indices, ascending) of equal digests, in order of their first."""
    members: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        members.setdefault(digest, []).append(index)
    return [group for group in members.values() if len(group) > 1]


def near_pairs(
    hash_NK: NDArray[np.bool_], detail_ND: NDArray[np.int8]
) -> tuple[list[NearPair], float]:
    """Pairs whose hashes differ in at most 64 of 256 bits and whose fine structure correlates.

    The limit depends on the set, as parts in one pose look alike: a pair must be three times closer
    (1 - correlation) than nearest neighbours of three quarters of the images are; it is kept within
    [0.90, 0.96].

    Args:
        hash_NK, detail_ND: of different images; exact copies are left out before.

    Returns:
        The pairs, closest first, and the correlation asked for.
    """
    count = len(hash_NK)
    if count < 2:
        return [], LEAST
    limit = _limit(detail_ND)
    bits = hash_NK.astype(np.float32) * 2 - 1
    length = hash_NK.shape[1]
    few = np.ascontiguousarray(detail_ND[:, ::EVERY])
    norms, few_norms = _norms(detail_ND), _norms(few)
    pairs = []
    for start in range(0, count, BLOCK):
        agree = bits[start : start + BLOCK] @ bits[start:].T  # length - 2 * distance
        rows, columns = np.nonzero(agree >= length - 2 * MAX_DISTANCE)
        rows, columns = rows[columns > rows], columns[columns > rows]
        distances = ((length - agree[rows, columns]) / 2).round().astype(int)
        rows, columns = rows + start, columns + start
        likely = _correlations(few, few_norms, rows, columns) >= limit - SLACK
        rows, columns, distances = rows[likely], columns[likely], distances[likely]
        close = _correlations(detail_ND, norms, rows, columns)
        for at in np.flatnonzero(close >= limit):
            pair = (int(rows[at]), int(columns[at]), float(close[at]), int(distances[at]))
            pairs.append(NearPair(*pair))
    return sorted(pairs, key=lambda pair: (-pair.correlation, pair.first, pair.second)), limit


def _limit(detail_ND: NDArray[np.int8]) -> float:
    count = len(detail_ND)
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLE])
    unit = _unit(detail_ND[chosen])
    nearest = np.full(len(chosen), -1.0)
    for start in range(0, count, BLOCK):
        alike = unit @ _unit(detail_ND[start : start + BLOCK]).T
        own = np.flatnonzero((chosen >= start) & (chosen < start + BLOCK))
        alike[own, chosen[own] - start] = -1.0
        nearest = np.maximum(nearest, alike.max(axis=1))
    usual = float(np.quantile(nearest, 0.75))
    return float(np.clip(1 - (1 - usual) / CLOSER, LEAST, MOST))


def _correlations(
    detail_ND: NDArray[np.int8],
    norms: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float32]:
    found = np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        left, right = rows[start : start + BLOCK], columns[start : start + BLOCK]
        products = np.einsum("nd,nd->n", detail_ND[left], detail_ND[right], dtype=np.float32)
        found[start : start + BLOCK] = products / np.maximum(norms[left] * norms[right], 1e-9)
    return found


def _norms(detail_ND: NDArray[np.int8]) -> NDArray[np.float32]:
    squares = np.einsum("nd,nd->n", detail_ND, detail_ND, dtype=np.float32)
    return np.asarray(np.sqrt(squares), np.float32)


def _unit(detail_ND: NDArray[np.int8]) -> NDArray[np.float32]:
    wide = detail_ND.astype(np.float32)
    return wide / np.maximum(np.sqrt(np.square(wide).sum(axis=1, keepdims=True)), 1e-9)
