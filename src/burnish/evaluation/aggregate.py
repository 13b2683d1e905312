"""Sum up what one pass over the test images gave: every number of an `Evaluation`."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import burnish
from burnish.detection.result import Speed
from burnish.evaluation import intervals, metrics
from burnish.evaluation.collect import Collected, Inspector, Judged
from burnish.evaluation.pixels import AUPRO_LIMIT, PixelCounter
from burnish.evaluation.reasons import reasons_of
from burnish.evaluation.record import Evaluation
from burnish.evaluation.rows import (
    Equalised,
    EscapesAt,
    ImageRow,
    KindRow,
    ModelFacts,
    PixelSummary,
    StressRow,
    Timing,
)
from burnish.evaluation.stress import changes_of
from burnish.evaluation.trivial import trivial_rows
from burnish.files import printable
from burnish.images.statistics import bytes_follow_pixels

ESCAPE_RATES = (0.0, 0.01, 0.05)
IMAGE_INTERVALS = ("image_auroc", "average_precision", "f1", "escape_rate")
KIND_INTERVALS = ("image_auroc", "average_precision", "recall")


def aggregate(detector: Inspector, data: Path, collected: Collected, equalised: bool) -> Evaluation:
    """Every number of an evaluation, or the reason why it is missing.

    Args:
        collected: of one image at least.
        equalised: whether the pass with equalised brightness was asked for.
    """
    card, rows, threshold = detector.card, collected.rows, detector.threshold
    scores = np.array([row.score for row in rows])
    defect = np.array([row.is_defect for row in rows])
    parts = [row.part for row in rows]
    counts = metrics.confusion_at(scores, defect, threshold)
    worth = _independent_good(rows)
    best = metrics.best_f1(scores, defect)
    timing = _timing(collected.speeds)
    sure, unsure = intervals.image_intervals(scores, defect, parts, threshold)
    pixels = _pixels(collected)
    again = _equalised(detector, rows, defect, threshold)
    unsure = {name: why for name, why in unsure.items() if name in IMAGE_INTERVALS}
    return Evaluation(
        data=printable(str(data)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        burnish_version=burnish.__version__,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        model=_model_facts(detector),
        test_fingerprint=collected.fingerprint,
        n_good=counts.good,
        n_defect=counts.defects,
        n_parts=len(set(parts)),
        threshold=threshold,
        image_auroc=metrics.image_auroc(scores, defect),
        average_precision=metrics.average_precision(scores, defect),
        f1=counts.f1,
        precision=counts.precision,
        recall=counts.recall,
        caught=counts.caught,
        missed=counts.missed,
        false_alarms=counts.false_alarms,
        escape_rate=counts.escape_rate,
        false_alarm_rate_wanted=card.calibration.false_alarms,
        false_alarm_rate_got=counts.false_alarm_rate,
        independent_good=worth,
        false_alarm_interval=intervals.rate_interval(counts.false_alarm_rate or 0.0, worth),
        best_f1=best[0] if best else None,
        best_f1_threshold=best[1] if best else None,
        all_positive_f1=metrics.all_positive_f1(defect),
        intervals={name: sure[name] for name in IMAGE_INTERVALS if name in sure},
        escapes_at=_escapes(scores, defect),
        not_available=reasons_of(
            collected,
            counts,
            unsure,
            pixels,
            data,
            equalised_missing=again is None,
            equalised_asked=equalised,
        ),
        ms_per_image=timing.total,
        speed_ms=timing,
        median_score_good=float(np.median(scores[~defect])) if counts.good else None,
        kinds=_kinds(rows, scores, defect, threshold, collected.pixels),
        pixels=pixels,
        trivial=trivial_rows(collected.statistics, defect, bytes_follow_pixels(collected.headers)),
        equalised=again,
        stress=_stress_rows(collected, card.shape.channels, bool(card.ranges)),
        images=tuple(rows),
        unreadable=tuple(collected.unreadable),
    )


def _independent_good(rows: Sequence[ImageRow]) -> float:
    """How many independent good images the test set is worth: images of one part are alike."""
    good = [row for row in rows if not row.is_defect]
    return intervals.independent_images(
        [row.called_defective for row in good], [row.part for row in good]
    )


def _model_facts(detector: Inspector) -> ModelFacts:
    card = detector.card
    seconds, fingerprint = card.training.get("seconds"), card.data.get("fingerprint")
    folder = card.data.get("folder")
    return ModelFacts(
        path=None if detector.path is None else printable(str(detector.path)),
        preset=card.preset,
        seed=card.settings.seed,
        training_seconds=None if seconds is None else float(seconds),
        training_images=card.data.get("training_images"),
        held_out_images=len(card.calibration.scores),
        held_out_parts=card.calibration.parts,
        promise=card.calibration.promise(),
        mask_blocks=card.settings.mask_blocks,
        textures=card.settings.textures(card.shape.channels),
        lines=card.settings.lines,
        features=bool(card.settings.features),
        whole=card.settings.judges_whole,
        # `inspect` and `evaluate` may ask the same model for another rate than it was trained for.
        settings=card.settings.model_dump(mode="json")
        | {"false_alarms": card.calibration.false_alarms},
        training_fingerprint=None if fingerprint is None else str(fingerprint),
        training_folder=None if folder is None else printable(str(folder)),
        versions=dict(card.versions),
    )


def _escapes(scores: NDArray[np.float64], defect: NDArray[np.bool_]) -> tuple[EscapesAt, ...]:
    found = metrics.escapes_at(scores, defect, ESCAPE_RATES)
    return tuple(
        EscapesAt(
            false_alarm_rate=rate,
            threshold=threshold,
            false_alarms=counts.false_alarms,
            missed=counts.missed,
            escape_rate=counts.missed / counts.defects,
        )
        for rate, (threshold, counts) in zip(ESCAPE_RATES, found, strict=False)
    )


def _kinds(
    rows: Sequence[ImageRow],
    scores: NDArray[np.float64],
    defect: NDArray[np.bool_],
    threshold: float,
    pixels: PixelCounter | None,
) -> tuple[KindRow, ...]:
    kind_of, part_of = (np.array([getattr(r, name) for r in rows]) for name in ("kind", "part"))
    table = []
    for kind in sorted(set(kind_of[defect])):
        of_kind = defect & (kind_of == kind)
        chosen = of_kind | ~defect
        caught, images = int((scores[of_kind] > threshold).sum()), int(of_kind.sum())
        some = scores[chosen], defect[chosen]
        sure, _ = intervals.image_intervals(*some, part_of[chosen].tolist(), threshold)
        table.append(
            KindRow(
                kind=str(kind),
                images=images,
                caught=caught,
                recall=caught / images,
                image_auroc=metrics.image_auroc(*some),
                average_precision=metrics.average_precision(*some),
                median_score=float(np.median(scores[of_kind])),
                intervals={name: sure[name] for name in KIND_INTERVALS if name in sure},
                pixels=None if pixels is None else pixels.of_kind(str(kind)),
            )
        )
    return tuple(table)


def _pixels(collected: Collected) -> PixelSummary | None:
    counter = collected.pixels
    if counter is None or not counter.has_masks:
        return None
    return PixelSummary(
        overall=counter.overall(),
        intervals=counter.intervals(),
        n_without_mask=collected.without_mask,
        mask_problems=tuple(collected.mask_problems),
        aupro_limit=AUPRO_LIMIT,
        auroc_error=counter.auroc_error(),
        masks=collected.masks,
    )


def _equalised(
    detector: Inspector, rows: Sequence[ImageRow], defect: NDArray[np.bool_], threshold: float
) -> Equalised | None:
    if any(row.equalised_score is None for row in rows):
        return None
    scores = np.array([row.equalised_score for row in rows], np.float64)
    counts = metrics.confusion_at(scores, defect, threshold)
    best = metrics.best_f1(scores, defect)
    ranges = detector.card.ranges
    return Equalised(
        mean=ranges["mean"].mean,
        spread=ranges["spread"].mean,
        image_auroc=metrics.image_auroc(scores, defect),
        average_precision=metrics.average_precision(scores, defect),
        f1=counts.f1,
        best_f1=best[0] if best else None,
        false_alarms=counts.false_alarms,
        false_alarm_rate=counts.false_alarm_rate,
        missed=counts.missed,
        escape_rate=counts.escape_rate,
    )


def _stress_rows(collected: Collected, channels: int, knows_ranges: bool) -> tuple[StressRow, ...]:
    changes = changes_of(channels)
    return tuple(
        _stress_row("none", "as they are", judged, knows_ranges)
        if place is None
        else _stress_row(changes[place].name, changes[place].strength, judged, knows_ranges)
        for place, judged in collected.stressed.items()
    )


def _stress_row(
    change: str, strength: str, judged: Sequence[Judged], knows_ranges: bool
) -> StressRow:
    defect = np.array([one.is_defect for one in judged])
    called = np.array([one.called_defective for one in judged])
    good, bad = int((~defect).sum()), int(defect.sum())
    alarms, missed = int((called & ~defect).sum()), int((~called & defect).sum())
    return StressRow(
        change=change,
        strength=strength,
        n_good=good,
        n_defect=bad,
        image_auroc=metrics.image_auroc([one.score for one in judged], defect),
        false_alarms=alarms,
        false_alarm_rate=alarms / good if good else None,
        missed=missed,
        escape_rate=missed / bad if bad else None,
        out_of_range=sum(j.out_of_range for j in judged) / len(judged) if knows_ranges else None,
    )


def _timing(speeds: Sequence[Speed]) -> Timing:
    medians = {n: float(np.median([getattr(s, n) for s in speeds])) for n in Timing.model_fields}
    return Timing(**medians)
