"""A `Detector` that runs an exported file in its runtime, with the same results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection.detector import Detector
from burnish.detection.image_scorer import ScoredImage
from burnish.detection.result import Result
from burnish.errors import BurnishError
from burnish.export.graph import Outputs, least_size
from burnish.export.runtimes import first_line, open_runtime
from burnish.images.pose import Pose
from burnish.images.roi import regions_at


def load_exported(path: str | Path, device: str = "auto") -> ExportedDetector:
    """Open a file that `burnish export` wrote (.onnx, OpenVINO's .xml, .pt2).

    Args:
        device: "auto" or "cpu": exported models run on the processor.

    Raises:
        BurnishError: missing, damaged, foreign or newer file; the runtime is not installed; another
            device.
    """
    if str(device) not in ("auto", "cpu"):  # it may be a torch.device
        raise BurnishError(
            f"exported models run on the processor here, not on '{device}': leave the device out, "
            "or inspect with model.safetensors"
        )
    return ExportedDetector(Path(path))


def _reopened(path: Path, false_alarms: float) -> ExportedDetector:
    opened = ExportedDetector(path)
    if opened.card.calibration.false_alarms == false_alarms:
        return opened
    return opened.with_false_alarms(false_alarms)


class ExportedDetector(Detector):
    """Inspects with an exported model.

    Attributes:
        metadata: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._runtime = open_runtime(path)
        self.metadata = self._runtime.metadata
        self.card, self.path, self.threshold = self.metadata.card, path, self.metadata.threshold
        self._region_at = regions_at(self.metadata.region)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.path, self.card.calibration.false_alarms)

    @property
    def device(self) -> str:
        return "cpu"

    def save(self, path: str | Path) -> Path:
        raise BurnishError(f"{self.path} is an exported model: copy the file")

    def calibrate(self, data: str | Path, **_: Any) -> Detector:
        raise BurnishError(
            f"{self.path} is an exported model, its threshold inside: calibrate the model that it "
            "came from, and export that"
        )

    def with_false_alarms(self, rate: float) -> ExportedDetector:
        """See `Detector.with_false_alarms`; both share the runtime."""
        calibration = self.card.calibration.with_false_alarms(rate)
        other = ExportedDetector.__new__(ExportedDetector)
        other.__dict__ |= self.__dict__
        other.card = self.card.model_copy(update={"calibration": calibration})
        above = self.threshold - self.card.calibration.threshold  # an int8 export raises it
        other.threshold = calibration.threshold + above
        return other

    def run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """What the graph returns for raw pixels, by name: the inference alone, for benchmarks.

        Args:
            image: uint8 (H, W) grey or (H, W, 3) RGB.
        """
        if image.ndim != 2 and image.shape[2:] != (3,):
            raise BurnishError(
                f"an array of shape {image.shape} is no image: height x width, or height x width x "
                "3 (RGB) is wanted"
            )
        pixels = image.reshape(*image.shape[:2], -1)
        least, size = least_size(self.card), f"{image.shape[1]} x {image.shape[0]} px"
        if min(image.shape[:2]) < least:
            raise BurnishError(
                f"{self.path} inspects tiles of {least} px, as no image that was learnt from is "
                f"smaller, and this one has {size}: inspect it with model.safetensors"
            )
        try:
            found = self._runtime.run(pixels)
        except Exception as error:  # ONNX Runtime's have no base in common with the others'
            raise BurnishError(
                f"{self.path} failed on an image of {size}: {first_line(error)}"
            ) from error
        return dict(zip(Outputs._fields, map(np.asarray, found), strict=True))

    def _score(self, image: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> ScoredImage:
        found = self.run(image)
        return _FullSize(
            score=float(found["score"]),
            scale=int(found["scale"]),
            scale_scores=tuple(found["scale_scores"].tolist()),
            anomaly_map=found["model_map"],
            reconstruction=found["reconstruction"],
            full_map=found["anomaly_map"],
            is_defect=bool(found["is_defect"]),
        )

    def _result(
        self,
        path: Path | None,
        image: NDArray[np.uint8],
        pose: Pose | None,
        scored: ScoredImage,
        *others: Any,
    ) -> Result:
        result = super()._result(path, image, pose, scored, *others)
        assert isinstance(scored, _FullSize)
        if self.threshold != self.metadata.threshold:  # another false-alarm rate
            return result
        # The graph's own verdict, as other programs get it.
        return replace(result, is_defect=scored.is_defect)

    def _full_size(
        self, image: NDArray[np.uint8], pose: Pose | None, scored: ScoredImage
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        assert isinstance(scored, _FullSize)
        return scored.full_map, scored.reconstruction

    def _region(self, height: int, width: int) -> NDArray[np.bool_] | None:
        return self._region_at(height, width)


@dataclass(frozen=True)
class _FullSize(ScoredImage):
    """A scored image whose reconstruction, and a second map, have the size of the input, with the
    verdict as the graph gives it."""

    full_map: NDArray[np.float32]
    is_defect: bool
