"""Copies, leaks and contradictions, each planted in a set that is otherwise clean."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image


def test_nothing_is_found_where_nothing_is_wrong(clean: Path, checked) -> None:
    result = checked(clean)
    assert [f.code for f in result.findings] == []
    assert result.is_clean
    assert result.verdict == "Nothing wrong was found in 48 images (0 notes)."


def test_a_copy_in_training(clean: Path, found) -> None:
    shutil.copy(clean / "train/good/03.png", clean / "train/good/zz.png")
    (finding,) = found(clean).values()
    assert (finding.code, finding.severity) == ("duplicates", "warning")
    assert finding.groups == (("train/good/03.png", "train/good/zz.png"),)
    assert "train/good/zz.png repeats train/good/03.png" in finding.message
    assert finding.figures == {"groups": 1, "repeats": 1, "groups_equal_byte_for_byte": 1}


def test_a_copy_packed_otherwise_is_the_same_image(clean: Path, found, save) -> None:
    pixels = np.asarray(Image.open(clean / "train/good/03.png"))
    save(clean / "train/good/zz.png", pixels, compress_level=0)
    finding = found(clean)["duplicates"]
    assert finding.figures["groups_equal_byte_for_byte"] == 0
    assert "the files differ, the pixels do not" in finding.message


def test_the_same_image_in_train_and_test(clean: Path, found) -> None:
    shutil.copy(clean / "train/good/03.png", clean / "test/good/leak.png")
    finding = found(clean)["same-image-on-both-sides"]
    assert finding.severity == "error"
    assert finding.images == ("train/good/03.png", "test/good/leak.png")
    assert finding.figures["test_images"] == 1


def test_copies_called_good_and_defective(clean: Path, found) -> None:
    shutil.copy(clean / "test/good/05.png", clean / "test/scratch/good.png")
    mask = clean / "ground_truth/scratch/00_mask.png"
    shutil.copy(mask, clean / "ground_truth/scratch/good_mask.png")
    finding = found(clean)["conflicting-labels"]
    assert finding.severity == "error"
    assert "test/good/05.png (good) and test/scratch/good.png (scratch)" in finding.message
    assert finding.figures["kinds"] == [["good", "scratch"]]


def test_copies_of_two_kinds_of_defect(clean: Path, found) -> None:
    for folder in ("test", "ground_truth"):
        shutil.copytree(clean / folder / "scratch", clean / folder / "dent")
        for path in (clean / folder / "dent").glob("*"):
            if not path.name.startswith("07"):
                path.unlink()
    finding = found(clean)["conflicting-labels"]
    assert finding.severity == "warning"
    assert "different kinds of defect" in finding.message


def test_copies_with_two_masks(clean: Path, found, save) -> None:
    shutil.copy(clean / "test/scratch/01.png", clean / "test/scratch/zz.png")
    other = np.zeros((96, 96), np.uint8)
    other[1:5, 1:5] = 255
    save(clean / "ground_truth/scratch/zz_mask.png", other)
    finding = found(clean)["conflicting-masks"]
    assert finding.groups == (("test/scratch/01.png", "test/scratch/zz.png"),)
    save(clean / "ground_truth/scratch/zz_mask.png",
         np.asarray(Image.open(clean / "ground_truth/scratch/01_mask.png")) // 255)  # fmt: skip
    assert "conflicting-masks" not in found(clean)  # 0/1 marks the same as 0/255


def test_near_copies_across_the_split(clean: Path, found, surface, save) -> None:
    large = Image.fromarray(surface(50)).resize((384, 384), Image.Resampling.BICUBIC)
    save(clean / "train/good/large.png", np.asarray(large))
    stream = io.BytesIO()
    large.save(stream, "JPEG", quality=85)
    save(clean / "test/good/jpeg.png", np.asarray(Image.open(stream)))
    half = large.resize((192, 192), Image.Resampling.LANCZOS)
    save(clean / "test/good/half.png", (np.asarray(half) * 0.8 + 20).astype(np.uint8))
    findings = found(clean)
    assert findings["near-duplicates-harmless"].groups == (("test/good/half.png",
                                                            "test/good/jpeg.png"),)  # fmt: skip
    finding = findings["near-duplicates"]
    assert finding.severity == "warning"
    pairs = {frozenset(group) for group in finding.groups}
    original = "train/good/large.png"
    assert {original, "test/good/jpeg.png"} in pairs
    assert {original, "test/good/half.png"} in pairs
    assert "in train and one in test" in finding.message
    assert all(limit >= finding.figures["limit"] for limit in finding.figures["correlation"])


def test_near_copies_of_one_part_are_only_noted(clean: Path, found, save) -> None:
    pixels = np.asarray(Image.open(clean / "train/good/03.png")).copy()
    pixels[0, :9] = 0
    save(clean / "train/good/03b.png", pixels)
    assert found(clean)["near-duplicates"].severity == "warning"
    finding = found(clean, part=r"^\d+b?$|^\d+")["near-duplicates"]
    assert finding.severity == "warning"  # the pattern takes 03 and 03b for two parts
    by_digits = found(clean, part=r"^\d\d")
    assert by_digits["near-duplicates-harmless"].severity == "note"
    assert "near-duplicates" not in by_digits


def test_a_copy_s_copies_are_not_paired_again(clean: Path, found, save) -> None:
    pixels = np.asarray(Image.open(clean / "train/good/03.png")).copy()
    for name in "xyz":
        shutil.copy(clean / "train/good/03.png", clean / f"train/good/{name}.png")
    pixels[0, :9] = 0
    save(clean / "train/good/near.png", pixels)
    findings = found(clean)
    assert findings["duplicates"].figures["repeats"] == 3
    assert findings["near-duplicates"].figures["pairs"] == 1
