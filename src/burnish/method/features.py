"""How unusual a part is to a pretrained network; used only if the setting `features` asks for it.

The features of `burnish.method.backbone` at every place of an image, against those of good parts at
the same place (`burnish.method.mahalanobis`).

Shapes: B batch, K features, H x W image, h x w a quarter of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from burnish.method.backbone import Backbone
from burnish.method.filters import gaussian_smooth
from burnish.method.mahalanobis import distance
from burnish.method.movable import Movable

STRIDE = 4  # px of the image per place


@dataclass(frozen=True)
class FeatureModel(Movable):
    """Features of good parts.

    Attributes:
        backbone: the pretrained network.
        mean, deviation: (K, h, w).
        precision: (K, K), inverse correlation over the number of features.
    """

    backbone: Backbone
    mean: Tensor
    deviation: Tensor
    precision: Tensor


def feature_map(images: Tensor, model: FeatureModel, inside: Tensor | None = None) -> Tensor:
    """Unusual features of images (B, C, H, W) in [-1, 1]: (B, 1, H, W), >= 0, 0 outside.

    Args:
        inside: bool (H, W), the region of interest; images are 0 outside.
    """
    values = (model.backbone(images) - model.mean) / model.deviation
    coarse = distance(values, model.precision)[:, None]
    size = [images.shape[2], images.shape[3]]
    fine = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
    smooth = gaussian_smooth(fine, STRIDE / 2)
    return smooth if inside is None else smooth.masked_fill(~inside, 0.0)


def coarse_region(inside: Tensor) -> Tensor:
    """The region of interest by places: bool (H, W) -> (h, w), at least half of each inside.

    If the region is too thin for that, the places that lie furthest inside; none if it is empty.
    """
    share = F.avg_pool2d(
        inside.float()[None, None], STRIDE, ceil_mode=True, count_include_pad=False
    )
    return (share[0, 0] >= share.max().clamp_max(0.5)) & (share[0, 0] > 0)
