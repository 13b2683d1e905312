"""What is gathered from view after view, in memory that does not grow with their number."""

from __future__ import annotations

import torch
from torch import Tensor

from burnish.detection.scorer import View

MOST = 256  # views that are kept something of


def inside_of(view: View, device: torch.device | None = None) -> Tensor | None:
    """The view's region of interest, bool (H, W); None: all of it."""
    return None if view.inside is None else torch.from_numpy(view.inside).to(device)


def some_places(inside: Tensor | None, pixels: int, count: int, rng: torch.Generator) -> Tensor:
    """Numbers of `count` random pixels, of the region where there is one."""
    spots = torch.arange(pixels) if inside is None else inside.flatten().nonzero()[:, 0]
    return spots[torch.randint(len(spots), (count,), generator=rng)]


class EvenViews:
    """Tensors of views that lie evenly among all: when `MOST` are kept, every other one goes, and
    from then on every other view is passed over.

    They are kept in one block a name: small tensors between the large ones of each view would leave
    holes that nothing fits into (40 MB a view, on glibc).
    """

    def __init__(self) -> None:
        self._rows: dict[str, Tensor] = {}
        self._count, self._seen, self._every = 0, 0, 1

    def wants(self) -> bool:
        """Whether the view that comes now is one of them; to be asked once a view."""
        wanted = self._seen % self._every == 0
        self._seen += 1
        if wanted and self._count == MOST:
            for rows in self._rows.values():
                rows[: MOST // 2] = rows[::2].clone()
            self._count, self._every = MOST // 2, 2 * self._every
        return wanted

    def add(self, **rows: Tensor) -> None:
        """Keep these of a wanted view; of each the same names and shapes."""
        for name, row in rows.items():
            if name not in self._rows:
                self._rows[name] = row.new_empty(MOST, *row.shape)
            self._rows[name][self._count] = row
        self._count += 1

    def __getitem__(self, name: str) -> Tensor:
        return self._rows[name][: self._count]


class Moments:
    """Mean and standard deviation by pixel of maps (K, H, W), each of which shows a region."""

    def __init__(self, maps: int, height: int, width: int) -> None:
        self.sums = torch.zeros(2, maps, height, width, dtype=torch.float64)
        self.count = torch.zeros(height, width, dtype=torch.float64)

    def add(self, maps: Tensor, inside: Tensor | None) -> None:
        """Outside the region, bool (H, W), `maps` counts nothing."""
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
        # Where no training view reached into, the map's own average stands in.
        mean = torch.where(seen, mean, typical[:, None, None])
        deviation = torch.where(seen, deviation, spread[:, None, None])
        deviation = deviation + slack * spread[:, None, None] + 1e-12
        return mean.float(), deviation.float()
