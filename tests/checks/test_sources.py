"""Which layout a folder has, and of which part its images are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from burnish.checks.sources import open_data
from burnish.errors import BurnishError


@pytest.fixture
def table(tmp_path: Path, surface: Callable, save: Callable[..., Path]) -> Path:
    """A raw source of format csv: six parts, a picture of each in train and one in test."""
    lines = ["path,label,split"]
    for i in range(6):
        for name, split in (("a", "train"), ("b", "test")):
            save(tmp_path / f"p{i}_{name}.png", surface(10 * i + ord(name)))
            lines.append(f"p{i}_{name}.png,good,{split}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    return tmp_path


def test_parts_of_a_raw_source_by_pattern(table: Path, found: Callable) -> None:
    finding = found(table, form="csv", part=r"(p\d)_")["same-part-on-both-sides"]
    assert finding.message.startswith("6 parts of 6 lie on both sides, with 6 test images")
    with open_data(table, "csv", r"(p[0-3])_") as data:
        parts = [subject.part for subject in data.subjects]
    assert parts == [f"p{i}" for i in range(4) for _ in "ab"] + [""] * 4
    (note,) = data.notes
    assert "does not match 4 images" in note
    assert "p4_a.png" in note


def test_a_pattern_that_fits_no_image_of_a_raw_source_is_refused(table: Path) -> None:
    with (
        pytest.raises(BurnishError, match=re.escape("--part 'kos' matches no image")),
        open_data(table, "csv", "kos"),
    ):
        pass


def test_a_raw_source_with_train_and_test_is_read_as_what_it_is(
    tmp_path: Path, surface: Callable, save: Callable[..., Path]
) -> None:
    kolektor, yolo = tmp_path / "kolektor", tmp_path / "yolo"
    for i in range(4):
        side, flawed = ("train", "test")[i // 2], i % 2
        save(kolektor / side / f"{i:05}.png", surface(i))
        save(kolektor / side / f"{i:05}_GT.png", np.full((96, 96), 255 * flawed, np.uint8))
        save(yolo / side / "images" / f"{i}.png", surface(i))
        (yolo / side / "labels").mkdir(exist_ok=True)
        (yolo / side / "labels" / f"{i}.txt").write_text("0 .5 .5 .5 .5\n" * flawed)
    for root, form in ((kolektor, "kolektor2"), (yolo, "yolo")):
        with open_data(root) as data:
            found = [(subject.split, subject.kind == "good") for subject in data.subjects]
        assert data.form == f"raw, read as '{form}'"
        assert found == [(side, good) for side in ("train", "test") for good in (True, False)]


@pytest.mark.parametrize(
    "folders", [("test/good", "test/dent"), ("test/dent",), ("test/ok", "test/dent"),
                ("train/good", "labels"), ("train/Good", "test/Good")]
)  # fmt: skip
def test_what_evaluate_or_train_would_take_is_their_layout(
    tmp_path: Path, surface: Callable, save: Callable[..., Path], folders: tuple[str, ...]
) -> None:
    for i, folder in enumerate(folders):
        save(tmp_path / folder / "0.png", surface(i))
    with open_data(tmp_path) as data:
        assert data.form == "MVTec AD layout"


def test_good_and_defective_images_sorted_below_train_are_raw(
    tmp_path: Path, surface: Callable, save: Callable[..., Path]
) -> None:
    for kind in ("normal", "dent"):
        save(tmp_path / "train" / kind / "0.png", surface(ord(kind[0])))
    with open_data(tmp_path) as data:
        assert (data.form, [subject.kind for subject in data.subjects]) == (
            "raw, read as 'folder'", ["dent", "good"],
        )  # fmt: skip
