"""Messages of training: progress, a description of the data, and warnings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.files import printable
from burnish.images.dataset import unused_below
from burnish.images.formats.names import some
from burnish.images.statistics import DIM
from burnish.images.store import ImageStore
from burnish.sampling import some_of
from burnish.settings import Settings
from burnish.training.loop import TrainingEvent
from burnish.training.samples import Samples

LOG = logging.getLogger("burnish")
LOOKED_AT = 32  # images checked for being nearly black; with tiles each is read at full size


@dataclass(frozen=True)
class Stage:
    """Progress of `train`: a message at the start of a stage, then steps with an optional event.

    Attributes:
        name: "data", "train", "calibrate" or "done".
        message: for people; empty for mere progress.
        done: share of the stage in [0, 1].
        event: the training step's details in stage "train".
        warns: whether the message is a warning.
    """

    name: str
    message: str = ""
    done: float = 0.0
    event: TrainingEvent | None = None
    warns: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message))  # it may hold any file name


def each_warning_once(tell: Callable[[Stage], None]) -> Callable[[Stage], None]:
    """`tell`, but without warnings that it was given before."""
    told: set[str] = set()

    def once(stage: Stage) -> None:
        if stage.warns and stage.message in told:
            return
        if stage.warns:
            told.add(stage.message)
        tell(stage)

    return once


def log_stage(stage: Stage) -> None:
    """Log messages to the logger "burnish": as warnings, which Python shows by default, or as
    information."""
    if stage.message:
        LOG.log(logging.WARNING if stage.warns else logging.INFO, "%s", stage.message)


def describe(store: ImageStore, samples: Samples, held: list[int], settings: Settings) -> str:
    """One sentence on the images that are trained on and held out, and the network's input."""
    channels, height, width = samples.shape
    sizes = sorted(set(store.sizes))
    many = f"{len(sizes)} sizes" if len(sizes) > 1 else f"{sizes[0][1]}x{sizes[0][0]} px"
    seen = f"seen as {width}x{height} px {'grey' if channels == 1 else 'RGB'}"
    if settings.tile != "full":
        seen += f" tiles at full resolution ({len(samples)} an epoch)"
    elif store.alignment is not None:
        turned = "turned to one direction" if store.alignment.turns else "moved to one place"
        cut = "cut out" if store.alignment.part is None else "judged alone"
        seen += f" (parts are found, {turned} and {cut})"
    elif settings.aspect == "square" and any(max(s) > 1.1 * min(s) for s in sizes):
        seen += " (squashed to a square: aspect=keep keeps their shape)"
    judged = f"{len(held)} held out for calibration"
    if settings.folds:
        judged = f"held out in turn, in {settings.folds} folds, for calibration"
    return f"{len(samples.chosen)} good images to learn from, {judged}; {many}, {seen}"


def find_warnings(
    store: ImageStore, splits: Sequence[tuple[list[int], list[int]]], nameless: list[Path]
) -> list[str]:
    """Warnings about images that are not used, repeated, nearly black, grey among coloured ones, or
    of an unknown part.

    Args:
        splits: numbers of the images that a network learns from, and of those it then judges.
        nameless: images whose part is unknown.
    """
    found = []
    below, unlisted = unused_below(store.paths)
    if below:
        found.append(
            f"{below} images in subfolders of {store.paths[0].parent} are not learnt from: only "
            "those in the folder itself are"
        )
    if unlisted:
        found.append(f"{some(unlisted)} cannot be listed: images in there are not learnt from")
    if nameless:
        found.append(
            f"the pattern for parts does not fit {len(nameless)} of {len(store.paths)} file names "
            f"({nameless[0].name}, say): each of these counts as a part of its own, unless "
            "manifest.csv names one"
        )
    looked = some_of(splits[0][0], LOOKED_AT)
    black = [store.paths[i].name for i in looked if store[i].max() < DIM]
    if black:
        found.append(
            f"{len(black)} of {len(looked)} images looked at are nearly black, no pixel above "
            f"{DIM} of 255 ({black[0]}, say): 12 bits in files of 16 would look so, as the upper 8 "
            "are read; scale them up first, all by one factor"
        )
    if store.channels == 3 and store.grey:
        found.append(
            f"{len(store.grey)} of {len(store)} images have no colour "
            f"({store.paths[store.grey[0]].name}, say), and the model sees colour: where it "
            "compares hues, the slightest colour of a new image may count as a defect. Leave these "
            "out, or train with --set colour=grey if colour says nothing"
        )
    copies = []
    for training, held in splits:
        learnt = {store.contents[i]: store.paths[i].name for i in training}
        copies += [
            f"{store.paths[i].name} = {learnt[store.contents[i]]}"
            for i in held
            if store.contents[i] in learnt
        ]
    if copies:
        judged = sum(len(held) for _, held in splits)
        first = copies[0]
        found.append(
            f"{len(copies)} of {judged} held-out images are copies of ones learnt from "
            f"({first}, say), so that the threshold is too low: `burnish data check` names copies; "
            "leave one of each"
        )
    return found
