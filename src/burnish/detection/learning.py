"""What good parts' errors usually are: by place, by texture, and the unit of each map's score.

Measured on training images: were it on the held-out ones, their scores would no longer be
comparable with those of new parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from burnish.detection.scorer import Scorer, View, to_tensor
from burnish.method.scoring import image_score
from burnish.method.texture import (
    DESCRIPTORS,
    SLACK,
    TextureModel,
    descriptors,
    precisions,
    residual,
    to_cells,
)

SAMPLED = 1000  # pixels of each view that the correlation of descriptors is measured on
LEAST_UNIT = 0.05  # of the median score: the least a map's scores are taken to scatter
ORDINARY = 5.0  # score of an ordinary good image, in units: away from 0, where shares mean nothing

Views = Callable[[], Iterable[View]]
"""Gives the same good training views, in the same order, each time it is called."""


def learn_all(scorer: Scorer, views: Views, tick: Callable[[], None] = lambda: None) -> None:
    """Set all that the scorer's settings ask for: positions, textures, units.

    Args:
        tick: called after every view of each pass.
    """

    def ticking() -> Iterable[View]:
        for view in views():
            yield view
            tick()

    scorer.position, scorer.textures, scorer.units = None, [], None
    settings = scorer.settings
    textures = learn_textures(scorer, ticking()) if settings.texture else []
    if settings.standardise == "position":
        learn_positions(scorer, ticking())
    scorer.use_textures(textures)
    if settings.fusion == "scores":
        learn_units(scorer, ticking())


def learn_positions(scorer: Scorer, views: Iterable[View]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (S, H, W) of the error of good views; the scorer uses them.

    A quarter of the scale's mean deviation is added, so that a spot where few images happened to
    err is not divided by almost nothing.
    """
    scorer.position = None
    scales, _, height, width = scorer.masks.shape
    moments = _Moments(scales, height, width)
    for view in views:
        moments.add(scorer.errors(view)[0][0, :scales], view)
    mean, deviation = moments.result(0.25)
    scorer.position = (mean.to(scorer.device), deviation.to(scorer.device))
    return scorer.position


def learn_textures(scorer: Scorer, views: Iterable[View]) -> list[TextureModel]:
    """What the residual's descriptors are on good views, one model a grain of the settings."""
    grains, shape = scorer.settings.texture, scorer.shape
    moments = [_Moments(DESCRIPTORS, shape.height, shape.width) for _ in grains]
    sampled: list[list[Tensor]] = [[] for _ in grains]
    places: list[Tensor] = []
    rng = torch.Generator().manual_seed(scorer.settings.seed)
    for view in views:
        inside = None if view.inside is None else torch.from_numpy(view.inside)
        spots = torch.arange(shape.height * shape.width)
        if inside is not None:
            spots = spots[inside.flatten()]
        chosen = spots[torch.randint(len(spots), (SAMPLED,), generator=rng)]
        places.append(chosen)
        left = _residual(scorer, view)
        for number, grain in enumerate(grains):
            found = descriptors(left, grain)[0].cpu()
            moments[number].add(found, view)
            sampled[number].append(found.flatten(1)[:, chosen])
    spots, models = torch.cat(places), []
    for grain, moment, samples in zip(grains, moments, sampled, strict=True):
        mean, deviation = (to_cells(values) for values in moment.result(SLACK))
        model = TextureModel(grain, mean, deviation, torch.empty(0)).at(shape.height, shape.width)
        values = torch.cat(samples, dim=1) - model.mean.flatten(1)[:, spots]
        values = values / model.deviation.flatten(1)[:, spots]
        models.append(TextureModel(grain, mean, deviation, precisions(values)))
    return models


def learn_units(scorer: Scorer, views: Iterable[View]) -> tuple[list[float], list[float]]:
    """mu and sigma of each map, from the image scores that it alone gives to good views.

    sigma is their standard deviation; with mu the median good view scores `ORDINARY`.
    """
    settings, found = scorer.settings, []
    for view in views:
        inside = None if view.inside is None else torch.from_numpy(view.inside).to(scorer.device)
        maps = scorer.errors(view)[0][0]
        found.append(image_score(maps, settings.reduction, settings.top_share, inside).cpu())
    scores = torch.stack(found).double()
    middle = scores.quantile(0.5, dim=0)
    spread = scores.std(dim=0, correction=0)
    unit = torch.maximum(spread, LEAST_UNIT * middle.abs() + 1e-9)
    scorer.units = ((middle - ORDINARY * unit).tolist(), unit.tolist())
    return scorer.units


@torch.inference_mode()
def _residual(scorer: Scorer, view: View) -> Tensor:
    inside = None if view.inside is None else torch.from_numpy(view.inside).to(scorer.device)
    images, painted = scorer.painted_of(to_tensor(view.pixels[None], scorer.device), inside)
    return residual(images, painted, inside)


class _Moments:
    """Mean and standard deviation by pixel of maps (K, H, W), each of which shows a region."""

    def __init__(self, maps: int, height: int, width: int) -> None:
        self.sums = torch.zeros(2, maps, height, width, dtype=torch.float64)
        self.count = torch.zeros(height, width, dtype=torch.float64)

    def add(self, maps: Tensor, view: View) -> None:
        """Outside the view's region, `maps` counts nothing."""
        values = maps.double().cpu()
        if view.inside is not None:
            values = values.masked_fill(~torch.from_numpy(view.inside), 0.0)
        self.sums += torch.stack([values, values.square()])
        self.count += 1.0 if view.inside is None else torch.from_numpy(view.inside).double()

    def result(self, slack: float) -> tuple[Tensor, Tensor]:
        """Mean and deviation, float32; `slack` of the map's mean deviation is added to each."""
        mean, square = self.sums / self.count.clamp_min(1)
        deviation = (square - mean**2).clamp_min(0).sqrt()
        seen = self.count > 0
        typical, spread = (values[:, seen].mean(dim=1) for values in (mean, deviation))
        # Where no training view reached into, the map's own average stands in.
        mean = torch.where(seen, mean, typical[:, None, None])
        deviation = torch.where(seen, deviation, spread[:, None, None])
        deviation = deviation + slack * spread[:, None, None] + 1e-12
        return mean.float(), deviation.float()
