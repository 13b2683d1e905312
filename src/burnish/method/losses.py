"""The paper's losses (eq. 1-5). Images are (B, C, H, W) in [-1, 1]; every loss is a scalar >= 0."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from burnish.method.dropping import take_tokens
from burnish.method.filters import gaussian_band, separable

DATA_RANGE = 2.0  # of pixels in [-1, 1]


def l1_loss(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Pixel consistency, eq. 2: mean absolute difference."""
    return (image - reconstruction).abs().mean()


def ssim(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean structural similarity in [-1, 1] (Wang et al. 2004: 11 taps, sigma 1.5).

    Averaged over pixels where the window fits. Always computed in float32: its variances are
    differences of nearly equal numbers.
    """
    x, y = image.float(), reconstruction.float()
    rows = gaussian_band(x.shape[-2], 1.5, 5, False)
    columns = gaussian_band(x.shape[-1], 1.5, 5, False)
    # Apart: in training x is the image, and nothing flows back to it.
    mean_x, xx = separable(torch.stack([x, x * x]), rows, columns)
    mean_y, yy, xy = separable(torch.stack([y, y * y, x * y]), rows, columns)
    c1, c2 = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2
    covariance = xy - mean_x * mean_y
    variances = xx - mean_x**2 + yy - mean_y**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variances + c2)
    )
    return similarity.mean()


def ssim_loss(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Structural consistency, eq. 3: 1 - SSIM, in [0, 2]."""
    return 1 - ssim(image, reconstruction)


def image_gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel gradients down and across, per px, where the 3x3 window fits: (B, C, H-2, W-2)."""
    across = images[..., :-2] + 2 * images[..., 1:-1] + images[..., 2:]
    down = images[..., :-2, :] + 2 * images[..., 1:-1, :] + images[..., 2:, :]
    vertical = (across[..., 2:, :] - across[..., :-2, :]) / 8
    horizontal = (down[..., 2:] - down[..., :-2]) / 8
    return vertical, horizontal


def gradient_loss(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Gradient consistency, eq. 4: mean absolute difference of both gradient components."""
    vertical, horizontal = image_gradients(image - reconstruction)  # the gradient is linear
    return vertical.abs().mean() + horizontal.abs().mean()


def euclidean(a: Tensor, b: Tensor) -> Tensor:
    """Mean Euclidean distance of (..., D) vectors over sqrt(D), so weights fit every width."""
    return ((a.float() - b.float()).square().mean(dim=-1) + 1e-12).sqrt().mean()


def feature_matching_loss(feature: Tensor, feature_reconstruction: Tensor) -> Tensor:
    """L_adv: distance of the discriminator's features (B, D) of part and reconstruction."""
    return euclidean(feature.detach(), feature_reconstruction)


def latent_loss(bottleneck: Tensor, encoded: Tensor, kept: Tensor | None = None) -> Tensor:
    """L_enc: G_E(masked x) (2B, N, D), both halves, against E(reconstruction) (B, N, D).

    With `kept`, int64 (2, K), the bottleneck holds only these tokens of each half: (2B, K, D).
    """
    twice = encoded.repeat(2, 1, 1)
    return euclidean(bottleneck, twice if kept is None else take_tokens(twice, kept))


def discriminator_loss(logit_real: Tensor, logit_painted: Tensor) -> Tensor:
    """Cross entropy of "real" (1) against "painted" (0) over logits (B,)."""
    real = F.binary_cross_entropy_with_logits(logit_real, torch.ones_like(logit_real))
    painted = F.binary_cross_entropy_with_logits(logit_painted, torch.zeros_like(logit_painted))
    return (real + painted) / 2
