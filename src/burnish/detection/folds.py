"""Cross-validation in place of a hold-out (`folds`): further networks, each trained without a group
of the parts, judge what they have not learnt from; the model itself learns from all parts.

As in scikit-learn's CalibratedClassifierCV(ensemble=False, cv=folds). With few parts both sides
gain: all are learnt from, and all set the threshold. The price is time, and the proof: that a new
good part exceeds a conformal threshold with a given probability is proven for scores of one and the
same network. Those of the folds' networks, each in units of its own, may be higher or lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from statistics import median

from burnish.detection.calibration import Calibration, ranked
from burnish.detection.held_out import Calibrated, HeldOut
from burnish.detection.oddest import find_oddest


def pool(
    turns: Sequence[tuple[HeldOut, Calibrated]], references: tuple[list[float], list[float]]
) -> Calibrated:
    """Put together what the networks of all folds found.

    Args:
        turns: the images of each fold, and what its network made of them.
        references: mu and sigma of the model that learnt from all parts.
    """
    found = [calibrated.calibration for _, calibrated in turns]
    scores, score_weights = _ranked([(c.scores, c.score_weights) for c in found])
    peaks, peak_weights = _ranked([(c.peaks, c.peak_weights) for c in found])
    calibration = Calibration(
        mu=tuple(references[0]),
        sigma=tuple(references[1]),
        scores=scores,
        peaks=peaks,
        heat_low=median(c.heat_low for c in found),
        false_alarms=found[0].false_alarms,
        parts=sum(len(set(held.parts)) for held, _ in turns),
        score_weights=score_weights,
        peak_weights=peak_weights,
        folds=len(turns),
    )
    names, parts, unsorted = (
        list(chain.from_iterable(each))
        for each in zip(*((h.names, h.parts, c.scores) for h, c in turns), strict=True)
    )
    oddest = find_oddest(names, parts, unsorted, calibration.threshold)
    tiles = [calibrated.facts["tiles"] for _, calibrated in turns if "tiles" in calibrated.facts]
    facts = {
        "held_out_images": len(names),
        "held_out_parts": calibration.parts,
        "held_out": [],  # the model has learnt from every image
        "oddest": None if oddest is None else asdict(oddest),
        **({"tiles": [min(chain(*tiles)), max(chain(*tiles))]} if tiles else {}),
    }
    return Calibrated(calibration, unsorted, oddest, facts)


def _ranked(
    folds: Sequence[tuple[Sequence[float], Sequence[float] | None]],
) -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """The values of all folds, ascending, and their weights; None if every image is a part."""
    found = [value for values, _ in folds for value in values]
    if all(weights is None for _, weights in folds):
        return ranked(found, None)
    return ranked(found, [w for values, weights in folds for w in weights or [1.0] * len(values)])
