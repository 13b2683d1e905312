"""Some of many, drawn at random: names in order show views, cameras or lots in turns, so that every
second or fourth of them may be of one kind alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def draw(total: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """`count` of the numbers below `total` in random order, each once; all if they are fewer."""
    return np.random.default_rng((seed, 3)).permutation(total)[:count]


def some_of(items: Sequence[T], count: int, seed: int = 0) -> list[T]:
    """`count` items, drawn at random, in the order they lie in; all if they are fewer."""
    return [items[number] for number in np.sort(draw(len(items), count, seed))]
