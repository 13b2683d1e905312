"""Findings about masks: missing, empty, of another size, on good images, of nothing."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.checks.finding import Finding, Severity, counted, some
from burnish.checks.measure import Measured
from burnish.checks.subject import DataSet
from burnish.images.dataset import MASK_NAMING

MOST_OF_IMAGE = 0.9  # share marked above which a mask is taken to be inverted


def find_mask_problems(data: DataSet, images: Sequence[Measured]) -> list[Finding]:
    """Find problems of masks; in a mask every pixel that is not 0 is marked.

    Args:
        images: those that could be read.
    """
    defects = [image for image in images if image.subject.is_defect]
    good = [image for image in images if not image.subject.is_defect]
    findings = [
        _finding(
            "mask-unreadable",
            "error",
            "Masks that cannot be read",
            "{n} that cannot be read: {problems}.",
            "Replace the file; until then the defect counts as without a mask.",
            [image for image in images if image.mask_problem],
        ),
        _finding(
            "mask-size",
            "error",
            "Masks of another size than their image",
            "{n} of another size: {sizes}.",
            "Draw them on the image as it is; resizing a mask moves its edges.",
            [image for image in images if _sizes_differ(image)],
        ),
        _finding(
            "mask-on-good",
            "error",
            "Good images with a mask that marks something",
            "{n} of good images with something marked: {names}.",
            "Either the image is defective and lies in the wrong folder, or the mask is wrong.",
            [image for image in good if image.mask is not None and image.mask.marked],
        ),
        _finding(
            "mask-empty",
            "warning",
            "Defects with an empty mask",
            "{n} of defective images with nothing marked: {names}.",
            "Mark the defect, or remove the file: then the image counts as without a mask, not "
            "as one where nothing is wrong.",
            [image for image in defects if image.mask is not None and not image.mask.marked],
        ),
        _finding(
            "mask-inverted",
            _if_usual(defects),
            "Masks that cover nearly all of the image",
            f"{{n}} of defective images with over {100 * MOST_OF_IMAGE:.0f} % marked: {{names}}.",
            "Look whether black and white are exchanged: what is not 0 is the defect.",
            [image for image in defects if _covers_most(image)],
        ),
    ]
    return [f for f in findings if f is not None] + _missing(defects) + _lone(data)


def _finding(
    code: str, severity: Severity, title: str, message: str, advice: str, images: Sequence[Measured]
) -> Finding | None:
    if not images:
        return None
    text = message.format(
        n=counted(len(images), "mask"),
        names=some([image.name for image in images]),
        problems=some([image.mask_problem for image in images]),
        sizes=some([_sizes(image) for image in images if image.mask is not None]),
    )
    return Finding(
        code,
        severity,
        title,
        text,
        advice,
        tuple(image.name for image in images),
        figures={"images": len(images)},
    )


def _missing(defects: Sequence[Measured]) -> list[Finding]:
    bare = [image for image in defects if image.mask is None and not image.mask_problem]
    if not bare:
        return []
    none = len(bare) == len(defects)
    which = (
        "No defective image has"
        if none
        else (
            f"{len(bare):,} of {counted(len(defects), 'defective image')} "
            f"{'has' if len(bare) == 1 else 'have'} no"
        )
    )
    return [
        Finding(
            "mask-missing",
            "note" if none else "warning",
            "Defects without a mask",
            f"{which}{' a' if none else ''} mask: {some([image.name for image in bare])}.",
            "Without masks whole images can be judged, but not where the model looks."
            if none
            else "Pixel figures leave these images out, and so are of a part of the defects only.",
            tuple(image.name for image in bare),
            figures={"images": len(bare), "defects": len(defects)},
        )
    ]


def _lone(data: DataSet) -> list[Finding]:
    if not data.lone_masks:
        return []
    return [
        Finding(
            "mask-without-image",
            "warning",
            "Masks that belong to no image",
            f"{counted(len(data.lone_masks), 'mask')} "
            f"{'belongs' if len(data.lone_masks) == 1 else 'belong'} to no image: "
            f"{some(data.lone_masks)}.",
            MASK_NAMING,
            figures={"files": list(data.lone_masks)},
        )
    ]


def _if_usual(defects: Sequence[Measured]) -> Severity:
    """A warning if most masks cover their image; a single defect may well do so."""
    return "warning" if 2 * sum(map(_covers_most, defects)) > len(defects) else "note"


def _sizes_differ(image: Measured) -> bool:
    mask, header = image.mask, image.header
    if mask is None or header is None:
        return False
    return (mask.width, mask.height) != (header.width, header.height)


def _sizes(image: Measured) -> str:
    mask, header = image.mask, image.header
    assert mask is not None
    assert header is not None
    return (
        f"{image.name} ({header.width} x {header.height} px, mask {mask.width} x {mask.height} px)"
    )


def _covers_most(image: Measured) -> bool:
    mask = image.mask
    return mask is not None and mask.marked > MOST_OF_IMAGE * mask.width * mask.height
