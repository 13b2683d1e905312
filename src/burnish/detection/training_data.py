"""What a training has at hand: good images, which are held out, and the region that counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection.held_out import HeldOut
from burnish.detection.stages import Stage, describe, find_warnings
from burnish.errors import BurnishError
from burnish.files import printable
from burnish.images.dataset import MIN_GOOD
from burnish.images.parts import folds_by_part, parts_of, split_by_part, unmatched
from burnish.images.roi import Region, load_roi, pack_roi
from burnish.images.store import ImageStore, load_store
from burnish.settings import Settings
from burnish.training.hardware import crowded
from burnish.training.samples import Samples

SHOWN = 10  # files named that could not be read, or not whole
LEAST_SAMPLES = 2  # one half judges the other


@dataclass(frozen=True)
class Subset:
    """Some prepared images of a store, by number."""

    store: ImageStore
    chosen: list[int]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.store.prepared(self.chosen[index])


@dataclass(frozen=True)
class TrainingData:
    """Good images, split.

    Attributes:
        folder: the data set.
        parts: the part that each image of the store shows.
        training, held: numbers of the images to learn from, and of those held out.
        roi: region of interest; None: everything.
    """

    folder: Path
    settings: Settings
    store: ImageStore
    parts: list[str]
    training: list[int]
    held: list[int]
    roi: Region | None

    @cached_property
    def samples(self) -> Samples:
        """What training draws from."""
        # Mirrored, the holes of a flange lie where no flange has any.
        turned = self.store.alignment is not None and self.store.alignment.dial is not None
        return Samples(self.store, self.training, self.settings.tile, self.roi, mirrored=not turned)

    @cached_property
    def turns(self) -> list[TrainingData]:
        """What networks are trained on that judge what they have not learnt from: these data, or
        those of each fold."""
        if not self.settings.folds:
            return [self]
        fold_of = folds_by_part(self.parts, self.settings.folds, self.settings.seed)
        numbers = range(len(self.parts))
        return [
            replace(
                self,
                training=[i for i in numbers if fold_of[i] != fold],
                held=[i for i in numbers if fold_of[i] == fold],
            )
            for fold in range(self.settings.folds)
        ]

    @property
    def held_out(self) -> HeldOut:
        store, held = self.store, self.held
        return HeldOut(
            images=Subset(store, held),
            names=[printable(store.paths[i].name) for i in held],
            parts=[self.parts[i] for i in held],
            sizes=[store.sizes[i] for i in held],
        )

    def identity(self, preset: str) -> dict[str, Any]:
        """What a run must have in common with the one whose checkpoint it goes on from."""
        roi = self.roi
        return {
            "preset": preset,
            "settings": self.settings.model_dump(mode="json"),
            "fingerprint": self.store.fingerprint,
            "roi": None if roi is None else hashlib.sha256(pack_roi(roi).tobytes()).hexdigest(),
            "held_out": hashlib.sha256(json.dumps(self.held).encode()).hexdigest(),
        }

    def facts(self) -> dict[str, Any]:
        """For the `data` of a model's card."""
        store = self.store
        aspects = [height / width for height, width in store.sizes]
        return {
            "folder": printable(str(self.folder.resolve())),
            "fingerprint": store.fingerprint,
            "training_images": len(self.training),
            "skipped": [printable(sentence) for sentence in store.skipped],
            "aspects": [min(aspects), max(aspects)],  # height / width
            "sizes": [list(size) for size in sorted(set(store.sizes))[:20]],
            "smallest": [min(sides) for sides in zip(*store.sizes, strict=True)],  # height, width
        }

    def announce(self, tell: Callable[[Stage], None]) -> None:
        """Tell what is learnt from, and what about it to look at."""
        store = self.store
        tell(Stage("data", describe(store, self.samples, self.held, self.settings)))
        nameless = unmatched(store.paths, self.settings.part_pattern)
        splits = [(turn.training, turn.held) for turn in self.turns]
        warned = find_warnings(store, splits, nameless)
        warned += crowded(self.settings.accelerator)
        tell_files(store.skipped, [*warned, *store.notes], tell)


def gather(
    data: Path, paths: list[Path], settings: Settings, on_progress: Callable[[int, int], None]
) -> TrainingData:
    """Read the good images, and hold some of them out.

    Args:
        on_progress: called with (done, all) while images are decoded.

    Raises:
        BurnishError: too few can be read, or are left to learn from; tiles or region do not fit.
    """
    store = load_store(paths, settings, MIN_GOOD, on_progress)
    parts = parts_of(store.paths, settings.part_pattern, data)
    if settings.tile != "full" and settings.tile >= 2 * max(max(size) for size in store.sizes):
        height, width = max(store.sizes, key=max)
        raise BurnishError(
            f"tile={settings.tile} is at least twice as large as the largest image ({width} x "
            f"{height} px): choose a smaller tile, or tile=full"
        )
    training, held = hold_out(parts, settings)
    roi = load_roi(settings.roi, store.sizes) if settings.roi else None
    return TrainingData(data, settings, store, parts, training, held, roi)


def hold_out(parts: list[str], settings: Settings) -> tuple[list[int], list[int]]:
    """Numbers of the images to learn from, and of those held out: none, if there are folds."""
    if settings.folds:
        return list(range(len(parts))), []
    return split_by_part(parts, settings.holdout, settings.seed)


def check_enough(training_data: TrainingData) -> None:
    """Make sure that something is left to learn from.

    Raises:
        BurnishError: it is not.
    """
    for turn in training_data.turns:
        held, images, left = (len(some) for some in (turn.held, turn.parts, turn.samples))
        if left < LEAST_SAMPLES:
            name = "use more folds" if turn.settings.folds else "lower holdout"
            raise BurnishError(
                f"holding out {held} of {images} images leaves {left} to learn from; at least "
                f"{LEAST_SAMPLES} are needed: {name}, or look at part_pattern"
            )


def tell_files(skipped: list[str], notes: list[str], tell: Callable[[Stage], None]) -> None:
    """What could not be read, and what to look at: of each the first few."""
    for sentence in (*_some("skipped", skipped), *_some("note", notes)):
        tell(Stage("data", sentence, warns=True))


def _some(kind: str, sentences: list[str]) -> Iterator[str]:
    yield from (f"{kind}: {sentence}" for sentence in sentences[:SHOWN])
    if len(sentences) > SHOWN:
        yield f"{kind}: and {len(sentences) - SHOWN} more like these"
