"""The manifest of a prepared data set: one CSV line an image, `manifest.csv` beside its folders."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from burnish.errors import BurnishError
from burnish.files import atomic_write
from burnish.tables import csv_text

MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class ManifestRow:
    """One image of a prepared data set.

    Attributes:
        path: relative to the data set's folder, with slashes.
        sha256: of the image file's bytes, hexadecimal.
        split: "train" or "test".
        label: "good" or "defect".
        kind: "good" or the defect's name (the folder under test).
        mask: relative path of the mask, empty without one.
        part: the physical part; images of one part lie on one side of the split.
        source: where the image came from (member of the archive; `#x,y,w,h` for a window).
        width, height: px, as decoded.
    """

    path: str
    sha256: str
    split: str
    label: str
    kind: str
    mask: str
    part: str
    source: str
    width: int
    height: int


COLUMNS = tuple(field.name for field in fields(ManifestRow))


def write_manifest(folder: Path, rows: Iterable[ManifestRow]) -> Path:
    """Write `folder/manifest.csv` in one step, sorted by path."""
    lines = (asdict(row) for row in sorted(rows, key=lambda row: row.path))
    atomic_write(folder / MANIFEST, csv_text(COLUMNS, lines))
    return folder / MANIFEST


def read_manifest(folder: Path) -> list[ManifestRow] | None:
    """The rows of `folder/manifest.csv`; None where there is no manifest.

    Raises:
        BurnishError: the file is damaged or no manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # Excel writes a mark first
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) != COLUMNS:
                raise ValueError(f"its columns are {table.fieldnames}, not {list(COLUMNS)}")
            return [_row(line) for line in table]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise BurnishError(
            f"{path} is not a manifest of burnish ({error}): run `burnish data prepare` again"
        ) from error


def _row(line: dict[str, str]) -> ManifestRow:
    if None in line or None in line.values():
        raise ValueError(f"the line of {line['path']} has too few or too many fields")
    width, height = int(line.pop("width")), int(line.pop("height"))
    return ManifestRow(**line, width=width, height=height)
