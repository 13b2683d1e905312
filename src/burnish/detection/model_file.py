"""The model file: one `.safetensors` whose header holds everything known of the model. No pickle.

It holds only what inspection needs: the generator and the models of good parts. A SHA-256 over
header and weights detects damage and changes by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from burnish.detection.calibration import Calibration
from burnish.detection.older import name_textures, outdated
from burnish.detection.ranges import TrainingRange
from burnish.detection.stored_parts import (
    BACKBONE,
    EXTREMES,
    FACTORS,
    OF_FEATURES,
    OF_LINES,
    OF_TEXTURE,
    WHOLE,
    maps_of,
    take,
    take_extremes,
    take_features,
    take_lines,
    take_texture,
    take_weights,
    take_whole,
    texture_name,
)
from burnish.errors import BurnishError
from burnish.files import save_tensors
from burnish.images.alignment import Alignment
from burnish.images.reader import SUFFIXES
from burnish.images.roi import Region, pack_roi, unpack_roi
from burnish.method.extremes import Extremes
from burnish.method.features import FeatureModel
from burnish.method.generator import Generator, InputShape
from burnish.method.lines import LineModel
from burnish.method.texture import TextureModel
from burnish.method.whole import WholeModel
from burnish.settings import Settings
from burnish.training.state import CHECKPOINT

# 2: tiles, region of interest, ranges of the training images; 3: textures; 4: alignment, features;
# 5: textures named one by one; 6: factors of textures; 7: lines; 8: whole; 9: extremes;
# 10: weights of held-out scores; 11: dials; 12: parts of alignments, borders of regions
FORMAT = 12
KEY = "burnish-model"
MODEL = "model.safetensors"  # of a run folder
POSITION = ("position.mean", "position.deviation")
ROI = "roi.png"
MOST_SIDE = 2**16  # px; no model's input has more, and sizes of many digits are no numbers to torch


class ModelCard(BaseModel):
    """Everything known of a model but its weights.

    Attributes:
        format: of the file; this burnish reads up to `FORMAT`.
        shape: channels, height, width of the model's input.
        data: folder, fingerprint, counts, what was skipped.
        training: steps, epochs, seconds, last losses.
        versions: of burnish, torch, python and the machine it was trained on.
        ranges: of trivial statistics over the training images, by name; empty in older files.
        alignment: how parts are brought into one view; None: images are taken as they lie.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    preset: str
    settings: Settings
    shape: InputShape
    calibration: Calibration
    data: dict[str, Any]
    training: dict[str, Any]
    versions: dict[str, str]
    ranges: dict[str, TrainingRange] = Field(default_factory=dict)
    alignment: Alignment | None = None


@dataclass(frozen=True)
class Model:
    """What a model file holds.

    Attributes:
        position: mean and standard deviation (S, H, W) of the error by scale and pixel, or None.
        roi: region of interest, bool HxW at any size of the images' shape, or None.
        textures: what good residuals look like, one of each of `Settings.textures`.
        lines: what long lines good parts have, one of each of `Settings.lines`.
        features: pretrained network and what good parts' features are, or None.
        whole: the surface of good parts as a whole, or None.
        extremes: how high each map gets on good parts, or None.
    """

    generator: Generator
    card: ModelCard
    position: tuple[Tensor, Tensor] | None = None
    roi: Region | None = None
    textures: tuple[TextureModel, ...] = ()
    lines: tuple[LineModel, ...] = ()
    features: FeatureModel | None = None
    whole: WholeModel | None = None
    extremes: Extremes | None = None


def save_model(path: Path, model: Model) -> None:
    """Write weights (float32) and card in one step.

    Raises:
        BurnishError: the folder cannot be written to.
    """
    tensors = {f"generator.{k}": v for k, v in model.generator.state_dict().items()}
    if model.position is not None:
        tensors |= dict(zip(POSITION, model.position, strict=True))
    for texture in model.textures:
        name = texture_name(texture.of, texture.grain)
        tensors |= {name + part: getattr(texture, part) for part in OF_TEXTURE}
        if texture.factors is not None:
            tensors |= {name + FACTORS + k: v for k, v in vars(texture.factors).items()}
    for line in model.lines:
        tensors |= {f"lines.{line.width}.{part}": getattr(line, part) for part in OF_LINES}
    if model.whole is not None:
        tensors |= {WHOLE + k: v for k, v in vars(model.whole).items()}
    if model.extremes is not None:
        tensors |= {EXTREMES + k: v for k, v in vars(model.extremes).items()}
    if model.features is not None:
        found = model.features
        tensors |= dict(
            zip(OF_FEATURES, (found.mean, found.deviation, found.precision), strict=True)
        )
        tensors |= {BACKBONE + k: v for k, v in found.backbone.state_dict().items()}
    tensors = {k: v.detach().float().cpu().contiguous() for k, v in tensors.items()}
    if model.roi is not None:
        tensors[ROI] = torch.from_numpy(pack_roi(model.roi))
    # An older file's card was brought up to date when it was read: it must not be so twice.
    text = model.card.model_copy(update={"format": FORMAT}).model_dump_json()
    metadata = {KEY: text, "sha256": _digest(text, tensors)}
    save_tensors(path, tensors, metadata)


def load_model(path: Path) -> Model:
    """Read and check a model file.

    Raises:
        BurnishError: missing, truncated, not a burnish model, of a newer format, or changed.
    """
    folder = path if path.is_dir() else None
    if folder is not None:
        path = folder / MODEL
    if not path.exists():
        raise BurnishError(f"no such model: {path}{'' if folder is None else _instead(folder)}")
    metadata, tensors = _read_file(path)
    if KEY not in metadata:
        raise BurnishError(f"{path} is a safetensors file, but not a burnish model")
    card = _read_card(path, metadata[KEY])
    if metadata.get("sha256") != _digest(metadata[KEY], tensors):
        raise BurnishError(f"{path} was changed after it was written: its checksum does not match")
    if wrong := _contradiction(card):
        raise BurnishError(f"{path}: bad header at {wrong}")
    if why := outdated(card):
        raise BurnishError(f"{path} {why}")
    try:
        return _model_from(card, tensors)
    except BurnishError as error:
        raise BurnishError(
            f"{path}: weights do not fit the settings in its header: {error}"
        ) from error


def _read_file(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file."""
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            # Copied: its tensors are the file's own pages, and would change with it, or end the
            # process where it shrinks, as another model is copied over it.
            tensors = {name: file.get_tensor(name).clone() for name in names}
            return file.metadata() or {}, tensors
    except (OSError, SafetensorError) as error:
        size = os.path.getsize(path)
        raise BurnishError(
            f"{path} ({size:,} bytes) is damaged, cut short, or no safetensors file: {error}"
        ) from error


def _model_from(card: ModelCard, tensors: dict[str, Tensor]) -> Model:
    """Put a model together; `tensors` is emptied.

    Raises:
        BurnishError: the tensors do not fit the card; it names one.
    """
    settings, shape = card.settings, card.shape
    # A header may claim any width: nothing is allocated before the shapes are checked.
    with torch.device("meta"):
        generator = Generator(settings, shape)
    take_weights(tensors, "generator.", generator)
    roi = unpack_roi(take(tensors, ROI, -1, dtype=torch.uint8).numpy()) if settings.roi else None
    position = None
    if settings.standardise == "position":
        size = len(settings.mask_blocks), shape.height, shape.width
        position = take(tensors, POSITION[0], *size), take(tensors, POSITION[1], *size)
    kinds = settings.textures(shape.channels)
    textures = [take_texture(tensors, of, grain, shape) for of, grain in kinds]
    lines = [take_lines(tensors, width, shape) for width in settings.lines]
    whole = take_whole(tensors, textures) if settings.judges_whole else None
    extremes = None
    if settings.knows_extremes:
        extremes = take_extremes(tensors, maps_of(settings, shape.channels), shape)
    features = take_features(tensors, shape) if settings.features else None
    if tensors:
        raise BurnishError(f"{min(tensors)} is of a part that they do not ask for")
    return Model(
        generator.eval(), card, position, roi, tuple(textures), tuple(lines), features, whole,
        extremes,
    )  # fmt: skip


def _instead(folder: Path) -> str:
    """What a folder holds in place of a model, as the rest of a sentence."""
    if (folder / CHECKPOINT).exists():
        return (
            f"; {folder} holds an unfinished training: the command that began it, with --resume, "
            "goes on with it"
        )
    if any(p.suffix.lower() in SUFFIXES for p in folder.iterdir()):
        return f"; {folder} holds images: the model comes first, then what it is to inspect"
    return ""


def _read_card(path: Path, text: str) -> ModelCard:
    try:
        found = json.loads(text)
        number = int(found["format"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BurnishError(f"{path}: the header of this burnish model cannot be read") from error
    if number > FORMAT:
        raise BurnishError(
            f"{path} has format {number}, this burnish reads up to {FORMAT}: "
            "update burnish (pip install -U burnish)"
        )
    if number < 5:
        name_textures(found.get("settings"))
    try:
        return ModelCard.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        told = f"bad header at {where}: {first['msg']}"
        if first["type"] == "extra_forbidden":  # a new setting alone makes no new format
            told = f"{where} is unknown to this burnish: update it (pip install -U burnish)"
        raise BurnishError(f"{path}: {told}") from error


def _contradiction(card: ModelCard) -> str:
    """Where values of the header do not fit each other, and what is wrong there; else ""."""
    shape, settings = card.shape, card.settings
    sides, channels = (shape.height, shape.width), shape.channels
    maps = maps_of(settings, channels) + settings.judges_whole
    if channels not in (1, 3):
        return f"shape: images have 1 or 3 channels, not {channels}"
    if not all(0 < side <= MOST_SIDE and side % settings.patch == 0 for side in sides):
        return f"shape: no input of {sides[1]} x {sides[0]} px in patches of {settings.patch} px"
    if len(card.calibration.mu) != maps:
        return f"calibration.mu: {len(card.calibration.mu)} values for {maps} maps"
    if card.alignment is not None and card.alignment.size != sides:
        return "alignment.size: not the model's input"
    return ""


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
