"""Which part an image shows, and splits that leave parts whole."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from burnish.errors import BurnishError
from burnish.images.dataset import GOOD
from burnish.images.manifest import MANIFEST, read_manifest
from burnish.settings import LEAST_PARTS, MOST_HELD_OUT, USUAL_HOLDOUT, Holdout


def compiled_pattern(part: str) -> re.Pattern[str] | None:
    """What `--part` gives, as a pattern; None for empty text.

    Raises:
        BurnishError: it is no regular expression.
    """
    try:
        return re.compile(part) if part else None
    except re.error as error:
        raise BurnishError(f"--part '{part}' is not a regular expression: {error}") from error


def part_in(name: str, pattern: str | re.Pattern[str] | None) -> str | None:
    """The part's name that `pattern` finds in a name: its first group, or else the whole match.

    None if it does not match, or there is no pattern.
    """
    found = re.search(pattern, name) if pattern else None
    if found is None:
        return None
    return (found.group(1) if found.re.groups else None) or found.group(0)


def unmatched(paths: Sequence[Path], pattern: str) -> list[Path]:
    """The paths whose stems `pattern` does not match; none for an empty pattern.

    Raises:
        BurnishError: it matches none, which is a slip: every image would be a part of its own.
    """
    odd = [path for path in paths if pattern and part_in(path.stem, pattern) is None]
    if paths and len(odd) == len(paths):
        raise BurnishError(
            f"the pattern for parts '{pattern}' is found in none of the {len(paths)} file names "
            f"(the first is '{paths[0].stem}')"
        )
    return odd


def parts_of(paths: Sequence[Path], pattern: str, data: str | Path) -> list[str]:
    """The part that each image shows: by `pattern` if it matches, else by manifest.csv, else the
    image is a part of its own (test/dent/000 and test/good/000 are two).

    Args:
        data: folder of the data set, or its train/good.
    """
    root = Path(os.path.abspath(data))
    if root.parts[-2:] == ("train", GOOD) and (root.parents[1] / MANIFEST).exists():
        root = root.parents[1]
    named = [part_in(path.stem, pattern) for path in paths]
    rows = read_manifest(root) or () if None in named else ()
    known = {row.path: row.part for row in rows}
    parts = []
    for path, part in zip(paths, named, strict=True):
        relative = os.path.relpath(path, root).replace(os.sep, "/")
        listed = known.get(relative) or os.path.splitext(relative)[0]
        parts.append(listed if part is None else part)
    return parts


def split_by_part(parts: Sequence[str], share: Holdout, seed: int) -> tuple[list[int], list[int]]:
    """Indices to train on and indices held out; a part's images all fall on one side.

    Parts are drawn at random until at least `share` of the images are held out; both sides keep at
    least one part. "auto" holds out a fifth of the images, or up to two fifths until 10 parts are
    held out, as n parts can promise a false-alarm rate of 1 / (n + 1) at best. A large part that
    would exceed the share ("auto": two fifths) by more than an average part stays in training.

    Args:
        parts: the part of each image.
        share: of the images, in (0, 1), or "auto".
        seed: of the draw.

    Raises:
        BurnishError: all images are one part.
    """
    members: dict[str, list[int]] = {}
    for index, part in enumerate(parts):
        members.setdefault(part, []).append(index)
    if len(members) < 2:
        raise BurnishError(
            f"all {len(parts)} images are of one part, '{parts[0]}': at least two parts are needed "
            "to hold one out; look at part_pattern, or at the part column of manifest.csv"
        )
    names = sorted(members)
    order = np.random.default_rng(seed).permutation(len(names))
    total, average = len(parts), len(parts) / len(members)
    most = (MOST_HELD_OUT if share == "auto" else share) * total + average
    held: list[int] = []
    drawn = 0
    for position in order:
        auto = USUAL_HOLDOUT if drawn >= LEAST_PARTS else MOST_HELD_OUT
        wanted = auto if share == "auto" else share
        if len(held) >= wanted * total or drawn == len(members) - 1:
            break
        if len(held) + len(members[names[position]]) <= most:
            held += members[names[position]]
            drawn += 1
    if not held:  # every part exceeds the share: take the smallest
        held = min((members[names[position]] for position in order), key=len)
    chosen = set(held)
    return [i for i in range(len(parts)) if i not in chosen], sorted(held)


def folds_by_part(parts: Sequence[str], folds: int, seed: int) -> list[int]:
    """The fold, from 0 to folds - 1, of each image; a part's images are all of one fold.

    Parts are taken at random, each for the fold that has the fewest images by then.

    Args:
        parts: the part of each image.
        folds: how many, at least 2.
        seed: of the draw.

    Raises:
        BurnishError: there are fewer parts than folds.
    """
    images = Counter(parts)
    if len(images) < folds:
        raise BurnishError(
            f"{folds} folds need as many parts at least; the {len(parts)} images show {len(images)}"
        )
    names = sorted(images)
    sizes, fold_of = [0] * folds, {}
    for position in np.random.default_rng(seed).permutation(len(names)):
        fold_of[names[position]] = fold = sizes.index(min(sizes))
        sizes[fold] += images[names[position]]
    return [fold_of[part] for part in parts]
