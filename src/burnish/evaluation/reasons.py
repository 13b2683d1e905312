"""The reasons why figures of an evaluation are missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from burnish.evaluation import intervals, metrics
from burnish.evaluation.collect import Collected
from burnish.evaluation.rows import PixelSummary
from burnish.images.dataset import MASK_NAMING, images_in

NEED_DEFECTS = (
    "image_auroc", "average_precision", "f1", "recall", "escape_rate", "best_f1",
    "best_f1_threshold", "all_positive_f1", "escapes_at", "trivial",
)  # fmt: skip
NEED_GOOD = (
    "image_auroc", "average_precision", "false_alarm_rate_got", "false_alarm_interval",
    "median_score_good", "escapes_at", "trivial",
)  # fmt: skip
NOT_ASKED = "not asked for"


def reasons_of(
    collected: Collected,
    counts: metrics.Confusion,
    unsure: Mapping[str, str],
    pixels: PixelSummary | None,
    data: Path,
    *,
    equalised_missing: bool,
    equalised_asked: bool,
) -> dict[str, str]:
    """Field of `Evaluation` -> why it is missing; fields not named here have a value.

    Args:
        counts: at the calibrated threshold.
        unsure: figure -> why it has no interval.
        pixels: as they were summed up.
        data: the folder that was evaluated.
    """
    reasons = _image_reasons(counts)
    reasons |= {f"intervals.{name}": why for name, why in unsure.items()}
    reasons |= _pixel_reasons(collected, data, pixels, counts)
    if equalised_missing:
        reasons["equalised"] = (
            "the model file does not hold the brightness of its training images; train it again"
            if equalised_asked
            else NOT_ASKED
        )
    if not collected.stressed:
        reasons["stress"] = NOT_ASKED
    return reasons


def _image_reasons(counts: metrics.Confusion) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if not counts.defects:
        reasons |= dict.fromkeys(NEED_DEFECTS, "there are no defective test images")
    if not counts.good:
        reasons |= dict.fromkeys(NEED_GOOD, "there are no good test images")
    if counts.precision is None:
        reasons["precision"] = "no image was called defective"
    return reasons


def _pixel_reasons(
    collected: Collected, data: Path, pixels: PixelSummary | None, counts: metrics.Confusion
) -> dict[str, str]:
    """The reasons for the pixel-level figures."""
    if collected.pixels is None:
        return {"pixels": NOT_ASKED}
    if pixels is None:
        if not counts.defects:
            return {"pixels": "there are no defective test images"}
        if not collected.mask_problems:
            strays = len(images_in(data / "ground_truth", True, lambda error: None))
            wanted = f"; {strays} images there belong to none. {MASK_NAMING}" if strays else ""
            return {"pixels": f"no defective test image has a mask in ground_truth/<kind>{wanted}"}
        first = collected.mask_problems[0].problem
        return {"pixels": f"no defective test image has a mask that can be used: {first}"}
    found = {}
    if not pixels.intervals:
        found["pixels.intervals"] = (
            f"fewer than {intervals.MIN_PARTS} parts have a mask, or every resample gives the "
            "same: they cannot tell how parts differ"
        )
    if pixels.overall.auroc is None:
        found["pixels.auroc"] = "no pixel of the test images is unmarked"
    return found
