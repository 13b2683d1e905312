"""What image or residual of good parts look like: `TextureModel`s from training views, and the
surface as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from burnish.detection.gathering import Moments, SomeViews, inside_of, some_places
from burnish.detection.scorer import Scorer, View, to_tensor
from burnish.method.cells import coarse_cells, stretch, to_cells
from burnish.method.factors import Factors, find_factors, left_over
from burnish.method.mahalanobis import SLACK
from burnish.method.texture import (
    DESCRIPTORS,
    TextureModel,
    all_descriptors,
    precisions,
)
from burnish.method.whole import WholeModel, grid_means, learn_whole

SAMPLED = 1000  # pixels of a view that the correlation of descriptors is measured on


def learn_textures(
    scorer: Scorer, views: Iterable[View]
) -> tuple[list[TextureModel], WholeModel | None]:
    """What the descriptors are on good views, one model for each of `Settings.textures`, and all of
    them over the whole view if `Settings.judges_whole` asks for it."""
    wanted, shape = scorer.settings.textures, scorer.shape
    moments = [Moments(DESCRIPTORS, shape.height, shape.width) for _ in wanted]
    kept = SomeViews(scorer.settings.seed)
    rng = torch.Generator().manual_seed(scorer.settings.seed)
    for view in views:
        inside = inside_of(view)
        spots = some_places(inside, shape.height * shape.width, SAMPLED, rng)
        keep, rows, means = kept.wants(), {"spots": spots}, []
        for number, found in enumerate(_descriptors(scorer, view)):
            moments[number].add(found[0], inside)
            if keep:
                cells, seen = coarse_cells(found, inside)
                means.append(grid_means(cells, seen)[0])
                if seen is not None:
                    cells = cells.masked_fill(~seen, torch.nan)
                rows |= {
                    f"cells{number}": cells[0],
                    f"pixels{number}": found[0].flatten(1)[:, spots],
                }
        if keep:
            kept.add(**rows, means=torch.cat(means))
    textures = [
        _texture_model(
            of, grain, moments[number], kept[f"cells{number}"], kept[f"pixels{number}"],
            kept["spots"], scorer,
        )
        for number, (of, grain) in enumerate(wanted)
    ]  # fmt: skip
    return textures, learn_whole(kept["means"]) if scorer.settings.judges_whole else None


def _texture_model(
    of: str, grain: float, moments: Moments, cells: Tensor, pixels: Tensor, spots: Tensor,
    scorer: Scorer,
) -> TextureModel:  # fmt: skip
    """Of moments of all views, and of some their coarse cells (N, K, h, w), their descriptors
    (N, K, n) at some pixels, and the numbers (N, n) of these."""
    size = scorer.shape.height, scorer.shape.width
    mean, deviation = (to_cells(values) for values in moments.result(SLACK))
    # The painting has taken such ways out of the residual already.
    most = scorer.settings.texture_factors if of == "image" else 0
    found = find_factors(cells, most)
    factors: Factors | None = None
    if found is not None:
        factors, explained = found
        deviation = left_over(deviation, explained)
    model = TextureModel(grain, mean, deviation, torch.empty(0), of, factors)
    full, standardised = model.at(*size), []
    for number, (values, places) in enumerate(zip(pixels, spots, strict=True)):
        differ = values - full.mean.flatten(1)[:, places]
        if found is not None:
            differ = differ - stretch(explained[number][None], size)[0].flatten(1)[:, places]
        standardised.append(differ / full.deviation.flatten(1)[:, places])
    return replace(model, precision=precisions(torch.cat(standardised, dim=1)))


@torch.inference_mode()
def _descriptors(scorer: Scorer, view: View) -> list[Tensor]:
    """(1, K, H, W) of each of `Settings.textures`."""
    inside, wanted = inside_of(view, scorer.device), scorer.settings.textures
    images = to_tensor(view.pixels[None], scorer.device)
    if any(of == "residual" for of, _ in wanted):
        images, painted = scorer.painted_of(images, inside)
    else:  # nothing needs to be painted
        images = images if inside is None else images.masked_fill(~inside, 0.0)
        painted = images[:, None]
    return [found.cpu() for found in all_descriptors(images, painted, wanted, inside)]
