"""Statistics accumulated over views, in memory that does not grow with their number."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from burnish.detection.view import View

MOST = 256  # views of which tensors are kept
Views = Callable[[], Iterable[View]]
"""Yields the same good training views in the same order at every call."""


def some_places(view: View, inside: Tensor | None, pixels: int, count: int, seed: int) -> Tensor:
    """Indices of `count` random pixels, int64 (count,), of the region if there is one.

    The seed is a hash of the view's own pixels: the draw does not depend on the other views.

    Args:
        inside: bool, of `pixels` values; None: all count.
    """
    levels = view.pixels if view.inside is None else np.where(view.inside, view.pixels, 0)
    rng = torch.Generator().manual_seed(zlib.crc32(levels.tobytes(), seed))
    spots = torch.arange(pixels) if inside is None else inside.flatten().nonzero()[:, 0]
    return spots[torch.randint(len(spots), (count,), generator=rng)]


class Folds:
    """Which views are learnt from: all together, and for cross-fitting all but each fold in turn.

    Args:
        of: the fold of every view, in their order, from 0; None: no cross-fitting.

    Attributes:
        training_sets: the folds of each: all; all but the first; all but the second; ...
    """

    def __init__(self, of: Sequence[int] | None = None) -> None:
        self._of = of
        self.count = 1 if of is None else max(of) + 1
        every = range(self.count)
        self.training_sets = [tuple(every)]
        if of is not None:
            self.training_sets += [tuple(fold for fold in every if fold != out) for out in every]

    def of(self, view: int) -> int:
        """The fold of a view, by its number."""
        return 0 if self._of is None else self._of[view]


class SomeViews:
    """Tensors of views drawn evenly from all that come (reservoir sampling, Vitter 1985).

    Each name has one block of memory: small tensors allocated between the large ones of each view
    would fragment the heap (40 MB a view, on glibc).
    """

    def __init__(self, seed: int = 0) -> None:
        self._rows: dict[str, Tensor] = {}
        self._rng = np.random.default_rng((seed, 5))
        self._seen, self._place = 0, 0
        self._views: dict[int, int] = {}  # the number of the one at each place

    def wants(self) -> bool:
        """Whether to keep the next view; call it exactly once per view."""
        fits = self._seen < MOST
        self._place = self._seen if fits else int(self._rng.integers(self._seen + 1))
        self._seen += 1
        return self._place < MOST

    def add(self, view: int, **rows: Tensor) -> None:
        """Keep tensors of a wanted view, by its number; names and shapes are the same for all."""
        for name, row in rows.items():
            if name not in self._rows:
                self._rows[name] = row.new_empty(MOST, *row.shape)
            self._rows[name][self._place] = row
        self._views[self._place] = view

    def of(self, folds: Folds, chosen: Sequence[int]) -> Tensor:
        """bool (N,): which rows are of the folds chosen."""
        return torch.tensor([folds.of(self._views[row]) in chosen for row in range(len(self))])

    def __len__(self) -> int:
        return min(self._seen, MOST)

    def __getitem__(self, name: str) -> Tensor:
        return self._rows[name][: self._seen]


class Moments:
    """Mean and standard deviation per pixel of maps (K, H, W), each known inside a region."""

    def __init__(self, maps: int, height: int, width: int) -> None:
        self.sums = torch.zeros(2, maps, height, width, dtype=torch.float64)
        self.count = torch.zeros(height, width, dtype=torch.float64)

    def add(self, maps: Tensor, inside: Tensor | None) -> None:
        """Add maps (K, H, W); those outside the region, bool (H, W), do not count."""
        values = maps.double().cpu()
        if inside is not None:
            values = values.masked_fill(~inside, 0.0)
        self.sums[0] += values
        self.sums[1] += values.square()
        self.count += 1.0 if inside is None else inside.double()

    def result(self, slack: float) -> tuple[Tensor, Tensor]:
        """Mean and deviation, float32; `slack` of the map's mean deviation is added to each."""
        mean, square = self.sums / self.count.clamp_min(1)
        deviation = (square - mean**2).clamp_min(0).sqrt()
        seen = self.count > 0
        typical, spread = (values[:, seen].mean(dim=1) for values in (mean, deviation))
        # The map's own average stands in where no training view has a region.
        mean = torch.where(seen, mean, typical[:, None, None])
        deviation = torch.where(seen, deviation, spread[:, None, None])
        deviation = deviation + slack * spread[:, None, None] + 1e-12
        return mean.float(), deviation.float()


class FoldedMoments:
    """`Moments` of every training set of `Folds.training_sets`; each view is added once."""

    def __init__(self, folds: Folds, maps: int, height: int, width: int) -> None:
        self._folds = folds
        self._moments = [Moments(maps, height, width) for _ in range(folds.count)]

    def add(self, view: int, maps: Tensor, inside: Tensor | None) -> None:
        """`Moments.add`, of the view with this number."""
        self._moments[self._folds.of(view)].add(maps, inside)

    def results(self, slack: float) -> Iterator[tuple[Tensor, Tensor]]:
        """`Moments.result` of each of `Folds.training_sets`."""
        for chosen in self._folds.training_sets:
            together = Moments(*self._moments[0].sums.shape[1:])
            for fold in chosen:
                together.sums += self._moments[fold].sums
                together.count += self._moments[fold].count
            yield together.result(slack)
