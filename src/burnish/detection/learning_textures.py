"""What image or residual of good parts look like: `TextureModel`s from training views, and the
surface as a whole."""

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
    inside_of,
    some_places,
)
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
    scorer: Scorer, views: Views, folds: Folds
) -> list[tuple[list[TextureModel], WholeModel | None]]:
    """What the descriptors are on good views, one model for each of `Settings.textures`, and all of
    them over the whole view if `Settings.judges_whole` asks for it; so for each of `Folds.taught`.

    One texture a pass, as the sums of all at once would take several times the memory.
    """
    models, means = [], []
    for of, grain in scorer.settings.textures:
        kept = SomeViews(scorer.settings.seed)
        models.append(list(_learn_texture(scorer, views(), folds, of, grain, kept)))
        means.append(kept["means"])
    whole: list[WholeModel | None] = [None] * len(folds.taught)
    if scorer.settings.judges_whole:
        together = torch.cat(means, dim=1)
        whole = [learn_whole(together[kept.of(folds, chosen)]) for chosen in folds.taught]
    return [(list(taught), whole[n]) for n, taught in enumerate(zip(*models, strict=True))]


def _learn_texture(
    scorer: Scorer, views: Iterable[View], folds: Folds, of: str, grain: int, kept: SomeViews
) -> Iterator[TextureModel]:
    """One of `Settings.textures`, by each of `Folds.taught`. Of some views `kept` has coarse cells
    and their means over the view, the numbers of some pixels, and the descriptors there."""
    shape = scorer.shape
    moments = FoldedMoments(folds, DESCRIPTORS, shape.height, shape.width)
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
    for chosen, (mean, deviation) in zip(folds.taught, moments.results(SLACK), strict=True):
        rows = kept.of(folds, chosen)
        yield _texture_model(
            of, grain, mean, deviation, kept["cells"][rows], kept["pixels"][rows],
            kept["spots"][rows], scorer,
        )  # fmt: skip


def _texture_model(
    of: str, grain: float, mean: Tensor, deviation: Tensor, cells: Tensor, pixels: Tensor,
    spots: Tensor, scorer: Scorer,
) -> TextureModel:  # fmt: skip
    """Of mean and deviation (K, H, W) over all views, and of some their coarse cells
    (N, K, h, w), their descriptors (N, K, n) at some pixels, and the numbers (N, n) of these."""
    size = scorer.shape.height, scorer.shape.width
    mean, deviation = to_cells(mean), to_cells(deviation)
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
def _descriptors(scorer: Scorer, view: View, of: str, grain: int) -> Tensor:
    """(1, K, H, W) of one of `Settings.textures`."""
    inside = inside_of(view, scorer.device)
    images = to_tensor(view.pixels[None], scorer.device)
    if of == "residual":
        images, painted = scorer.painted_of(images, inside)
    else:  # nothing needs to be painted
        painted = images[:, None]
    (found,) = all_descriptors(images, painted, [(of, grain)], inside)
    return found.cpu()
