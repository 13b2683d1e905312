"""Cross-validation in place of a hold-out: every image is judged by a network that has not learnt
from it, and the model learns from all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from burnish import BurnishError, Detector
from burnish.detection.calibration import Calibration, conformal_threshold, part_weights
from burnish.detection.folds import pool
from burnish.detection.held_out import Calibrated, HeldOut
from burnish.detection.run_folder import fold_folder
from burnish.detection.stages import Stage
from burnish.images.dataset import find_training_images
from burnish.images.png import save_png
from burnish.training.loop import Interrupted, Trainer

FOLDS = 3
SCORING: dict[str, Any] = {"texture": ("image:2",), "fusion": "highest", "extremes": True}


@pytest.fixture(scope="module")
def learn(metal: Path, micro: dict) -> Any:
    """Train into a folder, in three folds."""

    def call(out: Path, **changes: Any) -> Detector:
        given = {"steps": 4, "folds": FOLDS, "false_alarms": 0.1, **SCORING, **micro, **changes}
        return Detector.train(metal, "tiny", out, **given)

    return call


@pytest.fixture(scope="module")
def run(learn: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "folds"
    learn(out)
    return out


def folds_of(out: Path) -> list[Detector]:
    return [Detector.load(fold_folder(out, fold)) for fold in range(FOLDS)]


def same(one: Detector, two: Detector) -> bool:
    """Whether two models are alike but for the time they took."""
    cards = [d.card.model_copy(update={"training": d.card.training["steps"]}) for d in (one, two)]
    weights = [d.model.generator.state_dict() for d in (one, two)]
    return cards[0] == cards[1] and all(
        torch.equal(value, weights[1][name]) for name, value in weights[0].items()
    )


def test_each_image_is_judged_by_the_network_that_has_not_learnt_from_it(
    run: Path, metal: Path
) -> None:
    """Inspected one by one with the folds' models, as a user could."""
    paths = find_training_images(metal)
    scores, seen = [], []
    for fold in folds_of(run):
        held = fold.card.data["held_out"]
        assert fold.card.data["training_images"] == len(paths) - len(held)
        assert len(held) == len(paths) // FOLDS
        seen += held
        scores += [fold.inspect(metal / "train/good" / name).score for name in held]
    assert sorted(seen) == [path.name for path in paths]
    model = Detector.load(run)
    assert model.card.calibration.scores == pytest.approx(sorted(scores), rel=1e-6)
    assert model.threshold == pytest.approx(1.001 * conformal_threshold(scores, 0.1), rel=1e-6)
    assert model.card.calibration.folds == FOLDS


def test_the_model_learns_from_all_images(run: Path, metal: Path) -> None:
    model, folds = Detector.load(run), folds_of(run)
    assert model.card.data["training_images"] == len(find_training_images(metal)) == 24
    assert model.card.data["held_out"] == []
    assert model.card.data["held_out_images"] == model.card.data["held_out_parts"] == 24
    assert all(model.card.calibration.mu != fold.card.calibration.mu for fold in folds)
    for statistic, known in model.card.ranges.items():
        assert known.low == min(fold.card.ranges[statistic].low for fold in folds)


def test_parts_are_never_split(learn: Any, tmp_path: Path) -> None:
    """24 images of parts 0 to 9, by their last digit."""
    model = learn(tmp_path, part_pattern=r"\d$")
    c, data = model.card.calibration, model.card.data
    assert (c.parts, data["held_out_images"], data["held_out_parts"]) == (10, 24, 10)
    seen = [{name[-5] for name in fold.card.data["held_out"]} for fold in folds_of(tmp_path)]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 10
    folds = [fold.card.calibration for fold in folds_of(tmp_path)]
    weights = dict(
        pair for f in folds for pair in zip(f.scores, f.score_weights or (), strict=True)
    )
    assert c.score_weights == tuple(weights[score] for score in c.scores)
    assert sum(weights.values()) == pytest.approx(10)
    assert sorted(c.peaks) == sorted(peak for f in folds for peak in f.peaks)
    assert c.heat_low == sorted(f.heat_low for f in folds)[1]
    assert "24 good images of 10 parts in 3 folds" in c.with_false_alarms(0.2).promise()


@pytest.mark.parametrize("networks", [0, 1, 2, 3])
def test_stopped_and_resumed_equals_unbroken(
    networks: int, learn: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped halfway in the network after so many; what is trained is not trained again."""
    step, steps = Trainer.train_step, []

    def counted(trainer: Trainer) -> dict[str, float]:
        steps.append(None)
        if len(steps) == 4 * networks + 3:
            trainer._stop.set()
        return step(trainer)

    monkeypatch.setattr(Trainer, "train_step", counted)
    with pytest.raises(Interrupted, match=r"--resume goes on \(in Python: resume=True\)"):
        learn(tmp_path)
    with pytest.raises(BurnishError, match=r"already holds .*: --resume goes on with that run"):
        learn(tmp_path)
    assert same(learn(tmp_path, resume=True), Detector.load(run))
    assert len(steps) == 4 * (FOLDS + 1)


def test_stopped_while_a_fold_is_calibrated(
    learn: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(stage: Stage) -> None:
        if stage.name == "calibrate" and stage.done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, on_stage=stop)
    assert not (fold_folder(tmp_path, 0) / "model.safetensors").exists()
    assert same(learn(tmp_path, resume=True), Detector.load(run))


def test_other_scoring_needs_no_training(
    learn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_step", None)
        again = learn(tmp_path, resume=True, smoothing=2)
    learn(tmp_path, overwrite=True, smoothing=2)
    assert same(again, Detector.load(tmp_path))
    with pytest.raises(BurnishError, match="folds was 3, is 4"):
        learn(tmp_path, resume=True, smoothing=2, folds=4)


def test_a_run_that_replaces_one_with_folds_leaves_none(learn: Any, tmp_path: Path) -> None:
    learn(tmp_path)
    learn(tmp_path, overwrite=True, folds=0)
    assert not fold_folder(tmp_path, 0).parent.exists()


def test_a_folder_of_that_name_which_is_the_users_stays(learn: Any, tmp_path: Path) -> None:
    mine = [tmp_path / "folds" / name for name in ("1/list.csv", "notes.txt", "a/settings.json")]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    learn(tmp_path, folds=0)
    learn(tmp_path, folds=2, overwrite=True)
    learn(tmp_path, folds=0, overwrite=True)
    assert [path.read_text() for path in mine[1:]] == ["mine", "mine"]


def test_tiles_and_a_region(learn: Any, metal: Path, tmp_path: Path) -> None:
    model = learn(tmp_path, tile=32, overlap=8, roi="4,4 60,4 60,60 4,60")
    assert model.card.data["tiles"] == [9, 9]
    paths = find_training_images(metal)
    held = {n: fold for fold in folds_of(tmp_path) for n in fold.card.data["held_out"]}
    scores = sorted(held[path.name].inspect(path).score for path in paths)
    assert model.card.calibration.scores == pytest.approx(scores, rel=1e-6)


def test_what_is_told(learn: Any, tmp_path: Path) -> None:
    told: list[Stage] = []
    learn(tmp_path, on_stage=told.append, false_alarms=0.01, warmup=9)
    text = "\n".join(stage.message for stage in told)
    assert "24 good images to learn from, held out in turn, in 3 folds" in text
    assert "fold 2 of 3: 16 images learnt from, 8 judged" in text
    assert text.count("training on cpu") == 1
    doubts = [stage.message for stage in told if stage.warns and "warmup is" in stage.message]
    assert len(doubts) == 1  # before the first network is trained, not after five
    assert text.index("fold 1 of 3") < text.index(doubts[0]) < text.index("fold 2 of 3")
    assert "24 good images in 3 folds allow at best 4 % false alarms, not the wanted 1 %" in text
    assert "larger holdout" not in text


def test_new_good_images_can_set_the_threshold_of_its_model(
    run: Path, metal: Path, tmp_path: Path
) -> None:
    """The training images cannot: it has learnt from all of them."""
    model = Detector.load(run)
    with pytest.raises(BurnishError, match="the very images that the model was trained on"):
        model.calibrate(metal)
    for number, path in enumerate(find_training_images(metal)[:8]):
        (tmp_path / f"{number}.png").write_bytes(path.read_bytes())
    with pytest.raises(BurnishError, match="only 0 of 8 images can be used"):
        model.calibrate(tmp_path)
    for path in tmp_path.iterdir():
        save_png(path, np.asarray(Image.open(path)) // 2 + 40)
    new = model.calibrate(tmp_path)
    assert new.card.calibration.folds is None
    assert len(new.card.calibration.scores) == 8
    assert "8 held-out good images can promise" in new.card.calibration.promise()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "folds=1 leaves nothing to learn from"),
        ({"fusion": "max", "extremes": False}, "fusion=max does not put into one unit"),
        ({"devices": 2}, "folds trains on one device, not on 2"),
        ({"folds": 25}, "25 folds need as many parts at least; the 24 images show 24"),
    ],
)
def test_what_does_not_fit_is_refused(
    learn: Any, tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(BurnishError, match=message):
        learn(tmp_path, **changes)
    assert not any(tmp_path.iterdir())


def made(
    scores: list[float], parts: list[str], tiles: list[int] | None = None
) -> tuple[HeldOut, Calibrated]:
    """A fold whose images have these scores, and twice as high peaks."""
    weights = part_weights(parts) if len(set(parts)) < len(parts) else [1.0] * len(parts)
    ascending, along = zip(*sorted(zip(scores, weights, strict=True)), strict=True)
    calibration = Calibration(
        mu=(9.0,), sigma=(9.0,), scores=ascending, peaks=tuple(2 * s for s in ascending),
        heat_low=scores[0], false_alarms=0.2, parts=len(set(parts)),
        score_weights=along if len(set(parts)) < len(parts) else None,
        peak_weights=along if len(set(parts)) < len(parts) else None,
    )  # fmt: skip
    names = [f"{part}.png" for part in parts]
    held = HeldOut(np.zeros((len(parts), 1, 8, 8), np.uint8), names, parts, [(8, 8)] * len(parts))
    facts = {} if tiles is None else {"tiles": tiles}
    return held, Calibrated(calibration, scores, None, facts)


def test_folds_are_pooled_part_by_part() -> None:
    turns = [
        made([3.0, 1.0, 2.0], ["a", "b", "c"], [4, 9]),
        made([2.5, 50.0, 0.5, 1.5], ["d", "e", "f", "f"], [2, 6]),
    ]
    found = pool(turns, ([1.0], [2.0]))
    c = found.calibration
    assert c.scores == (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 50.0)
    assert c.score_weights == (0.5, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0)
    assert c.peaks == tuple(2 * score for score in c.scores)
    assert (c.mu, c.sigma, c.parts, c.folds, c.heat_low) == ((1.0,), (2.0,), 6, 2, 2.75)
    assert c.threshold == pytest.approx(1.001 * 50)  # (6 + 1)(1 - .2) = 5.6 parts of 6
    assert found.scores == [3.0, 1.0, 2.0, 2.5, 50.0, 0.5, 1.5]
    assert found.oddest is not None
    assert found.oddest.name == "e.png"
    assert found.facts["oddest"]["next_score"] == 3.0
    assert found.facts["tiles"] == [2, 9]


def test_where_every_image_is_a_part_nothing_is_weighed() -> None:
    c = pool([made([3.0, 1.0], ["a", "b"]), made([2.0], ["c"])], ([1.0], [2.0])).calibration
    assert c.score_weights is None
    assert c.peak_weights is None
    assert c.scores == (1.0, 2.0, 3.0)
