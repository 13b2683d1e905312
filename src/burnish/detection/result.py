"""The result of inspecting one part, from which all output is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection.ranges import Unlike
from burnish.images.png import png_bytes

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Speed:
    """Time spent, ms."""

    read: float
    preprocess: float
    inference: float
    postprocess: float

    @property
    def total(self) -> float:
        return self.read + self.preprocess + self.inference + self.postprocess


@dataclass(frozen=True)
class Region:
    """A connected area above the pixel threshold: bounding box in px of the input image.

    `peak` is the highest anomaly-map value inside.
    """

    x: int
    y: int
    width: int
    height: int
    peak: float


WHOLE = "whole surface"


def map_names(
    mask_blocks: Sequence[int],
    textures: Sequence[tuple[str, int]],
    lines: Sequence[int] = (),
    *,
    features: bool = False,
    whole: bool = False,
) -> list[str]:
    """Names of the maps that `Result.scale_scores` belong to, in their order."""
    from burnish.method.texture import SOURCES  # loads torch, which a result alone does not need

    names = [f"blocks of {block} px" for block in mask_blocks]
    names += [f"{name} of {grain} px" for of, grain in textures for name in SOURCES[of].maps]
    names += [f"long lines of {width} px" for width in lines]
    names += ["pretrained features"] * features
    return [*names, WHOLE] if whole else names


@dataclass(frozen=True, eq=False)  # == of arrays is an array
class Result:
    """One part: verdict, evidence and pictures.

    Attributes:
        path: the file, or None for an image given as array.
        is_defect: score > threshold.
        score: raw image score, >= 0 under fusion "paper"; larger is worse.
        threshold: calibrated on held-out good images for the wanted false-alarm rate.
        p_value: conformal p-value in (0, 1]: how often a good part scores at least this high,
            estimated from n held-out parts and never below 1 / (n + 1).
        regions: where, worst first; may be empty for a defect spread thinly (see `peak`).
        peak: (x, y) of the highest anomaly-map value, px of the input image.
        block: side in px of the mask scale that stood out most (eq. 8), whose reconstruction it is.
        evidence: what says most against the part, of `map_names`: an error map, or its surface as a
            whole, which no place of the anomaly map shows.
        scale_scores: the score that each of `map_names` alone would give, in standard deviations
            on good images (under fusion=highest or scores an ordinary one has 5).
        anomaly_map: float32 HxW at the size of the input, raw.
        inside: bool HxW, the region of interest; None: every pixel counts.
        reconstruction: uint8 HxW or HxWx3 at the size of the input: the part without the flaw.
        image: uint8 HxW or HxWx3, the input as read.
        heat_range: anomaly-map values shown as cold and hot, the same for every image.
        pixel_threshold: anomaly-map value that good parts exceed anywhere only at the wanted rate.
        speed: ms by stage.
        notes: what reading the file left out (further pages, lower bits), as sentences.
        statistics: trivial statistics of the prepared image, by name; empty when the model does
            not know those of its training images.
        out_of_range: statistics in which the image is unlike the training images, worst first; if
            there are any, the verdict rests on nothing the model has seen.
    """

    path: Path | None
    is_defect: bool
    score: float
    threshold: float
    p_value: float
    regions: tuple[Region, ...]
    peak: tuple[int, int]
    block: int
    scale_scores: tuple[float, ...]
    anomaly_map: NDArray[np.float32] = field(repr=False)
    reconstruction: NDArray[np.uint8] = field(repr=False)
    image: NDArray[np.uint8] = field(repr=False)
    heat_range: tuple[float, float]
    pixel_threshold: float
    speed: Speed
    notes: tuple[str, ...] = ()
    statistics: Mapping[str, float] = field(default_factory=dict)
    out_of_range: tuple[Unlike, ...] = ()
    inside: NDArray[np.bool_] | None = field(default=None, repr=False)
    evidence: str = ""

    @property
    def verdict(self) -> str:
        """ "defect" or "good", as in JSON and CSV."""
        return "defect" if self.is_defect else "good"

    @property
    def headline(self) -> str:
        """The verdict for people: "DEFECT" or "good"."""
        return "DEFECT" if self.is_defect else "good"

    @property
    def where(self) -> str:
        """The worst region as `x,y wxh` in px; when none stands out the peak."""
        if not self.is_defect:
            return ""
        if self.regions:
            worst = self.regions[0]
            more = f" (+{len(self.regions) - 1})" if len(self.regions) > 1 else ""
            return f"{worst.x},{worst.y} {worst.width}x{worst.height}{more}"
        near = f"near {self.peak[0]},{self.peak[1]}"
        return f"{WHOLE}, most {near}" if self.all_over else near

    @property
    def all_over(self) -> bool:
        """Whether a defect shows in the surface as a whole, and at no place beyond good parts'."""
        return self.is_defect and not self.regions and self.evidence == WHOLE

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pixels, JSON-ready."""
        return {
            "path": None if self.path is None else str(self.path),
            "verdict": self.verdict,
            "is_defect": self.is_defect,
            "score": self.score,
            "threshold": self.threshold,
            "p_value": self.p_value,
            "regions": [asdict(region) for region in self.regions],
            "peak": list(self.peak),
            "reconstruction_block": self.block,
            "evidence": self.evidence,
            "scale_scores": list(self.scale_scores),
            "height": self.image.shape[0],
            "width": self.image.shape[1],
            "speed_ms": asdict(self.speed),
            "notes": list(self.notes),
            "out_of_range": [asdict(unlike) for unlike in self.out_of_range],
        }

    def heatmap(self) -> Image.Image:
        """The part with the anomaly map over it, RGB at the size of the input."""
        from burnish.detection.pictures import heatmap

        return heatmap(self)

    def plot(self) -> Image.Image:
        """Part, reconstruction, residual and heat map side by side, with the verdict, RGB."""
        from burnish.detection.pictures import panels

        return panels(self)

    def _repr_png_(self) -> bytes:
        """`plot()` as PNG, which notebooks show."""
        return png_bytes(self.plot())

    def save(self, path: str | Path) -> Path:
        """Write `plot()` to an image file (PNG or JPEG by suffix).

        Raises:
            BurnishError: the folder cannot be written to, or the suffix is not an image's.
        """
        from burnish.detection.pictures import save_picture

        return save_picture(self.plot(), Path(path))
