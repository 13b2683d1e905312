"""Shortcuts and shift: planted ones are found, easy defects are no shortcut, chance is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

FOLDERS = ("train/good", "test/good", "test/scratch")


def brighten(root: Path, folder: str, by: int) -> None:
    for path in sorted((root / folder).glob("*.png")):
        pixels = np.asarray(Image.open(path)).astype(int) + by
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def test_brighter_defects_are_a_shortcut(clean: Path, checked) -> None:
    brighten(clean, "test/scratch", 40)
    result = checked(clean)
    (finding,) = result.findings
    assert (finding.code, finding.severity) == ("shortcut", "warning")
    assert finding.message.startswith("The mean brightness alone tells good from defective test")
    means = {
        folder: [np.asarray(Image.open(p)).mean() for p in sorted((clean / folder).glob("*"))]
        for folder in FOLDERS
    }
    (entry,) = (e for e in finding.figures["statistics"] if e["statistic"] == "mean")
    good, bad = means["test/good"], means["test/scratch"]
    assert entry["auroc"] == pytest.approx(roc_auc_score([0] * 12 + [1] * 12, good + bad), abs=1e-4)
    assert entry["means"] == pytest.approx([np.mean(good), np.mean(bad)], abs=1e-3)
    assert entry["medians"] == pytest.approx([np.median(good), np.median(bad)], abs=1e-3)
    tried = sum(bool(np.ptp([*c.first, *c.second]) > 0) for c in result.contrasts.shortcut)
    p = mannwhitneyu(bad, good).pvalue * tried
    assert entry["p_adjusted"] == pytest.approx(p, rel=0.01)
    assert entry["auroc_outside_masks"] > 0.95


def test_darker_defects_count_as_much(clean: Path, found) -> None:
    brighten(clean, "test/scratch", -40)
    (entry,) = (
        e for e in found(clean)["shortcut"].figures["statistics"] if e["statistic"] == "mean"
    )
    assert entry["auroc"] < 0.05


def test_a_shift_of_good_test_images(clean: Path, found) -> None:
    brighten(clean, "test/good", -40)
    brighten(clean, "test/scratch", -40)
    (finding,) = found(clean).values()
    assert (finding.code, finding.severity) == ("shift", "warning")
    assert finding.figures["groups"] == ["train", "test"]
    assert finding.figures["statistics"][0]["statistic"] == "mean"
    assert finding.figures["statistics"][0]["images"] == [24, 12]


def test_black_flaws_are_easy_not_a_shortcut(clean: Path, found) -> None:
    for path in sorted((clean / "test/scratch").glob("*.png")):
        pixels = np.asarray(Image.open(path)).copy()
        pixels[40:42, 20:60] = 0  # within the mask
        Image.fromarray(pixels).save(path)
    (finding,) = found(clean).values()
    assert (finding.code, finding.severity) == ("easy-defects", "note")
    assert finding.figures["statistics"][0]["auroc_outside_masks"] is not None
    assert "darkest" in {entry["statistic"] for entry in finding.figures["statistics"]}


def test_without_masks_a_black_flaw_may_be_either(clean: Path, found) -> None:
    test_black_flaws_are_easy_not_a_shortcut(clean, found)
    for path in (clean / "ground_truth/scratch").iterdir():
        path.unlink()
    finding = found(clean)["shortcut"]
    assert "only masks could show" in finding.advice


def test_few_masked_defects_do_not_speak_for_those_without_a_mask(
    clean: Path, checked, surface, save
) -> None:
    for i in range(4):  # these alone are masked, and under the usual light
        path = clean / f"test/scratch/{i:02}.png"
        pixels = np.asarray(Image.open(path)).copy()
        pixels[40:42, 20:60] = 0
        Image.fromarray(pixels).save(path)
    for path in sorted((clean / "ground_truth/scratch").iterdir())[4:]:
        path.unlink()
    for i in range(40):
        light = surface(300 + i).astype(int) + 40
        save(clean / f"test/stain/{i:02}.png", np.clip(light, 0, 255).astype(np.uint8))
    result = checked(clean)
    by_code = {finding.code: finding for finding in result.findings}
    assert by_code["shortcut"].severity == "warning"
    assert "easy-defects" not in by_code
    (mean,) = (c for c in result.contrasts.shortcut if c.name == "mean")
    bad = []
    for path in sorted((clean / "test").glob("s*/*.png")):
        pixels = np.asarray(Image.open(path))
        mask = clean / f"ground_truth/{path.parent.name}/{path.stem}_mask.png"
        bad.append(
            pixels[np.asarray(Image.open(mask)) == 0].mean() if mask.exists() else pixels.mean()
        )
    good = [np.asarray(Image.open(p)).mean() for p in (clean / "test/good").iterdir()]
    truth = [0] * len(good) + [1] * len(bad)
    assert mean.outside == pytest.approx(roc_auc_score(truth, good + bad), abs=1e-9)


def test_black_flaws_of_which_few_are_masked_may_be_either(clean: Path, found) -> None:
    test_black_flaws_are_easy_not_a_shortcut(clean, found)
    for path in sorted((clean / "ground_truth/scratch").iterdir())[1:]:
        path.unlink()
    assert "only masks could show" in found(clean)["shortcut"].advice


def test_a_mask_lacking_here_and_there_makes_no_shortcut(clean: Path, found) -> None:
    test_black_flaws_are_easy_not_a_shortcut(clean, found)
    min((clean / "ground_truth/scratch").iterdir()).unlink()
    assert "shortcut" not in found(clean)


def test_another_file_format_is_a_shortcut(clean: Path, found) -> None:
    for path in sorted((clean / "test/scratch").glob("*.png")):
        Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    entries = {e["statistic"]: e for e in found(clean)["shortcut"].figures["statistics"]}
    assert entries["is_jpeg"]["auroc"] == 1.0
    assert entries["is_png"]["auroc"] == 0.0


def test_another_size_is_a_shortcut_and_a_shift(clean: Path, found) -> None:
    for path in sorted((clean / "test/good").glob("*.png")):
        Image.open(path).crop((0, 0, 90, 96)).save(path)
    findings = found(clean)
    names = {e["statistic"] for e in findings["shortcut"].figures["statistics"]}
    assert {"width", "area"} <= names
    assert {"width", "area"} <= {e["statistic"] for e in findings["shift"].figures["statistics"]}


@pytest.fixture
def repeated(clean: Path) -> Path:
    """Flaws that no statistic of the pixels sees: four rows repeated, which takes fewer bytes."""
    for path in sorted((clean / "test/scratch").glob("*.png")):
        pixels = np.asarray(Image.open(clean / "test/good" / path.name)).copy()[::-1]
        pixels[20:76] = np.tile(pixels[20:24], (14, 1))
        Image.fromarray(pixels).save(path)
    for path in sorted((clean / "ground_truth/scratch").glob("*.png")):
        mask = np.zeros((96, 96), np.uint8)
        mask[20:76] = 255
        Image.fromarray(mask).save(path)
    return clean


def test_file_size_of_one_lossless_format_is_a_note(repeated: Path, checked) -> None:
    result = checked(repeated)
    (finding,) = result.findings
    assert (finding.code, finding.severity) == ("file-size", "note")
    assert [e["statistic"] for e in finding.figures["statistics"]] == ["file_bytes"]
    sizes = [[p.stat().st_size for p in (repeated / f).glob("*.png")] for f in FOLDERS[1:]]
    truth = [0] * 12 + [1] * 12
    assert finding.figures["statistics"][0]["auroc"] == pytest.approx(
        roc_auc_score(truth, sizes[0] + sizes[1]), abs=1e-4
    )
    assert "The file size alone tells good from defective test images" in finding.message
    assert "no proof of a shortcut" in finding.advice
    assert result.is_clean


def test_file_size_of_mixed_sizes_is_a_warning(repeated: Path, found) -> None:
    path = repeated / "train/good/00.png"
    Image.open(path).crop((0, 0, 90, 96)).save(path)
    findings = found(repeated)
    assert findings["shortcut"].figures["statistics"][0]["statistic"] == "file_bytes"
    assert "file-size" not in findings


@pytest.mark.parametrize(("suffix", "options"), [("webp", {"lossless": True}), ("jpg", {})])
def test_file_size_of_other_formats_is_a_warning(
    repeated: Path, found, suffix: str, options: dict[str, bool]
) -> None:
    for path in sorted(p for folder in FOLDERS for p in (repeated / folder).glob("*.png")):
        packed = options or {"quality": 80 if path.parent.name == "scratch" else 95}
        Image.open(path).save(path.with_suffix(f".{suffix}"), **packed)
        path.unlink()
    findings = found(repeated)
    assert "file_bytes" in {e["statistic"] for e in findings["shortcut"].figures["statistics"]}
    assert findings["shortcut"].severity == "warning"
    assert "file-size" not in findings


def test_file_size_takes_no_part_in_another_shortcut(repeated: Path, found) -> None:
    brighten(repeated, "test/scratch", 40)
    (finding,) = found(repeated).values()
    assert (finding.code, finding.severity) == ("shortcut", "warning")
    assert finding.message.startswith("The mean brightness alone")
    assert "file_bytes" not in {e["statistic"] for e in finding.figures["statistics"]}


@pytest.mark.parametrize("seed", range(3))
def test_few_images_prove_nothing(tmp_path: Path, found, surface, save, seed: int) -> None:
    for i in range(10):
        save(tmp_path / f"train/good/{i}.png", surface(100 * seed + i))
    for i in range(3):  # three against three often differ by chance, with an AUROC of 1
        save(tmp_path / f"test/good/{i}.png", surface(100 * seed + 20 + i))
        save(tmp_path / f"test/dent/{i}.png", surface(100 * seed + 30 + i))
    assert not {"shortcut", "shift"} & set(found(tmp_path))


def test_defects_among_training_images_are_no_shift(tmp_path: Path, checked, surface, save) -> None:
    """KolektorSDD2 as it is published: train holds defects, dark ones here."""
    for i in range(48):
        side, dark = ("train", 90 * (i % 2)) if i < 36 else ("test", 0)
        image = np.clip(surface(i).astype(int) - dark, 0, 255).astype(np.uint8)
        save(tmp_path / f"{side}/{10000 + i}.png", image)
        save(tmp_path / f"{side}/{10000 + i}_GT.png", np.full((96, 96), 255 * bool(dark), np.uint8))
    result = checked(tmp_path, form="kolektor2")
    (mean,) = (c for c in result.contrasts.shift if c.name == "mean")
    assert (len(mean.first), len(mean.second)) == (18, 12)
    assert mean.first.min() > 90  # the dark ones are at 60 at most
    assert "shift" not in {finding.code for finding in result.findings}
