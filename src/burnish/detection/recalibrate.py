"""A new threshold for a model that stays as it is, from good images that it has not learnt from.

For a lamp or lens that changed, a second station, or simply more good parts than the hold-out of
training had: n of them promise a false-alarm rate down to 1 / (n + 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from burnish.configuration import validate_settings
from burnish.detection.calibration import Calibration
from burnish.detection.held_out import Calibrated, HeldOut, calibrate, tell_promise
from burnish.detection.image_scorer import ImageScorer
from burnish.detection.model_file import Model
from burnish.detection.ranges import learn_ranges, prepared_statistics
from burnish.detection.stages import Stage, log_stage
from burnish.detection.training_data import tell_files
from burnish.errors import BurnishError
from burnish.files import printable
from burnish.images.dataset import MIN_GOOD, find_training_images
from burnish.images.parts import parts_of, unmatched
from burnish.images.preparing.record import sha256_of
from burnish.images.reader import read_image, read_with_header
from burnish.images.store import fingerprint_of, notes_together
from burnish.settings import Settings

if TYPE_CHECKING:
    from burnish.detection.detector import Detector

FAR = 0.1  # p-value of the median image by the calibration of before; or 1 less it


@dataclass(frozen=True)
class GoodImage:
    """What one look at a good image gives.

    Attributes:
        size: (height, width) of the file, px.
        content: its SHA-256, hexadecimal.
        notes: what inspection would note of it, as sentences.
        statistics: what `ranges` are learnt from.
    """

    path: Path
    size: tuple[int, int]
    content: str
    notes: tuple[str, ...]
    statistics: dict[str, float]


@dataclass(frozen=True)
class PreparedFiles:
    """Prepared images, each read from its file when it is wanted."""

    detector: Detector
    paths: list[Path]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.detector.prepare(read_image(self.paths[index]))[0]


def recalibrate(
    detector: Detector,
    data: Path,
    part_pattern: str | None,
    false_alarms: float | None,
    on_stage: Callable[[Stage], None] | None,
) -> Model:
    """See `Detector.calibrate`."""
    card, tell = detector.card, on_stage or log_stage
    given = {"part_pattern": part_pattern, "false_alarms": false_alarms}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = validate_settings(card.settings.model_dump() | changes)
    paths = find_training_images(data)
    unmatched(paths, settings.part_pattern)  # a slip is told before images are read
    looked, skipped = _look_at(detector, paths, tell)
    fingerprint = fingerprint_of((look.path, look.content) for look in looked)
    if fingerprint == card.data["fingerprint"]:
        raise BurnishError(
            f"{data} holds the very images that the model was trained on: the threshold must come "
            "from good images that it has not learnt from"
        )
    looked, left_out = _new_ones(looked, _learnt(card.data))
    skipped += left_out
    if len(looked) < MIN_GOOD:
        raise BurnishError(
            f"only {len(looked)} of {len(paths)} images can be used; at least {MIN_GOOD} are "
            "needed. " + "; ".join(skipped[:5])
        )
    chosen = [look.path for look in looked]
    held_out = HeldOut(
        images=PreparedFiles(detector, chosen),
        names=[printable(path.name) for path in chosen],
        parts=parts_of(chosen, settings.part_pattern, data),
        sizes=[look.size for look in looked],
    )
    notes = notes_together((str(look.path), note) for look in looked for note in look.notes)
    tell_files(skipped, [*_lost_parts(card.data, held_out.parts), *notes], tell)
    tell(Stage("calibrate", f"calibrating on {len(chosen)} good images"))
    images = count(1)
    calibrated = judge_again(
        detector,
        held_out,
        card.settings.model_copy(update={"false_alarms": settings.false_alarms}),
        lambda: tell(Stage("calibrate", done=next(images) / len(chosen))),
    )
    tell_difference(card.calibration, calibrated.calibration, tell)
    tell_promise(calibrated, tell)
    own = {"calibrated_on": printable(str(data.resolve())), "calibration_fingerprint": fingerprint}
    new = {
        "settings": settings,
        "calibration": calibrated.calibration,
        "data": card.data | calibrated.facts | own,
        "ranges": learn_ranges(look.statistics for look in looked),
    }
    return replace(detector.model, card=card.model_copy(update=new))


def _look_at(
    detector: Detector, paths: list[Path], tell: Callable[[Stage], None]
) -> tuple[list[GoodImage], list[str]]:
    """Every image that can be read, and why the others cannot."""
    looked, skipped = [], []
    for done, path in enumerate(paths, start=1):
        try:
            looked.append(_look(detector, path))
        except BurnishError as error:
            skipped.append(str(error))
        tell(Stage("data", done=done / len(paths)))
    return looked, skipped


def _look(detector: Detector, path: Path) -> GoodImage:
    image, header = read_with_header(path)
    height, width = image.shape[:2]
    pixels, pose = detector.prepare(image)
    return GoodImage(
        path=path,
        size=(height, width),
        content=sha256_of(path),
        notes=header.notes + detector.notes_on(image, pose),
        statistics=prepared_statistics(pixels, detector.scorer.region(*pixels.shape[1:])),
    )


def _learnt(data: Mapping[str, Any]) -> dict[str, str]:
    """Name by content (SHA-256) of the images that were learnt from; none where they are gone."""
    held_out = set(data.get("held_out", ()))
    try:
        paths = find_training_images(data["folder"])
    except BurnishError:
        return {}
    return {sha256_of(path): path.name for path in paths if printable(path.name) not in held_out}


def _new_ones(
    looked: Sequence[GoodImage], learnt: Mapping[str, str]
) -> tuple[list[GoodImage], list[str]]:
    """The images that were not learnt from, each once, and why the others are left out."""
    first: dict[str, GoodImage] = {}
    left_out = []
    for look in looked:
        if look.content in learnt:
            left_out.append(f"{look.path}: the model has learnt from it, {learnt[look.content]}")
        elif look.content in first:
            left_out.append(f"{look.path}: a copy of {first[look.content].path.name}")
        else:
            first[look.content] = look
    return list(first.values()), left_out


def _lost_parts(data: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    """A note where the model's data had several images of a part, and none of these share one."""
    known = data.get("held_out_parts")  # not there in files of before
    if len(set(parts)) < len(parts) or known in (None, data["held_out_images"]):
        return []
    return [
        "at training several images showed one part, here each counts as a part of its own. If "
        "that is not so, say how file names tell the part (--part, part_pattern): else more "
        "false alarms come than are promised"
    ]


def judge_again(
    detector: Detector,
    held_out: HeldOut,
    settings: Settings,
    tick: Callable[[], None] = lambda: None,
) -> Calibrated:
    """Calibrate by the model's own references mu and sigma, so that scores mean what they did.

    Args:
        settings: the model's, but for the wanted rate of false alarms.
        tick: called after every image.
    """
    before = detector.card.calibration
    scorer = copy(detector.scorer.scorer)
    scorer.units = (list(before.mu), list(before.sigma))
    return calibrate(ImageScorer(scorer, settings, detector.model.roi), held_out, tick)


def tell_difference(before: Calibration, now: Calibration, tell: Callable[[Stage], None]) -> None:
    """Say how thresholds and scores compare, and what is odd about it."""
    tell(Stage("calibrate", f"threshold {_described(now)}; it was {_described(before)}", done=1.0))
    if sentence := find_doubt(before, now):
        tell(Stage("calibrate", f"note: {sentence}", done=1.0, warns=True))


def find_doubt(before: Calibration, now: Calibration) -> str:
    """What to look at where good parts score far from those held out before: a sentence, or ""."""
    middle = median(now.scores)
    p_value = before.p_value(middle)
    if p_value < FAR or middle > before.scores[-1]:  # of fewer than ten parts none is below FAR
        return (
            "half of these images score higher than nine in ten of those held out before: light, "
            "lens or parts are others now, and more defects will pass below the threshold. "
            "Training on such images finds more"
        )
    if p_value > 1 - FAR:
        return (
            "half of these images score lower than nine in ten of those held out before. If some "
            "of them were learnt from, the threshold is too low"
        )
    return ""


def _described(calibration: Calibration) -> str:
    scores = calibration.scores
    return (
        f"{calibration.threshold:.4g} (good parts {scores[0]:.3g} to {scores[-1]:.3g}, median "
        f"{median(scores):.3g})"
    )
