"""Places in the input image from maps at the model's size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.measure import label, regionprops
from torch.nn import functional as F

from burnish.detection.locate import find_regions, upsample


def spots(rows: int, columns: int, **values: float) -> np.ndarray:
    """Zeros but for the places named like r2c5."""
    found = np.zeros((rows, columns), np.float32)
    for name, value in values.items():
        row, column = map(int, name[1:].split("c"))
        found[row, column] = value
    return found


@pytest.mark.parametrize("size", [(40, 64), (16, 24), (7, 100), (1, 1), (333, 5)])
def test_upsample_against_torch(size: tuple[int, int]) -> None:
    small = np.random.default_rng(0).normal(5, 30, (16, 24)).astype(np.float32)
    large = upsample(small, *size)
    assert large.dtype == np.float32
    assert large.shape == size
    reference = F.interpolate(
        torch.from_numpy(small)[None, None], size, mode="bilinear", antialias=True
    )
    np.testing.assert_allclose(large, reference[0, 0], atol=1e-3)


def test_upsample_does_not_rescale_and_may_be_written_to() -> None:
    large = upsample(np.full((4, 4), -1234.5, np.float32), 9, 13)
    assert np.unique(large).tolist() == [-1234.5]
    large[0, 0] = 1


def test_regions_by_hand() -> None:
    found = spots(8, 10, r1c1=5, r2c2=7, r2c3=6, r6c8=9, r4c5=3)  # 1,1 and 2,2 touch at a corner
    regions, peak = find_regions(found, 3, height=16, width=30)  # 2 px down, 3 px across per cell
    boxes = [(r.x, r.y, r.width, r.height, r.peak) for r in regions]
    assert boxes == [(24, 12, 3, 2, 9), (3, 2, 9, 4, 7)]  # worst first; 3 is not above 3
    assert peak == (25, 13)  # the middle of cell (row 6, column 8)


def test_nothing_above_the_threshold_leaves_the_peak() -> None:
    regions, peak = find_regions(spots(4, 4, r3c0=0.5), 0.5, 4, 4)
    assert regions == ()
    assert peak == (0, 3)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_regions_against_scikit_image(threshold: float) -> None:
    found = np.random.default_rng(3).random((30, 40)).astype(np.float32)
    regions, peak = find_regions(found, threshold, 30, 40)
    expected = regionprops(label(found > threshold, connectivity=2), intensity_image=found)
    ours = sorted((r.y, r.x, r.y + r.height, r.x + r.width, r.peak) for r in regions)
    assert ours == sorted((*map(int, r.bbox), float(r.intensity_max)) for r in expected)
    assert [r.peak for r in regions] == sorted((r.peak for r in regions), reverse=True)
    assert found[peak[1], peak[0]] == found.max()


def test_a_box_holds_one_regions_peak_even_when_boxes_overlap() -> None:
    found = spots(5, 5, r0c0=4, r1c0=4, r2c0=4, r3c0=4, r4c1=4, r4c2=4, r4c3=4, r1c2=9)
    regions, _ = find_regions(found, 1, 5, 5)
    assert [r.peak for r in regions] == [9, 4]  # the 9 lies inside the box of the hook around it


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 7), (9, 10), (1000, 11)])
def test_boxes_and_peak_stay_inside_any_image(size: tuple[int, int]) -> None:
    height, width = size
    found = np.random.default_rng(0).random((12, 16)).astype(np.float32)
    found[-1, -1] = 2
    regions, (x, y) = find_regions(found, 0.8, height, width)
    assert (x, y) == (int(15.5 * width / 16), int(11.5 * height / 12))
    assert regions
    for region in regions:
        assert region.width >= 1
        assert region.height >= 1
        assert 0 <= region.x <= region.x + region.width <= width
        assert 0 <= region.y <= region.y + region.height <= height
