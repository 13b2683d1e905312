"""MVTec AD, and data sets that follow its layout: MPDD as it is, BTAD with other folder names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from burnish.images.archives.archive import Source
from burnish.images.dataset import GOOD, GOOD_NAMES
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
    without_suffix,
)

TREE = re.compile(r"(?P<side>train|test)/(?P<kind>[^/]+)/(?P<rest>.+)", re.IGNORECASE)
MASKS = re.compile("ground_truth/", re.IGNORECASE)


class Mvtec:
    """`{train,test}/<kind>/<stem>`, masks `ground_truth/<kind>/<stem>[_mask]`; any suffixes.

    A kind called ok, normal or the like is good: `evaluate` refuses it as a kind of defect.
    """

    name = "mvtec"
    summary = "MVTec AD: train/good, test/<kind>, ground_truth/<kind>/<stem>_mask.png"
    good = ("good",)

    def fits(self, source: Source) -> bool:
        return any(self._images(source))

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        found = list(self._images(source))
        if not found:
            wanted = " or ".join(f"train/{word}" for word in self.good)
            raise not_this(f"a set in {self.name} layout", wanted, names)
        roots = [m["root"] for m in found if m["side"].lower() == "train"]
        root = one_root(roots, options.category, self.name)
        inside = [name.removeprefix(root) for name in names if name.startswith(root)]
        files = by_stem(inside)
        taken = [m for name in inside if is_image(name) and (m := TREE.fullmatch(name))]
        # train first: of two copies across the split, the one in train is kept
        taken.sort(key=lambda m: (m["side"].lower() != "train", m.string))
        bare = []
        for match in taken:
            item, has_mask = self._item(source, root, match, files)
            if not has_mask and item.kind != GOOD:
                bare.append(item.source)
            yield item
        if bare:
            note(f"{len(bare)} defective images have no mask in the source: {some(bare)}")
        used = {match.string for match in taken}
        other = [n for n in inside if is_image(n) and n not in used and not MASKS.match(n)]
        if other:
            note(f"{len(other)} images lie outside train and test and are not used: {some(other)}")

    def _images(self, source: Source) -> Iterator[re.Match[str]]:
        words = "|".join(self.good)
        tree = rf"(?P<side>train)/(?P<kind>{words})/(?P<rest>.+)"
        return (m for m in matches(source.names(), tree) if is_image(m.string))

    def _item(
        self, source: Source, root: str, match: re.Match[str], files: dict[str, str]
    ) -> tuple[Item, bool]:
        name, kind = root + match.string, match["kind"]
        stem = without_suffix(match["rest"])
        kind = GOOD if kind.lower() in GOOD_NAMES else kind
        mask = None
        if kind != GOOD:
            beside = f"ground_truth/{kind}/{stem}"
            mask = find_sibling(f"{beside}_mask", files) or find_sibling(beside, files)
        item = Item(
            source=name,
            stem=stem.replace("/", "_"),
            kind=kind,
            part="",
            data=partial(source.read, name),
            mask=mask_loader(source, mask and root + mask),
            split=match["side"].lower(),
        )
        return item, mask is not None


class Mpdd(Mvtec):
    """Metal Parts Defect Detection: one MVTec AD tree for each of six parts."""

    name = "mpdd"
    summary = "MPDD: an mvtec tree for each part; --class chooses one"

    def fits(self, source: Source) -> bool:
        return False  # never guessed: `mvtec` fits the same layout


class Btad(Mvtec):
    """beanTech: `0N/{train/ok,test/ok,test/ko}`, masks `0N/ground_truth/ko/<stem>`."""

    name = "btad"
    summary = "BTAD: 0N/train/ok, test/ok, test/ko, ground_truth/ko; --class chooses 01, 02 or 03"
    good = ("ok",)
