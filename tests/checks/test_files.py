"""Files: unreadable, unseen, mixed, many pages, unlike the manifest; and where data is found."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.checks.sources import open_data
from burnish.errors import BurnishError


def opened(path: Path, **options: str) -> list[str]:
    with open_data(path, **options) as data:
        return [subject.name for subject in data.subjects]


def test_unreadable_files_and_why(clean: Path, found, surface) -> None:
    good = clean / "train/good"
    data = (good / "00.png").read_bytes()
    (good / "cut.png").write_bytes(data[:2000])
    (good / "empty.png").write_bytes(b"")
    (good / "text.png").write_text("not an image")
    Image.fromarray(surface(1)).save(good / "wrong.png", "JPEG")
    finding = found(clean)["unreadable"]
    assert finding.severity == "error"
    assert finding.message.startswith("4 images of 52 cannot be read")
    problems = finding.figures["problems"]
    assert "truncated" in problems["train/good/cut.png"]
    assert "empty (0 bytes)" in problems["train/good/empty.png"]
    assert "not an image" in problems["train/good/text.png"]
    assert "holds a JPEG, not a PNG" in problems["train/good/wrong.png"]


def test_images_where_nobody_looks_and_other_files(clean: Path, found) -> None:
    image = clean / "train/good/00.png"
    (clean / "train/good/deeper").mkdir()
    shutil.copy(image, clean / "train/good/deeper/00.png")
    shutil.copy(image, clean / "test/loose.png")
    (clean / "train/scratch").mkdir()
    shutil.copy(image, clean / "train/scratch/00.png")
    (clean / "readme.txt").write_text("hello")
    (clean / ".hidden.png").write_text("not looked at")
    findings = found(clean)
    assert findings["unseen"].figures["files"] == ["test/loose.png", "train/good/deeper/00.png"]
    assert findings["train-not-good"].figures["files"] == ["train/scratch/00.png"]
    assert findings["other-files"].figures["suffixes"] == {".txt": 1}
    assert set(findings) == {"unseen", "train-not-good", "other-files"}


def test_good_images_that_would_count_as_defects(clean: Path, found) -> None:
    count = len(list((clean / "test/good").iterdir()))
    (clean / "test/good").rename(clean / "test/OK")
    finding = found(clean)["good-as-defects"]
    assert finding.severity == "error"
    assert finding.figures["images"] == count
    assert f"{count} images in test/OK would count as defective" in finding.message


def test_sizes_modes_bits_and_formats_that_differ(clean: Path, found, surface, save) -> None:
    good = clean / "train/good"
    save(good / "tall.png", np.tile(surface(50), (2, 1)))
    save(good / "colour.png", np.dstack([surface(51)] * 3))
    Image.fromarray(surface(52).astype(np.uint16) << 8).save(good / "deep.png")
    Image.fromarray(surface(53)).save(good / "packed.jpg")
    findings = found(clean)
    assert findings["sizes"].figures["counts"] == {"96 x 96 px": 51, "96 x 192 px": 1}
    assert findings["sizes"].images == ("train/good/tall.png",)
    assert findings["modes"].images == ("train/good/colour.png",)
    assert findings["bit-depths"].figures["counts"] == {"8 bit": 51, "16 bit": 1}
    assert findings["formats"].figures["counts"] == {"PNG": 51, "JPEG": 1}
    assert findings["sizes"].severity == findings["formats"].severity == "note"
    assert findings["modes"].severity == findings["bit-depths"].severity == "warning"


def test_files_of_several_pages(clean: Path, found, surface) -> None:
    first, second = (Image.fromarray(surface(60 + i)) for i in range(2))
    first.save(clean / "train/good/pages.tif", save_all=True, append_images=[second])
    finding = found(clean)["pages"]
    assert finding.figures["pages"] == {"train/good/pages.tif": 2}


def test_deep_images_that_use_few_bits(tmp_path: Path, found, surface) -> None:
    for i in range(10):  # 12 bits in a 16-bit file
        path = tmp_path / f"{i}.png"
        Image.fromarray(surface(i).astype(np.uint16) << 4).save(path)
    finding = found(tmp_path)["dim"]
    assert finding.severity == "warning"
    assert finding.figures["brightest"] <= 15
    assert finding.message.startswith("10 of 10 images")

    Image.fromarray(surface(10).astype(np.uint16) << 8).save(tmp_path / "full.png")
    finding = found(tmp_path)["dim"]  # one that uses all of its bits does not speak for the others
    assert finding.images == tuple(f"{i}.png" for i in range(10))
    assert finding.message.startswith("10 of 11 images")


def test_dark_images_in_floating_point_have_no_upper_bits(tmp_path: Path, found, surface) -> None:
    for i in range(10):
        dark = Image.fromarray(surface(i).astype(np.float32) / 255 / 16)
        dark.save(tmp_path / f"{i}.tif")
    finding = found(tmp_path)["dim"]
    assert finding.title == "Floating-point images that use little of their range"
    assert finding.message == (
        f"10 of 10 images in floating point come out nearly black: of 255 grey levels they reach "
        f"{finding.figures['brightest']:.0f}, for a value of 1 is white."
    )


def test_a_folder_that_left_its_manifest(clean: Path, found, surface, save) -> None:
    import hashlib

    from burnish.images.manifest import ManifestRow, write_manifest

    rows = []
    for path in sorted(clean.glob("t*/*/*.png")):
        name, kind = path.relative_to(clean).as_posix(), path.parent.name
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        label = "good" if kind == "good" else "defect"
        side = path.parent.parent.name
        rows.append(ManifestRow(name, digest, side, label, kind, "", name, "", 96, 96))
    write_manifest(clean, rows)
    assert found(clean) == {}
    (clean / "train/good/00.png").unlink()
    save(clean / "train/good/01.png", surface(70))
    save(clean / "train/good/new.png", surface(71))
    figures = found(clean)["manifest"].figures
    assert figures["missing"] == ["train/good/00.png"]
    assert figures["changed"] == ["train/good/01.png"]
    assert figures["extra"] == ["train/good/new.png"]


def test_a_plain_folder_is_all_good(tmp_path: Path, surface, save, checked) -> None:
    for i in range(20):
        save(tmp_path / f"{i}.png", surface(i))
    result = checked(tmp_path)
    assert {s.kind for s in result.data.subjects} == {"good"}
    assert [f.code for f in result.findings] == ["no-test-images"]
    assert result.is_clean


def test_a_zip_is_read_as_its_format(clean: Path, tmp_path: Path, checked) -> None:
    packed = tmp_path / "set.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(clean.rglob("*.png")):
            archive.write(path, path.relative_to(clean))
    result = checked(packed)
    assert result.is_clean
    assert result.data.form == "raw, read as 'mvtec'"
    assert [row["images"] for row in result.counts()] == [24, 12, 12]
    assert checked(packed, form="mvtec").read == 48
    with pytest.raises(BurnishError, match="kosNN"):
        checked(packed, form="kolektor")


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="no such file or folder"):
        opened(tmp_path / "nowhere")
    with pytest.raises(BurnishError, match="is empty: nothing to check"):
        opened(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(BurnishError, match="holds no image where one is looked for"):
        opened(tmp_path)
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04" + bytes(500))
    with pytest.raises(BurnishError, match=r"cut\.zip"):
        opened(tmp_path / "cut.zip")
    with pytest.raises(BurnishError, match="is not a regular expression"):
        opened(tmp_path, part="(")


def test_data_without_train_is_an_error(clean: Path, found) -> None:
    shutil.rmtree(clean / "train")
    assert found(clean)["no-training-images"].severity == "error"


def test_names_with_anything_in_them(clean: Path, checked) -> None:
    import json
    import os

    odd = os.fsencode(clean / "train/good") + b"/\xff\n<b>.png"
    with open(odd, "wb") as file:
        file.write((clean / "train/good/00.png").read_bytes())
    result = checked(clean)
    text = json.dumps(result.as_json(), ensure_ascii=False)
    text.encode()
    assert "\\udcff\\\\n<b>.png" in text
