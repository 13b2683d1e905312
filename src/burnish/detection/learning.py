"""What good parts' errors usually are: by place, by texture, and the units of what they add up to.

Measured on training images: were it on the held-out ones, their scores would no longer be
comparable with those of new parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from burnish.detection.gathering import Moments, SomeViews, inside_of, some_places
from burnish.detection.learning_lines import learn_lines
from burnish.detection.learning_textures import learn_textures
from burnish.detection.scorer import Scorer, View, to_tensor
from burnish.method.backbone import FEATURES, load_backbone
from burnish.method.extremes import Extremes, cell_values, find_extremes, sparing
from burnish.method.features import STRIDE, FeatureModel, coarse_region, precision_of
from burnish.method.lines import LineModel
from burnish.method.mahalanobis import SLACK
from burnish.method.scoring import ORDINARY, image_score
from burnish.method.texture import TextureModel
from burnish.method.whole import WholeModel
from burnish.settings import Settings

PLACES = 300  # of each view that the correlation of features is measured on
LEAST_UNIT = 0.05  # of the median score: the least a map's scores are taken to scatter
FOLDS = 4  # of the parts; each is judged by what is learnt of the others
NORMAL = 1.4826  # standard deviations in a median absolute deviation, if normally distributed
LEAST_LOCAL = 0.1  # the least that the highest scores of maps are taken to scatter, units
LEAST_WHOLE = 1e-3  # the same of the surface as a whole, of its logarithm

Views = Callable[[], Iterable[View]]
"""Gives the same good training views, in the same order, each time it is called."""


def learn_all(scorer: Scorer, views: Views, tick: Callable[[], None] = lambda: None) -> None:
    """Set all that the scorer's settings ask for: positions, textures, lines, features, units.

    Args:
        tick: called after every view of each pass.
    """

    def ticking() -> Iterable[View]:
        for view in views():
            yield view
            tick()

    units = extremes = None
    if scorer.settings.in_units:
        judges = CrossFitted(scorer, ticking)
        if scorer.settings.knows_extremes:
            extremes = learn_extremes(judges)
        units = cross_fitted_units(scorer.settings, judges, extremes)
    learn_maps(scorer, ticking)
    scorer.use_extremes(extremes)
    scorer.units = units


def passes(settings: Settings) -> int:
    """How often `learn_all` goes through the views, at most: few parts make fewer folds."""
    by_position = settings.standardise == "position"
    asked = (settings.texture, by_position, settings.lines, settings.features)
    maps = sum(1 for one in asked if one)
    if not settings.in_units:
        return maps
    judged = 2 if settings.knows_extremes else 1
    return maps + 1 + FOLDS * (maps + judged)


class Maps(NamedTuple):
    """What parts are compared with, as a `Scorer` has it."""

    position: tuple[Tensor, Tensor] | None = None
    textures: Sequence[TextureModel] = ()
    lines: Sequence[LineModel] = ()
    features: FeatureModel | None = None
    whole: WholeModel | None = None


def learnt_maps(scorer: Scorer) -> Maps:
    """What a scorer compares with."""
    return Maps(scorer.position, scorer.learnt, scorer.learnt_lines, scorer.features, scorer.whole)


def use_maps(scorer: Scorer, maps: Maps) -> None:
    """A scorer compares with these from now on, and with no units or extremes."""
    scorer.position, scorer.units = maps.position, None
    scorer.use_textures(maps.textures)
    scorer.use_lines(maps.lines)
    scorer.use_features(maps.features)
    scorer.use_whole(maps.whole)
    scorer.use_extremes(None)


def learn_maps(scorer: Scorer, views: Views) -> None:
    """What parts are compared with: positions, textures, the whole, lines, features."""
    use_maps(scorer, Maps())
    settings = scorer.settings
    textures, whole = learn_textures(scorer, views()) if settings.texture else ([], None)
    position = learn_positions(scorer, views()) if settings.standardise == "position" else None
    lines = learn_lines(scorer, views()) if settings.lines else []
    features = learn_features(scorer, views()) if settings.features else None
    use_maps(scorer, Maps(position, textures, lines, features, whole))


def learn_positions(scorer: Scorer, views: Iterable[View]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (S, H, W) of the error of good views; the scorer uses them.

    A quarter of the scale's mean deviation is added, so that a spot where few images happened to
    err is not divided by almost nothing.
    """
    scorer.position = None
    scales, _, height, width = scorer.masks.shape
    moments = Moments(scales, height, width)
    for view in views:
        moments.add(scorer.errors(view)[0][0, :scales], inside_of(view))
    mean, deviation = moments.result(0.25)
    scorer.position = (mean.to(scorer.device), deviation.to(scorer.device))
    return scorer.position


def learn_features(scorer: Scorer, views: Iterable[View]) -> FeatureModel:
    """What the pretrained features are on good views."""
    backbone = load_backbone(scorer.settings.features).to(scorer.device)
    height, width = (-(-side // STRIDE) for side in (scorer.shape.height, scorer.shape.width))
    moments = Moments(FEATURES, height, width)
    rng = torch.Generator().manual_seed(scorer.settings.seed)
    kept = SomeViews(scorer.settings.seed)
    for view in views:
        inside = None if view.inside is None else coarse_region(torch.from_numpy(view.inside))
        if inside is not None and not inside.any():
            continue
        with torch.inference_mode():
            images = to_tensor(view.pixels[None], scorer.device)
            if view.inside is not None:
                images = images.masked_fill(~torch.from_numpy(view.inside).to(scorer.device), 0.0)
            found = backbone(images)[0].cpu()
        moments.add(found, inside)
        spots = some_places(inside, height * width, PLACES, rng)
        if kept.wants():
            kept.add(spots=spots, places=found.flatten(1)[:, spots])
    mean, deviation = moments.result(SLACK)
    spots = kept["spots"].flatten()
    values = kept["places"].transpose(0, 1).flatten(1) - mean.flatten(1)[:, spots]
    return FeatureModel(
        backbone, mean, deviation, precision_of(values / deviation.flatten(1)[:, spots])
    )


class CrossFitted:
    """Each fold of the parts, in turns, with a scorer that has learnt from the others.

    A map with many numbers knows the very parts it was learnt from, finds all of them alike, and
    would make too much of how new ones differ.

    Iterating gives, for each fold, the scorer and the fold's views, which it has not learnt from.
    It is one scorer that takes on what each fold's others taught, while that fold is looked at: by
    cells that is little, stretched to every pixel of large images it would fill the memory.
    """

    def __init__(self, scorer: Scorer, views: Views) -> None:
        self._judge, self._views = copy(scorer), views
        self._places: dict[str, int] = {}
        total = 0
        for number, view in enumerate(views()):
            self._places.setdefault(_part_of(view, number), len(self._places))
            total += 1
        self._whole = len(self._places) == 1  # views stand in for parts
        self._folds = min(FOLDS, total if self._whole else len(self._places))
        self._taught = []
        for fold in range(self._folds):
            learn_maps(self._judge, partial(self._fold, fold, False))
            self._taught.append(learnt_maps(self._judge))

    def __iter__(self) -> Iterator[tuple[Scorer, Views]]:
        for fold, maps in enumerate(self._taught):
            use_maps(self._judge, maps)
            yield self._judge, partial(self._fold, fold, True)

    def _fold(self, fold: int, wanted: bool) -> Iterator[View]:
        """The views of a fold's parts, or all others."""
        for number, view in enumerate(self._views()):
            place = number if self._whole else self._places[_part_of(view, number)]
            if (place % self._folds == fold) == wanted:
                yield view


def learn_extremes(judges: CrossFitted) -> Extremes:
    """How high maps get on good views of parts that they were not learnt from.

    Maps standardised by position are left out: that keeps them even on good parts, and in shares of
    their extremes, which shrink their units, a dimmer lamp moves them much further.
    """
    found, spared = [], 0
    for judge, views in judges:
        spared = 0 if judge.position is None else len(judge.masks)
        kept = SomeViews(judge.settings.seed)
        for view in views():
            if kept.wants():
                inside = inside_of(view, judge.device)
                kept.add(values=cell_values(judge.errors(view).errors, inside)[:, 0].cpu())
        found.append(kept["values"])
    return sparing(find_extremes(torch.cat(found)), spared)


def cross_fitted_units(
    settings: Settings, judges: CrossFitted, extremes: Extremes | None = None
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
    if settings.judges_whole:
        middle, unit = unit_of_whole(scores, mu, sigma)
        mu, sigma = [*mu, middle], [*sigma, unit]
    return mu, sigma


def map_scores(scorer: Scorer, views: Iterable[View]) -> Tensor:
    """(N, M) float64: the image score that each map alone gives to each view. (N, M + 1) where the
    surface as a whole is compared: that distance comes last."""
    settings, found = scorer.settings, []
    for view in views:
        inside = inside_of(view, scorer.device)
        maps, _, whole = scorer.errors(view)
        scores = image_score(maps[0], settings.reduction, settings.top_share, inside)
        found.append((scores if whole is None else torch.cat([scores, whole])).cpu())
    return torch.stack(found).double()


def units_of(scores: Tensor) -> tuple[list[float], list[float]]:
    """mu and sigma of each map from scores (N, M): sigma is their spread (the median absolute
    deviation, as a few odd views are not to set it), and with mu the median view scores `ORDINARY`.
    """
    middle, spread = _middle(scores)
    unit = torch.maximum(spread, LEAST_UNIT * middle.abs() + 1e-9)
    return (middle - ORDINARY * unit).tolist(), unit.tolist()


def unit_of_whole(
    scores: Tensor, mu: Sequence[float], sigma: Sequence[float]
) -> tuple[float, float]:
    """mu and sigma of the surface as a whole, from scores (N, M + 1) and the units (M,) of maps.

    In units of the highest of all maps' scores, which it is added to: where that scatters twice
    as much as a single map's, so does the whole.
    """
    local = ((scores[:, :-1] - torch.tensor(mu)) / torch.tensor(sigma)).amax(dim=1)
    middle, spread = _middle(scores[:, -1])
    unit = float(spread.clamp_min(LEAST_WHOLE) / _middle(local)[1].clamp_min(LEAST_LOCAL))
    return float(middle) - ORDINARY * unit, unit


def _middle(values: Tensor) -> tuple[Tensor, Tensor]:
    """Median over the first dimension, and the median absolute deviation as a standard one."""
    middle = values.quantile(0.5, dim=0)
    return middle, NORMAL * (values - middle).abs().quantile(0.5, dim=0)


def _part_of(view: View, number: int) -> str:
    """A view of no known part is a part of its own."""
    return view.part or f"view {number}"
