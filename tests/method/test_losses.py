"""Losses against scikit-image, torch's own and double-precision references (eq. 1-5)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.filters import gaussian, sobel_h, sobel_v
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional as F

from burnish.method.losses import (
    discriminator_loss,
    euclidean,
    feature_matching_loss,
    gradient_loss,
    image_gradients,
    l1_loss,
    latent_loss,
    ssim,
    ssim_loss,
)

SIZES = [(11, 11), (16, 40), (32, 32), (65, 48)]


def pair(kind: str, shape: tuple[int, ...], seed: int = 0) -> tuple[NDArray, NDArray]:
    """Two images (B, C, H, W) in [-1, 1]."""
    rng = np.random.default_rng(seed)
    if kind == "random":
        return rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape)
    if kind == "smooth":  # little variance on a bright ground: where float32 cancels most
        wave = np.stack(
            [gaussian(i, 3) for i in rng.uniform(-1, 1, (math.prod(shape[:2]), *shape[2:]))]
        )
        one = 0.8 + wave.reshape(shape) / 4
        return one, one + 0.01 * rng.standard_normal(shape)
    one = rng.uniform(-1, 1, shape)  # alike
    return one, np.clip(one + 0.1 * rng.standard_normal(shape), -1, 1)


def tensor(array: NDArray) -> Tensor:
    return torch.from_numpy(array).float()


@pytest.mark.parametrize("kind", ["random", "smooth", "alike"])
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_against_scikit_image(kind: str, height: int, width: int, channels: int) -> None:
    a, b = pair(kind, (2, channels, height, width))
    expected = np.mean(
        [
            structural_similarity(
                x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=2,
                channel_axis=0,
            )
            for x, y in zip(a, b, strict=True)
        ]
    )  # fmt: skip
    # float32 loses up to a few 1e-7 of the squared mean to cancellation, set against c2 = 0.0036
    assert ssim(tensor(a), tensor(b)).item() == pytest.approx(expected, abs=6e-5)
    assert ssim_loss(tensor(a), tensor(b)).item() == pytest.approx(1 - expected, abs=6e-5)


def test_ssim_of_an_image_with_itself_and_with_its_negative() -> None:
    texture = tensor(pair("random", (1, 1, 32, 32))[0])
    assert ssim_loss(texture, texture).item() == pytest.approx(0, abs=1e-6)
    ground = 0.5  # the same mean in both, opposite structure
    assert ssim(ground + 0.4 * texture, ground - 0.4 * texture).item() < -0.8


def double_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Wang et al. with an ordinary 2-D convolution, float64, one channel."""
    taps = torch.exp(-0.5 * (torch.arange(-5.0, 6.0).double() / 1.5) ** 2)
    window = torch.outer(taps, taps) / taps.sum() ** 2
    mx, my, xx, yy, xy = (F.conv2d(t, window[None, None]) for t in (x, y, x * x, y * y, x * y))
    c1, c2 = 0.02**2, 0.06**2
    top = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    return (top / ((mx**2 + my**2 + c1) * (xx - mx**2 + yy - my**2 + c2))).mean()


@pytest.mark.parametrize("kind", ["random", "smooth"])
def test_gradient_of_ssim(kind: str) -> None:
    a, b = pair(kind, (2, 1, 20, 26))
    ours, reference = tensor(b).requires_grad_(), torch.from_numpy(b).requires_grad_()
    ssim(tensor(a), ours).backward()
    double_ssim(torch.from_numpy(a), reference).backward()
    assert ours.grad is not None
    assert reference.grad is not None
    scale = reference.grad.abs().max().item()
    torch.testing.assert_close(ours.grad.double(), reference.grad, rtol=0, atol=1e-3 * scale)


def test_ssim_of_half_precision_is_computed_in_float32() -> None:
    a, b = (tensor(t).bfloat16() for t in pair("smooth", (1, 1, 32, 32)))
    value = ssim(a, b)
    assert value.dtype == torch.float32
    assert torch.equal(value, ssim(a.float(), b.float()))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_gradients_against_scikit_image(height: int, width: int) -> None:
    image, _ = pair("random", (2, 3, height, width))
    vertical, horizontal = image_gradients(torch.from_numpy(image))
    assert vertical.shape == horizontal.shape == (2, 3, height - 2, width - 2)
    for b in range(2):
        for c in range(3):
            # scikit-image weighs by 1/4 over a distance of 2 px: twice the gradient per px.
            down, across = sobel_h(image[b, c]) / 2, sobel_v(image[b, c]) / 2
            np.testing.assert_allclose(vertical[b, c], down[1:-1, 1:-1], atol=1e-12)
            np.testing.assert_allclose(horizontal[b, c], across[1:-1, 1:-1], atol=1e-12)


def test_gradients_of_a_ramp_are_its_slopes() -> None:
    y, x = np.mgrid[:9, :7]
    vertical, horizontal = image_gradients(tensor(0.3 * y - 0.05 * x)[None, None])
    torch.testing.assert_close(vertical, torch.full_like(vertical, 0.3))
    torch.testing.assert_close(horizontal, torch.full_like(horizontal, -0.05))


def test_l1_and_gradient_loss_against_numpy() -> None:
    a, b = pair("random", (2, 3, 16, 20))
    assert l1_loss(tensor(a), tensor(b)).item() == pytest.approx(np.abs(a - b).mean(), rel=1e-5)
    inside = (slice(1, -1), slice(1, -1))
    parts = [
        np.abs(sobel(x)[inside] / 2 - sobel(y)[inside] / 2).mean()
        for sobel in (sobel_h, sobel_v)
        for x, y in zip(a.reshape(-1, 16, 20), b.reshape(-1, 16, 20), strict=True)
    ]
    expected = np.mean(parts[:6]) + np.mean(parts[6:])
    assert gradient_loss(tensor(a), tensor(b)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [l1_loss, gradient_loss])
def test_gradcheck(loss: object) -> None:
    a, b = (torch.from_numpy(t).requires_grad_() for t in pair("random", (1, 2, 5, 6)))
    assert torch.autograd.gradcheck(loss, (a, b))


def test_euclidean_against_numpy_and_smooth_at_zero() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4, 5, 32))
    expected = (np.linalg.norm(a - b, axis=-1) / np.sqrt(32)).mean()
    assert euclidean(tensor(a), tensor(b)).item() == pytest.approx(expected, rel=1e-5)
    same = tensor(a).requires_grad_()
    loss = euclidean(same, tensor(a))
    loss.backward()
    assert loss.item() < 1e-5
    assert same.grad is not None
    assert torch.isfinite(same.grad).all()


def test_feature_matching_pulls_the_reconstruction_alone() -> None:
    real, painted = (torch.randn(3, 8, requires_grad=True) for _ in range(2))
    loss = feature_matching_loss(real, painted)
    loss.backward()
    assert real.grad is None
    assert painted.grad is not None
    assert painted.grad.abs().sum() > 0
    expected = ((real - painted).norm(dim=1) / math.sqrt(8)).mean()
    torch.testing.assert_close(loss, expected)


def test_latent_loss_compares_both_halves_of_each_image() -> None:
    rng = torch.Generator().manual_seed(0)
    halves, encoded = torch.randn(4, 5, 8, generator=rng), torch.randn(2, 5, 8, generator=rng)
    distances = []
    for half in range(2):
        for b in range(2):
            for n in range(5):  # `hide` puts all images under the first mask, then the second
                distance = (halves[2 * half + b, n] - encoded[b, n]).norm() / math.sqrt(8)
                distances.append(distance.item())
    assert latent_loss(halves, encoded).item() == pytest.approx(np.mean(distances), rel=1e-5)
    assert latent_loss(encoded.repeat(2, 1, 1), encoded).item() < 1e-5


def test_discriminator_loss_against_bce_of_sigmoids() -> None:
    real, painted = torch.randn(2, 6, generator=torch.Generator().manual_seed(0)) * 2
    bce = torch.nn.BCELoss()
    shares = torch.cat([real, painted]).sigmoid()
    expected = bce(shares, torch.tensor([1.0] * 6 + [0.0] * 6))
    torch.testing.assert_close(discriminator_loss(real, painted), expected)
    sure, wrong = (
        discriminator_loss(real + 90, painted - 90),
        discriminator_loss(painted - 90, real),
    )
    assert sure < 1e-6
    assert torch.isfinite(wrong)
