"""From a folder of good images to a calibrated model file."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import PIL
import torch

import burnish
from burnish.configuration import make_settings
from burnish.detection.detector import pick_device
from burnish.detection.gathering import MOST
from burnish.detection.held_out import calibrate, tell_promise
from burnish.detection.image_scorer import ImageScorer
from burnish.detection.learning import learn_all, passes
from burnish.detection.model_file import FORMAT, MODEL, Model, ModelCard, load_model, save_model
from burnish.detection.ranges import learn_ranges, prepared_statistics
from burnish.detection.run_folder import (
    check_length,
    check_same_run,
    locked_run_folder,
    settle_precision,
    stale_files_note,
    start_run,
)
from burnish.detection.scorer import Scorer
from burnish.detection.stages import Stage, log_stage
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
    checkpoint = out / CHECKPOINT
    before = read_header(checkpoint) if resume and checkpoint.exists() else None
    settings = settle_precision(make_settings(preset, changes), before)
    if settings.features:
        load_backbone(settings.features)  # now, not when training is over
    paths = find_training_images(data)
    unmatched(paths, settings.part_pattern)  # a slip is told before images are read
    with (
        nullcontext() if is_worker() else locked_run_folder(out, resume, overwrite),
        float32_by_default(),
    ):
        return _train_into(out, data, paths, preset, settings, before, resume, tell)


def _train_into(
    out: Path,
    data: Path,
    paths: list[Path],
    preset: str,
    settings: Settings,
    before: Mapping[str, Any] | None,
    resume: bool,
    tell: Callable[[Stage], None],
) -> tuple[Model, Path]:
    """Train in a folder that is this run's; `before` is the header of its checkpoint."""
    model_path, checkpoint = out / MODEL, out / CHECKPOINT
    training_data = gather(
        data, paths, settings, lambda done, total: tell(Stage("data", done=done / total))
    )
    identity = training_data.identity(preset)
    if before is not None:
        check_same_run(before, identity, checkpoint)
    check_enough(training_data)
    training_data.announce(tell)
    samples = training_data.samples
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
    if not trainer.is_main:
        trainer.wait()
        return load_model(model_path), model_path

    for sentence in find_cut_warmup(settings, trainer.total_steps, trainer.progress.step):
        tell(Stage("train", f"note: {sentence}", warns=True))
    model = _calibrated(training_data, generator, preset, trainer.summary(), tell)
    stale = stale_files_note(out)
    save_model(model_path, model)
    trainer.wait()
    if stale:
        tell(Stage("done", f"note: {stale}", warns=True))
    tell(Stage("done", f"model written to {model_path}", done=1.0))
    return model, model_path


def _calibrated(
    training_data: TrainingData,
    generator: Generator,
    preset: str,
    training: dict[str, Any],
    tell: Callable[[Stage], None],
) -> Model:
    """What good parts look like to the trained network, from training images; the threshold from
    held-out ones.

    Args:
        training: for the card.
    """
    settings, samples, store = training_data.settings, training_data.samples, training_data.store
    held_out = training_data.held_out
    images = len(held_out.images)
    tell(Stage("calibrate", f"calibrating on {images} held-out good images"))
    scorer = Scorer(generator, settings, pick_device(settings.accelerator))
    ticks, total = count(1), passes(settings, samples.shape[0]) * min(REFERENCE_VIEWS, len(samples))
    learn_all(
        scorer,
        lambda: (
            View(pixels, inside, training_data.parts[image])
            for image, pixels, inside in samples.references(REFERENCE_VIEWS, settings.seed)
        ),
        lambda: tell(Stage("calibrate", done=LEARNING * next(ticks) / total)),
    )
    image_scorer = ImageScorer(scorer, settings, training_data.roi)
    judged, scored = count(1), image_scorer.calibration_passes * images
    calibrated = calibrate(
        image_scorer,
        held_out,
        lambda: tell(Stage("calibrate", done=LEARNING + (1 - LEARNING) * next(judged) / scored)),
    )
    watched = (store[i] for i in some_of(training_data.training, RANGE_IMAGES, settings.seed))
    ranges = learn_ranges(
        prepared_statistics(pixels, image_scorer.region(*pixels.shape[1:])) for pixels in watched
    )
    tell_promise(calibrated, tell)
    card = ModelCard(
        format=FORMAT,
        preset=preset,
        settings=settings,
        shape=generator.shape,
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
        generator, card, scorer.position, training_data.roi, scorer.learnt, scorer.learnt_lines,
        scorer.features, scorer.whole, scorer.learnt_extremes,
    )  # fmt: skip
