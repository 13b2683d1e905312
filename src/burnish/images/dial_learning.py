"""Learn a `Dial` from training images, where their parts lie turned.

What does not turn with the parts, as light that falls from one side, is in the mean of the parts as
they lie, and what turns is hardly. So the mean is taken away before parts are turned to each other;
else the light would hold them where they are.

Shapes: n parts, R rings, N turns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.images.dial import LEVELS, RINGS, Dial, fit_of, read_rings
from burnish.images.pose import Pose

FEWEST = 8  # parts that a dial is learnt from
ALIKE = 0.7
"""How much parts may still differ once turned, in shares of how much they differed before, judged
by others than were learnt from. Made parts that lie turned reach .03 to .2; rings, discs and parts
that lie alike 1.2 or more, as turning them only moves the light."""

STARTS, ROUNDS = 4, 10  # parts that a template is begun with, and rounds of turning and averaging

Array = NDArray[np.float64]
_AREA = np.arange(1.0, RINGS + 1)[:, None]  # an outer ring stands for more of the part


def learn_dial(
    greys: Sequence[NDArray[np.uint8]], poses: Sequence[Pose], reach: float
) -> Dial | None:
    """Learn how to turn parts to one direction; None where turning does not make them alike.

    Args:
        greys: uint8 (h, w), at the working size.
        poses: of the part in each.
        reach: radius of the outermost ring, px.
    """
    if len(greys) < FEWEST:
        return None
    read = np.stack(
        [read_rings(grey, pose.x, pose.y, reach) for grey, pose in zip(greys, poses, strict=True)]
    ).astype(np.float64)
    if _left_over(read) > ALIKE:
        return None
    template = _AREA * _template(read - read.mean(axis=0))
    template -= template.mean(axis=1, keepdims=True)  # a ring's mean fits every turn alike
    whole = np.rint(template * (LEVELS / np.abs(template).max())).astype(int)
    return Dial(reach=reach, template=tuple(map(tuple, whole.tolist())))


def _left_over(read: Array) -> float:
    """How much parts differ once they are turned by what the other half of them taught, in shares
    of how much they differ as they lie."""
    turned = before = 0.0
    for taught, judged in ((read[::2], read[1::2]), (read[1::2], read[::2])):
        still = taught.mean(axis=0)
        turns = _turns(judged - still, _template(taught - still))
        turned += _difference(_turn_back(judged, turns))
        before += _difference(judged)
    return turned / before if before > 0 else math.inf


def _difference(read: Array) -> float:
    return float((_AREA * read.var(axis=0)).sum())


def _template(signals: Array) -> Array:
    """What the parts have in common once they are turned to each other: (n, R, N) -> (R, N).

    Each round turns every part to the mean of the round before. Which part the first round takes
    for the mean matters, so several are tried; the mean that the parts fit best is kept.
    """
    best, best_fit = signals[0], -np.inf
    for first in np.unique(np.linspace(0, len(signals) - 1, STARTS).astype(int)):
        template = signals[first]
        for _ in range(ROUNDS):
            before, template = template, _turn_back(signals, _turns(signals, template)).mean(axis=0)
            if np.array_equal(before, template):
                break
        # The parts turned alike have the largest mean.
        if (fit := float((_AREA * template**2).sum())) > best_fit:
            best, best_fit = template, fit
    return best


def _turns(signals: Array, template: Array) -> NDArray[np.int64]:
    """The turn at which each part fits the template best: int (n,)."""
    return np.asarray(fit_of(signals, _AREA * template).argmax(axis=1))


def _turn_back(read: Array, turns: NDArray[np.int64]) -> Array:
    return np.stack([np.roll(one, -turn, axis=1) for one, turn in zip(read, turns, strict=True)])
