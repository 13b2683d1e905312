"""Random draws that cover a sorted sequence evenly.

Sorted file names may alternate between views or cameras, so that every second or fourth shows one
alone; and they list lots or series one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def draw(total: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """`count` of the numbers below `total`, each once, in random order; all if there are fewer.

    Stratified: one number from each of `count` equal ranges, so that every series is represented.
    """
    rng = np.random.default_rng((seed, 3))
    count = min(count, total)
    edges = np.arange(count + 1) * total // max(1, count)
    return rng.permutation(rng.integers(edges[:-1], edges[1:]))


def some_of(items: Sequence[T], count: int, seed: int = 0) -> list[T]:
    """`count` items drawn at random, in their original order; all if there are fewer."""
    return [items[number] for number in np.sort(draw(len(items), count, seed))]
