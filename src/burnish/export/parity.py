"""The parity gate: compares the verdicts and scores of an export with the model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.detection.detector import Detector
from burnish.detection.model_file import ModelCard
from burnish.errors import BrokenModel, BurnishError
from burnish.files import printable
from burnish.images.dataset import GOOD, find_test_images, images_in
from burnish.sampling import some_of

MOST_IMAGES = 1000
SHOWN = 5


@dataclass(frozen=True)
class Difference:
    """One image, judged by both.

    Attributes:
        score, exported_score: of the model and of the export.
        map: largest difference of the anomaly maps.
        differs: whether the verdicts do.
    """

    path: Path
    score: float
    exported_score: float
    map: float
    differs: bool

    @property
    def by(self) -> float:
        return abs(self.score - self.exported_score)


@dataclass(frozen=True)
class Parity:
    """The differences on all images.

    Attributes:
        images: each image's differences.
        tolerance: largest score difference allowed, in score units.
        threshold: of the model.
        exported_threshold: of the export; int8 raises it.
    """

    images: tuple[Difference, ...]
    tolerance: float
    threshold: float
    exported_threshold: float

    @property
    def worst(self) -> Difference:
        return max(self.images, key=lambda image: image.by)

    @property
    def map_difference(self) -> float:
        return max(image.map for image in self.images)

    @property
    def differing(self) -> tuple[Difference, ...]:
        return tuple(image for image in self.images if image.differs)

    @property
    def beyond(self) -> tuple[Difference, ...]:
        """Images whose scores differ by more than the tolerance, worst first."""
        far = [image for image in self.images if not image.by <= self.tolerance]  # NaN too
        return tuple(sorted(far, key=lambda image: -image.by))

    @property
    def raised(self) -> bool:
        """Whether the export's threshold is another, not only the same in float32."""
        return bool(np.float32(self.exported_threshold) != np.float32(self.threshold))

    @property
    def passed(self) -> bool:
        return not self.differing and not self.beyond

    def summary(self) -> str:
        """One sentence for people."""
        share = self.worst.by / abs(self.threshold) if self.threshold else float("nan")
        return (
            f"{len(self.images)} images: largest score difference {self.worst.by:.2g} "
            f"of {self.tolerance:.2g} allowed ({100 * share:.2g} % of the threshold), largest map "
            f"difference {self.map_difference:.2g}, {len(self.differing)} verdicts differ"
        )

    def to_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "images": len(self.images),
            "largest_score_difference": self.worst.by,
            "score_tolerance": self.tolerance,
            "threshold": self.threshold,
            "exported_threshold": self.exported_threshold,
            "largest_map_difference": self.map_difference,
            "verdicts_that_differ": len(self.differing),
        }

    def complaint(self) -> str:
        """Why the comparison failed, with the names of images."""
        lines = []
        thresholds = f"threshold {self.threshold:.6g}"
        if self.raised:
            thresholds += f", exported {self.exported_threshold:.6g}"
        for image in self.differing[:SHOWN]:
            lines.append(
                f"  {image.path}: the verdict differs (score {image.score:.6g}, exported "
                f"{image.exported_score:.6g}; {thresholds})"
            )
        rest = [image for image in self.beyond if not image.differs]
        for image in rest[: max(1, SHOWN - len(lines))]:
            lines.append(
                f"  {image.path}: the score differs by {image.by:.3g} ({image.score:.6g}, "
                f"exported {image.exported_score:.6g})"
            )
        bad = len({image.path for image in (*self.differing, *self.beyond)})
        if bad > len(lines):
            lines.append(f"  and {bad - len(lines)} more images")
        return "\n".join(lines)


@dataclass(frozen=True)
class GateImages:
    """The images to compare on: good ones that were not trained on, and test images.

    Attributes:
        stand_in: whether the held-out images are gone, so that training images take their place.
    """

    good: tuple[Path, ...]
    tested: tuple[Path, ...]
    stand_in: bool = False

    @property
    def all(self) -> tuple[Path, ...]:
        return self.good + self.tested

    @property
    def for_ranges(self) -> tuple[Path, ...]:
        """Good images to set int8's ranges and threshold with; never all that it is tested on."""
        return self.good if self.tested else self.good[: len(self.all) // 2]


def gate_images(card: ModelCard, data: Path | None) -> GateImages:
    """The images to compare on: good ones, and what lies in the data set's test folder.

    Args:
        data: a data set in MVTec AD layout, or a folder of images; None: the model's own data set,
            of its training images only those held out, or what it was calibrated on later.

    Returns:
        At most `MOST_IMAGES` paths of each, drawn at random.

    Raises:
        BurnishError: there are none.
    """
    own = Path(card.data.get("calibrated_on", card.data["folder"]))
    root = own if data is None else data
    if not root.is_dir():
        where = "the model's data set is no longer" if data is None else "there is no folder"
        raise BurnishError(
            f"{where} at {root}: the export is only made when real images prove it right; "
            "give some with --data FOLDER (good ones, or a data set in MVTec AD layout)"
        )
    folder = root / "train" / GOOD
    good = images_in(folder if folder.is_dir() else root)
    names, stand_in = set(card.data.get("held_out", ())), False
    # The card has the name as `printable` writes it.
    if data is None or printable(str(root.resolve())) == printable(str(own.resolve())):
        held = [path for path in good if printable(path.name) in names]
        stand_in = bool(good) and not held and not card.calibration.folds
        good = held or good
    labelled = Path(card.data["folder"]) if data is None else root
    has_tests = (labelled / "test").is_dir()
    tested = [image.path for image in find_test_images(labelled)] if has_tests else []
    if not good and not tested:
        raise BurnishError(f"{root} holds no image to compare on: give some with --data FOLDER")
    chosen = [tuple(some_of(paths, MOST_IMAGES)) for paths in (good, tested)]
    return GateImages(chosen[0], chosen[1], stand_in)


def compare(
    model: Detector,
    exported: Detector,
    paths: Sequence[Path],
    tolerance: float,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Parity:
    """Inspect every image with both.

    Args:
        tolerance: of scores, as a share of the threshold.
        on_image: called with (done, all) after each.

    Raises:
        BurnishError: no image can be read, or the export refuses one.
    """
    found, skipped = [], []
    for done, path in enumerate(paths, start=1):
        try:
            one = model.inspect(path)
        except BrokenModel:
            raise
        except BurnishError as error:  # training skipped such files too
            skipped.append(str(error))
            continue
        try:
            two = exported.inspect(path)
        except BurnishError as error:
            raise BurnishError(f"{path}: {error}") from error
        by = float(np.abs(one.anomaly_map - two.anomaly_map).max())
        differs = one.is_defect != two.is_defect
        found.append(Difference(path, one.score, two.score, by, differs))
        on_image(done, len(paths))
    if not found:
        raise BurnishError("none of the images to compare on can be read: " + skipped[0])
    allowed = tolerance * abs(model.threshold)
    return Parity(tuple(found), allowed, model.threshold, exported.threshold)
