"""The models of good parts as tensors of a model file: their names, types and shapes.

Each `take_` function pops its tensors from those of the file. It raises BurnishError if one is
missing, or has another type or shape than the header implies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from burnish.errors import BurnishError
from burnish.method.backbone import FEATURES, Backbone
from burnish.method.cells import CELL, COARSE
from burnish.method.extremes import Extremes
from burnish.method.factors import Factors
from burnish.method.features import STRIDE, FeatureModel
from burnish.method.generator import InputShape
from burnish.method.lines import DIRECTIONS, LineModel
from burnish.method.texture import SOURCES, TextureModel
from burnish.method.whole import GRID, WholeModel
from burnish.settings import Settings

OF_TEXTURE = ("mean", "deviation", "precision")
FACTORS = "factors."
OF_LINES = ("mean", "deviation")
WHOLE = "whole."
EXTREMES = "extremes."
OF_FEATURES = ("features.mean", "features.deviation", "features.precision")
BACKBONE = "backbone."


def maps_of(settings: Settings, channels: int) -> int:
    """How many error maps there are: of mask scales, textures, lines and features."""
    textures = sum(len(SOURCES[of].maps) for of, _ in settings.textures(channels))
    return len(settings.mask_blocks) + textures + len(settings.lines) + bool(settings.features)


def texture_name(of: str, grain: float) -> str:
    return f"texture.{grain:g}." if of == "residual" else f"texture.{of}.{grain:g}."


def take(
    tensors: dict[str, Tensor], name: str, *shape: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """One tensor.

    Args:
        shape: what it must have; -1 for any number.
    """
    if name not in tensors:
        raise BurnishError(f"{name} is missing")
    tensor = tensors.pop(name)
    if tensor.dtype != dtype:
        raise BurnishError(f"{name} is of {tensor.dtype}, not {dtype}")
    if tensor.ndim != len(shape) or any(
        side not in (-1, found) for side, found in zip(shape, tensor.shape, strict=True)
    ):
        raise BurnishError(f"{name} has shape {tuple(tensor.shape)}, not {shape}")
    return tensor


def take_weights(tensors: dict[str, Tensor], prefix: str, network: nn.Module) -> None:
    """Give a network the weights whose names begin with `prefix`."""
    known = network.state_dict()
    weights = {name: take(tensors, prefix + name, *known[name].shape) for name in known}
    network.load_state_dict(weights, assign=True)


def take_texture(
    tensors: dict[str, Tensor], of: str, grain: float, shape: InputShape
) -> TextureModel:
    """The texture of a field at one grain."""
    name = texture_name(of, grain)
    source = SOURCES[of]
    size = (source.descriptors, *_cells(shape, CELL))
    mean, deviation = (take(tensors, name + part, *size) for part in OF_TEXTURE[:2])
    square = source.descriptors, source.descriptors
    precision = take(tensors, name + OF_TEXTURE[2], len(source.maps), *square)
    factors = None
    if f"{name}{FACTORS}ways" in tensors:  # trained on few views, it has none
        coarse = (source.descriptors, *_cells(shape, COARSE))
        sizes = {"mean": coarse, "deviation": coarse, "ways": (-1, *coarse)}
        factors = Factors(**{k: take(tensors, name + FACTORS + k, *sizes[k]) for k in sizes})
    return TextureModel(grain, mean, deviation, precision, of, factors)


def take_lines(tensors: dict[str, Tensor], width: int, shape: InputShape) -> LineModel:
    """Lines of one width."""
    size = (DIRECTIONS, *_cells(shape, CELL))
    return LineModel(width, *(take(tensors, f"lines.{width}.{part}", *size) for part in OF_LINES))


def take_whole(tensors: dict[str, Tensor], textures: Sequence[TextureModel]) -> WholeModel:
    """The model of the surface as a whole, from these textures."""
    sources = [SOURCES[texture.of] for texture in textures]
    values = sum(s.descriptors for s in sources if s.in_whole) * GRID**2
    sizes = {"mean": (values,), "deviation": (values,), "whitening": (values, values)}
    return WholeModel(**{name: take(tensors, WHOLE + name, *sizes[name]) for name in sizes})


def take_extremes(tensors: dict[str, Tensor], maps: int, shape: InputShape) -> Extremes:
    """Extremes of so many error maps."""
    size = (maps, *_cells(shape, COARSE))
    return Extremes(*(take(tensors, EXTREMES + field.name, *size) for field in fields(Extremes)))


def _cells(shape: InputShape, side: int) -> tuple[int, int]:
    return -(-shape.height // side), -(-shape.width // side)


def take_features(tensors: dict[str, Tensor], shape: InputShape) -> FeatureModel:
    """The pretrained network and the model of its features."""
    size = (FEATURES, *_cells(shape, STRIDE))
    mean, deviation = (take(tensors, name, *size) for name in OF_FEATURES[:2])
    precision = take(tensors, OF_FEATURES[2], FEATURES, FEATURES)
    with torch.device("meta"):
        backbone = Backbone()
    take_weights(tensors, BACKBONE, backbone)
    return FeatureModel(backbone.eval().requires_grad_(False), mean, deviation, precision)
