"""The surface as a whole: detects a finish that is wrong everywhere. Not the paper's.

Texture maps are divided by their usual size in the image, so that a rough part is not called
defective for being rough; but then a part that is badly ground all over goes unseen. Here the
descriptors of all textures but hues are averaged over a coarse grid, and one Mahalanobis distance
says how unlike good parts they are together.

Shapes: B batch, N views, K descriptors, H x W pixels, G x G cells, D = textures x K x G x G.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from burnish.method.cells import coarse_cells
from burnish.method.factors import shared
from burnish.method.mahalanobis import SLACK
from burnish.method.movable import Movable
from burnish.method.texture import SOURCES, TextureModel, all_descriptors, texture_maps

GRID = 4  # cells a side
SHRINKAGE = 0.3  # towards a multiple of the identity, as there are fewer views than values


@dataclass(frozen=True)
class WholeModel(Movable):
    """The surface of good parts as a whole.

    Attributes:
        mean, deviation: (D,), of the grid's means.
        whitening: (D, D), the symmetric root of the inverse of their shrunk correlation, over the
            root of D, so that the whitened values of an ordinary good view have length 1 or so.
    """

    mean: Tensor
    deviation: Tensor
    whitening: Tensor


def grid_means(cells: Tensor, seen: Tensor | None = None) -> Tensor:
    """Means over the cells of the grid, (B, K x G x G).

    Takes means over small cells, as an exported graph adds one value after another in float32.

    Args:
        cells, seen: (B, K, h, w) and which of them count, as of `cells.coarse_cells`: the others
            are 0. Where none counts, the grid's cell is 0.
    """
    down, across = (_averages(side, cells.device) for side in cells.shape[2:])
    means = down @ cells @ across.T
    if seen is not None:
        means = means / (down @ seen.float() @ across.T).clamp_min(1e-6)
    return means.flatten(1)


def whole_distance(means: Tensor, model: WholeModel) -> Tensor:
    """Logarithm of the Mahalanobis distance from good parts, (B,).

    Args:
        means: (B, D), `grid_means` of all textures in their order.
    """
    standardised = (means - model.mean) / model.deviation
    return (standardised @ model.whitening).square().sum(dim=1).clamp_min(1e-12).log() / 2


def learn_whole(means: Tensor) -> WholeModel:
    """Learn from the `grid_means` of good views, (N, D)."""
    mean = means.mean(dim=0)
    spread = (means - mean).square().mean(dim=0).sqrt()
    deviation = spread + SLACK * spread.mean() + 1e-6
    standardised = ((means - mean) / deviation).double()
    together = standardised.T @ standardised / len(means)
    usual = together.diagonal().mean() + 1e-6  # not 0, for a single view or views all alike
    shrunk = (1 - SHRINKAGE) * together + SHRINKAGE * usual * torch.eye(len(together)).double()
    strength, ways = torch.linalg.eigh(shrunk)
    whitening = (ways / strength.sqrt()) @ ways.T / len(together) ** 0.5
    return WholeModel(mean, deviation, whitening.float())


def texture_evidence(
    images: Tensor,
    reconstructions: Tensor,
    models: Sequence[TextureModel],
    whole: WholeModel | None = None,
    inside: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Texture maps of all models in their order, (B, all their maps, H, W), and `whole_distance`,
    (B,), or None without `whole`.

    Args:
        images, reconstructions, inside: as of `texture.residual`.
    """
    maps, means = [], []
    kinds = [(model.of, model.grain) for model in models]
    found = all_descriptors(images, reconstructions, kinds, inside)
    for model, values in zip(models, found, strict=True):
        counts = whole is not None and SOURCES[model.of].in_whole
        if counts or model.factors is not None:
            cells, seen = coarse_cells(values, inside)
        if counts:
            means.append(grid_means(cells, seen))
        if model.factors is not None:
            size = values.shape[2], values.shape[3]
            values = values - shared(cells, seen, model.factors, size)
        maps.append(texture_maps(values, model, inside))
    distance = None if whole is None else whole_distance(torch.cat(means, dim=1), whole)
    return torch.cat(maps, dim=1), distance


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _averages(size: int, device: torch.device) -> Tensor:
    """The matrix (G, size), float32, that averages `size` values into G cells."""
    each = torch.eye(size, dtype=torch.float32, device=device)
    return F.adaptive_avg_pool1d(each, GRID).T.contiguous()
