"""Pixel-level metrics in constant memory: pixels are counted by score, in bins, image by image.

All metrics follow from three histograms: unmarked pixels, marked pixels, and marked pixels each
counting 1 / (pixels of its region). Scores of one bin count as ties. The bins are fixed before the
first image: 65,536 of equal width in asinh((score - low) / unit), which is linear where good pixels
lie and logarithmic beyond, and covers every number. `low` is the value that 99 % of good pixels lie
below; a bin at the hottest pixel of the median held-out good image has 0.14 % of its distance from
`low`. `auroc_error` bounds the error of the bins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from burnish.errors import BurnishError
from burnish.evaluation import ranking
from burnish.evaluation.intervals import MIN_PARTS, bootstrap
from burnish.evaluation.rows import Interval, PixelMetrics

BINS = 1 << 16
COARSE = 1 << 11  # bins kept for each part, for intervals
REACH = 45.0  # asinh of the outermost bins: 10^19 units
FINENESS = 8.0  # units from the bulk of good pixels to the hottest of a good image
BAND = 1 << 20  # pixels worked on at a time
AUPRO_LIMIT = 0.3  # false-positive rate, by convention


@dataclass(frozen=True)
class Binning:
    """Which bin a score belongs to; monotone, for every finite float32.

    Attributes:
        centre: score in the middle of the bins.
        unit: distance from it over which bins are about equally wide.
    """

    centre: float
    unit: float

    @classmethod
    def of(cls, low: float, high: float) -> Binning:
        """Bins for maps on which good pixels lie below `low` and rarely reach `high`."""
        least = max(1e-9 * abs(low), 1e-12)
        return cls(low, max(high - low, least) / FINENESS)

    def index(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """The bin of each value, 0 to `BINS` - 1, in the shape of `values`."""
        place = np.arcsinh((values.astype(np.float64) - self.centre) / self.unit)
        place = (place + REACH) * (BINS / (2 * REACH))
        return np.clip(place, 0, BINS - 1).astype(np.int64)

    def lower_edge(self, index: int) -> float:
        """The lowest score of a bin."""
        return self.centre + self.unit * float(np.sinh(index * (2 * REACH / BINS) - REACH))


@dataclass
class PixelCounts:
    """Pixels of each bin, summed over images.

    Attributes:
        normal: not marked; float64 (bins,), whole numbers.
        defect: marked.
        overlap: marked, each counting 1 / (pixels of its region).
        images: that have a mask.
        components: 8-connected marked regions.
    """

    normal: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    defect: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    overlap: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    images: int = 0
    components: int = 0

    def add(self, other: PixelCounts) -> None:
        self.normal += other.normal
        self.defect += other.defect
        self.overlap += other.overlap
        self.images += other.images
        self.components += other.components


def count_pixels(
    binning: Binning,
    anomaly_map: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    inside: NDArray[np.bool_] | None = None,
) -> PixelCounts:
    """Count one image.

    Args:
        anomaly_map: raw, (H, W).
        mask: True where defective, (H, W); None for a good image.
        inside: region of interest, (H, W); what lies outside counts neither as good nor as marked.

    Raises:
        BurnishError: a value of the map is not finite.
    """
    counts = PixelCounts()
    height, width = anomaly_map.shape
    rows = max(1, BAND // width)
    for top in range(0, height, rows):
        band = anomaly_map[top : top + rows]
        if not np.isfinite(band).all():
            raise BurnishError(
                "the anomaly map holds values that are not finite: the model is broken and has to "
                "be trained again"
            )
        part = slice(top, top + rows)
        chosen = band.ravel()
        if mask is not None and inside is not None:
            chosen = band[inside[part] & ~mask[part]]
        elif mask is not None:
            chosen = band[~mask[part]]
        elif inside is not None:
            chosen = band[inside[part]]
        counts.normal += np.bincount(binning.index(chosen), minlength=BINS)
    if mask is None:
        return counts
    counts.images = 1
    if inside is not None:
        mask = mask & inside
    for box in ndimage.find_objects(mask.view(np.int8)):  # labels only round the marks
        labels, counts.components = ndimage.label(mask[box], structure=np.ones((3, 3)))
        label = labels[mask[box]]
        index = binning.index(anomaly_map[box][mask[box]])
        counts.defect += np.bincount(index, minlength=BINS)
        weight = 1 / np.bincount(label)[label]
        counts.overlap += np.bincount(index, weights=weight, minlength=BINS)
    return counts


def pixel_metrics(counts: PixelCounts, binning: Binning) -> PixelMetrics:
    """The metrics from counts; None each if there is no marked or no unmarked pixel."""
    used = np.flatnonzero(counts.normal + counts.defect)
    normal, defect = counts.normal[used], counts.defect[used]
    marked, unmarked = defect.sum(), normal.sum()
    f1, place = ranking.best_f1(normal, defect)
    return PixelMetrics(
        images=counts.images,
        components=counts.components,
        defect_share=float(marked / (marked + unmarked)) if len(used) else None,
        auroc=_number(ranking.auroc(normal, defect)),
        average_precision=_number(ranking.average_precision(normal, defect)),
        aupro=_number(ranking.aupro(normal, counts.overlap[used], AUPRO_LIMIT)),
        best_f1=_number(f1),
        best_f1_threshold=binning.lower_edge(int(used[place])) if marked else None,
    )


class PixelCounter:
    """Counts the pixels of a whole test set: by kind of image, and coarsely by part.

    Memory: 1.5 MB a kind and 24 kB a part, however many images and however large.

    Args:
        low, high: see `Binning.of`; from the calibration, never from test images.
    """

    def __init__(self, low: float, high: float) -> None:
        self.binning = Binning.of(low, high)
        self._good = PixelCounts()
        self._kinds: dict[str, PixelCounts] = {}
        self._parts: dict[str, NDArray[np.float32]] = {}

    def add(
        self,
        kind: str,
        part: str,
        anomaly_map: NDArray[np.float32],
        mask: NDArray[np.bool_] | None,
        inside: NDArray[np.bool_] | None = None,
    ) -> None:
        """Count one image; `mask` None for a good one. See `count_pixels`."""
        counts = count_pixels(self.binning, anomaly_map, mask, inside)
        (self._good if mask is None else self._kinds.setdefault(kind, PixelCounts())).add(counts)
        known = self._parts.setdefault(part, np.zeros((3, COARSE), np.float32))
        for row, fine in enumerate((counts.normal, counts.defect, counts.overlap)):
            known[row] += fine.reshape(COARSE, -1).sum(axis=1)

    @property
    def has_masks(self) -> bool:
        return bool(self._kinds)

    def of_kind(self, kind: str) -> PixelMetrics | None:
        """Metrics of one kind against all good images; None if no image of the kind had a mask."""
        if kind not in self._kinds:
            return None
        return pixel_metrics(self._sum(kind), self.binning)

    def overall(self) -> PixelMetrics:
        return pixel_metrics(self._sum(*self._kinds), self.binning)

    def auroc_error(self) -> float:
        """Bound of the error of the AUROC over all kinds."""
        counts = self._sum(*self._kinds)
        return _number(ranking.auroc_error(counts.normal, counts.defect)) or 0.0

    def intervals(self) -> dict[str, Interval]:
        """95 % bootstrap by part of auroc, average_precision and aupro over all kinds.

        Resamples use coarser bins; their spread is centred on the figure of the fine bins.
        Empty with fewer than `MIN_PARTS` parts that show a marked pixel; a figure that is the same
        in every resample has none.
        """
        if sum(bool(part[1].any()) for part in self._parts.values()) < MIN_PARTS:
            return {}
        table = np.stack([self._parts[name] for name in sorted(self._parts)], axis=1)  # (3, P, K)

        def figures(drawn: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
            normal, defect, overlap = (drawn.astype(np.float32) @ rows for rows in table)
            normal, defect, overlap = (x.astype(np.float64) for x in (normal, defect, overlap))
            return {
                "auroc": ranking.auroc(normal, defect),
                "average_precision": ranking.average_precision(normal, defect),
                "aupro": ranking.aupro(normal, overlap, AUPRO_LIMIT),
            }

        coarse = figures(np.ones((1, table.shape[1]), np.int64))
        fine, found = self.overall(), {}
        for name, (low, high) in bootstrap(figures, table.shape[1], 8 * COARSE).items():
            value = getattr(fine, name)
            if value is not None and low < high:
                shift = value - float(coarse[name][0])
                found[name] = (max(low + shift, 0.0), min(high + shift, 1.0))
        return found

    def _sum(self, *kinds: str) -> PixelCounts:
        total = PixelCounts()
        for counts in (self._good, *(self._kinds[kind] for kind in kinds)):
            total.add(counts)
        return total


def _number(value: NDArray[np.float64]) -> float | None:
    return float(value) if np.isfinite(value) else None
