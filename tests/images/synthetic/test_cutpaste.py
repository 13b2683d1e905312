"""Cut-and-paste: rigid, of the stated size, from where it was cut, and it shows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from burnish.errors import BurnishError
from burnish.images.synthetic.cutpaste import _sample, draw_patch
from burnish.images.synthetic.defects import draw_defect

SEEDS = range(30)


def paste(
    image: NDArray[np.uint8], seed: int, strength: float = 1.0, **more: NDArray
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return draw_defect(image, "cutpaste", np.random.default_rng(seed), strength, **more)


def core_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the soft edge, which is 0.012 of the shorter side wide."""
    return ndimage.distance_transform_edt(mask) > 0.016 * min(mask.shape) + 0.5


def test_turned_but_neither_stretched_nor_mirrored() -> None:
    """Red rises along x, green along y, by half a level a pixel: pasted, they still do, turned."""
    y, x = np.mgrid[0:500, 0:500] / 2.0
    image = np.dstack([x, y, np.full_like(x, 128)]).astype(np.uint8)
    angles = []
    for seed in SEEDS:
        drawn, mask = paste(image, seed)
        clipped = ((drawn == 0) | (drawn == 255)).any(axis=2)
        rows, columns = np.nonzero(core_of(mask) & ~clipped)
        if rows.size < 1500:  # too few for a gradient from whole grey levels
            continue
        plane = np.column_stack([columns, rows, np.ones(rows.size)])
        gradient = np.linalg.lstsq(plane, drawn[rows, columns, :2].astype(float), rcond=None)[0]
        turn = gradient[:2].T / 0.5  # of red and green
        contrast = np.sqrt(np.linalg.det(turn))
        assert 0.83 <= contrast <= 1.17, "contrast changes by 15 % at most; a mirror is negative"
        assert turn @ turn.T / contrast**2 == pytest.approx(np.eye(2), abs=0.12)
        angles.append(np.arctan2(turn[0, 1], turn[0, 0]))
    assert len(angles) > 10
    assert np.ptp(angles) > 3.0


def test_sampling_equals_the_picture_on_whole_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 70), np.uint8)
    rows, columns = np.mgrid[5:30, 40:70].astype(np.float32)
    assert np.allclose(_sample(picture, rows, columns), picture[5:30, 40:70], atol=0.6)


def test_turning_keeps_the_texture() -> None:
    """A smoother patch would be found by its smoothness. Half-pixel shifts are the worst case."""
    grain = np.random.default_rng(1).normal(128, 20, (300, 300))
    picture = ndimage.gaussian_filter(grain, 0.7).round().astype(np.uint8)
    rows, columns = np.mgrid[50:250, 50:250].astype(np.float32) + 0.5
    kept = _sample(picture, rows, columns).std() / picture[50:250, 50:250].std()
    linear = ndimage.map_coordinates(picture.astype(float), [rows, columns], order=1).std()
    assert kept > 0.93
    assert kept > linear / picture[50:250, 50:250].std() + 0.1


def test_sizes_are_as_stated() -> None:
    shares, scars = [], 0
    for seed in range(300):
        cover = draw_patch(256.0, np.random.default_rng(seed)).relief.profile
        assert cover.min() >= 0.0
        assert cover.max() <= 1.0
        # Of a rectangle with soft edges, the mean length and width are those of the cover.
        share = float(cover.sum()) / 256**2
        rows = np.argwhere(cover > 0.5)
        long, thin = np.sqrt(np.linalg.eigvalsh(np.cov(rows.T))[::-1] * 12)
        if long / thin > 3.3:
            scars += 1
            assert thin < 0.05 * 256
            assert 0.1 * 256 < long < 0.37 * 256
        elif thin > 0.045 * 256:
            shares.append(share)
    assert 0.2 < scars / 300 < 0.45
    assert min(shares) > 0.0035
    assert max(shares) < 0.021
    assert max(shares) > 0.017


def test_cut_elsewhere_in_the_same_picture() -> None:
    """Every pixel tells where it is from: what is pasted is far from where it lies."""
    y, x = np.mgrid[0:200, 0:200]
    image = np.dstack([x, y, np.full_like(x, 100)]).astype(np.uint8)
    for seed in SEEDS:
        drawn, mask = paste(image, seed)
        core = core_of(mask)
        if core.sum() < 20:
            continue
        rows, columns = np.nonzero(core)
        from_columns, from_rows = drawn[core][:, 0].mean(), drawn[core][:, 1].mean()
        length = max(np.ptp(rows), np.ptp(columns))
        assert np.hypot(from_rows - rows.mean(), from_columns - columns.mean()) > 0.3 * length


def test_with_a_region_it_is_cut_from_there_too() -> None:
    image = np.full((256, 256), 230, np.uint8)  # a bright background
    image[100:160] = np.random.default_rng(0).normal(80, 4, (60, 256))  # and a dark part
    allowed = np.zeros((256, 256), np.bool_)
    allowed[112:148] = True
    brightest = [paste(image, seed, allowed=allowed)[0][112:148].max() for seed in SEEDS]
    assert np.median(brightest) < 130, "background pasted on the part"


def test_opacity_follows_strength_below_one() -> None:
    image = np.add.outer(np.linspace(60, 130, 256), np.linspace(0, 60, 256)).astype(np.uint8)
    seen = 0
    for seed in SEEDS:
        full, mask = paste(image, seed)
        half, _ = paste(image, seed, 0.5)
        core = core_of(mask)
        if core.any():
            whole, part = (drawn[core].mean() - image[core].mean() for drawn in (full, half))
            assert part == pytest.approx(whole / 2, abs=1.5)
            seen += abs(whole) > 10
    assert seen > 10


def test_unknown_name_offers_it() -> None:
    with pytest.raises(BurnishError, match="Did you mean 'cutpaste'"):
        draw_defect(np.zeros((64, 64), np.uint8), "cut-paste", np.random.default_rng(0))
