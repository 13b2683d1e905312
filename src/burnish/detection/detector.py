"""The Detector: train on good parts, inspect new ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from burnish.configuration import DEFAULT_PRESET
from burnish.detection.full_size import put_back, stretched
from burnish.detection.image_scorer import ImageScorer, ScoredImage, check_finite
from burnish.detection.locate import find_regions
from burnish.detection.model_file import MODEL, Model, load_model, save_model
from burnish.detection.ranges import find_unlike, prepared_statistics
from burnish.detection.result import Result, Speed, map_names
from burnish.detection.run_folder import EXPORTED
from burnish.detection.scorer import Scorer
from burnish.detection.sizes import part_notes, size_notes
from burnish.errors import BurnishError
from burnish.images.pose import Pose
from burnish.images.reader import notes_of, prepare, read_image, read_with_header

if TYPE_CHECKING:
    from burnish.detection.stages import Stage


class Detector:
    """A trained and calibrated model: `train` makes one, `load` reads one.

    Attributes:
        card: settings, calibration, data and versions.
        path: the file it was loaded from, or that training wrote, if any; `save` leaves it.
        threshold: image scores above it are called defective.
    """

    def __init__(self, model: Model, path: Path | None = None, device: str = "auto") -> None:
        if not isinstance(model, Model):
            raise BurnishError("Detector.load(path) reads a model, Detector.train(data) makes one")
        self.model, self.card, self.path = model, model.card, path
        settings, calibration = self.card.settings, self.card.calibration
        scorer = Scorer(
            model.generator, settings, pick_device(device), model.position, model.textures,
            model.lines, model.features, model.whole, model.extremes,
        )  # fmt: skip
        self.scorer = ImageScorer(scorer, settings, model.roi)
        self.threshold = calibration.threshold
        self._references = scorer.references(calibration.mu, calibration.sigma)

    def __repr__(self) -> str:
        return f"Detector({self.path or self.card.preset}, threshold={self.threshold:.5g})"

    def __reduce__(self) -> tuple[Any, ...]:
        """For worker processes and deep copies: what cannot travel is made anew there."""
        return type(self), (self.model, self.path, self.device)

    @classmethod
    def train(
        cls,
        data: str | Path,
        preset: str = DEFAULT_PRESET,
        out: str | Path = "runs/burnish",
        *,
        resume: bool = False,
        overwrite: bool = False,
        on_stage: Callable[[Stage], None] | None = None,
        **changes: Any,
    ) -> Detector:
        """Learn good parts and calibrate on held-out ones; writes `out/model.safetensors`.

        Args:
            data: MVTec AD layout (only `train/good` is used) or a folder of good images.
            preset: "paper", "small" or "tiny".
            out: run folder: model, checkpoint, losses.csv.
            resume: go on with an interrupted run in `out`; starts anew if there is none.
            overwrite: replace what `out` holds.
            on_stage: told of progress (`burnish.detection.stages.Stage`); by default messages go
                to the logger "burnish", what to look at as warnings.
            changes: settings, e.g. `steps=500, seed=1`; `burnish presets small` lists them.

        Raises:
            BurnishError: bad data, settings or folder; training diverged or was interrupted.
        """
        from burnish.detection.train import train

        return cls(*train(Path(data), preset, Path(out), changes, resume, overwrite, on_stage))

    @property
    def device(self) -> str:
        """What it runs on: "cpu", "cuda:0", ..."""
        return str(self.scorer.scorer.device)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Detector:
        """Read a model file, the one in a run folder, or a model that `burnish export` wrote.

        Args:
            device: "auto" (a GPU if there is one), "cpu", "cuda", ...

        Raises:
            BurnishError: missing, damaged, foreign, newer or changed file; no such device.
        """
        path = Path(path)
        if path.suffix.lower() in EXPORTED:
            # The one look upwards: exported models give the same results, only run elsewhere.
            from burnish.export.exported import load_exported

            return load_exported(path, device)
        return cls(load_model(path), path, device)

    def save(self, path: str | Path) -> Path:
        """Write a copy of the model: a `.safetensors` file, or into a folder as model.safetensors;
        `path` stays what it is.

        Raises:
            BurnishError: another suffix, or it cannot be written.
        """
        file = Path(path) / MODEL if Path(path).is_dir() else Path(path)
        if file.suffix != Path(MODEL).suffix:
            raise BurnishError(f"cannot save to {file}: a model file ends in .safetensors")
        save_model(file, self.model)
        return file

    def with_false_alarms(self, rate: float) -> Detector:
        """The same model with the threshold of another wanted false-alarm rate in (0, 1).

        Raises:
            BurnishError: it does not lie there.
        """
        calibration = self.card.calibration.with_false_alarms(rate)
        card = self.card.model_copy(update={"calibration": calibration})
        return Detector(replace(self.model, card=card), self.path, self.device)

    def calibrate(
        self,
        data: str | Path,
        *,
        part_pattern: str | None = None,
        false_alarms: float | None = None,
        on_stage: Callable[[Stage], None] | None = None,
    ) -> Detector:
        """The same network with threshold, p-values and heat-map scale from other good images.

        For another lamp, lens or station, or more good parts than were held out. What good parts
        look like stays as it was learnt. `save` writes it.

        Args:
            data: folder of good images that were not learnt from.
            part_pattern: finds the part's name in a file name; by default the model's own.
            false_alarms: wanted rate in (0, 1); by default the model's own.
            on_stage: as for `train`.

        Raises:
            BurnishError: fewer than 8 can be read, or they are the images that it learnt from.
        """
        from burnish.detection.recalibrate import recalibrate

        model = recalibrate(self, Path(data), part_pattern, false_alarms, on_stage)
        return Detector(model, None, self.device)

    def inspect(self, source: str | Path | Image.Image | NDArray[Any]) -> Result:
        """Judge one image: a file, a PIL image, or an array (H, W) or (H, W, 1, 3: RGB, or 4) of
        uint8, uint16 (the upper 8 bits count) or float in [0, 1]. Threads may share a detector.

        Raises:
            BurnishError: the image cannot be read; `errors.BrokenModel`: its score is no number.
        """
        start = time.perf_counter()
        path: Path | None = None
        notes: tuple[str, ...] = ()
        if isinstance(source, str | Path):
            path = Path(source)
            image, header = read_with_header(path)
            notes = header.notes
        else:
            image, notes = read_image(source), notes_of(source)
        read = time.perf_counter()
        pixels, pose = self.prepare(image)
        prepared = time.perf_counter()
        scored = self._score(image, pixels)
        inferred = time.perf_counter()
        check_finite(scored, str(path or "the image"))
        statistics = {}
        if self.card.ranges:
            statistics = prepared_statistics(pixels, self._region(*pixels.shape[1:]))
        times = (start, read, prepared, inferred)
        result = self._result(path, image, pose, scored, statistics, times)
        notes += self.notes_on(image, pose)
        return replace(result, notes=notes) if notes else result

    def prepare(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Pose | None]:
        """An image as the model sees it, see `image_scorer`, and where the part lies if it aligns.

        Args:
            image: uint8 HxW or HxWx3, as read.

        Returns:
            As of `image_scorer`, at the model's size, or at the image's own with tiles; None as the
            pose where images are taken as they lie.
        """
        shape, alignment = self.card.shape, self.card.alignment
        if alignment is not None:
            return alignment.prepared(image, shape.channels)
        whole = self.card.settings.tile == "full"
        size = (shape.height, shape.width) if whole else image.shape[:2]
        return prepare(image, shape.channels, *size), None

    def notes_on(self, image: NDArray[np.uint8], pose: Pose | None) -> tuple[str, ...]:
        """What to know of an image and its part's pose, as sentences."""
        size = image.shape[:2]
        part = () if pose is None else part_notes(self.card, pose)
        return (*part, *size_notes(self.card, self._region(*size), *size))

    def _score(self, image: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> ScoredImage:
        """Score an image, given as read and prepared."""
        return self.scorer.score(pixels, *self._references)

    def _region(self, height: int, width: int) -> NDArray[np.bool_] | None:
        return self.scorer.region(height, width)

    def _full_size(
        self, image: NDArray[np.uint8], pose: Pose | None, scored: ScoredImage
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Anomaly map and reconstruction at the size of the image."""
        if pose is not None:
            assert self.card.alignment is not None
            return put_back(self.card.alignment, pose, image, scored)
        return stretched(image, scored, self._region(*image.shape[:2]))

    def _result(
        self,
        path: Path | None,
        image: NDArray[np.uint8],
        pose: Pose | None,
        scored: ScoredImage,
        statistics: dict[str, float],
        times: tuple[float, float, float, float],
    ) -> Result:
        calibration = self.card.calibration
        height, width = image.shape[:2]
        anomaly_map, reconstruction = self._full_size(image, pose, scored)
        found = scored.anomaly_map if pose is None else anomaly_map
        regions, peak = find_regions(found, calibration.pixel_threshold, height, width)
        start, read, prepared, inferred = times
        end = time.perf_counter()
        stages = (read - start, prepared - read, inferred - prepared, end - inferred)
        return Result(
            path=path,
            is_defect=scored.score > self.threshold,
            score=scored.score,
            threshold=self.threshold,
            p_value=calibration.p_value(scored.score),
            regions=regions,
            peak=peak,
            block=self.card.settings.mask_blocks[scored.scale],
            scale_scores=scored.scale_scores,
            anomaly_map=anomaly_map,
            reconstruction=reconstruction,
            image=image,
            heat_range=calibration.heat_range,
            pixel_threshold=calibration.pixel_threshold,
            speed=Speed(*(1000 * t for t in stages)),
            statistics=statistics,
            out_of_range=find_unlike(statistics, self.card.ranges),
            inside=self._region(height, width),
            evidence=self._evidence(scored),
        )

    def _evidence(self, scored: ScoredImage) -> str:
        """The map that decided: under fusion=paper that of eq. 8, else the one of highest score."""
        s, channels = self.card.settings, self.card.shape.channels
        index = scored.scale if s.fusion == "paper" else int(np.argmax(scored.scale_scores))
        return map_names(
            s.mask_blocks, s.textures(channels), s.lines,
            features=bool(s.features), whole=s.judges_whole,
        )[index]  # fmt: skip


def pick_device(name: str) -> torch.device:
    """ "auto" to the best device present, any other name checked.

    Raises:
        BurnishError: no such device on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BurnishError(f"no device '{name}' here; `burnish doctor` shows what is") from error
    return device
