"""What stands beside the image-level result: pixels, trivial statistics, equalised, stress."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score

from burnish import Detector
from burnish.errors import BurnishError
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.findings import on_trivial
from burnish.evaluation.record import Evaluation
from burnish.evaluation.stress import CHANGES
from burnish.evaluation.summary import summary
from burnish.images.reader import read_image
from burnish.images.synthetic.synth import write_dataset

Simple = Callable[..., Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evidence") / "metal"
    return write_dataset(folder, train=20, good=8, defects=10, size=(64, 64), seed=4)


@pytest.fixture(scope="module")
def full(data: Path, simple: Simple) -> Evaluation:
    return evaluate(simple(data), data, stress_images=8)


def test_pixel_metrics_are_those_of_all_pixels_at_once(
    data: Path, simple: Simple, full: Evaluation
) -> None:
    detector = simple(data)
    scores, truth, regions = [], [], 0
    for path in sorted((data / "test").rglob("*.png")):
        scores.append(detector.inspect(path).anomaly_map.ravel())
        kind = path.parent.name
        mask = np.zeros(64 * 64, bool)
        if kind != "good":
            found = data / "ground_truth" / kind / f"{path.stem}_mask.png"
            mask = np.asarray(Image.open(found)).ravel() > 0
            regions += ndimage.label(mask.reshape(64, 64), np.ones((3, 3)))[1]
        truth.append(mask)
    score, marked = np.concatenate(scores), np.concatenate(truth)
    assert full.pixels is not None
    found = full.pixels.overall
    assert (found.images, found.components) == (10, regions)
    assert found.auroc == pytest.approx(roc_auc_score(marked, score), abs=full.pixels.auroc_error)
    assert found.average_precision == pytest.approx(
        average_precision_score(marked, score), abs=2e-3
    )
    assert full.pixels.auroc_error < 1e-3
    assert set(full.pixels.intervals) == {"auroc", "average_precision", "aupro"}
    assert sum(row.pixels.images for row in full.kinds if row.pixels) == 10


def test_masks_that_cannot_be_used_are_named_and_the_rest_counts(
    copy: Path, simple: Simple, full: Evaluation
) -> None:
    masks = sorted((copy / "ground_truth").rglob("*.png"))
    masks[0].unlink()
    masks[1].write_bytes(b"no image")
    Image.fromarray(np.full((32, 64), 255, np.uint8)).save(masks[2])
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(masks[3])
    e = evaluate(simple(copy), copy, equalised=False)
    assert e.pixels is not None
    assert e.pixels.n_without_mask == 1
    assert e.pixels.overall.images == 6
    problems = {p.path: p.problem for p in e.pixels.mask_problems}
    assert set(problems) == {m.relative_to(copy).as_posix() for m in masks[1:4]}
    assert "not an image" in problems[masks[1].relative_to(copy).as_posix()]
    assert "is 64x32 px and its image 64x64" in problems[masks[2].relative_to(copy).as_posix()]
    assert "marks nothing" in problems[masks[3].relative_to(copy).as_posix()]
    assert e.image_auroc == full.image_auroc  # images without a usable mask count as images
    assert e.unreadable == ()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "no defective test image has a mask in ground_truth"),
        (lambda path: path.write_bytes(b""), "no defective test image has a mask that can be used"),
    ],
)
def test_no_usable_mask_at_all(
    copy: Path, simple: Simple, spoil: Callable[[Path], Any], reason: str
) -> None:
    for path in (copy / "ground_truth").rglob("*.png"):
        spoil(path)
    e = evaluate(simple(copy), copy)
    assert e.pixels is None
    assert reason in e.not_available["pixels"]
    assert {row.pixels for row in e.kinds} == {None}


def test_masks_that_no_image_finds_are_counted_and_their_names_told(
    copy: Path, simple: Simple
) -> None:
    (copy / "ground_truth").rename(copy / "masks")
    (copy / "ground_truth" / "other").mkdir(parents=True)
    found = sorted((copy / "masks").rglob("*.png"))
    for number, path in enumerate(found):
        path.rename(copy / "ground_truth" / "other" / f"{number}_gt.png")
    told = evaluate(simple(copy), copy).not_available["pixels"]
    assert f"; {len(found)} images there belong to none. A mask is ground_truth/<kind>/" in told


def test_what_is_not_asked_for_is_said(data: Path, simple: Simple) -> None:
    detector = simple(data)
    e = evaluate(detector, data, pixels=False, equalised=False)
    assert (e.pixels, e.equalised, e.stress) == (None, None, ())
    assert set(e.not_available) == {"pixels", "equalised", "stress"}
    assert {row.equalised_score for row in e.images} == {None}
    assert len(detector.inspected) == 18


def test_equalised_images_are_those_of_numpy(data: Path, simple: Simple, full: Evaluation) -> None:
    detector = simple(data)
    train = [read_image(p) for p in sorted((data / "train/good").iterdir())]
    mean, spread = (float(np.mean([f(i) for i in train])) for f in (np.mean, np.std))
    assert full.equalised is not None
    assert (full.equalised.mean, full.equalised.spread) == pytest.approx((mean, spread))
    scores, truth = [], []
    for row in full.images:
        image = read_image(data / row.path).astype(float)
        equal = (image - image.mean()) / image.std() * spread + mean
        result = detector.inspect(np.rint(equal).clip(0, 255).astype(np.uint8))
        assert row.equalised_score == pytest.approx(result.score, rel=0.05)
        scores.append(row.equalised_score)
        truth.append(row.is_defect)
    assert full.equalised.image_auroc == pytest.approx(roc_auc_score(truth, scores))
    called = np.array(scores) > full.threshold
    assert full.equalised.missed == (~called & np.array(truth)).sum()
    assert full.equalised.false_alarms == (called & ~np.array(truth)).sum()


def test_a_model_without_training_brightness_gives_a_reason(data: Path, simple: Simple) -> None:
    detector = simple(data)
    object.__setattr__(detector.card, "ranges", {})
    e = evaluate(detector, data, stress_images=2)
    assert e.equalised is None
    assert "does not hold the brightness" in e.not_available["equalised"]
    assert {row.out_of_range for row in e.stress} == {None}


def test_brightness_as_the_only_difference_is_found_and_taken_away(
    copy: Path, simple: Simple
) -> None:
    """Defective images are copies of good ones, 12 grey levels brighter."""
    shutil.rmtree(copy / "ground_truth")
    good = sorted((copy / "test/good").iterdir())
    for folder in (copy / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    (copy / "test/bright").mkdir()
    for path in good:
        brighter = read_image(path).clip(0, 243) + 12
        Image.fromarray(brighter).save(copy / "test/bright" / path.name)
    e = evaluate(simple(copy), copy)
    assert e.best_trivial is not None
    assert e.best_trivial.auroc == max(row.auroc for row in e.trivial)
    mean = next(row for row in e.trivial if row.statistic == "mean")
    values = [read_image(copy / row.path).mean() for row in e.images]
    truth = [row.is_defect for row in e.images]
    assert mean.auroc == pytest.approx(roc_auc_score(truth, values))
    assert mean.higher_in_defects
    assert mean.median_defect - mean.median_good == pytest.approx(12, abs=0.5)
    assert e.equalised is not None
    assert e.equalised.image_auroc == pytest.approx(0.5, abs=0.1)  # nothing else to tell them by
    assert "this test set cannot show that defects are seen" in summary(e)


def test_file_size_counts_only_where_it_is_more_than_texture(copy: Path, simple: Simple) -> None:
    """Defective images are good ones with rows repeated, which takes fewer bytes."""
    shutil.rmtree(copy / "ground_truth")
    for folder in (copy / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    (copy / "test/copied").mkdir()
    for path in sorted((copy / "test/good").iterdir()):
        pixels = read_image(path).copy()
        pixels[16:48] = np.concatenate([pixels[16:24]] * 4)
        Image.fromarray(pixels).save(copy / "test/copied" / path.name)
    e = evaluate(simple(copy), copy)
    row = e.trivial[0]
    sizes = [(copy / image.path).stat().st_size for image in e.images]
    truth = [image.is_defect for image in e.images]
    assert (row.statistic, row.follows_pixels) == ("file_bytes", True)
    assert row.auroc == pytest.approx(1 - roc_auc_score(truth, sizes))
    assert e.image_auroc is not None
    assert row.auroc > e.image_auroc
    assert e.best_trivial == e.trivial[1]
    assert [r.statistic for r in e.trivial if r.follows_pixels] == ["file_bytes"]
    assert "File size alone" not in summary(e)
    assert f"File size alone reaches {row.auroc:.3f} and does not count here" in on_trivial(e)
    first = copy / "test/good/000.png"
    Image.open(first).save(first.with_suffix(".bmp"))  # larger, as the other good images are
    first.unlink()
    mixed = evaluate(simple(copy), copy)
    assert not any(r.follows_pixels for r in mixed.trivial)
    assert mixed.best_trivial == mixed.trivial[0]
    assert "File size alone tells defective from good test images better" in summary(mixed)
    assert "does not count here" not in on_trivial(mixed)


def dimmed(path: Path) -> Any:
    return (read_image(path) * 0.75 + 0.5).astype(np.uint8)


def test_the_stress_table_is_what_inspecting_changed_images_gives(
    data: Path, simple: Simple, full: Evaluation
) -> None:
    assert [row.change for row in full.stress] == ["none", *(c.name for c in CHANGES)]
    unchanged = full.stress[0]
    assert (unchanged.n_good, unchanged.n_defect) == (4, 4)
    assert {(row.n_good, row.n_defect) for row in full.stress} == {(4, 4)}
    everything = evaluate(simple(data), data, stress_images=18)
    whole = everything.stress[0]
    assert whole.image_auroc == everything.image_auroc
    assert (whole.false_alarms, whole.missed) == (everything.false_alarms, everything.missed)
    detector = simple(data)
    change = CHANGES[0]
    assert (change.name, change.strength) == ("brightness", "-25 %")
    results = [
        (
            row.is_defect,
            detector.inspect((read_image(data / row.path) * 0.75 + 0.5).astype(np.uint8)),
        )
        for row in everything.images
    ]
    row = everything.stress[1]
    assert row.false_alarms == sum(r.is_defect and not truth for truth, r in results)
    assert row.missed == sum(not r.is_defect and truth for truth, r in results)
    assert row.out_of_range == sum(bool(r.out_of_range) for _, r in results) / len(results)
    assert row.out_of_range > 0.9 > whole.out_of_range + 0.5  # type: ignore[operator]


def test_a_map_that_is_not_finite_names_its_image(data: Path, simple: Simple) -> None:
    class Broken(type(simple(data))):  # type: ignore[misc]
        def inspect(self, source: Any, /) -> Any:
            result = super().inspect(source)
            result.anomaly_map[3, 3] = np.nan
            return result

    detector = simple(data)
    detector.__class__ = Broken
    with pytest.raises(BurnishError, match=r"test/crack/000\.png: .* not finite"):
        evaluate(detector, data)


def test_a_trained_model_gives_every_part_of_the_record(detector: Detector, metal: Path) -> None:
    e = evaluate(detector, metal, stress_images=4)
    assert e.not_available == {}
    assert len({row.part for row in e.images}) == e.n_parts == 16
    assert e.model.mask_blocks == detector.card.settings.mask_blocks
    assert e.model.textures == detector.card.settings.textures(1)
    assert len(e.model.textures) == 4
    assert e.model.lines == (1,)
    assert e.model.whole
    assert all(len(row.scale_scores) == len(e.model.mask_blocks) + 8 + 2 for row in e.images)
    assert Evaluation.model_validate_json(e.model_dump_json()) == e
    assert [x.false_alarm_rate for x in e.escapes_at] == [0, 0.01, 0.05]
    again = evaluate(detector, metal, stress_images=4)
    same = {"created", "ms_per_image", "speed_ms"}
    assert again.model_dump(exclude=same) == e.model_dump(exclude=same)


def test_records_of_the_first_format_can_still_be_read(full: Evaluation) -> None:
    plain = full.model_dump(mode="json")
    for name in ("intervals", "pixels", "trivial", "equalised", "stress", "escapes_at", "n_parts",
                 "test_fingerprint"):  # fmt: skip
        del plain[name]
    for row in plain["images"]:
        for name in ("part", "scale_scores", "out_of_range", "equalised_score"):
            del row[name]
    old = Evaluation.model_validate(plain | {"format": 1})
    assert old.image_auroc == full.image_auroc
    assert old.best_trivial is None
