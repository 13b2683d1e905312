"""`InspectionGraph` of models that inspect tiles.

The number of tiles depends on the image's size, so they are the rounds of a loop: memory grows with
their results (the maps, until they are stitched together), not with the work on each.

Shapes: C channels, H x W image, T tile side, N tiles.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan_op
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from burnish.detection.model_file import Model
from burnish.export.graph import InspectionGraph, Seen, least_size, lowest
from burnish.export.view import Judged
from burnish.images.tiles import ramp


def spread(numbers: Tensor, length: int, tile: int, count: int) -> Tensor:
    """First pixels of tiles along one side as `tiles.starts` has them, of sizes that may be open.

    Args:
        numbers: int64 (n,), indices of tiles along the side.
        count: number of tiles along the side.
    """
    gaps = (torch.zeros((), dtype=torch.int64) + count - 1).clamp_min(1)
    reach = numbers * (length - tile)
    whole = reach // gaps
    twice_rest = 2 * (reach - whole * gaps)
    odd = whole - whole // 2 * 2
    up = twice_rest + odd > gaps  # rounds halves to even, as `round` does
    return whole + up.to(torch.int64)


def mirrored(places: Tensor, length: Tensor | int) -> Tensor:
    """Index of the pixel at each place along a side, as `tiles.cut` fills a tile: int64 (n,)."""
    places = places - places // (2 * length) * (2 * length)
    return torch.minimum(places, 2 * length - 1 - places)


class TiledGraph(InspectionGraph):
    """For images of any size; of a tile's size or more if no training image was smaller.

    Attributes:
        masked: whether tiles of small images are filled up, and filled pixels ignored like those
            outside the region of interest. Judging a tile then takes longer.
    """

    ramp: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        assert self.settings.tile != "full"
        self.tile, self.overlap = self.settings.tile, self.settings.overlap
        self.masked = least_size(model.card) == 1
        self.register_buffer("ramp", torch.from_numpy(ramp(self.tile)))
        self.judge = self._traced_view()

    def _held(self) -> dict[str, Tensor]:
        """All tensors that judging a tile needs beside its pixels, by their names in the view; no
        two share memory, as a loop requires."""
        tensors = dict([*self.view.named_parameters(), *self.view.named_buffers()])
        return tensors | {name: one.clone() for name, one in self.view.stretched().items()}

    def _traced_view(self) -> torch.fx.GraphModule:
        """The view with `_held` as its inputs. Filters that it caches become buffers, so that they
        can be passed to the loop, which may use nothing that was not passed to it."""
        names = list(self._held())

        def judge(*given: Tensor) -> tuple[Tensor, ...]:
            values, seen = given[: len(names)], given[len(names) :]
            held = dict(zip(names, values, strict=True))
            return tuple(functional_call(self.view, held, seen))

        levels = torch.zeros(self.shape.channels, self.tile, self.tile)
        inside = [torch.ones(self.tile, self.tile, dtype=torch.bool)] if self.masked else []
        given = (*self._held().values(), levels, *inside)
        with torch.no_grad():
            judge(*given)  # fills the caches of filters, which must not hold traced tensors
            return make_fx(judge, pre_dispatch=True)(*given)

    def inspect(self, image: Tensor) -> Seen:
        height, width = image.shape[1:]
        side, step = self.tile, self.tile - self.overlap
        sizes = [torch.sym_max(n, side) if self.masked else n for n in (height, width)]
        down, across = ((size - self.overlap + step - 1) // step for size in sizes)
        numbers = torch.arange(down * across)
        row = numbers // across
        tops = spread(row, height, side, down)
        lefts = spread(numbers - row * across, width, side, across)
        region = self.region(height, width) if self.has_roi else None
        score, scale, alone, *maps = self._judged(image, region, tops, lefts)
        rows, columns = (first[:, None] + torch.arange(side) for first in (tops, lefts))
        if self.masked:
            rows, columns = mirrored(rows, height), mirrored(columns, width)
        places = (rows[:, :, None] * width + columns[:, None]).flatten()

        weights = self._weights(height, down)[:, None] @ self._weights(width, across)[None]

        def stitch(values: Tensor) -> Tensor:
            blank = torch.zeros(height * width)
            return blank.scatter_add(0, places, values.flatten()).reshape(height, width) / weights

        anomaly_map, *channels = (stitch(values) for values in maps)
        levels = torch.stack(channels).round().clamp(0, 255)
        if region is not None:
            anomaly_map = torch.where(region, anomaly_map, lowest(anomaly_map, region))
            levels = torch.where(region, levels, image)
        worst = score.argmax(dim=0)[None]
        # 0, or NaN if a tile has it, which OpenVINO's maximum drops; -inf are tiles outside.
        broken = torch.where(score != -torch.inf, score - score, 0.0).sum(dim=0)
        return Seen(
            score.amax(dim=0) + broken,
            anomaly_map,
            levels,
            scale.index_select(0, worst)[0],
            alone.amax(dim=0),
            anomaly_map.clone(),
        )

    def _weights(self, length: int, count: int) -> Tensor:
        """The summed weight of all tiles along a side at each of its pixels, (length,)."""
        numbers = torch.arange(count * self.tile)
        tiles = numbers // self.tile
        within = numbers - tiles * self.tile
        places, ramp = spread(tiles, length, self.tile, count) + within, self.ramp[within]
        if self.masked:
            ramp = torch.where(places < length, ramp, 0.0)
            places = mirrored(places, length)
        return torch.zeros(length).scatter_add(0, places, ramp)

    def _judged(
        self, image: Tensor, region: Tensor | None, tops: Tensor, lefts: Tensor
    ) -> tuple[Tensor, ...]:
        """Of every tile: score (N,), mask scale (N,), each map's score (N, M); and, (N, T, T) each
        and times the ramp both ways, its anomaly map and every channel of its reconstruction."""
        held, filters = self._held(), dict(self.judge.named_buffers())
        size = [torch.zeros((), dtype=torch.int64) + n for n in image.shape[1:]]

        def judge(carried: Tensor, top: Tensor, left: Tensor, *given: Tensor) -> list[Tensor]:
            values, more = given[: len(held)], given[len(held) :]
            known = dict(zip(filters, more[: len(filters)], strict=True))
            height, width, ramp, image, *regions = more[len(filters) :]
            ramp = ramp[:, None] * ramp
            rows, columns = top + torch.arange(self.tile), left + torch.arange(self.tile)
            seen = []
            if self.masked:
                inside = (rows < height)[:, None] & (columns < width)
                rows, columns = mirrored(rows, height), mirrored(columns, width)
                ramp = torch.where(inside, ramp, 0.0)
                for one in regions:
                    inside = inside & one.index_select(0, rows).index_select(1, columns)
                seen = [inside]
            levels = image.index_select(1, rows).index_select(2, columns)
            found = Judged(*functional_call(self.judge, known, (*values, levels, *seen)))
            score, alone, anomaly_map = found.score, found.alone, found.anomaly_map
            if self.masked:  # tiles outside the region do not count
                score, alone = (torch.where(inside.any(), x, -torch.inf) for x in (score, alone))
                anomaly_map = torch.where(inside, anomaly_map, 0.0)
            maps = [ramp * anomaly_map, *(ramp * found.levels).unbind()]
            return [x.clone() for x in (carried, score, found.scale, alone, *maps)]

        given = [*held.values(), *filters.values(), *size, self.ramp, image]
        given += [] if region is None else [region]
        nothing = [torch.zeros(1)]  # a scan must carry a state
        return tuple(scan_op(judge, nothing, [tops, lefts], tuple(given))[1:])
