"""The manifest: what is written is read again, what is damaged is said."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.errors import BurnishError
from burnish.images.manifest import COLUMNS, ManifestRow, read_manifest, write_manifest

ROW = ManifestRow("train/good/a.png", "ab" * 32, "train", "good", "good", "", "p1",
                  'odd, "name"\u00e9\n\r.png#0,1,2,3', 640, 480)  # fmt: skip


def test_rows_come_back_sorted_by_path(tmp_path: Path) -> None:
    rows = [replace(ROW, path=f"train/good/{name}.png") for name in "cab"]
    path = write_manifest(tmp_path, rows)
    assert read_manifest(tmp_path) == sorted(rows, key=lambda row: row.path)
    with path.open(encoding="utf-8", newline="") as file:  # any CSV reader gives the same
        table = list(csv.reader(file))
    assert tuple(table[0]) == COLUMNS
    assert table[1][7] == ROW.source
    before = path.read_bytes()
    write_manifest(tmp_path, reversed(rows))
    assert path.read_bytes() == before


def test_one_that_excel_saved_is_read(tmp_path: Path) -> None:
    """With a mark at its head, and ends of lines as on Windows."""
    row = replace(ROW, source="odd.png")
    path = write_manifest(tmp_path, [row])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_manifest(tmp_path) == [row]


def test_no_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "a,b\n1,2\n",
        lambda text: text.replace("640", "wide"),
        lambda text: text[:-8],  # cut off within the last line
        lambda text: text.rstrip("\n") + ",more\n",
        lambda text: "",
        lambda text: text.replace("path,", "Path,", 1),
    ],
)
def test_damage_is_said(tmp_path: Path, spoil) -> None:
    path = write_manifest(tmp_path, [ROW])
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(BurnishError, match=r"manifest\.csv is not a manifest.*prepare"):
        read_manifest(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00junk")
    with pytest.raises(BurnishError, match="is not a manifest"):
        read_manifest(tmp_path)
