"""What good parts' errors usually are: by place, by texture, and the unit of each map's score.

Measured on training images: were it on the held-out ones, their scores would no longer be
comparable with those of new parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from burnish.detection.scorer import Scorer, View, to_tensor
from burnish.method.backbone import FEATURES, load_backbone
from burnish.method.features import STRIDE, FeatureModel, coarse_region, precision_of
from burnish.method.mahalanobis import SLACK
from burnish.method.scoring import image_score
from burnish.method.texture import (
    DESCRIPTORS,
    FIELDS,
    TextureModel,
    descriptors,
    precisions,
    smoothed,
    to_cells,
)

SAMPLED = 1000  # pixels of each view that the correlation of descriptors is measured on
PLACES = 300  # of each view that the correlation of features is measured on
LEAST_UNIT = 0.05  # of the median score: the least a map's scores are taken to scatter
ORDINARY = 5.0  # score of an ordinary good image, in units: away from 0, where shares mean nothing

Views = Callable[[], Iterable[View]]
"""Gives the same good training views, in the same order, each time it is called."""


def learn_all(scorer: Scorer, views: Views, tick: Callable[[], None] = lambda: None) -> None:
    """Set all that the scorer's settings ask for: positions, textures, features, units.

    Args:
        tick: called after every view of each pass.
    """

    def ticking() -> Iterable[View]:
        for view in views():
            yield view
            tick()

    scorer.position, scorer.textures, scorer.units = None, [], None
    scorer.features = None
    settings = scorer.settings
    textures = learn_textures(scorer, ticking()) if settings.texture else []
    if settings.standardise == "position":
        learn_positions(scorer, ticking())
    features = learn_features(scorer, ticking()) if settings.features else None
    scorer.use_textures(textures)
    scorer.use_features(features)
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
        moments.add(scorer.errors(view)[0][0, :scales], _inside(view))
    mean, deviation = moments.result(0.25)
    scorer.position = (mean.to(scorer.device), deviation.to(scorer.device))
    return scorer.position


def learn_textures(scorer: Scorer, views: Iterable[View]) -> list[TextureModel]:
    """What the descriptors are on good views, one model for each of `Settings.textures`."""
    wanted, shape = scorer.settings.textures, scorer.shape
    moments = [_Moments(DESCRIPTORS, shape.height, shape.width) for _ in wanted]
    sampled = [_Samples(DESCRIPTORS) for _ in wanted]
    places: list[Tensor] = []
    rng = torch.Generator().manual_seed(scorer.settings.seed)
    for view in views:
        inside = _inside(view)
        chosen = _some(inside, shape.height * shape.width, SAMPLED, rng)
        places.append(chosen)
        fields = {
            of: smoothed(field, [grain for whose, grain in wanted if whose == of])
            for of, field in _fields(scorer, view).items()
        }
        for number, (of, grain) in enumerate(wanted):
            found = descriptors(fields[of], grain)[0].cpu()
            moments[number].add(found, inside)
            sampled[number].add(found.flatten(1)[:, chosen])
    spots, models = torch.cat(places), []
    for (of, grain), moment, samples in zip(wanted, moments, sampled, strict=True):
        mean, deviation = (to_cells(values) for values in moment.result(SLACK))
        model = TextureModel(grain, mean, deviation, torch.empty(0)).at(shape.height, shape.width)
        values = samples.values - model.mean.flatten(1)[:, spots]
        values = values / model.deviation.flatten(1)[:, spots]
        models.append(TextureModel(grain, mean, deviation, precisions(values), of))
    return models


def learn_features(scorer: Scorer, views: Iterable[View]) -> FeatureModel:
    """What the pretrained features are on good views."""
    backbone = load_backbone(scorer.settings.features).to(scorer.device)
    height, width = (-(-side // STRIDE) for side in (scorer.shape.height, scorer.shape.width))
    moments = _Moments(FEATURES, height, width)
    rng = torch.Generator().manual_seed(scorer.settings.seed)
    samples, places = _Samples(FEATURES), []
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
        places.append(_some(inside, height * width, PLACES, rng))
        samples.add(found.flatten(1)[:, places[-1]])
    mean, deviation = moments.result(SLACK)
    spots = torch.cat(places)
    values = samples.values - mean.flatten(1)[:, spots]
    return FeatureModel(
        backbone, mean, deviation, precision_of(values / deviation.flatten(1)[:, spots])
    )


def learn_units(scorer: Scorer, views: Iterable[View]) -> tuple[list[float], list[float]]:
    """mu and sigma of each map, from the image scores that it alone gives to good views.

    sigma is their standard deviation; with mu the median good view scores `ORDINARY`.
    """
    settings, found = scorer.settings, []
    for view in views:
        inside = _inside(view, scorer.device)
        maps = scorer.errors(view)[0][0]
        found.append(image_score(maps, settings.reduction, settings.top_share, inside).cpu())
    scores = torch.stack(found).double()
    middle = scores.quantile(0.5, dim=0)
    spread = scores.std(dim=0, correction=0)
    unit = torch.maximum(spread, LEAST_UNIT * middle.abs() + 1e-9)
    scorer.units = ((middle - ORDINARY * unit).tolist(), unit.tolist())
    return scorer.units


@torch.inference_mode()
def _fields(scorer: Scorer, view: View) -> dict[str, Tensor]:
    inside, wanted = _inside(view, scorer.device), {of for of, _ in scorer.settings.textures}
    images = to_tensor(view.pixels[None], scorer.device)
    if "residual" in wanted:
        images, painted = scorer.painted_of(images, inside)
    else:  # nothing needs to be painted
        images = images if inside is None else images.masked_fill(~inside, 0.0)
        painted = images[:, None]
    return {of: FIELDS[of](images, painted, inside) for of in wanted}


def _inside(view: View, device: torch.device | None = None) -> Tensor | None:
    return None if view.inside is None else torch.from_numpy(view.inside).to(device)


def _some(inside: Tensor | None, pixels: int, count: int, rng: torch.Generator) -> Tensor:
    """Numbers of `count` random pixels, of the region where there is one."""
    spots = torch.arange(pixels) if inside is None else inside.flatten().nonzero()[:, 0]
    return spots[torch.randint(len(spots), (count,), generator=rng)]


class _Samples:
    """Columns (K, n) gathered one block of memory at a time: small tensors kept between the large
    ones of each view would leave holes that nothing fits into (40 MB a view, on glibc)."""

    def __init__(self, rows: int) -> None:
        self._kept, self._count = torch.empty(rows, 0), 0

    def add(self, columns: Tensor) -> None:
        end = self._count + columns.shape[1]
        if end > self._kept.shape[1]:
            larger = torch.empty(len(self._kept), max(2 * end, 100_000))
            larger[:, : self._count] = self.values
            self._kept = larger
        self._kept[:, self._count : end] = columns
        self._count = end

    @property
    def values(self) -> Tensor:
        return self._kept[:, : self._count]


class _Moments:
    """Mean and standard deviation by pixel of maps (K, H, W), each of which shows a region."""

    def __init__(self, maps: int, height: int, width: int) -> None:
        self.sums = torch.zeros(2, maps, height, width, dtype=torch.float64)
        self.count = torch.zeros(height, width, dtype=torch.float64)

    def add(self, maps: Tensor, inside: Tensor | None) -> None:
        """Outside the region, bool (H, W), `maps` counts nothing."""
        values = maps.double().cpu()
        if inside is not None:
            values = values.masked_fill(~inside, 0.0)
        self.sums += torch.stack([values, values.square()])
        self.count += 1.0 if inside is None else inside.double()

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
