"""Training samples: whole images at the model's size, or crops at the images' own resolution.

Shapes: B batch, C channels, H x W the model's input. Images stay where they are (a memory-mapped
cache); only the batch at hand is copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.images.roi import Region, regions_at
from burnish.images.tiles import cut, cut_region
from burnish.sampling import draw

Pixels = NDArray[np.uint8]
CANDIDATES = 16  # places tried for a crop before the fullest of them is taken
ENOUGH = 0.25  # share of a crop that must lie in the region of interest


class Images(Protocol):
    """Prepared images, uint8 (C, h, w), by index."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Pixels: ...


@dataclass(frozen=True)
class Samples:
    """Training images, whole or as crops, by number of the sample.

    Attributes:
        images: all prepared images, of which only `chosen` are ever drawn.
        tile: "full", or the side of the crops in px.
        roi: region of interest, at any size of the images' shape.
        mirrored: whether mirrored images look like good ones, as far as is known.
    """

    images: Images
    chosen: Sequence[int]
    tile: Literal["full"] | int = "full"
    roi: Region | None = None
    mirrored: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a sample."""
        channels, height, width = self.images[self.chosen[0]].shape
        return (
            (channels, height, width) if self.tile == "full" else (channels, self.tile, self.tile)
        )

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The index of each sample's image: once each, or as often as tiles needed to cover it."""
        if self.tile == "full":
            return np.asarray(self.chosen, dtype=np.int64)
        sizes = [self.images[index].shape[1:] for index in self.chosen]
        covers = [math.ceil(h / self.tile) * math.ceil(w / self.tile) for h, w in sizes]
        return np.repeat(np.asarray(self.chosen, dtype=np.int64), covers)

    def __len__(self) -> int:
        """Samples in an epoch."""
        return len(self.owners)

    def batch(
        self, numbers: Sequence[int] | NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Pixels, NDArray[np.bool_] | None]:
        """uint8 (B, C, H, W) and the region, bool (B, 1, H, W), or None where all counts.

        Args:
            rng: draws the place of each crop.
        """
        drawn = [self._sample(int(self.owners[number]), rng) for number in numbers]
        pixels = np.stack([piece for piece, _ in drawn])
        if all(inside is None for _, inside in drawn):
            return pixels, None
        whole = np.ones(self.shape[1:], dtype=np.bool_)
        regions = [whole if inside is None else inside for _, inside in drawn]
        return pixels, np.stack(regions)[:, None]

    def references(self, count: int, seed: int) -> Iterator[tuple[int, Pixels, Region | None]]:
        """`count` samples to measure typical errors on (all if there are fewer), one at a time in
        random order, each with the index of its image."""
        rng = np.random.default_rng((seed, 3))
        for number in draw(len(self), count, seed):
            owner = int(self.owners[number])
            yield owner, *self._sample(owner, rng)

    def _sample(self, index: int, rng: np.random.Generator) -> tuple[Pixels, Region | None]:
        image = self.images[index]
        size = (image.shape[1], image.shape[2])
        region = self._region_at(*size)
        if self.tile == "full":
            return image, region
        top, left, inside = self._place(size, region, self.tile, rng)
        return cut(image, top, left, self.tile), inside

    @staticmethod
    def _place(
        size: tuple[int, int], region: Region | None, tile: int, rng: np.random.Generator
    ) -> tuple[int, int, Region | None]:
        """Draw where to crop: anywhere, borders included, if enough of the region is inside."""
        best: tuple[float, int, int, Region | None] = (-1.0, 0, 0, None)
        for _ in range(CANDIDATES):
            # Drawn a little beyond the border and moved back, so that borders are seen as often.
            reach = [(side - tile, tile // 4) for side in size]
            top, left = (
                int(np.clip(rng.integers(-beyond, last + beyond + 1), 0, last)) if last > 0 else 0
                for last, beyond in reach
            )
            inside = cut_region(region, top, left, tile, size)
            share = 1.0 if inside is None or region is None else float(inside.mean())
            if share > best[0]:
                best = (share, top, left, inside)
            if share >= ENOUGH:
                break
        if best[0] > 0 or region is None or not region.any():
            return best[1], best[2], best[3]
        seen = np.flatnonzero(region)  # none of the crops held it: one round a pixel of the region
        pixel = divmod(int(rng.choice(seen)), size[1])
        top, left = (
            min(max(at - tile // 2, 0), max(side - tile, 0))
            for at, side in zip(pixel, size, strict=True)
        )
        return top, left, cut_region(region, top, left, tile, size)

    @cached_property
    def _region_at(self) -> Callable[[int, int], Region | None]:
        return regions_at(self.roi)
