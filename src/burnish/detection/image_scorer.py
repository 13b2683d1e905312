"""Whole images: one view, or tiles stitched together. Calibration and inspection share this path.

A *prepared* image is uint8 (C, H, W) with the model's channels: at the model's size with
`tile=full`, at its own with tiles. Where parts are aligned it has a channel more, see `View.of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.detection.calibration import Calibration, part_weights, ranked
from burnish.detection.scorer import Scorer
from burnish.detection.view import View
from burnish.errors import BrokenModel
from burnish.images.roi import Region, regions_at
from burnish.images.tiles import Grid, Tile, cut, tiles_within
from burnish.sampling import draw
from burnish.settings import Settings
from burnish.training.samples import Images

MEASURED_TILES = 1000  # tiles that mu and sigma are measured on, of all held-out images
QUANTILE_PIXELS = 1_000_000


@dataclass(frozen=True)
class ScoredImage:
    """One image: score, index of the mask scale that stands out, the score of each map alone,
    float32 (H, W) map and uint8 (C, H, W) reconstruction at the size of the prepared image."""

    score: float
    scale: int
    scale_scores: tuple[float, ...]
    anomaly_map: NDArray[np.float32]
    reconstruction: NDArray[np.uint8]


def check_finite(scored: ScoredImage, name: str) -> None:
    """Refuse a score that is no number, which would not exceed the threshold: a broken part would
    be called good.

    Raises:
        BrokenModel: it is not finite, or that of one map is not.
    """
    if not np.isfinite([scored.score, *scored.scale_scores]).all():
        raise BrokenModel(
            f"{name}: the score is no finite number ({scored.score}). The model or this machine is "
            "broken: try another machine, then train the model again"
        )


class ImageScorer:
    """Cuts an image into views, scores each and puts the results together.

    An image is as bad as its worst tile: a mean over the whole of a big part would drown a flaw of
    a few pixels. One tile at a time is in work, so memory grows only by the map itself.

    Args:
        roi: region of interest at any size of the images' shape; None: everything.
    """

    def __init__(self, scorer: Scorer, settings: Settings, roi: Region | None = None) -> None:
        self.scorer, self.settings = scorer, settings
        self._region_at = regions_at(roi)

    def region(self, height: int, width: int) -> Region | None:
        """The region of interest at the size of an image: bool (height, width), or None."""
        return self._region_at(height, width)

    def grid(self, height: int, width: int) -> Grid:
        """The tiles of an image; only with tiles."""
        assert self.settings.tile != "full"
        return Grid.of(height, width, self.settings.tile, self.settings.overlap)

    def views(self, image: NDArray[np.uint8]) -> Iterator[tuple[Tile, View]]:
        """Every view of a prepared image that holds a pixel of the region."""
        side = self.settings.tile
        for tile, inside in self._tiles(*image.shape[1:]):
            pixels = image if side == "full" else cut(image, tile.top, tile.left, side)
            yield tile, View.of(pixels, self.scorer.shape.channels, inside)

    def _tiles(self, height: int, width: int) -> Iterator[tuple[Tile, Region | None]]:
        """Where each view of an image lies, and the region in it."""
        region = self.region(height, width)
        if self.settings.tile == "full":
            return iter([(Tile(0, 0, 0, 0), region)])
        return tiles_within(self.grid(height, width), region)

    def score(self, image: NDArray[np.uint8], mu: Tensor, sigma: Tensor) -> ScoredImage:
        """Score a prepared image against the references mu and sigma (S,)."""
        if self.settings.tile == "full":
            _, view = next(self.views(image))
            scored = self.scorer.score(view, mu, sigma)
            painted = _grey_levels(scored.reconstruction).cpu().numpy()
            anomaly_map = scored.anomaly_map.cpu().numpy()
            return ScoredImage(
                scored.score, scored.scale, scored.scale_scores, anomaly_map, painted
            )
        return self._stitch(image, mu, sigma)

    def _stitch(self, image: NDArray[np.uint8], mu: Tensor, sigma: Tensor) -> ScoredImage:
        channels, height, width = image.shape
        grid = self.grid(height, width)
        side = grid.tile
        anomaly_map = np.zeros((height, width), dtype=np.float32)
        painted = np.empty_like(image)
        # The reconstruction is blended in float for one row of tiles at a time.
        band = np.zeros((channels, side, width), dtype=np.float32)
        current, worst, scale = 0, -np.inf, 0
        by_scale = np.full(len(mu), -np.inf)
        for tile, view in self.views(image):
            while current < tile.row:
                self._finish(painted, band, grid, current)
                current += 1
            scored = self.scorer.score(view, mu, sigma)
            if scored.score > worst:
                worst, scale = scored.score, scored.scale
            by_scale = np.maximum(by_scale, scored.scale_scores)
            rows, columns = min(side, height - tile.top), min(side, width - tile.left)
            weight = grid.weights(tile)[:rows, :columns]
            across = slice(tile.left, tile.left + columns)
            part = scored.anomaly_map.cpu().numpy()[:rows, :columns]
            anomaly_map[tile.top : tile.top + rows, across] += weight * part
            levels = (scored.reconstruction.clamp(-1, 1) + 1).mul(127.5).cpu().numpy()
            band[:, :rows, across] += weight * levels[:, :rows, :columns]
        for row in range(current, len(grid.rows)):
            self._finish(painted, band, grid, row)
        region = self.region(height, width)
        if region is not None:  # what no tile covers lies outside of it
            anomaly_map[~region] = anomaly_map[region].min()
            np.copyto(painted, image, where=~region)
        return ScoredImage(float(worst), scale, tuple(by_scale.tolist()), anomaly_map, painted)

    @staticmethod
    def _finish(
        painted: NDArray[np.uint8], band: NDArray[np.float32], grid: Grid, row: int
    ) -> None:
        """Write the rows that no later tile touches; move the rest of the band up."""
        top = grid.rows[row]
        bottom = grid.rows[row + 1] if row + 1 < len(grid.rows) else grid.height
        done = bottom - top
        painted[:, top:bottom] = np.rint(band[:, :done]).clip(0, 255)
        band[:, : grid.tile - done] = band[:, done:].copy()
        band[:, grid.tile - done :] = 0

    def calibrate(
        self,
        images: Images,
        tick: Callable[[], None] = lambda: None,
        parts: Sequence[str] | None = None,
    ) -> tuple[Calibration, list[float]]:
        """Calibrate on good prepared images, one in memory at a time.

        Args:
            parts: what part each image shows; None: every image a part of its own.
            tick: called after every image of each pass (`calibration_passes`).

        Returns:
            The calibration, and the score of each image.

        Raises:
            BrokenModel: a score is not finite.
        """
        mu, sigma = self.scorer.units or self._measure_references(images, tick)
        references = self.scorer.references(mu, sigma)
        scores, peaks, quantiles = [], [], []
        for index in range(len(images)):
            scored = self.score(images[index], *references)
            check_finite(scored, f"held-out image {index + 1}")
            region = self.region(*scored.anomaly_map.shape)
            values = scored.anomaly_map.ravel() if region is None else scored.anomaly_map[region]
            scores.append(scored.score)
            peaks.append(float(values.max()))
            sample = values[:: max(1, values.size // QUANTILE_PIXELS)]
            quantiles.append(float(np.quantile(sample, 0.99)))
            tick()
        weights = None
        if parts is not None and len(set(parts)) < len(parts):
            weights = part_weights(parts)
        ascending, score_weights = ranked(scores, weights)
        rising, peak_weights = ranked(peaks, weights)
        calibration = Calibration(
            mu=tuple(mu),
            sigma=tuple(sigma),
            scores=ascending,
            peaks=rising,
            heat_low=float(np.median(quantiles)),
            false_alarms=self.settings.false_alarms,
            parts=len(scores if parts is None else set(parts)),
            score_weights=score_weights,
            peak_weights=peak_weights,
        )
        return calibration, scores

    @property
    def calibration_passes(self) -> int:
        """How often `calibrate` goes through the images: where the scorer has units of its own,
        there is nothing to measure before they are scored."""
        return 1 if self.scorer.units else 2

    def _measure_references(
        self, images: Images, tick: Callable[[], None]
    ) -> tuple[list[float], list[float]]:
        """mu and sigma of each map over the pixels of all images, or of some of their tiles."""
        sums = torch.zeros(2, self.scorer.maps, dtype=torch.float64)
        pixels, seen = 0, 0
        total = most = len(images)
        if self.settings.tile != "full":
            sizes = (images[index].shape[1:] for index in range(len(images)))
            total, most = sum(1 for size in sizes for _ in self._tiles(*size)), MEASURED_TILES
        chosen = set(draw(total, most, self.settings.seed).tolist())
        for index in range(len(images)):
            for _, view in self.views(images[index]):
                seen += 1
                if seen - 1 not in chosen:
                    continue
                errors = self.scorer.evidence(view).errors[0].double().cpu().flatten(1)
                if view.inside is not None:
                    errors = errors[:, torch.from_numpy(view.inside).flatten()]
                sums += torch.stack([errors.sum(1), errors.square().sum(1)])
                pixels += errors.shape[1]
            tick()
        mean, square = sums / pixels
        deviation = (square - mean**2).clamp_min(1e-20).sqrt()
        return mean.tolist(), deviation.tolist()


def _grey_levels(image: Tensor) -> Tensor:
    """[-1, 1] -> uint8."""
    return (image.clamp(-1, 1) + 1).mul(127.5).round().byte()
