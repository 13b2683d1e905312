"""Texture maps: unusual detail in the residual or in the image, where the error says little.

A generator repaints light and shape, not grain: on rough metal the error in a thin crack is no
larger than in the grain beside it, but its texture differs. So the residual, or the image, is
filtered into a few descriptors per pixel (band-pass detail, its energy, its direction), and their
Mahalanobis distance from those of good parts at the same place makes further error maps. Not the
paper's: after PaDiM (Defard et al. 2021), with filters in place of a pretrained network.

Shapes: B batch, S mask scales, C channels, K descriptors, H x W image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from burnish.method.cells import ByCells
from burnish.method.factors import Factors
from burnish.method.filters import gaussian_smooth
from burnish.method.mahalanobis import correlation, distance, precision_of
from burnish.method.scoring import local_brightness, shares_of_usual

LEVELS = (1.0, 2.0, 4.0)  # sigmas, in grains: each bounds a band of finer detail
AMOUNT = 2 * len(LEVELS)  # descriptors that say how much detail there is; the rest say which way
DESCRIPTORS = AMOUNT + 3
MAPS = 2  # error maps per texture: of the amount of detail alone, and with its direction
ENERGY, SLOPE = 0.01, 1e-4  # added before the logarithm: smaller values count as flat


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
    found = (images.mean(dim=1) + 1) / local_brightness(images[:, None], inside)[:, 0]
    return found if inside is None else found.masked_fill(~inside, 0.0)


FIELDS = {"residual": residual, "image": surface}


def smoothed(left: Tensor, grains: Iterable[float]) -> dict[float, Tensor]:
    """A field (B, H, W) blurred by every sigma, px, that these grains need; 0 is the field itself.

    Grains share sigmas, as one grain may be twice another; each is computed once.
    """
    sigmas = {sigma * grain for grain in grains for sigma in LEVELS}
    return {0.0: left} | {sigma: gaussian_smooth(left, sigma) for sigma in sorted(sigmas)}


def descriptors(field: Mapping[float, Tensor], grain: float) -> Tensor:
    """(B, K, H, W): detail in three bands, its log energy, its direction.

    Args:
        field: as of `smoothed`, (B, H, W) each.
        grain: scale of the finest detail, px.
    """
    levels = [field[sigma * grain] for sigma in (0.0, *LEVELS)]
    bands = [finer - coarser for finer, coarser in pairwise(levels)]
    padded = F.pad(levels[1][:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    # The structure tensor: squared slopes down and across, and their product.
    products = [*(band.abs() for band in bands), down.square(), across.square(), down * across]
    *energies, steep, wide, leaning = gaussian_smooth(torch.stack(products), 2 * grain)
    found = [
        value
        for band, energy in zip(bands, energies, strict=True)
        for value in (band, (energy + ENERGY).log())
    ]
    found += [(steep + SLOPE).log(), (wide + SLOPE).log(), leaning]
    return torch.stack(found, dim=1)


@dataclass(frozen=True)
class TextureModel(ByCells):
    """Descriptors of good parts at one grain.

    Attributes:
        grain: px.
        mean, deviation: (K, h, w), by cells of `cells.CELL` px.
        precision: (MAPS, K, K), inverse correlation over the number of descriptors, of the amount
            alone (0 elsewhere) and of all.
        of: the field, of `FIELDS`.
        factors: how good parts differ all over at once, or None; `deviation` is what they leave.
    """

    grain: float
    mean: Tensor
    deviation: Tensor
    precision: Tensor
    of: str = "residual"
    factors: Factors | None = None


def precisions(standardised: Tensor) -> Tensor:
    """(K, n) standardised descriptors of good pixels -> (MAPS, K, K) of a `TextureModel`."""
    together = correlation(standardised)
    found = torch.zeros(MAPS, *together.shape, dtype=torch.float64)
    found[0, :AMOUNT, :AMOUNT] = precision_of(together[:AMOUNT, :AMOUNT])
    found[1] = precision_of(together)
    return found.float()


def all_descriptors(
    images: Tensor,
    reconstructions: Tensor,
    kinds: Sequence[tuple[str, float]],
    inside: Tensor | None = None,
) -> Iterator[Tensor]:
    """`descriptors` of each field and grain, one by one; other arguments as of `residual`."""
    fields = {
        of: smoothed(
            field(images, reconstructions, inside), [grain for whose, grain in kinds if whose == of]
        )
        for of, field in FIELDS.items()
        if any(whose == of for whose, _ in kinds)
    }
    for of, grain in kinds:
        yield descriptors(fields[of], grain)


def texture_maps(values: Tensor, model: TextureModel, inside: Tensor | None = None) -> Tensor:
    """Unusual texture: (B, K, H, W) -> (B, MAPS, H, W), >= 0, 0 outside the region.

    The Mahalanobis distance at each place, over its usual size in the image (as a rough part is
    unusual everywhere), smoothed over the grain.

    Args:
        values: descriptors of the model's field and grain, less what its factors explain.
        model: with mean and deviation for every pixel (`TextureModel.at`).
    """
    values = (values - model.mean) / model.deviation
    maps = [distance(values, precision) for precision in model.precision]
    shares = shares_of_usual(torch.stack(maps, dim=1), 0.1, inside)
    smooth = gaussian_smooth(shares, model.grain)
    return smooth if inside is None else smooth.masked_fill(~inside, 0.0)
