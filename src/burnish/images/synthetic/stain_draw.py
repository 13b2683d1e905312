"""Draw the defects of a plan, one held-out image at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.errors import BurnishError
from burnish.images.background import find_part
from burnish.images.png import save_png
from burnish.images.reader import read_image
from burnish.images.synthetic.defects import draw_defect
from burnish.images.synthetic.room import Region
from burnish.images.synthetic.stain_plan import Plan, Request, Source, Version

Regions = Callable[[int, int], Region | None]
"""Gives the region for an image of (height, width); None: all of it."""

REDRAWN = 5
"""Draws until a defect changes anything; a faint one may be rounded away."""


def draw_versions(
    source: Source,
    plan: Plan,
    out: Path,
    request: Request,
    regions: Regions,
) -> None:
    """Write one held-out image as good and with each of its defects, unless they are there.

    Raises:
        BurnishError: the region has no room for a defect, a defect is too faint to change
            anything, or `out` cannot be written to.
    """
    good, versions = out / plan.place(source), plan.versions[source.path.name]
    wanted = [v for v in versions if not ((out / v.image).exists() and (out / v.mask).exists())]
    if good.exists() and not wanted:
        return
    image = read_image(source.path)
    if not good.exists():
        # Encoded anew: a JPEG among PNGs would tell good from defective by its format.
        save_png(good, image)
    allowed = regions(*image.shape[:2]) if wanted else None
    if wanted and request.on_part and (part := find_part(image)) is not None:
        allowed = part if allowed is None else part & allowed
    for version in wanted:
        drawn, mask = _defect(image, source, version, request, allowed)
        save_png(out / version.mask, mask.astype(np.uint8) * 255)
        save_png(out / version.image, drawn)


def _defect(
    image: NDArray[np.uint8],
    source: Source,
    version: Version,
    request: Request,
    allowed: Region | None,
) -> tuple[NDArray[np.uint8], Region]:
    place = f"{request.seed}\0{source.path.name}\0{version.kind}\0{version.repeat}"
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16]))
    at_edge = int.from_bytes(digest[16:24]) < request.edges * 2**64
    for _ in range(REDRAWN):
        try:
            drawn = draw_defect(
                image, version.kind, rng, request.strength, allowed=allowed, at_edge=at_edge
            )
        except BurnishError as error:
            raise BurnishError(f"{source.path}: {error}") from error
        if drawn[1].any():
            return drawn
    raise BurnishError(
        f"{source.path}: a {version.kind} of strength {request.strength:g} changes nothing; "
        "choose a larger --strength"
    )
