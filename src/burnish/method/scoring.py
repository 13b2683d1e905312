"""Error maps, their fusion over mask scales, and the image score (section 2.4.2, eq. 7-9).

Shapes: B batch, S mask scales, C channels, H x W image. Nothing is clamped or rescaled.
"""

from __future__ import annotations

import torch
from torch import Tensor

from burnish.method.filters import gaussian_smooth


def error_maps(images: Tensor, reconstructions: Tensor, kind: str, smoothing: float) -> Tensor:
    """E_i of eq. 7, taken absolute or squared before any mean (a signed mean would cancel).

    Args:
        images: (B, C, H, W).
        reconstructions: (B, S, C, H, W).
        kind: "absolute" or "squared".
        smoothing: Gaussian sigma in px. It keeps the mean of a map, so eq. 8 does not notice.

    Returns:
        (B, S, H, W), >= 0, mean over channels.
    """
    difference = reconstructions - images[:, None]
    error = difference.abs() if kind == "absolute" else difference.square()
    return gaussian_smooth(error.mean(dim=2), smoothing)


def choose_scale(errors: Tensor, mu: Tensor) -> Tensor:
    """Eq. 8: the scale whose mean error exceeds its reference mu (S,) most; int64 (B,)."""
    return (errors.mean(dim=(-2, -1)) - mu).argmax(dim=1)


def fuse(errors: Tensor, mu: Tensor, sigma: Tensor, rule: str) -> Tensor:
    """One anomaly map from the error maps of all scales.

    Args:
        errors: (B, S, H, W).
        mu, sigma: (S,) mean and standard deviation of the error maps' pixels on good images.
        rule: "paper" (eq. 8, 9), or "mean" or "max" of the standardised maps (E_i - mu) / sigma.

    Returns:
        (B, H, W); error units under "paper", standard deviations otherwise.
    """
    if rule == "paper":
        return errors[torch.arange(len(errors)), choose_scale(errors, mu)]
    standardised = (errors - mu[:, None, None]) / sigma[:, None, None]
    return standardised.mean(dim=1) if rule == "mean" else standardised.amax(dim=1)


def image_score(anomaly_maps: Tensor, reduction: str, top_share: float) -> Tensor:
    """(B, H, W) -> (B,): the mean, the maximum, or the mean of the `top_share` highest pixels."""
    pixels = anomaly_maps.flatten(1)
    if reduction == "mean":
        return pixels.mean(dim=1)
    if reduction == "max":
        return pixels.amax(dim=1)
    count = max(1, round(top_share * pixels.shape[1]))
    return pixels.topk(count, dim=1).values.mean(dim=1)
