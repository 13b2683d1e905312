"""Error maps, their fusion over mask scales, and the image score (section 2.4.2, eq. 7-9).

Shapes: B batch, S mask scales, C channels, H x W image. Nothing is clamped or rescaled.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from burnish.method.filters import smooth_within
from burnish.settings import IN_UNITS

LIGHT_SMOOTHING = 4.0  # sigma, px, of the local brightness
DARK = 0.2  # added to brightness in [0, 2]: errors in black places are not blown up
FLAWLESS = 0.02  # added to an image's usual relative error
ORDINARY = 5.0  # score of an ordinary good image, in units: well above 0, so that ratios make sense


def error_maps(
    images: Tensor,
    reconstructions: Tensor,
    kind: str,
    smoothing: float,
    inside: Tensor | None = None,
) -> Tensor:
    """E_i of eq. 7, taken absolute or squared before any mean (a signed mean would cancel).

    "relative" (not the paper's) is the absolute error divided by the local brightness of the
    reconstruction, then by its usual size in the image: texture, noise and flaws all grow with the
    light, and a rough part errs everywhere. The usual size is the mean of the errors, each clipped
    at the plain mean, which a large flaw would raise so far as to hide itself.

    Args:
        images: (B, C, H, W).
        reconstructions: (B, S, C, H, W).
        kind: "absolute", "squared" or "relative".
        smoothing: Gaussian sigma in px. It keeps the mean of a map, so eq. 8 is unaffected.
        inside: bool (H, W), the region of interest. The error is 0 outside, and what lies outside
            does not weigh in the smoothing.

    Returns:
        (B, S, H, W), >= 0, mean over channels.
    """
    difference = reconstructions - images[:, None]
    error = (difference.square() if kind == "squared" else difference.abs()).mean(dim=2)
    error = _smooth(error, smoothing, inside)
    if kind != "relative":
        return error
    return shares_of_usual(error / local_brightness(reconstructions, inside), FLAWLESS, inside)


def local_brightness(reconstructions: Tensor, inside: Tensor | None = None) -> Tensor:
    """(B, S, C, H, W) -> (B, S, H, W), 0.2 (black) to 2.2 (white), of the surroundings."""
    brightness = _smooth(reconstructions.mean(dim=2) + 1, LIGHT_SMOOTHING, inside)
    return brightness.clamp_min(0.0) + DARK


def shares_of_usual(maps: Tensor, floor: float, inside: Tensor | None = None) -> Tensor:
    """(..., H, W) over the map's usual value: the mean of its values, each clipped at their mean.

    `floor` is added to that value, so that an image almost without error is not blown up.
    """
    plain = region_mean(maps, inside)[..., None, None]
    usual = region_mean(torch.minimum(maps, plain), inside)[..., None, None]
    return maps / (usual + floor)


def _smooth(values: Tensor, sigma: float, inside: Tensor | None) -> Tensor:
    """Blurred (..., H, W): only pixels inside the region contribute; 0 outside."""
    smooth = smooth_within(values, sigma, inside)
    return smooth if inside is None else smooth.masked_fill(~inside, 0.0)


def region_mean(maps: Tensor, inside: Tensor | None = None) -> Tensor:
    """(..., H, W) -> (...): the mean over the pixels of the region, or over all.

    Summed by rows: ONNX Runtime and OpenVINO add all pixels one after another in float32, which
    loses digits. A sum and a mean, as OpenVINO fuses two means into one.
    """
    if inside is not None:
        share = inside.sum() / inside.numel()
        return region_mean(maps.masked_fill(~inside, 0.0)) / share
    rows = maps.sum(dim=-1) / maps.shape[-1]
    return rows.mean(dim=-1)


def where_seen(maps: Tensor, seen: Tensor) -> Tensor:
    """Maps (..., H, W) with their own mean over what is seen in place of what is not: it counts
    neither way, in a mean, a maximum or the highest pixels.

    Args:
        seen: (H, W), 0 to 1: how much each pixel counts.
    """
    means = region_mean(maps * seen) / region_mean(seen).clamp_min(1e-6)
    return maps * seen + means[..., None, None] * (1 - seen)


def cold_unseen(anomaly_map: Tensor, seen: Tensor) -> Tensor:
    """A map (..., H, W) with its lowest value where nothing is seen; `seen` as of `where_seen`."""
    lowest = anomaly_map.amin(dim=(-2, -1), keepdim=True)
    return lowest + (anomaly_map - lowest) * seen


def choose_scale(errors: Tensor, mu: Tensor, inside: Tensor | None = None) -> Tensor:
    """Eq. 8: the scale whose mean error exceeds its reference mu (S,) most; int64 (B,)."""
    return (region_mean(errors, inside) - mu).argmax(dim=1)


def best_scale(
    errors: Tensor,
    alone: Tensor,
    mu: Tensor,
    rule: str,
    scales: int,
    inside: Tensor | None = None,
) -> Tensor:
    """The mask scale to show, int64 (): of one image's maps (1, S + T, H, W), the first `scales`.

    Under "scores" and "highest", whose mu are no mean errors, it is the one with the highest score
    of its own (`alone`, (S + T,)); else that of eq. 8.
    """
    if rule in IN_UNITS:
        return alone[:scales].argmax()
    return choose_scale(errors[:, :scales], mu[:scales], inside)[0]


def fuse(
    errors: Tensor, mu: Tensor, sigma: Tensor, rule: str, inside: Tensor | None = None
) -> Tensor:
    """One anomaly map from the error maps of all scales.

    Args:
        errors: (B, S, H, W).
        mu, sigma: (S,) what is usual on good images: of the maps' pixels, or of the image
            scores that each map alone gives ("scores", "highest").
        rule: "paper" (eq. 8, 9), "mean" of the standardised maps (E_i - mu) / sigma, or their
            maximum ("max", "scores", "highest").
        inside: bool (H, W), the pixels that count in eq. 8.

    Returns:
        (B, H, W); error units under "paper", standard deviations otherwise.
    """
    if rule == "paper":
        numbers = torch.arange(len(errors), device=errors.device)
        return errors[numbers, choose_scale(errors, mu, inside)]
    standardised = (errors - mu[:, None, None]) / sigma[:, None, None]
    return standardised.mean(dim=1) if rule == "mean" else standardised.amax(dim=1)


def image_score(
    anomaly_maps: Tensor, reduction: str, top_share: float, inside: Tensor | None = None
) -> Tensor:
    """(B, H, W) -> (B,): the mean, the maximum, or the mean of the `top_share` highest pixels.

    Only pixels of the region `inside`, bool (H, W), count.
    """
    pixels = anomaly_maps.flatten(1) if inside is None else anomaly_maps[:, inside]
    if reduction == "mean":
        return pixels.mean(dim=1)
    if reduction == "max":
        return pixels.amax(dim=1)
    count = max(1, round(top_share * pixels.shape[1]))
    return pixels.topk(count, dim=1).values.mean(dim=1)


def choose_score(fused: Callable[[], Tensor], alone: Tensor, rule: str) -> Tensor:
    """The image score: that of the fused map, or under "highest" the highest score that one map
    alone gives, so that high values of different maps at different places do not add up.

    Args:
        fused: computes the score of the fused map, (...); called only if needed.
        alone: (..., M), of each map, in its own units.
    """
    return alone.amax(dim=-1) if rule == "highest" else fused()


def with_whole(score: Tensor, whole: Tensor) -> Tensor:
    """Add to an image score by how much the surface as a whole stands out.

    Args:
        score: of maps in units.
        whole: in its own units, `ORDINARY` on an ordinary good image; at or below it adds nothing.
    """
    return score + (whole - ORDINARY).clamp_min(0.0)
