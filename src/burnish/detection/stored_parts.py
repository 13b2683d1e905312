"""The models of good parts as tensors of a model file: their names, and their shapes.

Each `take_` function pops its tensors; it raises KeyError if one is missing, and RuntimeError if
one has another shape than the header implies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor

from burnish.method.backbone import FEATURES, Backbone
from burnish.method.cells import CELL, COARSE
from burnish.method.extremes import Extremes
from burnish.method.factors import Factors
from burnish.method.features import STRIDE, FeatureModel
from burnish.method.generator import InputShape
from burnish.method.lines import DIRECTIONS, LineModel
from burnish.method.texture import LOOKS, TextureModel
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
    textures = sum(LOOKS[of].maps for of, _ in settings.textures(channels))
    return len(settings.mask_blocks) + textures + len(settings.lines) + bool(settings.features)


def texture_name(of: str, grain: float) -> str:
    return f"texture.{grain:g}." if of == "residual" else f"texture.{of}.{grain:g}."


def take_texture(
    tensors: dict[str, Tensor], of: str, grain: float, shape: InputShape
) -> TextureModel:
    """The texture of a field at one grain."""
    name = texture_name(of, grain)
    mean, deviation, precision = (tensors.pop(name + part) for part in OF_TEXTURE)
    values = LOOKS[of].descriptors
    if not mean.shape == deviation.shape == (values, *_cells(shape, CELL)):
        raise RuntimeError("texture by cells of another shape")
    if precision.shape != (LOOKS[of].maps, values, values):
        raise RuntimeError("precision of another shape")
    factors = None
    if f"{name}{FACTORS}ways" in tensors:  # trained on few views, it has none
        known = (f"{name}{FACTORS}{field.name}" for field in fields(Factors))
        factors = Factors(*(tensors.pop(key) for key in known))
        size = (values, *_cells(shape, COARSE))
        if not factors.mean.shape == factors.deviation.shape == factors.ways.shape[1:] == size:
            raise RuntimeError("factors by cells of another shape")
    return TextureModel(grain, mean, deviation, precision, of, factors)


def take_lines(tensors: dict[str, Tensor], width: int, shape: InputShape) -> LineModel:
    """Lines of one width."""
    mean, deviation = (tensors.pop(f"lines.{width}.{part}") for part in OF_LINES)
    if not mean.shape == deviation.shape == (DIRECTIONS, *_cells(shape, CELL)):
        raise RuntimeError("lines by cells of another shape")
    return LineModel(width, mean, deviation)


def take_whole(tensors: dict[str, Tensor], textures: Sequence[TextureModel]) -> WholeModel:
    """The model of the surface as a whole, from these textures."""
    found = WholeModel(*(tensors.pop(WHOLE + field.name) for field in fields(WholeModel)))
    values = sum(LOOKS[texture.of].descriptors for texture in textures) * GRID**2
    shapes = [tuple(tensor.shape) for tensor in vars(found).values()]
    if shapes != [(values,), (values,), (values, values)]:
        raise RuntimeError("the whole of another shape")
    return found


def take_extremes(tensors: dict[str, Tensor], maps: int, shape: InputShape) -> Extremes:
    """Extremes of so many error maps."""
    found = Extremes(*(tensors.pop(EXTREMES + field.name) for field in fields(Extremes)))
    if not found.mean.shape == found.height.shape == (maps, *_cells(shape, COARSE)):
        raise RuntimeError("extremes of another shape")
    return found


def _cells(shape: InputShape, side: int) -> tuple[int, int]:
    return -(-shape.height // side), -(-shape.width // side)


def take_features(tensors: dict[str, Tensor], shape: InputShape) -> FeatureModel:
    """The pretrained network and the model of its features."""
    mean, deviation, precision = (tensors.pop(name) for name in OF_FEATURES)
    size = (FEATURES, *_cells(shape, STRIDE))
    if not mean.shape == deviation.shape == size or precision.shape != (FEATURES, FEATURES):
        raise RuntimeError("features of another shape")
    with torch.device("meta"):
        backbone = Backbone()
    names = [name for name in tensors if name.startswith(BACKBONE)]
    weights = {name.removeprefix(BACKBONE): tensors.pop(name) for name in names}
    backbone.load_state_dict(weights, assign=True)
    return FeatureModel(backbone.eval().requires_grad_(False), mean, deviation, precision)
