"""Learn what is usual on good parts: errors by place, texture, lines, features, and score units.

Measured on training images. If it were on the held-out ones, their scores would no longer be
comparable with those of new parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from burnish.detection.gathering import (
    FoldedMoments,
    Folds,
    SomeViews,
    Views,
    some_places,
)
from burnish.detection.learning_lines import learn_lines
from burnish.detection.learning_textures import learn_textures
from burnish.detection.scorer import Scorer
from burnish.detection.view import View, inside_of, network_input, seen_of
from burnish.method.backbone import FEATURES, load_backbone
from burnish.method.extremes import Extremes, cell_values, find_extremes, sparing
from burnish.method.features import STRIDE, FeatureModel, coarse_region
from burnish.method.lines import LineModel
from burnish.method.mahalanobis import SLACK, correlation, precision_of
from burnish.method.scoring import ORDINARY, image_score
from burnish.method.texture import TextureModel
from burnish.method.whole import WholeModel
from burnish.settings import Settings

PLACES = 300  # of each view, for the correlation of features
LEAST_UNIT = 0.05  # of the median score: lower bound of a map's unit
FOLDS = 4  # of the parts, for cross-fitting
NORMAL = 1.4826  # standard deviation over median absolute deviation, of a normal distribution
LEAST_LOCAL = 0.1  # lower bound of the spread of the maps' highest score, units
LEAST_WHOLE = 1e-3  # lower bound of the spread of `whole.whole_distance`


def learn_all(scorer: Scorer, views: Views, tick: Callable[[], None] = lambda: None) -> None:
    """Teach a scorer all that its settings ask for: positions, textures, lines, features, units.

    Args:
        tick: called after every view in every pass, `passes` times the number of views.
    """
    if not scorer.settings.in_units:
        return learn_maps(scorer, partial(ticking, views, tick))
    judges, extremes = CrossFitted(scorer, views, tick), None
    if scorer.settings.knows_extremes:
        extremes = learn_extremes(judges)
    units = cross_fitted_units(judges, extremes)
    use_maps(scorer, judges.of_all)
    scorer.use_extremes(extremes)
    scorer.units = units


def ticking(views: Views, tick: Callable[[], None]) -> Iterator[View]:
    """The views, with a tick after each."""
    for view in views():
        yield view
        tick()


def passes(settings: Settings, channels: int) -> int:
    """How many passes over the views `learn_all` makes."""
    by_position = settings.standardise == "position"
    maps = (
        len(settings.textures(channels))
        + by_position
        + bool(settings.lines)
        + bool(settings.features)
    )
    if not settings.in_units:
        return maps
    return maps + (2 if settings.knows_extremes else 1)


class Maps(NamedTuple):
    """The models of good parts that a `Scorer` compares with."""

    position: tuple[Tensor, Tensor] | None = None
    textures: Sequence[TextureModel] = ()
    lines: Sequence[LineModel] = ()
    features: FeatureModel | None = None
    whole: WholeModel | None = None


def use_maps(scorer: Scorer, maps: Maps) -> None:
    """Set the models that a scorer compares with; clear its units and extremes."""
    scorer.position, scorer.units = maps.position, None
    scorer.use_textures(maps.textures)
    scorer.use_lines(maps.lines)
    scorer.use_features(maps.features)
    scorer.use_whole(maps.whole)
    scorer.use_extremes(None)


def learn_maps(scorer: Scorer, views: Views) -> None:
    """Learn the models of all views and set them: positions, textures, whole, lines, features."""
    use_maps(scorer, learn_map_sets(scorer, views, Folds())[0])


def learn_map_sets(scorer: Scorer, views: Views, folds: Folds) -> list[Maps]:
    """Learn the models from each of `Folds.training_sets`; the scorer is left with none.

    Every view is used once per kind of model: the sums of folds add up to those of training sets.
    """
    use_maps(scorer, Maps())
    settings = scorer.settings
    sets = len(folds.training_sets)
    textured = settings.textures(scorer.shape.channels)
    textures = learn_textures(scorer, views, folds) if textured else [([], None)] * sets
    by_position = settings.standardise == "position"
    positions = learn_positions(scorer, views, folds) if by_position else [None] * sets
    lines = learn_lines(scorer, views, folds) if settings.lines else [[]] * sets
    features = learn_features(scorer, views, folds) if settings.features else [None] * sets
    return [
        Maps(position, texture, line, feature, whole)
        for (texture, whole), position, line, feature in zip(
            textures, positions, lines, features, strict=True
        )
    ]


def learn_positions(scorer: Scorer, views: Views, folds: Folds) -> Iterator[tuple[Tensor, Tensor]]:
    """Mean and standard deviation (S, H, W) of the error of good views, for each training set.

    The scorer's own position is cleared. A quarter of the scale's mean deviation is added, so that
    a spot where few images happened to err is not divided by almost 0.
    """
    scorer.position = None
    scales, _, height, width = scorer.masks.shape
    moments = FoldedMoments(folds, scales, height, width)
    for number, view in enumerate(views()):
        moments.add(number, scorer.errors(view)[0][0, :scales], inside_of(view))
    for mean, deviation in moments.results(0.25):
        yield mean.to(scorer.device), deviation.to(scorer.device)


def learn_features(scorer: Scorer, views: Views, folds: Folds) -> Iterator[FeatureModel]:
    """Models of the pretrained features of good views, for each training set."""
    backbone = load_backbone(scorer.settings.features).to(scorer.device)
    height, width = (-(-side // STRIDE) for side in (scorer.shape.height, scorer.shape.width))
    moments = FoldedMoments(folds, FEATURES, height, width)
    kept = SomeViews(scorer.settings.seed)
    for number, view in enumerate(views()):
        fine = inside_of(view)
        inside = None if fine is None else coarse_region(fine)
        with torch.inference_mode():
            found = backbone(network_input(view, scorer.device)[0])[0].cpu()
        moments.add(number, found, inside)
        if kept.wants():
            spots = some_places(view, inside, height * width, PLACES, scorer.settings.seed)
            kept.add(number, spots=spots, places=found.flatten(1)[:, spots])
    for chosen, (mean, deviation) in zip(folds.training_sets, moments.results(SLACK), strict=True):
        rows = kept.of(folds, chosen)
        spots = kept["spots"][rows].flatten()
        values = kept["places"][rows].transpose(0, 1).flatten(1) - mean.flatten(1)[:, spots]
        values = values / deviation.flatten(1)[:, spots]
        yield FeatureModel(backbone, mean, deviation, precision_of(correlation(values)).float())


class CrossFitted:
    """Cross-fitting: yields each fold's views with a scorer that has learnt from all other folds.

    A model with many parameters fits the very parts it was learnt from, finds them all usual, and
    would exaggerate how much new parts differ.

    The same scorer is used for all folds and given each fold's models in turn: stored by cells
    they are small, but stretched to every pixel of large images they would fill the memory.

    Attributes:
        of_all: the models learnt from all parts together.
    """

    def __init__(
        self, scorer: Scorer, views: Views, tick: Callable[[], None] = lambda: None
    ) -> None:
        self._judge, self._views, self._tick = copy(scorer), views, tick
        # A view whose part is unknown is a part of its own.
        parts = [view.part or f"view {number}" for number, view in enumerate(views())]
        if len(set(parts)) == 1:  # only one part: views stand in for parts
            parts = [str(number) for number in range(len(parts))]
        places = {part: place for place, part in enumerate(dict.fromkeys(parts))}
        folds = min(FOLDS, len(places))
        self._folds = Folds([places[part] % folds for part in parts])
        seen = partial(ticking, views, tick)
        self.of_all, *self._taught = learn_map_sets(self._judge, seen, self._folds)

    def __iter__(self) -> Iterator[tuple[Scorer, Views]]:
        for fold, maps in enumerate(self._taught):
            use_maps(self._judge, maps)
            yield self._judge, partial(self._of_fold, fold)

    def _of_fold(self, fold: int) -> Iterator[View]:
        for number, view in enumerate(self._views()):
            if self._folds.of(number) == fold:
                yield view
                self._tick()


def learn_extremes(judges: CrossFitted) -> Extremes:
    """Learn how high maps get on good views of parts that they were not learnt from.

    Maps standardised by position are left out: they are even on good parts already, and extremes
    would shrink their units so far that a dimmer lamp moves them much more.
    """
    found, spared = [], 0
    for judge, views in judges:
        spared = 0 if judge.position is None else len(judge.masks)
        kept = SomeViews(judge.settings.seed)
        for number, view in enumerate(views()):
            if kept.wants():
                inside, seen = inside_of(view, judge.device), seen_of(view, judge.device)
                counts = inside if seen is None else seen > 0
                values = cell_values(judge.evidence(view).errors, counts)
                kept.add(number, values=values[:, 0].cpu())
        found.append(kept["values"])
    return sparing(find_extremes(torch.cat(found)), spared)


def cross_fitted_units(
    judges: CrossFitted, extremes: Extremes | None = None
) -> tuple[list[float], list[float]]:
    """mu and sigma of each map (`units_of`), from the scores of views of parts that the map was
    not learnt from."""
    found, maps = [], 0
    for judge, views in judges:
        judge.use_extremes(extremes)
        found.append(map_scores(judge, views()))
        maps = judge.maps
    scores = torch.cat(found)
    mu, sigma = units_of(scores[:, :maps])
    if scores.shape[1] > maps:  # the last column is the surface as a whole
        middle, unit = unit_of_whole(scores, mu, sigma)
        mu, sigma = [*mu, middle], [*sigma, unit]
    return mu, sigma


def map_scores(scorer: Scorer, views: Iterable[View]) -> Tensor:
    """The image score that each map alone gives to each view, float64 (N, M); with `whole_distance`
    as a last column, (N, M + 1), if the surface as a whole is compared."""
    settings, found = scorer.settings, []
    for view in views:
        inside = inside_of(view, scorer.device)
        maps, _, whole = scorer.evidence(view)
        scores = image_score(maps[0], settings.reduction, settings.top_share, inside)
        found.append((scores if whole is None else torch.cat([scores, whole])).cpu())
    return torch.stack(found).double()


def units_of(scores: Tensor) -> tuple[list[float], list[float]]:
    """mu and sigma of each map from scores (N, M), such that the median view scores `ORDINARY`.

    sigma is the spread of the scores: the median absolute deviation, which a few odd views do not
    change.
    """
    middle, spread = _middle(scores)
    unit = torch.maximum(spread, LEAST_UNIT * middle.abs() + 1e-9)
    return (middle - ORDINARY * unit).tolist(), unit.tolist()


def unit_of_whole(
    scores: Tensor, mu: Sequence[float], sigma: Sequence[float]
) -> tuple[float, float]:
    """mu and sigma of the surface as a whole, from scores (N, M + 1) and the units (M,) of maps.

    In units of the highest of all maps' scores, which it is added to: if that spreads twice as
    much as a single map's score, so must the whole.
    """
    local = ((scores[:, :-1] - torch.tensor(mu)) / torch.tensor(sigma)).amax(dim=1)
    middle, spread = _middle(scores[:, -1])
    unit = float(spread.clamp_min(LEAST_WHOLE) / _middle(local)[1].clamp_min(LEAST_LOCAL))
    return float(middle) - ORDINARY * unit, unit


def _middle(values: Tensor) -> tuple[Tensor, Tensor]:
    """Median over the first dimension, and the median absolute deviation times `NORMAL`."""
    middle = values.quantile(0.5, dim=0)
    return middle, NORMAL * (values - middle).abs().quantile(0.5, dim=0)
