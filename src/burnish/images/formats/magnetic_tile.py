"""Magnetic Tile (Huang et al. 2018): ferrite tiles, each taken at several exposures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from burnish.images.archives.archive import Source
from burnish.images.dataset import GOOD
from burnish.images.formats.base import Item, Options
from burnish.images.formats.masks import mask_loader
from burnish.images.formats.names import by_stem, find_sibling, matches, not_this, without_suffix

TREE = r"MT_(?P<kind>[^/]+)/Imgs/(?P<stem>exp\d+_num_(?P<number>\d{1,18}))\.jpe?g"

# Pictures are numbered by one running counter, so a number names a picture, not a part: one tile
# is taken at six exposures in a row (exp1 ... exp6). Pictures up to 200 apart correlate as one
# tile, a few up to 520 do. So 550 keeps tiles whole; a series may hold two tiles, which only makes
# the split coarser.
SERIES_GAP = 550


class MagneticTile:
    """`MT_<Kind>/Imgs/expE_num_N.jpg` with a PNG mask beside; the part is the exposure series."""

    name = "magnetic-tile"
    summary = "Magnetic Tile: MT_<Kind>/Imgs/*.jpg with .png masks; the part is the exposure series"

    def fits(self, source: Source) -> bool:
        return bool(matches(source.names(), TREE))

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        found = matches(names, TREE)
        if not found:
            raise not_this("the Magnetic Tile set", "MT_<Kind>/Imgs/expE_num_N.jpg", names)
        masks = by_stem(name for name in names if name.lower().endswith(".png"))
        series = 0
        last, part = -SERIES_GAP - 1, ""
        for match in sorted(found, key=lambda m: (int(m["number"]), m.string)):
            number = int(match["number"])
            if number - last > SERIES_GAP:
                part = f"series{number:06d}"
                series += 1
            last = number
            name, kind = match.string, match["kind"].lower()
            kind = GOOD if kind == "free" else kind
            mask = find_sibling(without_suffix(name), masks)
            load = mask_loader(source, None if kind == GOOD else mask)
            yield Item(name, match["stem"], kind, part, partial(source.read, name), load)
        counted = f"{series} exposure series from {len(found)} picture numbers"
        if options.part is None:
            note(f"{counted}: numbers at most {SERIES_GAP} apart belong together")
        else:
            note(
                f"{counted} give way to --part: the number is that of a picture, so a part named "
                "by it shows on both sides of a split, at other exposures"
            )
