"""Pixels in, anomaly map and score out, for one view: an image at the model's size, or one tile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.method.generator import Generator
from burnish.method.masks import complementary_masks
from burnish.method.reconstruction import reconstruct
from burnish.method.scoring import choose_scale, error_maps, fuse, image_score
from burnish.settings import Settings


def to_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 (..., H, W) -> float32 in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).to(device).float() / 127.5 - 1


@dataclass(frozen=True)
class View:
    """What the networks see at once: uint8 (C, H, W), and the region of interest, bool (H, W).

    `inside` None: every pixel counts. What lies outside is hidden from the generator as a mask
    hides it, and counts in nothing.
    """

    pixels: NDArray[np.uint8]
    inside: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Scored:
    """A view's (H, W) map and (C, H, W) reconstruction in [-1, 1]; the coldest value of the map
    and the view itself stand outside the region of interest.

    `scale_scores`: for each mask scale, the score its standardised error map alone would give.
    """

    score: float
    scale: int
    scale_scores: tuple[float, ...]
    anomaly_map: Tensor
    reconstruction: Tensor


class Scorer:
    """The generator with its masks; float32, one view at a time, so that scores never depend on
    what else is in a batch.

    Args:
        position: mean and standard deviation (S, H, W) of the error at every scale and pixel,
            see `learn_positions`; None leaves the error maps as they are.
    """

    def __init__(
        self,
        generator: Generator,
        settings: Settings,
        device: torch.device,
        position: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.generator = generator.to(device).float().eval()
        self.position: tuple[Tensor, Tensor] | None = None
        if position is not None:
            self.position = (position[0].to(device), position[1].to(device))
        self.settings = settings
        self.device = device
        shape = generator.shape
        self.masks = complementary_masks(shape.height, shape.width, settings.mask_blocks).to(device)

    @torch.inference_mode()
    def errors(self, view: View) -> tuple[Tensor, Tensor]:
        """Error maps (1, S, H, W), reconstructions (1, S, C, H, W).

        The error maps are standardised by position if the positions are known.
        """
        return self.errors_of(to_tensor(view.pixels[None], self.device), self._inside(view))

    @torch.inference_mode()
    def errors_of(self, images: Tensor, inside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`errors` of a batch: images (B, C, H, W) in [-1, 1], region bool (H, W) -> error maps
        (B, S, H, W), reconstructions (B, S, C, H, W)."""
        if inside is not None:
            images = images.masked_fill(~inside, 0.0)
        painted = reconstruct(self.generator, images, self.masks)
        errors = error_maps(images, painted, self.settings.error, self.settings.smoothing, inside)
        if self.position is not None:
            mean, deviation = self.position
            errors = (errors - mean) / deviation
        return errors, painted

    def learn_positions(self, views: Iterable[View]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (S, H, W) of the error of good views.

        To be measured on training images: were it on the held-out ones, their scores would no
        longer be comparable with those of new parts. A quarter of the scale's mean deviation is
        added, so that a spot where few images happened to err is not divided by almost nothing.
        """
        self.position = None
        scales, _, height, width = self.masks.shape
        sums = torch.zeros(2, scales, height, width, dtype=torch.float64)
        count = torch.zeros(height, width, dtype=torch.float64)
        for view in views:
            error = self.errors(view)[0][0].double().cpu()  # 0 outside the region
            sums += torch.stack([error, error.square()])
            count += 1.0 if view.inside is None else torch.from_numpy(view.inside).double()
        mean, square = sums / count.clamp_min(1)
        deviation = (square - mean**2).clamp_min(0).sqrt()
        seen = count > 0
        typical, spread = (values[:, seen].mean(dim=1) for values in (mean, deviation))
        # Where no training view reached into, the scale's own average stands in.
        mean = torch.where(seen, mean, typical[:, None, None])
        deviation = torch.where(seen, deviation, spread[:, None, None])
        deviation = deviation + 0.25 * spread[:, None, None] + 1e-12
        self.position = (mean.float().to(self.device), deviation.float().to(self.device))
        return self.position

    @torch.inference_mode()
    def score(self, view: View, mu: Tensor, sigma: Tensor) -> Scored:
        """Score one view against the references mu and sigma (S,)."""
        s, inside = self.settings, self._inside(view)
        errors, painted = self.errors(view)
        scale = int(choose_scale(errors, mu, inside))
        anomaly_map = fuse(errors, mu, sigma, s.fusion, inside)
        score = float(image_score(anomaly_map, s.reduction, s.top_share, inside))
        alone = ((errors - mu[:, None, None]) / sigma[:, None, None])[0]
        by_scale = tuple(image_score(alone, s.reduction, s.top_share, inside).tolist())
        anomaly, reconstruction = anomaly_map[0], painted[0, scale]
        if inside is not None:
            anomaly = torch.where(inside, anomaly, anomaly[inside].min())
            image = to_tensor(view.pixels, self.device)
            reconstruction = torch.where(inside, reconstruction, image)
        return Scored(score, scale, by_scale, anomaly, reconstruction)

    def references(self, mu: object, sigma: object) -> tuple[Tensor, Tensor]:
        """mu and sigma as float32 tensors (S,) on the device."""
        return (
            torch.tensor(mu, dtype=torch.float32, device=self.device),
            torch.tensor(sigma, dtype=torch.float32, device=self.device),
        )

    def _inside(self, view: View) -> Tensor | None:
        return None if view.inside is None else torch.from_numpy(view.inside).to(self.device)
