"""The report's pictures, as the paper's Figures 10 and 11: which images to show, their panels."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from burnish.detection.pictures import panel_pictures
from burnish.detection.result import Result
from burnish.errors import BurnishError
from burnish.evaluation.collect import Inspector, name_of, read_mask
from burnish.evaluation.record import Evaluation, ImageRow
from burnish.files import printable
from burnish.images.dataset import TestImage, find_test_images
from burnish.images.reader import to_channels

PANEL_SIDES = (440, 360, 280, 200)  # px of the longer side: sharp at half that size on a phone
QUALITIES = (88, 78)
BUDGET = 4_500_000  # bytes of all panels; base64 adds a third, and the page must open on a phone
PANELS = 5
TEXTS = {  # title, lead, and what is said of an empty gallery, by key
    "surest": (
        "Surest catches",
        "Defects with the highest scores, kinds in turn.",
        "No defect was caught.",
    ),
    "missed": (
        "Missed defects",
        "Defective parts that would have passed, lowest score first.",
        "No defect was missed.",
    ),
    "false_alarms": (
        "False alarms",
        "Good parts called defective, highest score first.",
        "No good part was called defective.",
    ),
    "closest": (
        "Closest calls",
        "Scores nearest the threshold, on either side, of those not shown above.",
        "None left.",
    ),
    "passed": (
        "Good parts passed",
        "From the highest to the lowest score.",
        "No good part is left to show.",
    ),
}
TRUTH = np.array([213, 94, 0], dtype=np.float64)  # Okabe-Ito vermillion, as defects in the figures
PASSED = 3  # good parts shown


@dataclass(frozen=True)
class Panel:
    """One picture as JPEG, with its title."""

    name: str
    jpeg: bytes

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


@dataclass(frozen=True)
class Exhibit:
    """One image of a gallery with its panels.

    Attributes:
        aspect: width over height.
        where: the worst region and the error map that stood out; empty when called good.
        problem: which panels are missing, and why.
    """

    row: ImageRow
    panels: tuple[Panel, ...]
    aspect: float
    where: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Gallery:
    """A titled group of exhibits, and how many images of the test set belong to it.

    Attributes:
        key: a name for files.
        none: the text for an empty one.
    """

    key: str
    title: str
    lead: str
    none: str
    total: int
    exhibits: tuple[Exhibit, ...]


def choose(evaluation: Evaluation, most: int) -> dict[str, tuple[list[ImageRow], int]]:
    """The images to show by key of `TEXTS`, at most `most` each, none twice, and how many belong
    there.

    Wrong verdicts come before right ones, so that every miss and false alarm that fits is seen.
    """
    e = evaluation
    rows = sorted(e.images, key=lambda row: (-row.score, row.path))
    missed = [row for row in reversed(rows) if row.is_defect and not row.called_defective]
    alarms = [row for row in rows if not row.is_defect and row.called_defective]
    caught = [row for row in rows if row.is_defect and row.called_defective]
    passed = [row for row in rows if not row.is_defect and not row.called_defective]
    surest = _in_turns(caught, most)
    shown = {row.path for row in (*missed[:most], *alarms[:most], *surest)}
    rest = [row for row in rows if row.path not in shown]
    closest = sorted(rest, key=lambda row: (abs(row.score - e.threshold), row.path))[:most]
    shown |= {row.path for row in closest}
    quiet = _spaced([row for row in passed if row.path not in shown], min(most, PASSED))
    return {
        "surest": (surest, len(caught)),
        "missed": (missed[:most], len(missed)),
        "false_alarms": (alarms[:most], len(alarms)),
        "closest": (closest, len(rest)),
        "passed": (quiet, len(passed)),
    }


def make_galleries(
    evaluation: Evaluation, detector: Inspector, data: Path, most: int
) -> list[Gallery]:
    """Choose by score, then inspect those few again: pixels are only held one image at a time.

    Raises:
        BurnishError: the data folder is gone.
    """
    files = {name_of(image.path, data): image for image in find_test_images(data)}
    chosen = choose(evaluation, most)
    share = BUDGET // max(1, PANELS * sum(len(rows) for rows, _ in chosen.values()))
    galleries = []
    for key, (rows, total) in chosen.items():
        exhibits = tuple(_exhibit(row, files.get(row.path), detector, share) for row in rows)
        galleries.append(Gallery(key, *TEXTS[key], total, exhibits))
    return galleries


def truth_panel(image: NDArray[np.uint8], inside: NDArray[np.bool_]) -> Image.Image:
    """The part in pale grey with the ground-truth mask (H, W) over it, RGB at the image's size."""
    grey = to_channels(to_channels(image, 1), 3).astype(np.float64)
    pale = 0.5 * grey + 0.5 * 255
    # Large images are shown small, so the edge is widened outwards: a few px would be lost.
    wide = 2 * (max(inside.shape) // PANEL_SIDES[0])
    edge = ndimage.maximum_filter(inside, 2 * wide + 1) & ~ndimage.binary_erosion(inside)
    pale[inside] = 0.55 * pale[inside] + 0.45 * TRUTH  # the flaw must stay visible
    pale[edge] = TRUTH
    return Image.fromarray(np.round(pale).astype(np.uint8))


def shrunk_jpeg(picture: Image.Image, most_bytes: int = BUDGET) -> bytes:
    """A picture as JPEG, never enlarged, as large and good as `most_bytes` allow.

    If none fits, the smallest version is returned.
    """
    colour = picture.convert("RGB")
    content = b""
    for side in PANEL_SIDES:
        small, zoom = colour, side / max(colour.size)
        if zoom < 1:
            size = (max(1, round(colour.width * zoom)), max(1, round(colour.height * zoom)))
            small = colour.resize(size, Image.Resampling.LANCZOS)
        for quality in QUALITIES:
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=quality, optimize=True)
            content = stream.getvalue()
            if len(content) <= most_bytes:
                return content
    return content


def _exhibit(
    row: ImageRow, image: TestImage | None, detector: Inspector, most_bytes: int
) -> Exhibit:
    try:
        if image is None:
            raise BurnishError("the file is no longer there")
        result = detector.inspect(image.path)
    except BurnishError as error:
        return Exhibit(row, (), 1.0, problem=printable(str(error)))
    height, width = result.image.shape[:2]
    pictures = {title.replace("x4", "×4"): one for title, one in panel_pictures(result).items()}
    problem = ""
    if image.mask is not None:
        try:
            pictures["ground truth"] = truth_panel(
                result.image, read_mask(image.mask, result.image.shape[:2])
            )
        except BurnishError as error:
            problem = printable(f"no ground truth: {error}")
    panels = tuple(
        Panel(name, shrunk_jpeg(picture, most_bytes)) for name, picture in pictures.items()
    )
    return Exhibit(row, panels, width / height, _where(result), problem)


def _where(result: Result) -> str:
    if not result.is_defect:
        return ""
    scale = f"{result.evidence} stood out"
    x, y = result.peak
    if result.all_over:
        return f"all over, most at ({x}, {y})"
    if not result.regions:
        return f"thinly spread, hottest at ({x}, {y}); {scale}"
    worst, count = result.regions[0], len(result.regions)
    several = "the one region" if count == 1 else f"worst of {count} regions"
    place = f"{worst.width} × {worst.height} px at ({worst.x}, {worst.y})"
    return f"{several}: {place}; {scale}"


def _in_turns(rows: Sequence[ImageRow], most: int) -> list[ImageRow]:
    """The first of every kind, then the second, ...; within a turn in the order given."""
    turn_of: dict[str, int] = {}
    numbered = []
    for place, row in enumerate(rows):
        turn_of[row.kind] = turn_of.get(row.kind, -1) + 1
        numbered.append((turn_of[row.kind], place, row))
    return [row for _, _, row in sorted(numbered, key=lambda item: item[:2])[:most]]


def _spaced(rows: Sequence[ImageRow], count: int) -> list[ImageRow]:
    """`count` rows spread evenly from the first to the last."""
    if len(rows) <= count:
        return list(rows)
    return [rows[i] for i in np.linspace(0, len(rows) - 1, count).round().astype(int)]
