"""From a folder of good images to a calibrated model file."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray

import burnish
from burnish.configuration import make_settings
from burnish.detection.detector import pick_device
from burnish.detection.gathering import MOST
from burnish.detection.image_scorer import ImageScorer
from burnish.detection.learning import learn_all, passes
from burnish.detection.model_file import FORMAT, Model, ModelCard, load_model, save_model
from burnish.detection.oddest import find_oddest
from burnish.detection.ranges import learn_ranges, prepared_statistics
from burnish.detection.run_folder import (
    CHECKPOINT,
    MODEL,
    begin,
    claimed,
    made_with_another_model,
    not_beyond,
    same_run,
    settle_precision,
)
from burnish.detection.scorer import Scorer, View
from burnish.detection.sizes import count_tiles
from burnish.detection.stages import (
    Stage,
    describe,
    find_warnings,
    log_stage,
)
from burnish.detection.unreached import find_cut_warmup, find_unreached
from burnish.drawing import some_of
from burnish.errors import BurnishError
from burnish.files import printable
from burnish.images.dataset import (
    MIN_GOOD,
    find_training_images,
    parts_of,
    split_by_part,
    unmatched,
)
from burnish.images.roi import load_roi, pack_roi
from burnish.images.store import ImageStore, load_store
from burnish.method.backbone import load_backbone
from burnish.settings import Settings
from burnish.training.hardware import crowded, other_threads
from burnish.training.loop import Trainer
from burnish.training.process import float32_by_default, is_worker
from burnish.training.samples import Samples
from burnish.training.state import read_header

SHOWN = 10  # files named that could not be read, or not whole
RANGE_IMAGES = 1000  # training images, at most, that ranges of trivial statistics come from
LEARNING = 0.8  # of calibration's progress: what good views teach; the rest, held-out images
LEAST_SAMPLES = 2  # one half judges the other
REFERENCE_VIEWS = MOST  # training samples that all of calibration is learnt from


@dataclass(frozen=True)
class Subset:
    """Some images of a store, by number."""

    store: ImageStore
    chosen: list[int]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.store[self.chosen[index]]


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
    with nullcontext() if is_worker() else claimed(out, resume, overwrite), float32_by_default():
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
    store = load_store(
        paths, settings, MIN_GOOD, lambda done, total: tell(Stage("data", done=done / total))
    )
    parts = parts_of(store.paths, settings.part_pattern, data)
    if settings.tile != "full" and settings.tile >= 2 * max(max(size) for size in store.sizes):
        height, width = max(store.sizes, key=max)
        raise BurnishError(
            f"tile={settings.tile} is at least twice as large as the largest image ({width} x "
            f"{height} px): choose a smaller tile, or tile=full"
        )
    training, held = split_by_part(parts, settings.holdout, settings.seed)
    roi = load_roi(settings.roi, store.sizes) if settings.roi else None
    identity = {
        "preset": preset,
        "settings": settings.model_dump(mode="json"),
        "fingerprint": store.fingerprint,
        "roi": None if roi is None else hashlib.sha256(pack_roi(roi).tobytes()).hexdigest(),
        "held_out": hashlib.sha256(json.dumps(held).encode()).hexdigest(),
    }
    if before is not None:
        same_run(before, identity, checkpoint)
    samples = Samples(store, training, settings.tile, roi)
    if len(samples) < LEAST_SAMPLES:
        raise BurnishError(
            f"holding out {len(held)} of {len(parts)} images leaves {len(samples)} to learn from; "
            f"at least {LEAST_SAMPLES} are needed: lower holdout, or look at part_pattern"
        )
    tell(Stage("data", describe(store, samples, held, settings)))
    nameless = unmatched(store.paths, settings.part_pattern)
    warned = [*find_warnings(store, training, held, nameless), *crowded(settings.accelerator)]
    for kind, sentences in (("skipped", store.skipped), ("note", [*warned, *store.notes])):
        for sentence in sentences[:SHOWN]:
            tell(Stage("data", f"{kind}: {sentence}", warns=True))
        if len(sentences) > SHOWN:
            more = f"{kind}: and {len(sentences) - SHOWN} more like these"
            tell(Stage("data", more, warns=True))

    trainer = Trainer(
        settings,
        samples,
        out,
        identity,
        lambda event: tell(Stage("train", done=event.share_done, event=event)),
    )
    notes = find_unreached(settings, preset, trainer.total_steps, len(samples), samples.shape)
    if before is not None:
        not_beyond(before, trainer.total_steps, settings.minutes, checkpoint)
        if before["progress"]["step"] < trainer.total_steps:
            notes += other_threads(before.get("threads"), trainer.fabric.device)
    for sentence in notes:
        tell(Stage("train", f"note: {sentence}", warns=True))
    if trainer.is_main:
        begin(out, identity, resume)
    tell(Stage("train", f"training on {trainer.describe()}"))
    generator = trainer.fit(resume)
    if not trainer.is_main:
        trainer.wait()
        return load_model(model_path), model_path

    for sentence in find_cut_warmup(settings, trainer.total_steps, trainer.progress.step):
        tell(Stage("train", f"note: {sentence}", warns=True))
    tell(Stage("calibrate", f"calibrating on {len(held)} held-out good images"))
    scorer = Scorer(generator, settings, pick_device(settings.accelerator))
    ticks, total = count(1), passes(settings) * min(REFERENCE_VIEWS, len(samples))
    learn_all(
        scorer,
        lambda: (
            View(pixels, inside, parts[image])
            for image, pixels, inside in samples.references(REFERENCE_VIEWS, settings.seed)
        ),
        lambda: tell(Stage("calibrate", done=LEARNING * next(ticks) / total)),
    )
    held_images = Subset(store, held)
    image_scorer = ImageScorer(scorer, settings, roi)
    shown, names = [parts[i] for i in held], [printable(store.paths[i].name) for i in held]
    judged, total = count(1), image_scorer.calibration_passes * len(held)
    calibration, scores = image_scorer.calibrate(
        held_images,
        lambda: tell(Stage("calibrate", done=LEARNING + (1 - LEARNING) * next(judged) / total)),
        shown,
    )
    oddest = find_oddest(names, shown, scores, calibration.threshold)
    watched = (store[i] for i in some_of(training, RANGE_IMAGES, settings.seed))
    ranges = learn_ranges(
        prepared_statistics(pixels, image_scorer.region(*pixels.shape[1:])) for pixels in watched
    )
    tell(Stage("calibrate", calibration.promise(), done=1.0, warns=not calibration.keeps_promise))
    if oddest is not None:
        tell(Stage("calibrate", str(oddest), done=1.0, warns=True))
    aspects = [height / width for height, width in store.sizes]
    tiles = []
    if settings.tile != "full":
        sizes = {store.sizes[i] for i in held}
        tiles = [count_tiles(settings, image_scorer.region(*size), *size) for size in sizes]
    card = ModelCard(
        format=FORMAT,
        preset=preset,
        settings=settings,
        shape=generator.shape,
        calibration=calibration,
        data={
            "folder": printable(str(data.resolve())),
            "fingerprint": identity["fingerprint"],
            "training_images": len(training),
            "held_out_images": len(held),
            "held_out_parts": len(set(shown)),
            "held_out": names,
            "oddest": None if oddest is None else asdict(oddest),
            "skipped": [printable(sentence) for sentence in store.skipped],
            "aspects": [min(aspects), max(aspects)],  # height / width
            "sizes": [list(size) for size in sorted(set(store.sizes))[:20]],
            "smallest": [min(sides) for sides in zip(*store.sizes, strict=True)],  # height, width
            **({"tiles": [min(tiles), max(tiles)]} if tiles else {}),  # of the held-out images
        },
        training=trainer.summary(),
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
    model = Model(
        generator, card, scorer.position, roi, scorer.learnt, scorer.learnt_lines,
        scorer.features, scorer.whole, scorer.learnt_extremes,
    )  # fmt: skip
    stale = made_with_another_model(out)
    save_model(model_path, model)
    trainer.wait()
    if stale:
        tell(Stage("done", f"note: {stale}", warns=True))
    tell(Stage("done", f"model written to {model_path}", done=1.0))
    return model, model_path
