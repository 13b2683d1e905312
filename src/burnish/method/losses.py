"""The paper's losses (eq. 1-5). Images are (B, C, H, W) in [-1, 1]; every loss is a scalar >= 0."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from burnish.method.dropping import take_tokens
from burnish.method.filters import Band, gaussian_band, separable

DATA_RANGE = 2.0  # of pixels in [-1, 1]


def l1_loss(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Pixel consistency, eq. 2: mean absolute difference."""
    return (image - reconstruction).abs().mean()


def ssim(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean structural similarity in [-1, 1] (Wang et al. 2004: 11 taps, sigma 1.5).

    Averaged over pixels where the window fits. Always computed in float32: its variances are
    differences of nearly equal numbers. Nothing flows back to the image, only to its
    reconstruction.
    """
    assert not image.requires_grad
    rows = gaussian_band(image.shape[-2], 1.5, 5, False)
    columns = gaussian_band(image.shape[-1], 1.5, 5, False)
    found: Tensor = _Ssim.apply(image.float(), reconstruction.float(), rows, columns)
    return found


class _Ssim(Function):
    """SSIM with its own derivatives, in place: autograd would pass over memory for each operation.

    The similarity is l s, of luminance l = l1 / l2 and contrast and structure s = s1 / s2.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, y: Tensor, rows: Band, columns: Band) -> Tensor:
        c1, c2 = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2
        blurred = torch.stack([x, y, (x * x).addcmul_(y, y), x * y])
        mean_x, mean_y, squares, product = separable(blurred, rows, columns)
        means = mean_x * mean_y
        s1 = (product - means).mul_(2).add_(c2)
        l1 = means.mul_(2).add_(c1)
        means = mean_x.square().addcmul_(mean_y, mean_y)
        s2 = squares.sub_(means).add_(c2)
        l2 = means.add_(c1)
        share = (l2 * s2).reciprocal_()
        similarity = (l1 * s1).mul_(share)
        found = similarity.mean()
        if context.needs_input_grad[1]:
            by = torch.empty(3, *similarity.shape, device=x.device)  # mean_y, squares, product
            torch.mul(l1, share, out=by[2]).mul_(2)
            torch.div(similarity, s2, out=by[1]).neg_()
            torch.sub(s1, l1, out=by[0]).mul_(mean_x).mul_(share)
            by[0].sub_(similarity.div_(l2).add_(by[1]).mul_(mean_y)).mul_(2)
            context.save_for_backward(x, y, by)
            context.bands = rows, columns
        return found

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, Tensor, None, None]:
        x, y, by = context.saved_tensors
        rows, columns = (band.transposed for band in context.bands)
        mean, squares, product = separable(by, rows, columns)
        back = mean.addcmul_(squares, y, value=2).addcmul_(product, x)
        return None, back.mul_(gradients[0] / by[0].numel()), None, None


def ssim_loss(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Structural consistency, eq. 3: 1 - SSIM, in [0, 2]."""
    return 1 - ssim(image, reconstruction)


def image_gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel gradients down and across, per px, where the 3x3 window fits: (B, C, H-2, W-2)."""
    return _slope(_sums(images, -1), -2), _slope(_sums(images, -2), -1)


def _sums(images: Tensor, dim: int) -> Tensor:
    """Filter 1, 2, 1 along a dimension, where it fits."""
    for length in (images.shape[dim] - 1, images.shape[dim] - 2):
        images = images.narrow(dim, 0, length) + images.narrow(dim, 1, length)
    return images


def _slope(sums: Tensor, dim: int) -> Tensor:
    length = sums.shape[dim] - 2
    return (sums.narrow(dim, 2, length) - sums.narrow(dim, 0, length)) / 8


def gradient_loss(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Gradient consistency, eq. 4: mean absolute difference of both gradient components."""
    found: Tensor = _GradientDistance.apply(image, reconstruction)
    return found


class _GradientDistance(Function):
    """The gradients of the difference, as they are linear. Autograd would fill the gradient of
    each of a dozen slices with zeros and add them up."""

    @staticmethod
    def forward(context: Any, image: Tensor, reconstruction: Tensor) -> Tensor:
        parts = image_gradients(image - reconstruction)
        found = parts[0].abs().mean() + parts[1].abs().mean()
        context.save_for_backward(*(part.sign_() for part in parts))
        return found

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        count = context.saved_tensors[0].numel()
        # The transposed filters: sums are symmetric, slopes change their sign.
        vertical, horizontal = (F.pad(sign, (2, 2, 2, 2)) for sign in context.saved_tensors)
        back = _slope(_sums(vertical, -1), -2) + _slope(_sums(horizontal, -2), -1)
        back *= gradients[0] / count
        return -back, back


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
