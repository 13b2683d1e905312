"""One pass over the test images, which keeps the results of each and drops its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.detection.calibration import Calibration
from burnish.detection.ranges import TrainingRange
from burnish.detection.result import Result, Speed
from burnish.errors import BrokenModel, BurnishError
from burnish.evaluation.pixels import PixelCounter
from burnish.evaluation.rows import ImageRow, Unreadable
from burnish.evaluation.stress import Picture, changes_of, equalise
from burnish.files import printable
from burnish.images.dataset import TestImage
from burnish.images.formats.masks import mask_of_file
from burnish.images.reader import Header, read_header_bytes
from burnish.images.reading.decoding import file_bytes
from burnish.images.statistics import statistics_of
from burnish.method.generator import InputShape
from burnish.settings import Settings


class Card(Protocol):
    """The part of a `ModelCard` that evaluation reads."""

    @property
    def preset(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def shape(self) -> InputShape: ...
    @property
    def calibration(self) -> Calibration: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def training(self) -> dict[str, Any]: ...
    @property
    def versions(self) -> dict[str, str]: ...
    @property
    def ranges(self) -> Mapping[str, TrainingRange]: ...


class Inspector(Protocol):
    """The part of a `Detector` that evaluation uses; anything that gives a `Result` will do.

    `inspect` raises BrokenModel in place of a result whose scores are not finite.
    """

    @property
    def card(self) -> Card: ...
    @property
    def path(self) -> Path | None: ...
    @property
    def threshold(self) -> float: ...
    def inspect(self, source: Path | NDArray[np.uint8], /) -> Result: ...


@dataclass(frozen=True)
class Judged:
    """The verdict on an image, beside its truth."""

    is_defect: bool
    score: float
    called_defective: bool
    out_of_range: bool


@dataclass
class Collected:
    """The results of one pass over the test images.

    Attributes:
        statistics, headers: of each image in `rows`: trivial statistics as read; its file's header.
        stressed: the chosen images under each of `stress.changes_of`, by index; None: unchanged.
        fingerprint, masks: SHA-256 over the test images, and over the masks that were counted.
    """

    rows: list[ImageRow] = field(default_factory=list)
    speeds: list[Speed] = field(default_factory=list)
    statistics: list[dict[str, float]] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    pixels: PixelCounter | None = None
    without_mask: int = 0
    mask_problems: list[Unreadable] = field(default_factory=list)
    stressed: dict[int | None, list[Judged]] = field(default_factory=dict)
    fingerprint: str = ""
    masks: str = ""


class Collector:
    """Inspects images one at a time.

    Args:
        pixels: count pixels against masks.
        equalised: inspect each image again, brought to the training images' brightness.
        stressed: indices of the images to be inspected under every change.
    """

    def __init__(
        self,
        detector: Inspector,
        data: Path,
        pixels: bool,
        equalised: bool,
        stressed: Sequence[int],
    ) -> None:
        self.detector, self.data, self.stressed = detector, data, set(stressed)
        ranges = detector.card.ranges
        known = equalised and "mean" in ranges and "spread" in ranges
        self.target = (ranges["mean"].mean, ranges["spread"].mean) if known else None
        calibration = detector.card.calibration
        hottest = calibration.peaks[len(calibration.peaks) // 2]
        self.collected = Collected(
            pixels=PixelCounter(calibration.heat_low, hottest) if pixels else None
        )
        self._digest, self._masks = hashlib.sha256(), hashlib.sha256()

    def add(self, number: int, image: TestImage, part: str) -> None:
        """Inspect one image.

        Raises:
            BurnishError: its anomaly map is not finite; BrokenModel: a score of it is not.
        """
        collected, name = self.collected, name_of(image.path, self.data)
        try:
            content = file_bytes(image.path)
            self._digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
            result = self.detector.inspect(image.path)
            header = read_header_bytes(content, name)
        except BrokenModel:
            raise
        except BurnishError as error:
            kind, problem = printable(image.kind), printable(str(error))
            collected.unreadable.append(Unreadable(path=name, kind=kind, problem=problem))
            return
        mask, unusable = self._truth(image, result)
        if mask is not None and result.inside is not None and not (mask & result.inside).any():
            # Nothing is inspected there, so the verdict says nothing about the defect.
            problem = f"{name}: its defect lies wholly outside the region of interest"
            collected.unreadable.append(
                Unreadable(path=name, kind=printable(image.kind), problem=problem)
            )
            return
        row = _row(image, name, part, result)
        collected.speeds.append(result.speed)
        collected.statistics.append(statistics_of(result.image, len(content)))
        collected.headers.append(header)
        if collected.pixels is not None:
            self._count_pixels(image, row, result, mask, unusable)
        if self.target is not None:
            score = self._score_equalised(row, result)
            row = row.model_copy(update={"equalised_score": score})
        collected.rows.append(row)
        if number in self.stressed:
            self._stress(number, row, result.image)

    def finish(self) -> Collected:
        self.collected.fingerprint = self._digest.hexdigest()
        self.collected.masks = self._masks.hexdigest()
        return self.collected

    def _truth(self, image: TestImage, result: Result) -> tuple[NDArray[np.bool_] | None, str]:
        """A defect's mask (H, W) if one is needed and usable; if it is not usable, None and why."""
        needed = self.collected.pixels is not None or result.inside is not None
        if not needed or not image.is_defect or image.mask is None:
            return None, ""
        try:
            return read_mask(image.mask, result.image.shape[:2]), ""
        except BurnishError as error:
            return None, printable(str(error))

    def _count_pixels(
        self,
        image: TestImage,
        row: ImageRow,
        result: Result,
        mask: NDArray[np.bool_] | None,
        unusable: str,
    ) -> None:
        """Count one image's pixels; `mask` and `unusable` as `_truth` gives them."""
        counter = self.collected.pixels
        assert counter is not None
        if image.is_defect and image.mask is None:
            self.collected.without_mask += 1
            return
        if unusable and image.mask is not None:
            name = name_of(image.mask, self.data)
            self.collected.mask_problems.append(
                Unreadable(path=name, kind=row.kind, problem=unusable)
            )
            return
        try:
            counter.add(row.kind, row.part, result.anomaly_map, mask, result.inside)
        except BurnishError as error:
            raise BurnishError(f"{row.path}: {error}") from error
        if mask is not None:
            marked = hashlib.sha256(np.packbits(mask).tobytes()).digest()
            self._masks.update(row.path.encode() + b"\0" + marked)

    def _score_equalised(self, row: ImageRow, result: Result) -> float:
        assert self.target is not None
        seen = result.statistics  # of the prepared image, like those of the training images
        picture = equalise(result.image, seen["mean"], seen["spread"], *self.target)
        return self._inspect(picture, f"{row.path}, its light equalised").score

    def _stress(self, number: int, row: ImageRow, picture: Picture) -> None:
        judged = Judged(row.is_defect, row.score, row.called_defective, bool(row.out_of_range))
        self.collected.stressed.setdefault(None, []).append(judged)
        for place, change in enumerate(changes_of(self.detector.card.shape.channels)):
            changed = f"{row.path} under {change.name} {change.strength}"
            result = self._inspect(change.apply(picture, number), changed)
            unlike = bool(result.out_of_range)
            judged = Judged(row.is_defect, result.score, result.is_defect, unlike)
            self.collected.stressed.setdefault(place, []).append(judged)

    def _inspect(self, picture: Picture, name: str) -> Result:
        """Inspect what was made of an image; an error calls it `name`."""
        try:
            return self.detector.inspect(picture)
        except BrokenModel as error:
            raise BrokenModel(f"{name}: {error}") from error


def read_mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The ground truth of an image of (height, width): bool, True where any channel is above 0.

    Raises:
        BurnishError: it cannot be read, has another size, or marks nothing.
    """
    mask = mask_of_file(file_bytes(path), str(path))
    if mask.shape != shape:
        raise BurnishError(
            f"{path} is {mask.shape[1]}x{mask.shape[0]} px and its image {shape[1]}x{shape[0]}: "
            "left out of the pixel metrics"
        )
    if not mask.any():
        raise BurnishError(f"{path} marks nothing: left out of the pixel metrics")
    return mask


def name_of(path: Path, data: Path) -> str:
    """How an image is called in an evaluation: relative to the data folder, with slashes."""
    return printable(path.relative_to(data).as_posix())


def _row(image: TestImage, name: str, part: str, result: Result) -> ImageRow:
    return ImageRow(
        path=name,
        kind=printable(image.kind),
        is_defect=image.is_defect,
        score=result.score,
        p_value=result.p_value,
        verdict=result.verdict,
        part=printable(part),
        scale_scores=result.scale_scores,
        out_of_range=result.out_of_range,
    )
