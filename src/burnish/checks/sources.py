"""Find the images to check: MVTec AD layout, a plain folder, or a raw source."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.checks.subject import DataSet, Listed, Split, Subject
from burnish.errors import BurnishError
from burnish.images.archives.archive import open_source
from burnish.images.dataset import GOOD, MASKS, images_in, masks_of
from burnish.images.formats import format_named, formats, guess
from burnish.images.formats.base import Options
from burnish.images.formats.masks import mask_of_file
from burnish.images.manifest import MANIFEST, read_manifest
from burnish.images.parts import compiled_pattern, part_in, unmatched
from burnish.images.preparing.survey import named_part, unmatched_note
from burnish.images.reading.decoding import SUFFIXES, file_bytes

if TYPE_CHECKING:
    from burnish.images.formats.masks import Mask

SIDES: tuple[Split, Split] = ("train", "test")


@contextmanager
def open_data(path: Path, form: str = "", part: str = "", category: str = "") -> Iterator[DataSet]:
    """Find every image of a data set; their pixels can be read until the context ends.

    A folder with `train` or `test` in it is MVTec AD layout, unless it is a raw source that has
    such sides too; one with images in it is a plain folder of good ones, anything else a raw source
    of some format.

    Args:
        form: name of a raw format (`burnish data formats`); empty: guessed.
        part: regular expression that finds the part's name in a file's stem (in a raw source: in
            its path); empty, or if it does not match: as the manifest or the format says.
        category: which object to take where a raw source holds several.

    Raises:
        BurnishError: missing, empty, not of this format, a damaged archive, or a pattern that is
            not valid or matches no image.
    """
    pattern = compiled_pattern(part)
    if not path.exists():
        raise BurnishError(f"no such file or folder: {path}")
    if path.is_dir() and not form:
        if not any(path.iterdir()):
            raise BurnishError(f"{path} is empty: nothing to check")
        has_sides = any((path / side).is_dir() for side in SIDES)
        if has_sides and _is_layout(path):
            yield _completed(_layout(path, part), part)
            return
        if not has_sides and images_in(path):
            yield _completed(_plain(path, part), part)
            return
    with open_source(path) as source:
        notes: list[str] = []
        known = format_named(form) if form else guess(source)
        items = list(known.items(source, Options(part=pattern, category=category), notes.append))
        subjects = tuple(
            Subject(
                item.source,
                item.split if item.split in SIDES else "",
                item.kind,
                named_part(item.source, pattern) or item.part,
                item.data,
                item.mask,
            )
            for item in items
        )
        odd = [item.source for item in items if not named_part(item.source, pattern)]
        if part and odd:
            notes.append(unmatched_note(part, odd, len(items)))
        raw = DataSet(path, f"raw, read as '{known.name}'", subjects, notes=tuple(notes))
        yield _completed(raw, part)


def _completed(data: DataSet, part: str) -> DataSet:
    """The data set, marked if the user named its parts; one without images is refused."""
    if not data.subjects:
        raise BurnishError(
            f"{data.path} holds no image where one is looked for ({', '.join(SUFFIXES)} in "
            "train/good and test/<kind>, or in the folder itself)"
        )
    return replace(data, parts_named=bool(part))


def _is_layout(root: Path) -> bool:
    """Whether a folder with train or test is in MVTec AD layout, not in YOLO's or the like."""
    if (root / MANIFEST).is_file() or any((root / side / GOOD).is_dir() for side in SIDES):
        return True
    # `evaluate` accepts a test folder alone, though it may look like images sorted by hand.
    same = {"mvtec", "folder"} if (root / "test").is_dir() else {"mvtec"}
    with open_source(root) as source:
        return not any(form.fits(source) for form in formats().values() if form.name not in same)


def _layout(root: Path, part: str) -> DataSet:
    rows = read_manifest(root)
    parts = {row.path: row.part for row in rows or ()}
    subjects, used, train_defects = [], set(), []
    for side in SIDES:
        for folder in _folders(root / side):
            mask_of = masks_of(root, folder.name)
            for path in images_in(folder):
                name = _relative(path, root)
                if side == "train" and folder.name != GOOD:
                    train_defects.append(name)
                    continue
                mask = mask_of(path) if side == "test" else None
                known = _named(path, part) or parts.get(name, "")
                used |= {name, *([_relative(mask, root)] if mask else [])}
                subjects.append(_file(path, name, side, folder.name, known, mask))
    unmatched([root / subject.name for subject in subjects], part)
    files = _files(root, skip={MANIFEST})
    images = [n for n in files if n not in used and Path(n).suffix.lower() in SUFFIXES]
    lone = [name for name in images if name.startswith(f"{MASKS}/")]
    unseen = set(images) - set(lone) - set(train_defects)
    return DataSet(
        root,
        "MVTec AD layout",
        tuple(subjects),
        unseen=tuple(sorted(unseen)),
        others=_suffixes(files),
        lone_masks=tuple(lone),
        train_defects=tuple(train_defects),
        manifest=None
        if rows is None
        else {row.path: Listed(row.sha256, row.split, row.kind) for row in rows},
    )


def _plain(root: Path, part: str) -> DataSet:
    subjects = tuple(
        _file(path, path.name, "train", GOOD, _named(path, part), None) for path in images_in(root)
    )
    unmatched([root / subject.name for subject in subjects], part)
    files = _files(root, skip=set())
    used = {subject.name for subject in subjects}
    unseen = [n for n in files if n not in used and Path(n).suffix.lower() in SUFFIXES]
    form = "a plain folder of good images"
    return DataSet(root, form, subjects, unseen=tuple(unseen), others=_suffixes(files))


def _named(path: Path, part: str) -> str:
    """The part by its name in the file name; "" if the pattern does not match."""
    return part_in(path.stem, part) or ""


def _file(path: Path, name: str, split: Split, kind: str, part: str, mask: Path | None) -> Subject:
    def load_mask() -> Mask | None:
        return None if mask is None else mask_of_file(file_bytes(mask), str(mask))

    return Subject(
        name, split, kind, part, partial(file_bytes, path), load_mask, path.suffix.lower()
    )


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(root: Path, skip: set[str]) -> list[str]:
    """Every file under the folder that is not hidden, relative, sorted."""

    def unlisted(error: OSError) -> None:
        raise BurnishError(f"{error.filename} cannot be listed: {error.strerror}") from error

    found = []
    for folder, below, names in os.walk(root, onerror=unlisted):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [_relative(Path(folder) / n, root) for n in names if not n.startswith(".")]
    return sorted(set(found) - skip)


def _suffixes(files: list[str]) -> dict[str, int]:
    others = (Path(name).suffix.lower() for name in files)
    return dict(Counter(suffix for suffix in others if suffix not in SUFFIXES).most_common())


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
