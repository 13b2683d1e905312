"""Images sorted into folders by hand: one of them holds the good ones."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.dataset import GOOD, GOOD_NAMES
from burnish.images.formats.base import Item, Options
from burnish.images.formats.masks import mask_loader
from burnish.images.formats.names import by_stem, find_sibling, is_image, some, without_suffix

MASK_TAILS = ("_mask", "", "_gt")
MASK_NAMES = {"ground_truth", "groundtruth", "gt", "mask", "masks", "labels"}
UNNAMED = "defect"


class Folder:
    """Good and defective images by sub-folder, or by glob patterns.

    Without patterns: the images below a sub-folder named good, ok, normal, free, pass or io are
    good; every other sub-folder is a kind of defect. A sub-folder ground_truth or masks may hold
    masks: `<kind>/<stem>[_mask]`, or `<stem>[_mask]`. Without one, `<stem>_mask` or `<stem>_gt`
    beside an image is its mask.

    A pattern is matched against the path inside the source; `*` matches slashes too. With good
    patterns only, all other images are defective; with bad patterns only, all others are good.
    """

    name = "folder"
    summary = (
        "sub-folders: good (ok, normal, ...) and one for each kind of defect; or --good, --bad"
    )

    def fits(self, source: Source) -> bool:
        images = [name for name in source.names() if is_image(name)]
        root = _common(images)
        tops = {_top(name.removeprefix(root)).lower() for name in images}
        return bool(tops & GOOD_NAMES)

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        images = [name for name in source.names() if is_image(name)]
        if not images:
            raise BurnishError(f"{source.path} holds no image; it holds {some(source.names())}")
        root = _common(images)
        inside = [name.removeprefix(root) for name in images]
        masks = [name for name in inside if _top(name).lower() in MASK_NAMES]
        shown = [name for name in inside if _top(name).lower() not in MASK_NAMES]
        beside = {} if masks else _masks_beside(shown)
        if taken := set(beside.values()):
            shown = [name for name in shown if name not in taken]
            note(f"{len(taken)} images are masks of those beside them: {some(sorted(taken))}")
        kinds = _by_pattern(shown, root, options) or _by_folder(shown, root, source)
        other = [name for name in shown if name not in kinds]
        if other:
            note(f"{len(other)} images are neither good nor bad by the patterns: {some(other)}")
        files = by_stem(masks)
        folders = sorted({_top(name) for name in masks})
        bare = []
        for name, kind in kinds.items():
            # also beside a good image: the mask may contradict the label
            mask = beside.get(name) or (None if kind == GOOD else _mask_of(name, folders, files))
            if kind != GOOD and mask is None:
                bare.append(name)
            stem = without_suffix(name.partition("/")[2] or name).replace("/", "_")
            load = mask_loader(source, mask and root + mask)
            yield Item(root + name, stem, kind, "", partial(source.read, root + name), load)
        if bare:
            note(f"{len(bare)} defective images have no mask in the source: {some(bare)}")


def _by_pattern(names: Sequence[str], root: str, options: Options) -> dict[str, str]:
    """Kind of each image, by the user's patterns; images that match neither are left out.

    Raises:
        BurnishError: a pattern matches nothing, or an image matches both sides.
    """
    if not (options.good or options.bad):
        return {}
    claimed: dict[str, set[str]] = {}
    for side, patterns in (("good", options.good), ("bad", options.bad)):
        for pattern in patterns:
            hits = [n for n in names if _matches(n, pattern) or _matches(root + n, pattern)]
            if not hits:
                raise BurnishError(
                    f"--{side} '{pattern}' matches no image; the images are {some(names)}"
                )
            for name in hits:
                claimed.setdefault(name, set()).add(side)
    if both := [name for name, sides in claimed.items() if len(sides) > 1]:
        raise BurnishError(f"{len(both)} images match --good and --bad: {some(both)}")
    rest = "" if options.good and options.bad else "bad" if options.good else "good"
    kinds = {}
    for name in names:
        side = next(iter(claimed.get(name, {rest})))
        if side:
            kind = UNNAMED if _top(name).lower() in GOOD_NAMES | {""} else _top(name)
            kinds[name] = GOOD if side == "good" else kind
    return kinds


def _by_folder(names: Sequence[str], root: str, source: Source) -> dict[str, str]:
    """Kind of each image, by its first folder.

    Raises:
        BurnishError: no folder of good images, or images outside any folder.
    """
    tops = Counter(_top(name) for name in names)
    good = {top for top in tops if top.lower() in GOOD_NAMES}
    if not good:
        there = ", ".join(f"{top or 'no folder'} ({count})" for top, count in sorted(tops.items()))
        raise BurnishError(
            f"no folder of {source.path}/{root} is named like good images "
            f"({', '.join(sorted(GOOD_NAMES))}); it holds images in {there}: "
            "say which are good with --good GLOB"
        )
    if tops[""]:
        loose = [name for name in names if not _top(name)]
        raise BurnishError(
            f"{len(loose)} images lie in no sub-folder, so whether they are good is not known: "
            f"{some(loose)}; say so with --good or --bad"
        )
    return {name: GOOD if _top(name) in good else _top(name) for name in names}


def _mask_of(name: str, folders: Sequence[str], files: dict[str, str]) -> str | None:
    whole, below = without_suffix(name), without_suffix(name.partition("/")[2] or name)
    for folder in folders:
        for stem in (whole, below):
            for tail in MASK_TAILS:
                if found := find_sibling(f"{folder}/{stem}{tail}", files):
                    return found
    return None


def _masks_beside(names: Sequence[str]) -> dict[str, str]:
    """The mask of each image that has one in its own folder: `<stem>_mask` beside `<stem>`."""
    files = by_stem(names)
    found: dict[str, str] = {}
    for name in names:
        for tail in filter(None, MASK_TAILS):
            if mask := find_sibling(without_suffix(name) + tail, files):
                found.setdefault(name, mask)
    return found


def _top(name: str) -> str:
    """The first folder; "" for a file at the top."""
    return name.split("/")[0] if "/" in name else ""


def _common(names: Sequence[str]) -> str:
    """Folders common to all `names`, with a slash at the end, but for a folder of good images."""
    root = ""
    while True:
        tops = {_top(name.removeprefix(root)) for name in names}
        top = next(iter(tops), "")
        if len(tops) != 1 or not top or top.lower() in GOOD_NAMES | MASK_NAMES:
            return root
        root += f"{top}/"


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or PurePosixPath(name).match(pattern)
