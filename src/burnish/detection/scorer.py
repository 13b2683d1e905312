"""Pixels in, anomaly map and score out: the one path that calibration and inspection share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.detection.calibration import Calibration
from burnish.method.generator import Generator
from burnish.method.masks import complementary_masks
from burnish.method.reconstruction import reconstruct
from burnish.method.scoring import choose_scale, error_maps, fuse, image_score
from burnish.settings import Settings


def to_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 (..., H, W) -> float32 in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).to(device).float() / 127.5 - 1


@dataclass(frozen=True)
class Scored:
    """One image at the model's size: (H, W) map, (C, H, W) reconstruction in [-1, 1]."""

    score: float
    scale: int
    anomaly_map: Tensor
    reconstruction: Tensor


class Scorer:
    """The generator with its masks; float32, one image at a time, so that scores never depend on
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
    def errors(self, pixels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """uint8 (C, H, W) -> error maps (1, S, H, W), reconstructions (1, S, C, H, W).

        The error maps are standardised by position if the positions are known.
        """
        image = to_tensor(pixels[None], self.device)
        painted = reconstruct(self.generator, image, self.masks)
        errors = error_maps(image, painted, self.settings.error, self.settings.smoothing)
        if self.position is not None:
            mean, deviation = self.position
            errors = (errors - mean) / deviation
        return errors, painted

    def learn_positions(self, pixels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (S, H, W) of the error of good images (N, C, H, W).

        To be measured on training images: were it on the held-out ones, their scores would no
        longer be comparable with those of new parts. A quarter of the scale's mean deviation is
        added, so that a spot where few images happened to err is not divided by almost nothing.
        """
        self.position = None
        sums = torch.zeros(2, *self.masks[:, 0].shape, dtype=torch.float64)
        for image in pixels:
            error = self.errors(image)[0][0].double().cpu()
            sums += torch.stack([error, error.square()])
        mean, square = sums / len(pixels)
        deviation = (square - mean**2).clamp_min(0).sqrt()
        deviation = deviation + 0.25 * deviation.mean(dim=(1, 2), keepdim=True) + 1e-12
        self.position = (mean.float().to(self.device), deviation.float().to(self.device))
        return self.position

    @torch.inference_mode()
    def score(self, pixels: NDArray[np.uint8], mu: Tensor, sigma: Tensor) -> Scored:
        """Score one image, uint8 (C, H, W), against the references mu and sigma (S,)."""
        errors, painted = self.errors(pixels)
        scale = int(choose_scale(errors, mu))
        anomaly_map = fuse(errors, mu, sigma, self.settings.fusion)
        score = image_score(anomaly_map, self.settings.reduction, self.settings.top_share)
        return Scored(float(score), scale, anomaly_map[0], painted[0, scale])

    def calibrate(self, pixels: NDArray[np.uint8]) -> Iterator[Calibration | None]:
        """Calibrate on good images, uint8 (N, C, H, W), in two passes and flat memory.

        Yields None after every image scored (for a progress bar), then the `Calibration`.
        """
        sums = torch.zeros(2, len(self.masks), dtype=torch.float64)
        for image in pixels:
            errors = self.errors(image)[0].double().cpu()
            sums += torch.stack([errors.mean((0, 2, 3)), errors.square().mean((0, 2, 3))])
            yield None
        mean, square = sums / len(pixels)
        deviation = (square - mean**2).clamp_min(1e-20).sqrt()
        mu, sigma = self.references(mean.tolist(), deviation.tolist())
        scores, peaks, quantiles = [], [], []
        for image in pixels:
            scored = self.score(image, mu, sigma)
            scores.append(scored.score)
            peaks.append(float(scored.anomaly_map.max()))
            quantiles.append(float(scored.anomaly_map.float().cpu().flatten().quantile(0.99)))
            yield None
        yield Calibration(
            mu=tuple(mean.tolist()),
            sigma=tuple(deviation.tolist()),
            scores=tuple(sorted(scores)),
            peaks=tuple(sorted(peaks)),
            heat_low=float(np.median(quantiles)),
            false_alarms=self.settings.false_alarms,
        )

    def references(self, mu: object, sigma: object) -> tuple[Tensor, Tensor]:
        """mu and sigma as float32 tensors (S,) on the device."""
        return (
            torch.tensor(mu, dtype=torch.float32, device=self.device),
            torch.tensor(sigma, dtype=torch.float32, device=self.device),
        )
