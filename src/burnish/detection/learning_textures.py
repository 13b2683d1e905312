"""Learn the texture of good parts: `TextureModel`s and `WholeModel`s from training views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from burnish.detection.gathering import (
    FoldedMoments,
    Folds,
    SomeViews,
    Views,
    some_places,
)
from burnish.detection.scorer import Scorer
from burnish.detection.view import View, inside_of, network_input
from burnish.method.cells import coarse_cells, stretch, to_cells
from burnish.method.factors import Factors, find_factors, left_over
from burnish.method.mahalanobis import SLACK
from burnish.method.texture import (
    SOURCES,
    TextureModel,
    all_descriptors,
    precisions,
)
from burnish.method.whole import WholeModel, grid_means, learn_whole

SAMPLED = 1000  # pixels of a view, for the correlation of descriptors


def learn_textures(
    scorer: Scorer, views: Views, folds: Folds
) -> list[tuple[list[TextureModel], WholeModel | None]]:
    """For each of `Folds.training_sets`: a model for each of `Settings.textures`, and a
    `WholeModel` if `Settings.judges_whole`, else None.

    One texture per pass, as the sums of all at once would take several times the memory.
    """
    models, means = [], []
    for of, grain in scorer.settings.textures(scorer.shape.channels):
        kept = SomeViews(scorer.settings.seed)
        models.append(list(_learn_texture(scorer, views(), folds, of, grain, kept)))
        if SOURCES[of].in_whole:
            means.append(kept["means"])
    whole: list[WholeModel | None] = [None] * len(folds.training_sets)
    if scorer.settings.judges_whole:  # `kept` holds the same views in every pass: one seed
        together = torch.cat(means, dim=1)
        whole = [learn_whole(together[kept.of(folds, chosen)]) for chosen in folds.training_sets]
    return [(list(one), whole[n]) for n, one in enumerate(zip(*models, strict=True))]


def _learn_texture(
    scorer: Scorer, views: Iterable[View], folds: Folds, of: str, grain: int, kept: SomeViews
) -> Iterator[TextureModel]:
    """Learn one of `Settings.textures` from each of `Folds.training_sets`.

    `kept` is given, of some views, the coarse cells, their `grid_means`, the indices of some pixels
    and the descriptors there.
    """
    shape = scorer.shape
    moments = FoldedMoments(folds, SOURCES[of].descriptors, shape.height, shape.width)
    for number, view in enumerate(views):
        inside = inside_of(view)
        found = _descriptors(scorer, view, of, grain)
        moments.add(number, found[0], inside)
        if kept.wants():
            cells, seen = coarse_cells(found, inside)
            spots = some_places(
                view, inside, shape.height * shape.width, SAMPLED, scorer.settings.seed
            )
            kept.add(
                number,
                spots=spots,
                pixels=found[0].flatten(1)[:, spots],
                means=grid_means(cells, seen)[0],
                cells=(cells if seen is None else cells.masked_fill(~seen, torch.nan))[0],
            )
    for chosen, (mean, deviation) in zip(folds.training_sets, moments.results(SLACK), strict=True):
        rows = kept.of(folds, chosen)
        yield _texture_model(
            of,
            grain,
            mean,
            deviation,
            kept["cells"][rows],
            kept["pixels"][rows],
            kept["spots"][rows],
            scorer,
        )


def _texture_model(
    of: str,
    grain: float,
    mean: Tensor,
    deviation: Tensor,
    cells: Tensor,
    pixels: Tensor,
    spots: Tensor,
    scorer: Scorer,
) -> TextureModel:
    """The model of one texture, from all views and, for correlation and factors, N kept ones.

    Args:
        mean, deviation: (K, H, W), of the descriptors of all views.
        cells: (N, K, h, w), the kept views' coarse cells.
        pixels: (N, K, n), their descriptors at some pixels.
        spots: int64 (N, n), the indices of these pixels.
    """
    size = scorer.shape.height, scorer.shape.width
    mean, deviation = to_cells(mean), to_cells(deviation)
    # The reconstruction has already removed such differences from the residual.
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
    return replace(model, precision=precisions(torch.cat(standardised, dim=1), of))


@torch.inference_mode()
def _descriptors(scorer: Scorer, view: View, of: str, grain: int) -> Tensor:
    """(1, K, H, W) of one of `Settings.textures`."""
    images, inside = network_input(view, scorer.device)
    painted = images[:, None]
    if of == "residual":  # the other fields need no reconstruction
        _, painted = scorer.painted_of(images, inside)
    (found,) = all_descriptors(images, painted, [(of, grain)], inside)
    return found.cpu()
