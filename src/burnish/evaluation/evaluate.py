"""Evaluate a detector on a test set; table, JSON and HTML are made from the `Evaluation`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from burnish.errors import BurnishError
from burnish.evaluation.aggregate import aggregate
from burnish.evaluation.collect import Collector, Inspector
from burnish.evaluation.record import Evaluation
from burnish.evaluation.stress import choose_images
from burnish.files import printable
from burnish.images.dataset import find_test_images, left_out_of_test
from burnish.images.parts import parts_of

LOG = logging.getLogger("burnish")


def evaluate(
    detector: Inspector,
    data: str | Path,
    on_image: Callable[[int, int], None] | None = None,
    *,
    pixels: bool = True,
    equalised: bool = True,
    stress_images: int = 0,
) -> Evaluation:
    """Inspect every test image and sum up.

    Images that lie elsewhere below `test` are left out, and a warning to the logger "burnish" says
    so. Pixels are dropped as soon as an image is scored, so memory does not grow with the test set.

    Args:
        detector: a `Detector`, or anything that inspects alike.
        data: folder in MVTec AD layout with `test/good` and `test/<kind>`; masks under
            `ground_truth/<kind>`.
        on_image: called with (images done, images in all) after every image.
        pixels: pixel-level metrics, where there are masks.
        equalised: inspect every image a second time, with brightness and contrast brought to the
            training images'.
        stress_images: that many images, drawn evenly, are inspected under each of 16 changes of
            light, sharpness and place as well (18 in colour); 0 leaves the stress table out.

    Raises:
        BurnishError: no test images, none of them readable, or a score that is not finite.
    """
    data = Path(data)
    found = find_test_images(data)
    if left_out := left_out_of_test(data):
        LOG.warning(
            "note: below %s %d image%s not evaluated (%s, say): only those in the folders "
            "test/<kind> themselves are",
            printable(str(data / "test")),
            len(left_out),
            "s are" if len(left_out) > 1 else " is",
            printable(left_out[0].relative_to(data).as_posix()),
        )
    parts = parts_of([image.path for image in found], detector.card.settings.part_pattern, data)
    chosen = choose_images([image.kind for image in found], stress_images)
    collector = Collector(detector, data, pixels, equalised, chosen)
    for number, (image, part) in enumerate(zip(found, parts, strict=True)):
        collector.add(number, image, part)
        if on_image is not None:
            on_image(number + 1, len(found))
    collected = collector.finish()
    if not collected.rows:
        raise BurnishError(
            f"none of the {len(found)} test images in {data / 'test'} can be used; "
            f"the first: {collected.unreadable[0].problem}"
        )
    return aggregate(detector, data, collected, equalised)
