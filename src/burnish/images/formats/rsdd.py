"""RSDDs (Gan et al. 2017): rails, long and narrow, every image with defects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.formats.base import Item, Options
from burnish.images.formats.masks import mask_in
from burnish.images.formats.names import (
    by_stem,
    find_sibling,
    is_image,
    matches,
    not_this,
    one_root,
)
from burnish.images.formats.windows import Frame, Labels, cut

TREE = r"Rail surface images/(?P<stem>[^/]+)\.[^./]+"


class Rsdd:
    """`Type-I RSDDs dataset/Rail surface images/*.jpg`, masks of the same name in `GroundTruth`.

    Every image shows a defect, so windows along the rail become the images: those without a marked
    pixel are good. The part is the source image.
    """

    name = "rsdd"
    summary = "RSDDs rails: Rail surface images/ and GroundTruth/; windows, the clean ones are good"

    def fits(self, source: Source) -> bool:
        return bool(self._found(source.names()))

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        found = self._found(names)
        if not found:
            raise not_this("RSDDs", "Rail surface images/*.jpg", names)
        root = one_root([root for root, _, _ in found], options.category, self.name)
        masks = by_stem(name for name in names if name.startswith(f"{root}GroundTruth/"))
        frames = (
            Frame(
                name,
                stem,
                partial(source.read, name),
                partial(_labels, source, find_sibling(f"{root}GroundTruth/{stem}", masks)),
                ("defect",),
            )
            for above, name, stem in found
            if above == root
        )
        yield from cut(frames, options.window, note)

    def _found(self, names: list[str]) -> list[tuple[str, str, str]]:
        """Root, name and stem of each image."""
        found = matches(names, TREE)
        return [(m["root"], m.string, m["stem"]) for m in found if is_image(m.string)]


def _labels(source: Source, mask: str | None, height: int, width: int) -> Labels:
    if mask is None:
        raise BurnishError("it has no file in GroundTruth")
    marked = mask_in(source, mask)
    if marked.shape != (height, width):
        raise BurnishError(
            f"its mask has {marked.shape[1]} x {marked.shape[0]} px, the image {width} x {height}"
        )
    return marked.astype(np.uint16)
