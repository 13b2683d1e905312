"""Data sets with their labels in a table: any CSV with paths and labels, and Severstal's."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import PurePosixPath

import numpy as np

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.dataset import GOOD, GOOD_NAMES
from burnish.images.formats.base import Item, Options, unusable
from burnish.images.formats.masks import Mask, mask_loader, mask_of_runs
from burnish.images.formats.names import is_image, not_this, some, text_in
from burnish.images.formats.shapes import SIDES
from burnish.images.manifest import COLUMNS
from burnish.images.reader import read_header_bytes

GOOD_LABELS = GOOD_NAMES | {"0", "0.0", "false", "negative"}  # 0.0: pandas' 0 beside empty cells
BAD_LABELS = {"defect", "defective", "bad", "ng", "nok", "ko", "anomaly", "anomalous", "abnormal",
              "1", "1.0", "true", "positive", "fail", "nio"}  # fmt: skip
NO_KIND = {"", "-", "na", "n/a", "nan", "none", "null"}
Rows = list[dict[str, str]]


class Csv:
    """A table with a line an image: columns path, label, and if known kind, mask, part, split.

    Paths are relative to the table, or to the source. A label is good, ok, normal, 0, ... or
    defect, bad, ng, anomaly, 1, ...; any other word is taken for the kind of defect.
    """

    name = "csv"
    summary = "a table with columns path, label[, kind, mask, part, split]; --table names it"

    def fits(self, source: Source) -> bool:
        # The manifest of a prepared set is no table of another format: its folders are mvtec.
        found = (_columns(source, name) for name in _tables(source))
        return any(columns >= {"path", "label"} and columns != set(COLUMNS) for columns in found)

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        table = _table(source, options.table, {"path", "label"}, "a table of images")
        known = set(source.names())
        above = str(PurePosixPath(table).parent)
        seen: set[str] = set()
        twice = []
        rows = _rows(source, table)
        for number, row in enumerate(rows, 2):
            where = f"{table}, line {number}"
            name = _resolve(row["path"], above, known)
            if name is None:
                yield unusable(row["path"] or where, f"{where} names it, but it is not there")
            elif name in seen:
                twice.append(name)
            else:
                seen.add(name)
                yield _item(source, name, row, above, known, where)
        if twice:
            note(
                f"{len(twice)} images stand in {table} more than once; the first counts: "
                f"{some(twice)}"
            )
        others = [name for name in sorted(known - seen) if is_image(name)]
        masks = {_resolve(row.get("mask", ""), above, known) for row in rows}
        if others := [name for name in others if name not in masks]:
            note(f"{len(others)} images are not in {table} and not used: {some(others)}")


class Severstal:
    """Severstal steel: `train.csv` with run lengths, images in `train_images`.

    Columns ImageId, ClassId, EncodedPixels (or ImageId_ClassId, EncodedPixels); pixels count from
    1 down the columns. An image without marks is good; the kind of the others is the class with the
    largest area.
    """

    name = "severstal"
    summary = "Severstal steel: train.csv (ImageId, ClassId, EncodedPixels) and train_images/"

    def fits(self, source: Source) -> bool:
        return any(
            "encodedpixels" in (columns := _columns(source, name))
            and any(column.startswith("imageid") for column in columns)
            for name in _tables(source)
        )

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        table = _table(source, options.table, {"encodedpixels"}, "Severstal's table", "train.csv")
        marks = _marks(_rows(source, table))
        images = [
            n for n in names if is_image(n) and PurePosixPath(n).parent.name == "train_images"
        ]
        if not images:
            raise not_this("Severstal steel", "train_images/*.jpg", names)
        for name in images:
            stem, runs = PurePosixPath(name).stem, marks.pop(PurePosixPath(name).name, {})
            data = partial(source.read, name)
            try:
                values = {
                    kind: [[int(v) for v in text.split()] for text in texts]
                    for kind, texts in runs.items()
                }
            except ValueError:
                yield unusable(name, f"its run lengths in {table} are no numbers")
                continue
            kind = _largest(values) if values else GOOD
            yield Item(name, stem, kind, "", data, partial(_decoded, source, name, values))
        if marks:
            note(f"{len(marks)} images of {table} are not in train_images: {some(marks)}")
        taken = set(images)
        unused = [name for name in names if is_image(name) and name not in taken]
        if unused:
            note(
                f"{len(unused)} images outside train_images have no labels and are not used: "
                f"{some(unused)}"
            )


def _marks(rows: Rows) -> dict[str, dict[str, list[str]]]:
    """Run lengths as Severstal's table has them, by image and class; only of marked images."""
    marks: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        image, kind = row.get("imageid", ""), row.get("classid", "")
        if not image:
            image, _, kind = row.get("imageid_classid", "").rpartition("_")
        if row["encodedpixels"].strip():
            marks[image][kind].append(row["encodedpixels"])
    return marks


def _largest(runs: dict[str, list[list[int]]]) -> str:
    areas = {kind: sum(sum(row[1::2]) for row in rows) for kind, rows in runs.items()}
    return f"class{max(sorted(areas), key=lambda kind: areas[kind])}"


def _decoded(source: Source, name: str, runs: dict[str, list[list[int]]]) -> Mask | None:
    if not runs:
        return None
    header = read_header_bytes(source.read(name), name)
    mask = np.zeros((header.height, header.width), bool)
    for values in chain.from_iterable(runs.values()):
        mask |= mask_of_runs(values, *mask.shape)
    return mask


def _item(
    source: Source, name: str, row: dict[str, str], above: str, known: set[str], where: str
) -> Item:
    label, kind = row["label"].strip(), row.get("kind", "").strip()
    side = row.get("split", "").strip().lower()
    if not label:
        return unusable(name, f"{where} gives it no label")
    if side and side not in SIDES:
        raise BurnishError(f"{where}: the split '{side}' is neither train nor test")
    kind = "" if kind.lower() in NO_KIND else kind
    good = label.lower() in GOOD_LABELS
    contradicted = kind.lower() not in GOOD_LABELS if good else kind.lower() in GOOD_NAMES
    if kind and contradicted:
        return unusable(name, f"{where} gives it the label {label} and the kind {kind}")
    kind = GOOD if good else kind or ("defect" if label.lower() in BAD_LABELS else label)
    mask = _resolve(row.get("mask", ""), above, known)
    if row.get("mask", "") and mask is None:
        return unusable(name, f"its mask {row['mask']} is not there ({where})")
    load, data = mask_loader(source, mask), partial(source.read, name)
    stem = PurePosixPath(name).stem
    return Item(name, stem, kind, row.get("part", "").strip(), data, load, SIDES.get(side, ""))


def _resolve(path: str, above: str, known: set[str]) -> str | None:
    """The file of the source that `path` in a table refers to; never one outside the source."""
    path = path.strip().replace("\\", "/").removeprefix("./")
    beside = str(PurePosixPath(above) / path)
    return next((name for name in (beside, path) if path and name in known), None)


def _tables(source: Source) -> list[str]:
    return [
        name for name in source.names() if PurePosixPath(name).suffix.lower() in (".csv", ".tsv")
    ]


def _table(source: Source, wanted: str, columns: set[str], what: str, usual: str = "") -> str:
    """The table to read: the one named, or the only one with these columns.

    Raises:
        BurnishError: none, or several.
    """
    tables = _tables(source)
    if wanted:
        named = [name for name in source.names() if name == wanted or name.endswith(f"/{wanted}")]
        if not named:
            raise BurnishError(f"--table {wanted}: no such file; tables here: {some(tables, 9)}")
        if not _columns(source, named[0]) >= columns:
            raise BurnishError(
                f"{named[0]}: its columns are {sorted(_columns(source, named[0]))}; wanted are "
                f"{sorted(columns)}"
            )
        return named[0]
    fitting = [name for name in tables if _columns(source, name) >= columns]
    usuals = [name for name in fitting if PurePosixPath(name).name == usual]
    if len(fitting) > 1 and len(usuals) != 1:
        raise BurnishError(f"several tables fit ({some(fitting, 9)}): choose one with --table")
    if not fitting:
        raise not_this(what, f"CSV with the columns {', '.join(sorted(columns))}", source.names())
    return usuals[0] if usuals else fitting[0]


def _reader(source: Source, name: str) -> csv.DictReader[str]:
    lines = text_in(source, name).splitlines()
    head = lines[0] if lines else ""
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(lines, delimiter=delimiter, restval="")
    reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or ()]
    return reader


def _columns(source: Source, name: str) -> set[str]:
    return set(_reader(source, name).fieldnames or ())


def _rows(source: Source, name: str) -> Rows:
    """The lines of a table by column, in lower case.

    Raises:
        BurnishError: a line has more fields than there are columns.
    """
    rows: Rows = []
    try:
        for row in _reader(source, name):
            if None in row:
                raise BurnishError(f"{name}, line {len(rows) + 2} has more fields than the header")
            rows.append(row)
    except csv.Error as error:
        raise BurnishError(f"{name} is no table that can be read: {error}") from error
    return rows
