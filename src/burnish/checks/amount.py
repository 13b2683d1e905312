"""Findings about the amount of data: are there enough good images for the false-alarm rate?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from burnish.checks.finding import Finding, counted
from burnish.checks.measure import Measured
from burnish.checks.subject import DataSet
from burnish.detection.calibration import needed_parts
from burnish.errors import BurnishError
from burnish.images.dataset import MIN_GOOD
from burnish.images.parts import split_by_part
from burnish.settings import USUAL_HOLDOUT, Holdout

FEW_DEFECTS = 10


def find_shortage(
    data: DataSet, images: Sequence[Measured], false_alarms: float, holdout: Holdout
) -> list[Finding]:
    """Find out whether there are too few good images to train on, to hold out, or to test with.

    Args:
        images: those that could be read.
        false_alarms: rate asked for, in (0, 1); n held-out parts can promise 1 / (n + 1).
        holdout: share of good images held out for it, part by part; or "auto".
    """
    good = [i for i in images if not i.subject.is_defect and i.subject.split != "test"]
    if len(good) < MIN_GOOD:
        where = " in train/good" if data.is_split else ""
        return [
            Finding(
                "no-training-images" if not good else "too-few-training-images",
                "error",
                "Too few good images to learn from",
                f"There {'is' if len(good) == 1 else 'are'} "
                f"{counted(len(good), 'readable good image')}{where}; at least {MIN_GOOD} are "
                "needed.",
                "Add good images: nothing can be learned without them.",
                figures={"good_images": len(good), "needed": MIN_GOOD},
            ),
            *_test_side(data, images, false_alarms),
        ]
    return [
        *_hold_out(data, good, false_alarms, holdout),
        *_test_side(data, images, false_alarms),
    ]


def _hold_out(
    data: DataSet, good: Sequence[Measured], false_alarms: float, holdout: Holdout
) -> list[Finding]:
    parts = [image.subject.part or image.name for image in good]
    try:
        held_images = split_by_part(parts, holdout, seed=0)[1]
    except BurnishError as error:
        return [
            Finding(
                "one-part",
                "error",
                "All good images are of one part",
                f"{str(error)[0].upper()}{str(error)[1:]}.",
            )
        ]
    held = len({parts[i] for i in held_images})  # images of one part count once
    needed = needed_parts(false_alarms)
    if held >= needed:
        return []
    whole = "" if data.is_split else " if all were trained on"
    total, unit = len(set(parts)), "part" if len(set(parts)) < len(good) else "image"
    of_parts = f" of {total:,} parts" if unit == "part" else ""
    left = f"those of {counted(held, 'part')}" if unit == "part" else f"{held:,}"
    share = USUAL_HOLDOUT if holdout == "auto" else holdout
    return [
        Finding(
            "too-few-for-rate",
            "warning",
            f"Too few good {unit}s for the false-alarm rate asked for",
            f"{counted(len(good), 'good image')}{of_parts} leave {left} for calibration{whole}, "
            f"which can promise {100 / (held + 1):.2g} % false alarms at "
            f"best, not {100 * false_alarms:.2g} %: that takes at least {needed:,}.",
            f"Take about {math.ceil(needed / share):,} good {unit}s, hold out more "
            "(--holdout, and --set holdout=... when training), hold out all in turn (--folds 5 "
            f"when training: {100 / (total + 1):.2g} % at best), or accept more false alarms "
            "(--false-alarms).",
            figures={
                "good_images": len(good),
                "held_out": held,
                "needed": needed,
                "promised": round(1 / (held + 1), 6),
                "asked": false_alarms,
            },
        )
    ]


def _test_side(data: DataSet, images: Sequence[Measured], false_alarms: float) -> list[Finding]:
    tested = [i for i in images if i.subject.split == "test" or not data.is_split]
    good = sum(not image.subject.is_defect for image in tested)
    defects = len(tested) - good
    if not tested:
        return [
            _note(
                "no-test-images",
                "No test images",
                "There are no test images: shortcuts and "
                "shift were not looked for, and nothing can be evaluated.",
            )
        ]
    said = []
    if good < 1 / false_alarms:
        said.append(
            f"{counted(good, 'good image')} cannot show a false-alarm rate of "
            f"{100 * false_alarms:.2g} %"
            + (f": one false alarm is {100 / good:.2g} %" if good else "")
        )
    if defects < FEW_DEFECTS:
        said.append(
            f"{counted(defects, 'defective image')} cannot show which share is caught"
            + (f": one is {100 / defects:.0f} % of them" if defects else "")
        )
    if not said:
        return []
    message = f"To test with, {'; '.join(said)}."
    return [
        _note("small-test", "Few images to test with", message, {"good": good, "defects": defects})
    ]


def _note(code: str, title: str, message: str, figures: dict[str, int] | None = None) -> Finding:
    return Finding(code, "note", title, message, figures=figures or {})
