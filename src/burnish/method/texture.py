"""Texture maps: unusual detail in residual, image or hues, where the error says little.

A generator repaints light and shape, not grain: on rough metal the error in a thin crack is no
larger than in the grain beside it, but its texture differs. And a mark of another hue need be no
darker or brighter. So residual, image or hues are filtered into a few descriptors per pixel
(band-pass detail, its energy, its direction), and their Mahalanobis distance from those of good
parts at the same place makes further error maps. Not the paper's: after PaDiM (Defard et al. 2021),
with filters in place of a pretrained network.

Shapes: B batch, S mask scales, C channels, K descriptors, H x W image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from burnish.method.cells import ByCells
from burnish.method.factors import Factors
from burnish.method.filters import smooth_within
from burnish.method.mahalanobis import correlation, distance, precision_of
from burnish.method.scoring import local_brightness, region_mean, shares_of_usual

LEVELS = (1.0, 2.0, 4.0)  # sigmas, in grains: each bounds a band of finer detail
AMOUNT = 2 * len(LEVELS)  # descriptors that say how much detail there is; the rest say which way
DESCRIPTORS = AMOUNT + 3  # of a field
MAPS = 2  # error maps of a directed texture: of the amount of detail alone, and with its direction
ENERGY, SLOPE = 0.01, 1e-4  # added before the logarithm: smaller values count as flat
LEAST = 0.02  # mean of a channel, in [0, 2]: one that is nearly black is not blown up further


def residual(images: Tensor, reconstructions: Tensor, inside: Tensor | None = None) -> Tensor:
    """Image less reconstruction, signed, the mean over mask scales, in shares of local brightness.

    The mean is continuous. Taking the closest scale at each pixel is no more accurate, and flips
    the sign where two are equally far, which another runtime may round differently.

    Args:
        images: (B, C, H, W).
        reconstructions: (B, S, C, H, W).
        inside: bool (H, W), the region of interest; 0 outside.

    Returns:
        (B, H, W).
    """
    left = images.mean(dim=1) - reconstructions.mean(dim=(1, 2))
    brightness = local_brightness(reconstructions.mean(dim=1, keepdim=True), inside)[:, 0]
    found = left / brightness
    return found if inside is None else found.masked_fill(~inside, 0.0)


def surface(images: Tensor, reconstructions: Tensor, inside: Tensor | None = None) -> Tensor:
    """The image's brightness in shares of the local brightness, so that the lamp hardly matters.

    The reconstruction plays no part: the model of good parts at each place stands in for it. Shows
    detail that a smooth reconstruction leaves out as grain. Arguments and result as of `residual`.
    """
    return _in_shares(images.mean(dim=1) + 1, images, inside)


def red_green(images: Tensor, reconstructions: Tensor, inside: Tensor | None = None) -> Tensor:
    """Red less green, in shares of the local brightness; of images (B, 3, H, W).

    Rust, heat tint and other marks may be no darker or brighter than what is round them. The three
    channels are first brought to one mean: another lamp's colour or another batch's tint would
    show the texture of the brightness here. Arguments and result as of `residual`; the
    reconstruction plays no part.
    """
    red, green, _ = _balanced(images, inside)
    return _in_shares(red - green, images, inside)


def yellow_blue(images: Tensor, reconstructions: Tensor, inside: Tensor | None = None) -> Tensor:
    """Mean of red and green less blue, otherwise as `red_green`."""
    red, green, blue = _balanced(images, inside)
    return _in_shares((red + green) / 2 - blue, images, inside)


def _balanced(images: Tensor, inside: Tensor | None) -> tuple[Tensor, ...]:
    """(B, 3, H, W) -> the channels (B, H, W), 0 is black, scaled to one mean."""
    means = region_mean(images + 1, inside)
    factors = means.mean(dim=1, keepdim=True) / means.clamp_min(LEAST)
    return ((images + 1) * factors[:, :, None, None]).unbind(dim=1)


def _in_shares(values: Tensor, images: Tensor, inside: Tensor | None) -> Tensor:
    """Values (B, H, W) over the local brightness of the images; 0 outside the region."""
    found = values / local_brightness(images[:, None], inside)[:, 0]
    return found if inside is None else found.masked_fill(~inside, 0.0)


@dataclass(frozen=True)
class Source:
    """What a texture is of.

    Attributes:
        fields: functions with the arguments and result of `residual`.
        maps: names of its error maps. A directed texture has a second one, which tells which way
            detail runs too. Hues are told by their amount alone: a second map found no more marks,
            and raised good parts' scores.
        in_whole: whether it counts in the surface as a whole (`whole`). Hues do not: compression
            changes them all over, and made every good part a defect.
    """

    fields: tuple[Callable[[Tensor, Tensor, Tensor | None], Tensor], ...]
    maps: tuple[str, ...]
    in_whole: bool = True

    @property
    def directed(self) -> bool:
        return len(self.maps) == MAPS

    @property
    def descriptors(self) -> int:
        """How many a pixel has."""
        return len(self.fields) * (DESCRIPTORS if self.directed else AMOUNT)


SOURCES = {
    "residual": Source((residual,), ("grain", "direction")),
    "image": Source((surface,), ("image grain", "image direction")),
    "colour": Source((red_green, yellow_blue), ("colour",), in_whole=False),
}


def smoothed(
    left: Tensor, grains: Iterable[float], inside: Tensor | None = None
) -> dict[float, Tensor]:
    """A field (B, H, W) blurred by every sigma, px, that these grains need; 0 is the field itself.

    Grains share sigmas, as one grain may be twice another; each is computed once. Only pixels of
    the region contribute: a step at its border would be a texture that outweighs any defect.
    """
    sigmas = {sigma * grain for grain in grains for sigma in LEVELS}
    return {0.0: left} | {sigma: smooth_within(left, sigma, inside) for sigma in sorted(sigmas)}


def descriptors(
    field: Mapping[float, Tensor], grain: float, directed: bool = True, inside: Tensor | None = None
) -> Tensor:
    """(B, K, H, W): detail in three bands, its log energy, its direction if `directed`.

    Args:
        field: as of `smoothed`, (B, H, W) each.
        grain: scale of the finest detail, px.
        inside: the region, bool (H, W), that `field` was smoothed within; meaningless outside.
    """
    levels = [field[sigma * grain] for sigma in (0.0, *LEVELS)]
    bands = [finer - coarser for finer, coarser in pairwise(levels)]
    products = [band.abs() for band in bands]
    if directed:
        padded = F.pad(levels[1][:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
        down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
        across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
        # The structure tensor: squared slopes down and across, and their product.
        products += [down.square(), across.square(), down * across]
    means = smooth_within(torch.stack(products), 2 * grain, inside)
    found = [
        value
        for band, energy in zip(bands, means[: len(bands)], strict=True)
        for value in (band, (energy + ENERGY).log())
    ]
    if directed:
        steep, wide, leaning = means[len(bands) :]
        found += [(steep + SLOPE).log(), (wide + SLOPE).log(), leaning]
    return torch.stack(found, dim=1)


@dataclass(frozen=True)
class TextureModel(ByCells):
    """Descriptors of good parts at one grain.

    Attributes:
        grain: px.
        mean, deviation: (K, h, w), by cells of `cells.CELL` px.
        precision: (maps, K, K), inverse correlation over the number of descriptors: of the amount
            alone (0 elsewhere) and of all; of all alone where it is not directed.
        of: what it is of, a name of `SOURCES`.
        factors: how good parts differ all over at once, or None; `deviation` is what they leave.
    """

    grain: float
    mean: Tensor
    deviation: Tensor
    precision: Tensor
    of: str = "residual"
    factors: Factors | None = None


def precisions(standardised: Tensor, of: str) -> Tensor:
    """(K, n) standardised descriptors of good pixels -> (maps, K, K) of a `TextureModel`.

    Args:
        of: a name of `SOURCES`.
    """
    together = correlation(standardised)
    whole = precision_of(together)
    if not SOURCES[of].directed:
        return whole[None].float()
    amount = torch.zeros_like(whole)
    amount[:AMOUNT, :AMOUNT] = precision_of(together[:AMOUNT, :AMOUNT])
    return torch.stack([amount, whole]).float()


def all_descriptors(
    images: Tensor,
    reconstructions: Tensor,
    kinds: Sequence[tuple[str, float]],
    inside: Tensor | None = None,
) -> Iterator[Tensor]:
    """(B, K, H, W) of each texture and grain, one by one: `descriptors` of its fields, one after
    another; other arguments as of `residual`."""
    fields = {
        of: [
            smoothed(
                field(images, reconstructions, inside),
                [grain for whose, grain in kinds if whose == of],
                inside,
            )
            for field in SOURCES[of].fields
        ]
        for of in dict.fromkeys(whose for whose, _ in kinds)
    }
    for of, grain in kinds:
        found = [descriptors(field, grain, SOURCES[of].directed, inside) for field in fields[of]]
        yield found[0] if len(found) == 1 else torch.cat(found, dim=1)


def texture_maps(values: Tensor, model: TextureModel, inside: Tensor | None = None) -> Tensor:
    """Unusual texture: (B, K, H, W) -> (B, maps, H, W), >= 0, 0 outside the region.

    The Mahalanobis distance at each place, over its usual size in the image (as a rough part is
    unusual everywhere), smoothed over the grain.

    Args:
        values: descriptors of the model's field and grain, less what its factors explain.
        model: with mean and deviation for every pixel (`TextureModel.at`).
    """
    values = (values - model.mean) / model.deviation
    maps = [distance(values, precision) for precision in model.precision]
    shares = shares_of_usual(torch.stack(maps, dim=1), 0.1, inside)
    smooth = smooth_within(shares, model.grain, inside)
    return smooth if inside is None else smooth.masked_fill(~inside, 0.0)
