"""Good images that nothing was learnt from set the threshold: after training, or later on others.

The one way to do it, so that a threshold means the same wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from burnish.detection.calibration import Calibration
from burnish.detection.image_scorer import ImageScorer
from burnish.detection.oddest import Oddest, find_oddest
from burnish.detection.sizes import count_tiles
from burnish.detection.stages import Stage
from burnish.training.samples import Images


@dataclass(frozen=True)
class HeldOut:
    """Good images that were not learnt from, in one order.

    Attributes:
        images: prepared, see `image_scorer`.
        names: of their files.
        parts: the part that each shows.
        sizes: (height, width) of each file, px.
    """

    images: Images
    names: Sequence[str]
    parts: Sequence[str]
    sizes: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Calibrated:
    """What held-out images gave.

    Attributes:
        calibration: threshold, p-values, heat-map scale.
        scores: of each image.
        oddest: the image that alone sets the threshold, if one stands apart.
        facts: for the `data` of a model's card.
    """

    calibration: Calibration
    scores: Sequence[float]
    oddest: Oddest | None
    facts: dict[str, Any]


def calibrate(
    scorer: ImageScorer, held: HeldOut, tick: Callable[[], None] = lambda: None
) -> Calibrated:
    """Calibrate a scorer on held-out images.

    Args:
        tick: called after every image of each of `scorer.calibration_passes`.
    """
    calibration, scores = scorer.calibrate(held.images, tick, held.parts)
    oddest = find_oddest(held.names, held.parts, scores, calibration.threshold)
    facts = {
        "held_out_images": len(held.names),
        "held_out_parts": len(set(held.parts)),
        "held_out": list(held.names),
        "oddest": None if oddest is None else asdict(oddest),
        **_tiles_of(scorer, held.sizes),
    }
    return Calibrated(calibration, scores, oddest, facts)


def tell_promise(calibrated: Calibrated, tell: Callable[[Stage], None]) -> None:
    """Say what the threshold promises, and which image alone sets it, if one does."""
    calibration, oddest = calibrated.calibration, calibrated.oddest
    tell(Stage("calibrate", calibration.promise(), done=1.0, warns=not calibration.keeps_promise))
    if oddest is not None:
        tell(Stage("calibrate", str(oddest), done=1.0, warns=True))


def _tiles_of(scorer: ImageScorer, sizes: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    """The fewest and the most tiles that a held-out image has; nothing where images are whole."""
    settings = scorer.settings
    if settings.tile == "full":
        return {}
    tiles = [count_tiles(settings, scorer.region(*size), *size) for size in set(sizes)]
    return {"tiles": [min(tiles), max(tiles)]}
