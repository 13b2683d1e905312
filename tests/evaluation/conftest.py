"""A real, simple detector without a network: the part repainted by a median filter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from burnish.detection.calibration import Calibration
from burnish.detection.locate import find_regions
from burnish.detection.result import Result, Speed
from burnish.images.reader import read_image, to_channels
from burnish.settings import Settings, make_settings


@dataclass(frozen=True)
class SimpleCard:
    preset: str
    settings: Settings
    calibration: Calibration
    data: dict[str, Any]
    training: dict[str, Any]
    versions: dict[str, str]


class MedianDetector:
    """Thin dark or bright marks stand out against the 11 x 11 median; score: the highest error."""

    def __init__(self, good: list[Path], false_alarms: float, path: Path | None = None) -> None:
        maps = [self.error_map(read_image(p))[1] for p in good]
        peaks = sorted(float(m.max()) for m in maps)
        self.path = path
        self.inspected: list[Path] = []
        self.card = SimpleCard(
            preset="tiny",
            settings=make_settings("tiny", {"false_alarms": false_alarms, "seed": 5}),
            calibration=Calibration(
                mu=(float(np.mean(maps)),),
                sigma=(float(np.std(maps)),),
                scores=tuple(peaks),
                peaks=tuple(peaks),
                heat_low=float(np.percentile(maps, 99)),
                false_alarms=false_alarms,
            ),
            data={"folder": "data/metal", "training_images": 0, "held_out_images": len(good),
                  "skipped": [], "sizes": [[128, 128]], "held_out": [p.name for p in good]},
            training={"steps": 0, "seconds": 83.4, "last_losses": {"l1": 0.1}},
            versions={"burnish": "0.1.0", "python": "3.11"},
        )  # fmt: skip

    @staticmethod
    def error_map(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        grey = to_channels(image, 1)
        painted = ndimage.median_filter(grey, 11, mode="nearest")
        error = np.abs(grey.astype(np.float32) - painted.astype(np.float32)) / 255
        return painted, ndimage.gaussian_filter(error, 1.5)

    def inspect(self, source: Path, /) -> Result:
        start = time.perf_counter()
        image = read_image(source)
        read = time.perf_counter()
        painted, error = self.error_map(image)
        done = time.perf_counter()
        self.inspected.append(source)
        calibration, score = self.card.calibration, float(error.max())
        regions, peak = find_regions(error, calibration.pixel_threshold, *image.shape[:2])
        return Result(
            path=source,
            is_defect=score > calibration.threshold,
            score=score,
            threshold=calibration.threshold,
            p_value=calibration.p_value(score),
            regions=regions,
            peak=peak,
            block=8,
            scale_scores=(1.0, 2.0, 3.0),
            anomaly_map=error,
            reconstruction=painted,
            image=image,
            heat_range=calibration.heat_range,
            pixel_threshold=calibration.pixel_threshold,
            speed=Speed(1000 * (read - start), 0.0, 1000 * (done - read), 0.0),
        )


@pytest.fixture(scope="session")
def simple() -> Callable[..., MedianDetector]:
    """Calibrate the simple detector on `data/train/good`."""

    def calibrated(
        data: Path, false_alarms: float = 0.1, path: Path | None = None
    ) -> MedianDetector:
        return MedianDetector(sorted((data / "train/good").iterdir()), false_alarms, path)

    return calibrated
