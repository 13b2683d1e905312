"""Locate defects: from the anomaly map at the model's size to places in the input image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from burnish.detection.result import Region


def upsample(anomaly_map: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Bilinear resize of a float32 map to the input's size; values are not rescaled."""
    if anomaly_map.shape == (height, width):
        return anomaly_map
    picture = Image.fromarray(np.ascontiguousarray(anomaly_map, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)).copy()


def find_regions(
    anomaly_map: NDArray[np.float32], threshold: float, height: int, width: int
) -> tuple[tuple[Region, ...], tuple[int, int]]:
    """Connected areas above `threshold` and the peak, in px of a height x width image.

    Returns:
        Regions by falling peak (8-connected bounding boxes), and (x, y) of the highest value.
    """
    rows, columns = anomaly_map.shape
    down, across = height / rows, width / columns
    hot = anomaly_map > threshold
    row, column = divmod(int(anomaly_map.argmax()), columns)
    peak = (
        min(int((column + 0.5) * across), width - 1),
        min(int((row + 0.5) * down), height - 1),
    )
    if not hot.any():
        return (), peak
    from scipy import ndimage  # slow to import; good parts do not need it

    regions = []
    # Labels take four bytes a pixel, so they are made within each hot bounding box alone.
    for box in ndimage.find_objects(hot.view(np.int8)):
        labels, _ = ndimage.label(hot[box], structure=np.ones((3, 3)))
        for index, (r, c) in enumerate(ndimage.find_objects(labels), start=1):
            inside = anomaly_map[box][r, c][labels[r, c] == index]
            top, left = box[0].start + r.start, box[1].start + c.start
            bottom, right = box[0].start + r.stop, box[1].start + c.stop
            x, y = int(left * across), int(top * down)
            regions.append(
                Region(
                    x,
                    y,
                    min(int(np.ceil(right * across)), width) - x,
                    min(int(np.ceil(bottom * down)), height) - y,
                    float(inside.max()),
                )
            )
    return tuple(sorted(regions, key=lambda region: -region.peak)), peak
