"""The public Python interface."""

from __future__ import annotations

import copy
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from burnish import BurnishError, Detector, evaluate
from burnish.detection.result import map_names
from burnish.detection.sizes import size_notes
from burnish.export.parity import compare
from burnish.images.dataset import find_test_images
from burnish.images.synthetic.synth import write_dataset
from burnish.method import cells, filters, whole
from burnish.method.discriminator import Discriminator
from burnish.method.generator import Encoder


def test_result_fields(detector: Detector, metal: Path) -> None:
    path = metal / "test" / "scratch" / "000.png"
    result = detector.inspect(path)
    assert result.path == path
    assert result.anomaly_map.dtype == np.float32
    assert result.anomaly_map.shape == result.image.shape == (64, 64)
    assert result.reconstruction.dtype == np.uint8
    assert result.reconstruction.shape == (64, 64)
    assert result.is_defect == (result.score > result.threshold)
    scores = np.array(detector.card.calibration.scores)
    assert result.p_value == (1 + (scores >= result.score).sum()) / (1 + len(scores))
    assert result.block in detector.card.settings.mask_blocks
    speed = result.speed
    assert min(speed.read, speed.preprocess, speed.inference, speed.postprocess) > 0
    assert speed.total == pytest.approx(
        speed.read + speed.preprocess + speed.inference + speed.postprocess
    )


def test_file_picture_and_array_give_the_same(detector: Detector, metal: Path) -> None:
    path = metal / "test" / "pit" / "000.png"
    image = Image.open(path)
    scores = {detector.inspect(source).score for source in (path, str(path), image)}
    scores |= {detector.inspect(np.asarray(image)).score}
    scores |= {detector.inspect(image.convert("RGB")).score}
    assert len(scores) == 1


def test_scores_do_not_depend_on_what_came_before(detector: Detector, metal: Path) -> None:
    files = sorted((metal / "test").rglob("*.png"))
    once = [detector.inspect(f).score for f in files]
    again = [detector.inspect(f).score for f in reversed(files)][::-1]
    assert once == again


def test_held_out_images_score_as_calibrated(detector: Detector, metal: Path) -> None:
    """Calibration and inspection are one path: same file, same score, to the last bit."""
    names = detector.card.data["held_out"]
    scores = sorted(detector.inspect(metal / "train" / "good" / name).score for name in names)
    assert scores == list(detector.card.calibration.scores)


def test_only_the_generator_runs_in_inspect(
    detector: Detector, metal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    forward = Encoder.forward

    def count(self: Encoder, *given: torch.Tensor | None):
        runs.append(self)
        return forward(self, *given)

    def fail(self: Discriminator, images: torch.Tensor):
        raise AssertionError("the discriminator ran")

    monkeypatch.setattr(Encoder, "forward", count)
    monkeypatch.setattr(Discriminator, "forward", fail)
    detector.inspect(metal / "test" / "pit" / "000.png")
    assert runs == [detector.model.generator.encoder]


def test_save_and_load_keep_every_score(detector: Detector, metal: Path, tmp_path: Path) -> None:
    again = Detector.load(detector.save(tmp_path / "copy.safetensors"))
    path = metal / "test" / "dent" / "000.png"
    before, after = detector.inspect(path), again.inspect(path)
    assert before.score == after.score
    np.testing.assert_array_equal(before.anomaly_map, after.anomaly_map)
    assert again.card == detector.card


def test_save_takes_a_folder_and_refuses_other_suffixes(detector: Detector, tmp_path: Path) -> None:
    assert detector.save(tmp_path) == tmp_path / "model.safetensors"
    assert Detector.load(tmp_path).card == detector.card
    with pytest.raises(BurnishError, match=r"m\.onnx: a model file ends in \.safetensors"):
        detector.save(tmp_path / "m.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_other_false_alarm_rate_moves_the_threshold_alone(detector: Detector, metal: Path) -> None:
    loose = detector.with_false_alarms(0.5)
    path = metal / "test" / "dent" / "000.png"
    assert loose.inspect(path).score == detector.inspect(path).score
    scores = detector.card.calibration.scores
    assert sum(s > loose.card.calibration.threshold for s in scores) <= len(scores) / 2
    with pytest.raises(BurnishError, match="between 0 and 1"):
        detector.with_false_alarms(1.5)


def test_other_sizes_and_colours_are_taken(detector: Detector) -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 500), (200, 90, 3), (64, 64, 4)):
        result = detector.inspect(rng.integers(0, 255, shape, dtype=np.uint8))
        assert result.anomaly_map.shape == shape[:2]
        assert np.isfinite(result.score)


def test_a_score_that_is_no_number_is_no_verdict(
    detector: Detector, metal: Path, tmp_path: Path
) -> None:
    broken = copy.deepcopy(detector)
    with torch.no_grad():
        next(broken.model.generator.parameters()).view(-1)[0] = float("nan")
    part, said = metal / "test" / "scratch" / "000.png", "the score is no finite number"
    for source, name in ((part, re.escape(str(part))), (np.zeros((64, 64), np.uint8), "the image")):
        with pytest.raises(BurnishError, match=f"{name}: {said}"):
            broken.inspect(source)
    with pytest.raises(BurnishError, match=said):  # not a list of images that cannot be read
        evaluate(broken, metal)
    with pytest.raises(BurnishError, match=said):
        compare(broken, detector, [part], 0.1)
    write_dataset(tmp_path / "others", train=8, good=1, defects=1, size=(64, 64), seed=4)
    with pytest.raises(BurnishError, match=f"held-out image 1: {said}"):
        broken.calibrate(tmp_path / "others")


def test_unknown_device(run_folder: Path) -> None:
    with pytest.raises(BurnishError, match="no device"):
        Detector.load(run_folder, device="cuda:7")


def test_same_seed_same_model(metal: Path, micro: dict, tmp_path: Path) -> None:
    scores = [
        Detector.train(metal, "tiny", tmp_path / name, steps=4, seed=seed, **micro)
        .inspect(metal / "test" / "dent" / "000.png")
        .score
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert scores[0] == scores[1] != scores[2]


@pytest.fixture
def double_by_default() -> Iterator[None]:
    """As in a program that calculates in float64; nothing that burnish keeps was made before."""
    ours = cells._linear, whole._averages, filters.gaussian_band
    for one in ours:
        one.cache_clear()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
    for one in ours:
        one.cache_clear()


def test_another_default_dtype_of_torch_changes_nothing(
    detector: Detector, run_folder: Path, metal: Path, micro: dict, tmp_path: Path,
    double_by_default: None,
) -> None:  # fmt: skip
    path, before = metal / "test" / "dent" / "000.png", detector.card.calibration
    one = Detector.load(run_folder).inspect(path)
    changes = {
        name: getattr(detector.card.settings, name)
        for name in ("texture", "texture_factors", "lines", "whole", "extremes", "fusion")
    }
    again = Detector.train(metal, "tiny", tmp_path, steps=12, **changes, **micro)
    assert again.card.calibration == before
    assert torch.get_default_dtype() == torch.float64
    torch.set_default_dtype(torch.float32)
    two = Detector.load(run_folder).inspect(path)  # with what was kept under the other
    assert one.score == two.score
    assert np.array_equal(one.anomaly_map, two.anomaly_map)


@contextmanager
def no_gradients() -> Iterator[None]:
    torch.set_grad_enabled(False)  # the first line of many a notebook
    yield
    torch.set_grad_enabled(True)


@pytest.mark.parametrize(
    "state", [no_gradients, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_what_the_caller_has_switched_on_or_off_changes_nothing(
    detector: Detector, metal: Path, micro: dict, tmp_path: Path,
    state: Callable[[], AbstractContextManager[None]],
) -> None:  # fmt: skip
    path = metal / "test" / "dent" / "000.png"
    once = Detector.train(metal, "tiny", tmp_path / "a", steps=3, **micro)
    before = detector.inspect(path)
    with state():
        again = Detector.train(metal, "tiny", tmp_path / "b", steps=3, **micro)
        within = detector.inspect(path)
        assert torch.is_grad_enabled() == (state not in (no_gradients, torch.inference_mode))
    assert again.card.calibration == once.card.calibration
    assert within.score == before.score
    assert np.array_equal(within.anomaly_map, before.anomaly_map)


def test_trainings_in_two_threads_take_turns(metal: Path, micro: dict, tmp_path: Path) -> None:
    def train(name: str) -> float:
        return Detector.train(metal, "tiny", tmp_path / name, steps=30, **micro).threshold

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(train, ("a", "b"))
    assert first == second


def test_colour_images_train_a_colour_model(micro: dict, tmp_path: Path) -> None:
    data = tmp_path / "colour"
    data.mkdir()
    rng = np.random.default_rng(0)
    for index in range(10):
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(
            data / f"{index}.png"
        )
    detector = Detector.train(data, "tiny", tmp_path / "run", steps=2, **micro | {"aspect": "keep"})
    shape = detector.card.shape
    assert shape.channels == 3
    assert shape.width > shape.height
    result = detector.inspect(data / "0.png")
    assert result.reconstruction.shape == (40, 60, 3)


def test_marks_of_hue_alone_are_found_where_colour_is_compared(
    brass: Path, micro: dict, tmp_path: Path
) -> None:
    """Marks as bright as what is round them: without `colour` hardly better than by chance."""
    found, scored = {}, micro | {"error": "relative", "fusion": "highest", "lines": (1,)}
    for name, texture in (("blind", ("image:1",)), ("sees", ("image:1", "colour:1"))):
        detector = Detector.train(
            brass, "tiny", tmp_path / name, steps=12, **scored, texture=texture, reduction="top"
        )
        images = find_test_images(brass)
        results = [detector.inspect(image.path) for image in images]
        truth = [image.is_defect for image in images]
        found[name] = roc_auc_score(truth, [result.score for result in results])
    assert found["sees"] == 1.0
    assert found["blind"] < 0.8
    evidence = {r.evidence for r, bad in zip(results, truth, strict=True) if bad}
    assert evidence == {"colour of 1 px"}
    assert len(results[0].scale_scores) == len(micro["mask_blocks"]) + 2 + 1 + 1


def test_hues_do_not_count_in_the_surface_as_a_whole(
    brass: Path, micro: dict, tmp_path: Path
) -> None:
    """Compression changes them all over: with them, good parts as JPEG were defects."""
    changes = {"texture": ("image:1", "colour:1"), "whole": True, "fusion": "highest"}
    detector = Detector.train(brass, "tiny", tmp_path, steps=3, **micro, **changes)
    detector = Detector.load(detector.path)
    assert detector.model.whole is not None
    assert detector.model.whole.mean.shape == (9 * 16,)  # of the image's texture alone
    result = detector.inspect(next((brass / "test/good").iterdir()))
    assert len(result.scale_scores) == len(micro["mask_blocks"]) + 2 + 1 + 1


def test_colour_does_nothing_on_grey_parts(metal: Path, micro: dict, tmp_path: Path) -> None:
    scores = []
    for texture in (("image:1",), ("image:1", "colour:2"), ("colour:2",), ()):
        changes = {"texture": texture, "whole": True, "fusion": "highest"}
        detector = Detector.train(
            metal, "tiny", tmp_path / str(len(scores)), steps=3, **micro, **changes
        )
        detector = Detector.load(detector.path)
        scores.append(detector.inspect(metal / "test/dent/000.png").scale_scores)
    assert scores[0] == scores[1]
    assert scores[2] == scores[3]
    assert len(scores[0]) == len(scores[3]) + 2 + 1  # maps of the texture, and the whole


def test_the_evidence_is_the_map_with_the_highest_score(detector: Detector, metal: Path) -> None:
    settings = detector.card.settings
    names = map_names(settings.mask_blocks, settings.textures(1), settings.lines, whole=True)
    assert names[:3] == ["blocks of 8 px", "blocks of 16 px", "grain of 1 px"]
    assert names[5] == "direction of 2 px"
    assert names[-2:] == ["long lines of 1 px", "whole surface"]
    assert len(names) == 12
    for image in find_test_images(metal):
        result = detector.inspect(image.path)
        assert result.evidence == names[int(np.argmax(result.scale_scores))]
        assert result.to_dict()["evidence"] == result.evidence


def test_calibration_shows_how_far_it_is(metal: Path, micro: dict, tmp_path: Path) -> None:
    shares: list[float] = []
    Detector.train(
        metal, "tiny", tmp_path, steps=2, **micro, texture=("image:1",), lines=1, fusion="scores",
        on_stage=lambda stage: shares.append(stage.done) if stage.name == "calibrate" else None,
    )  # fmt: skip
    assert len(shares) > 50
    assert shares == sorted(shares)
    assert np.diff(shares).max() < 0.1
    assert shares[-1] == 1


def test_a_detector_travels_to_other_processes(detector: Detector, metal: Path) -> None:
    part = find_test_images(metal)[0].path
    stricter = detector.with_false_alarms(0.3)
    for other in (pickle.loads(pickle.dumps(stricter)), copy.deepcopy(stricter)):
        one, two = stricter.inspect(part), other.inspect(part)
        assert (one.score, one.threshold, one.p_value) == (two.score, two.threshold, two.p_value)
        assert np.array_equal(one.anomaly_map, two.anomaly_map)
        assert one == one
        assert one != two  # results are compared by identity: arrays have no one answer


def test_an_image_of_another_shape_is_told(
    detector: Detector, metal: Path, micro: dict, tmp_path: Path
) -> None:
    part = np.asarray(Image.open(find_test_images(metal)[0].path).convert("L"))
    assert part.shape == (64, 64)
    assert detector.inspect(part).notes == ()
    assert detector.inspect(part[:63]).notes == ()
    (note,) = detector.inspect(part[:32]).notes
    assert note.startswith("the image is 64x32 px, of another shape than the training images")
    tiled = Detector.train(metal, "tiny", tmp_path / "a", steps=2, **micro, tile=32, overlap=0)
    (note,) = tiled.inspect(part[:32]).notes  # no word of shape
    assert note.startswith("the image has 2 tiles, those that set the threshold 4: fewer")
    boxed = Detector.train(
        metal, "tiny", tmp_path / "b", steps=2, **micro, tile=32, overlap=0, roi="0,0 60,0 60,60"
    )
    assert len(boxed.inspect(part[:32]).notes) == 1


def test_an_image_clearly_smaller_than_the_training_images_is_told(
    detector: Detector, metal: Path
) -> None:
    part = Image.open(find_test_images(metal)[0].path)
    seen = min(64, detector.card.shape.height)
    assert part.size == (64, 64)
    assert detector.inspect(part.resize((128, 128))).notes == ()
    assert detector.inspect(part.resize((seen - 8, seen - 8))).notes == ()
    (note,) = detector.inspect(part.resize((seen // 2, seen // 2))).notes
    assert note.startswith(f"the image is {seen // 2}x{seen // 2} px, the training images at least")
    assert "64x64" in note
    card = detector.card.model_copy(update={"data": {}})  # an older file
    assert size_notes(card, None, seen // 2, seen // 2) == ()


def test_of_images_that_the_model_sees_smaller_only_what_it_lacks_is_told(
    detector: Detector,
) -> None:
    data = detector.card.data | {"smallest": [1000, 800], "aspects": [0.1, 9.0]}
    card = detector.card.model_copy(update={"data": data})
    height, width = card.shape.height, card.shape.width
    assert size_notes(card, None, height, width) == ()
    (note,) = size_notes(card, None, height // 2, width // 2)
    assert "at least 800x1000" in note


def test_images_that_are_not_learnt_from_are_told(metal: Path, micro: dict, tmp_path: Path) -> None:
    shutil.copytree(metal / "train" / "good", tmp_path / "data")
    shutil.copytree(metal / "train" / "good", tmp_path / "data" / "more")
    told: list[str] = []
    Detector.train(
        tmp_path / "data", "tiny", tmp_path / "run", steps=2, **micro,
        on_stage=lambda stage: told.append(stage.message),
    )  # fmt: skip
    assert any("24 images in subfolders of" in message for message in told)


def test_without_a_listener_what_to_look_at_is_a_warning(
    metal: Path, micro: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = tmp_path / "good"
    shutil.copytree(metal / "train/good", good)
    (good / "zz.png").write_bytes(b"no picture")
    with caplog.at_level("INFO", logger="burnish"):
        Detector.train(good, "tiny", tmp_path / "run", steps=2, **micro)
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    told = [r.getMessage() for r in caplog.records if r.levelname == "INFO"]
    assert any("zz.png" in message for message in warned)
    assert any("can promise at most" in message for message in warned)
    assert any(message.startswith("training on cpu") for message in told)


def test_a_detector_shows_its_file_and_threshold(detector: Detector) -> None:
    assert repr(detector) == f"Detector({detector.path}, threshold={detector.threshold:.5g})"


@pytest.mark.parametrize(("coloured", "told"), [(0, 0), (1, 1), (12, 0)])
def test_grey_images_among_coloured_ones_are_told(
    micro: dict, tmp_path: Path, coloured: int, told: int
) -> None:
    """From grey images hues are learnt that do not vary at all."""
    rng = np.random.default_rng(0)
    for i in range(12):
        image = np.repeat(rng.integers(0, 256, (40, 40, 1), dtype=np.uint8), 3, axis=2)
        image[9, 9] = (200, 60, 60) if i < coloured else 99
        Image.fromarray(image).save(tmp_path / f"{i:02}.png")
    lines: list[str] = []
    Detector.train(
        tmp_path, "tiny", tmp_path / "run", steps=2, **micro,
        on_stage=lambda stage: lines.append(stage.message),
    )  # fmt: skip
    found = [line for line in lines if "have no colour" in line]
    assert len(found) == told
    assert not told or found[0].startswith("note: 11 of 12 images have no colour (01.png, say)")


def test_images_that_are_nearly_black_are_told(micro: dict, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):  # 12 bits in 16, but for two
        deep = rng.integers(2000, 4000, (40, 40)).astype(np.uint16) << (4 if i < 2 else 0)
        Image.fromarray(deep).save(tmp_path / f"{i:02}.png")
    told: list[str] = []
    Detector.train(
        tmp_path, "tiny", tmp_path / "run", steps=2, **micro,
        on_stage=lambda stage: told.append(stage.message),
    )  # fmt: skip
    (line,) = [message for message in told if "nearly black" in message]
    assert re.match(r"note: (\d+) of (\d+) images looked at are nearly black", line)
    assert "02.png" in line or "03.png" in line or "04.png" in line
