"""The held-out good part that alone sets the threshold, if one stands apart from all others.

With few held-out parts the threshold is the highest score. If that part is unusual, or a defective
one among the good, the threshold lets real defects pass: somebody should look at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from burnish.detection.calibration import above

APART = 2.0  # times as far above the median as the next part
FEWEST = 5  # parts: among fewer, none can be called odd


@dataclass(frozen=True)
class Oddest:
    """The image whose score sets the threshold.

    Attributes:
        name: its file's.
        score: its own.
        next_score: the highest of the images of other parts.
    """

    name: str
    score: float
    next_score: float

    def __str__(self) -> str:
        return (
            f"the threshold is the score of one held-out image alone, {self.name} "
            f"({self.score:.3g}; no other part has more than {self.next_score:.3g}): look at it. "
            "If it shows a defect, take it out of the good images and train or calibrate again; if "
            "it is good, parts like it may be missing among the others"
        )


def find_oddest(
    names: Sequence[str], parts: Sequence[str], scores: Sequence[float], threshold: float
) -> Oddest | None:
    """The image that sets the threshold, where no image of another part comes near it.

    Args:
        names, parts, scores: of the held-out images, in one order.
        threshold: image scores above it are called defective.
    """
    if len(set(parts)) < FEWEST:
        return None
    top = max(range(len(scores)), key=lambda index: scores[index])
    next_score = max(s for s, part in zip(scores, parts, strict=True) if part != parts[top])
    # With several images of that part it need not be the highest.
    own = [index for index, part in enumerate(parts) if part == parts[top]]
    setting = min(own, key=lambda index: abs(above(scores[index]) - threshold))
    usual = median(scores)
    sets_it = above(next_score) < threshold  # as it would be without that part
    if not sets_it or scores[setting] - usual <= APART * (next_score - usual):
        return None
    return Oddest(names[setting], scores[setting], next_score)
