"""From what the model saw back to the image: anomaly map and reconstruction at its own size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from burnish.detection.image_scorer import ScoredImage
from burnish.detection.locate import upsample
from burnish.images.alignment import Alignment
from burnish.images.pose import Pose
from burnish.images.reader import resize, to_channels
from burnish.images.roi import Region

FullSize = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Anomaly map (H, W), and reconstruction HxW or HxWx3."""


def stretched(image: NDArray[np.uint8], scored: ScoredImage, region: Region | None) -> FullSize:
    """Where images are taken as they lie.

    Args:
        image: as read, uint8 HxW or HxWx3.
        region: of interest, at its size.
    """
    height, width = image.shape[:2]
    small, painted = scored.anomaly_map, scored.reconstruction
    reconstruction = painted[0] if len(painted) == 1 else painted.transpose(1, 2, 0)
    reconstruction = resize(reconstruction, height, width)
    anomaly_map = upsample(small, height, width)
    if region is not None and small.shape != (height, width):  # sharp at the image's size too
        reconstruction = reconstruction.copy()
        part = to_channels(image, len(painted))
        reconstruction[~region] = part[~region]
        anomaly_map[~region] = small.min()
    return anomaly_map, reconstruction


def put_back(
    alignment: Alignment, pose: Pose, image: NDArray[np.uint8], scored: ScoredImage
) -> FullSize:
    """Where the part was turned and cut out: what lies beyond the view is as cold as the map gets,
    and painted as it is.

    Args:
        image: as read, uint8 HxW or HxWx3.
    """
    height, width = image.shape[:2]
    maps = np.concatenate([scored.anomaly_map[None], scored.reconstruction.astype(np.float32)])
    back, weight = alignment.put_back(maps, pose, height, width)
    coldest = scored.anomaly_map.min()  # rounding must not go below it
    anomaly_map = np.maximum(back[0] * weight + coldest * (1 - weight), coldest)
    own = to_channels(image, len(back) - 1)
    levels = back[1] if own.ndim == 2 else back[1:].transpose(1, 2, 0)
    weight = weight if own.ndim == 2 else weight[..., None]
    painted = np.floor(levels * weight + own * (1 - weight) + np.float32(0.5))
    return anomaly_map, painted.astype(np.uint8)
