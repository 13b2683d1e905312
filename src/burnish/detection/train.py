"""From a folder of good images to a calibrated model file."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import PIL
import torch

import burnish
from burnish.configuration import make_settings
from burnish.detection.detector import Detector, pick_device
from burnish.detection.folds import pool
from burnish.detection.gathering import MOST
from burnish.detection.held_out import Calibrated, calibrate, tell_promise
from burnish.detection.image_scorer import ImageScorer
from burnish.detection.learning import learn_all, passes
from burnish.detection.model_file import FORMAT, MODEL, Model, ModelCard, load_model, save_model
from burnish.detection.ranges import learn_ranges, prepared_statistics
from burnish.detection.recalibrate import judge_again
from burnish.detection.run_folder import (
    check_length,
    check_same_run,
    fold_folder,
    locked_run_folder,
    remove_folds,
    settle_precision,
    stale_files_note,
    start_run,
)
from burnish.detection.scorer import Scorer
from burnish.detection.stages import Stage, each_warning_once, log_stage
from burnish.detection.training_data import TrainingData, check_enough, gather
from burnish.detection.unreached import find_cut_warmup, find_unreached
from burnish.detection.view import View
from burnish.images.dataset import find_training_images
from burnish.images.parts import unmatched
from burnish.method.backbone import load_backbone
from burnish.method.generator import Generator
from burnish.sampling import some_of
from burnish.settings import Settings
from burnish.training.hardware import other_threads
from burnish.training.loop import Trainer
from burnish.training.process import float32_by_default, is_worker
from burnish.training.state import CHECKPOINT, read_header

RANGE_IMAGES = 1000  # training images, at most, that ranges of trivial statistics come from
LEARNING = 0.8  # of calibration's progress: what good views teach; the rest, held-out images
REFERENCE_VIEWS = MOST  # training samples that all of calibration is learnt from

_one_at_a_time = (
    threading.RLock()
)  # Fabric has a global that trainings at once would set for each other

ARGUMENTS = ("data", "preset", "out", "resume", "overwrite", "on_stage")  # of `Detector.train`


def train(
    data: Path,
    preset: str,
    out: Path,
    changes: Mapping[str, Any],
    resume: bool,
    overwrite: bool,
    on_stage: Callable[[Stage], None] | None,
) -> tuple[Model, Path]:
    """See `Detector.train`; returns the model and its file's path."""
    tell = (lambda stage: None) if is_worker() else on_stage or log_stage
    before = (_header(out) or _header(fold_folder(out, 0))) if resume else None
    settings = settle_precision(make_settings(preset, changes, ARGUMENTS), before)
    if settings.features:
        load_backbone(settings.features)  # now, not when training is over
    paths = find_training_images(data)
    unmatched(paths, settings.part_pattern)  # a slip is told before images are read
    with (
        nullcontext() if is_worker() else locked_run_folder(out, resume, overwrite),
        _one_at_a_time,
        float32_by_default(),
    ):
        return _train_into(out, data, paths, preset, settings, resume, tell)


def _header(out: Path) -> dict[str, Any] | None:
    """What the checkpoint in a run folder says of its run; None if there is none."""
    checkpoint = out / CHECKPOINT
    return read_header(checkpoint) if checkpoint.exists() else None


def _train_into(
    out: Path,
    data: Path,
    paths: list[Path],
    preset: str,
    settings: Settings,
    resume: bool,
    tell: Callable[[Stage], None],
) -> tuple[Model, Path]:
    """Train in a folder that is this run's."""
    training_data = gather(
        data, paths, settings, lambda done, total: tell(Stage("data", done=done / total))
    )
    folds = training_data.turns if settings.folds else []
    runs = [(training_data, out), *((fold, fold_folder(out, k)) for k, fold in enumerate(folds))]
    for its_data, folder in runs:
        if resume and (before := _header(folder)) is not None:
            check_same_run(before, its_data.identity(preset), folder / CHECKPOINT)
    check_enough(training_data)
    training_data.announce(tell)
    if not resume and not is_worker():
        remove_folds(out)
    turns = []
    if folds:
        tell = each_warning_once(tell)
    for number, fold in enumerate(folds):
        counts = f"{len(fold.training)} images learnt from, {len(fold.held)} judged"
        tell(Stage("train", f"fold {number + 1} of {len(folds)}: {counts}"))
        folder = fold_folder(out, number)
        turns.append((fold.held_out, _judged_by_fold(fold, folder, preset, resume, tell)))

    trainer, generator = _trained(training_data, out, preset, resume, tell)
    if not trainer.is_main:
        trainer.wait()
        return load_model(out / MODEL), out / MODEL
    scorer = _taught(training_data, generator, tell)
    if turns:
        assert scorer.units is not None  # see `setting_checks`
        calibrated = pool(turns, scorer.units)
    else:
        calibrated = _judged(training_data, scorer, tell)
    tell_promise(calibrated, tell)
    model = _model(training_data, scorer, calibrated, preset, trainer.summary())
    stale = stale_files_note(out)
    save_model(out / MODEL, model)
    trainer.wait()
    if stale:
        tell(Stage("done", f"note: {stale}", warns=True))
    tell(Stage("done", f"model written to {out / MODEL}", done=1.0))
    return model, out / MODEL


def _judged_by_fold(
    fold: TrainingData, out: Path, preset: str, resume: bool, tell: Callable[[Stage], None]
) -> Calibrated:
    """What a fold's model makes of the images it has not learnt from; it is trained first, unless
    its run folder has it. Progress is told, and what may be wrong with the training."""

    def progress(stage: Stage) -> None:
        doubt = stage.warns and stage.name == "train"
        tell(stage if doubt else replace(stage, message="", warns=False))

    if resume and _header(out) is not None and (out / MODEL).exists():
        detector = Detector(load_model(out / MODEL), device=fold.settings.accelerator)
        if detector.card.settings == fold.settings:
            return judge_again(detector, fold.held_out, fold.settings)
    trainer, generator = _trained(fold, out, preset, resume, progress)
    scorer = _taught(fold, generator, progress)
    calibrated = _judged(fold, scorer, progress)
    save_model(out / MODEL, _model(fold, scorer, calibrated, preset, trainer.summary()))
    return calibrated


def _trained(
    training_data: TrainingData,
    out: Path,
    preset: str,
    resume: bool,
    tell: Callable[[Stage], None],
) -> tuple[Trainer, Generator]:
    """Train a network in a run folder, or go on with it."""
    settings, samples, checkpoint = training_data.settings, training_data.samples, out / CHECKPOINT
    before, identity = _header(out) if resume else None, training_data.identity(preset)
    trainer = Trainer(
        settings,
        samples,
        out,
        identity,
        lambda event: tell(Stage("train", done=event.share_done, event=event)),
    )
    notes = find_unreached(settings, preset, trainer.total_steps, len(samples), samples.shape)
    if before is not None:
        check_length(before, trainer.total_steps, settings.minutes, checkpoint)
        if before["progress"]["step"] < trainer.total_steps:
            notes += other_threads(before.get("threads"), trainer.fabric.device)
    for sentence in notes:
        tell(Stage("train", f"note: {sentence}", warns=True))
    if trainer.is_main:
        start_run(out, identity, resume)
    tell(Stage("train", f"training on {trainer.describe()}"))
    generator = trainer.fit(resume)
    for sentence in find_cut_warmup(settings, trainer.total_steps, trainer.progress.step):
        tell(Stage("train", f"note: {sentence}", warns=True))
    return trainer, generator


def _taught(
    training_data: TrainingData, generator: Generator, tell: Callable[[Stage], None]
) -> Scorer:
    """A scorer that knows what good parts look like to the network, from training images."""
    settings, samples = training_data.settings, training_data.samples
    what = f"calibrating on {len(training_data.held)} held-out good images"
    tell(Stage("calibrate", "learning what good parts look like" if settings.folds else what))
    scorer = Scorer(generator, settings, pick_device(settings.accelerator))
    ticks, total = count(1), passes(settings, samples.shape[0]) * min(REFERENCE_VIEWS, len(samples))
    learn_all(
        scorer,
        lambda: (
            View(pixels, inside, training_data.parts[image], training_data.store.seen(image))
            for image, pixels, inside in samples.references(REFERENCE_VIEWS, settings.seed)
        ),
        lambda: tell(Stage("calibrate", done=LEARNING * next(ticks) / total)),
    )
    return scorer


def _judged(
    training_data: TrainingData, scorer: Scorer, tell: Callable[[Stage], None]
) -> Calibrated:
    """What a scorer makes of the held-out images."""
    image_scorer = ImageScorer(scorer, training_data.settings, training_data.roi)
    judged, scored = count(1), image_scorer.calibration_passes * len(training_data.held)
    return calibrate(
        image_scorer,
        training_data.held_out,
        lambda: tell(Stage("calibrate", done=LEARNING + (1 - LEARNING) * next(judged) / scored)),
    )


def _model(
    training_data: TrainingData,
    scorer: Scorer,
    calibrated: Calibrated,
    preset: str,
    training: dict[str, Any],
) -> Model:
    """The model: what was trained and taught, with its card.

    Args:
        training: for the card.
    """
    settings, store, roi = training_data.settings, training_data.store, training_data.roi
    region = ImageScorer(scorer, settings, roi).region
    watched = (store[i] for i in some_of(training_data.training, RANGE_IMAGES, settings.seed))
    ranges = learn_ranges(
        prepared_statistics(pixels, region(*pixels.shape[1:])) for pixels in watched
    )
    card = ModelCard(
        format=FORMAT,
        preset=preset,
        settings=settings,
        shape=scorer.shape,
        calibration=calibrated.calibration,
        data=training_data.facts() | calibrated.facts,
        training=training,
        versions={
            "burnish": burnish.__version__,
            "torch": torch.__version__,
            "pillow": PIL.__version__,  # from 13 on it may resize down before across
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        ranges=ranges,
        alignment=store.alignment,
    )
    return Model(
        scorer.generator, card, scorer.position, roi, scorer.learnt, scorer.learnt_lines,
        scorer.features, scorer.whole, scorer.learnt_extremes,
    )  # fmt: skip
