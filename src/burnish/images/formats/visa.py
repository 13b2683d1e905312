"""VisA (Zou et al. 2022): twelve objects, each with normal and anomalous images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.dataset import GOOD
from burnish.images.formats.base import Item, Options
from burnish.images.formats.masks import mask_loader
from burnish.images.formats.names import (
    by_stem,
    find_sibling,
    is_image,
    matches,
    not_this,
    one_root,
    some,
    text_in,
)

TREE = r"Data/Images/(?P<kind>Normal|Anomaly)/(?P<stem>[^/]+)\.[^./]+"
SPLIT = "split_csv/1cls.csv"  # the one-class split of the paper
KIND = "anomaly"


class Visa:
    """`<class>/Data/Images/{Normal,Anomaly}/*.JPG`, masks `<class>/Data/Masks/Anomaly/*.png`.

    The one-class split is taken from `split_csv/1cls.csv` where that is there.
    """

    name = "visa"
    summary = "VisA: <class>/Data/Images/{Normal,Anomaly}, Data/Masks/Anomaly; --class chooses one"

    def fits(self, source: Source) -> bool:
        return any(is_image(m.string) for m in matches(source.names(), TREE))

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        found = [m for m in matches(names, TREE) if is_image(m.string)]
        if not found:
            raise not_this("VisA", "<class>/Data/Images/Normal/*.JPG", names)
        root = one_root([m["root"] for m in found], options.category, self.name)
        split = _split(source, names)
        masks = by_stem(name for name in names if name.startswith(f"{root}Data/Masks/"))
        found = [m for m in found if m["root"] == root]
        sides = {m.string: _side(m.string, split) for m in found}
        if split and not all(sides.values()):
            lacking = [name for name, side in sides.items() if not side]
            note(f"{len(lacking)} images are not in {SPLIT} and left out: {some(lacking)}")
            found = [m for m in found if sides[m.string]]
        for match in sorted(found, key=lambda m: (sides[m.string] != "train", m.string)):
            name, stem = match.string, match["stem"]
            data, side = partial(source.read, name), sides[name]
            if match["kind"].lower() == "normal":
                yield Item(name, stem, GOOD, "", data, split=side)
                continue
            mask = find_sibling(f"{root}Data/Masks/Anomaly/{stem}", masks)
            yield Item(name, stem, KIND, "", data, mask_loader(source, mask), side)


def _split(source: Source, names: list[str]) -> dict[str, str]:
    """ "train" or "test" by path, as `1cls.csv` gives it; empty without that file."""
    path = next((name for name in names if name.endswith(SPLIT)), None)
    if path is None:
        return {}
    rows = csv.DictReader(text_in(source, path).splitlines())
    if not {"split", "image"} <= set(rows.fieldnames or ()):
        raise BurnishError(f"{path}: its columns are {rows.fieldnames}; split and image are wanted")
    return {row["image"] or "": (row["split"] or "").lower() for row in rows}


def _side(name: str, split: dict[str, str]) -> str:
    """The side of an image. Paths in the table start at the class; ours may have folders above."""
    parts = name.split("/")
    found = next((split[p] for i in range(len(parts)) if (p := "/".join(parts[i:])) in split), "")
    return found if found in ("train", "test") else ""
