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


def test_what_is_pasted_comes_from_the_donor() -> None:
    image, donor = np.full((256, 256), 100, np.uint8), np.full((90, 400), 180, np.uint8)
    seen = 0
    for seed in SEEDS:
        drawn, mask = paste(image, seed, donor=donor)
        core = core_of(mask)
        if core.any():
            # A flat picture gives an amplitude of 14 x 1.4 at most, a quarter of it is jitter.
            assert np.abs(drawn[core].astype(int) - 180).max() <= 5
            seen += 1
    assert seen > 15


def test_turned_but_neither_stretched_nor_mirrored() -> None:
    """Red rises along x, green along y, by half a level a pixel: pasted, they still do, turned."""
    y, x = np.mgrid[0:500, 0:500] / 2.0
    donor = np.dstack([x, y, np.full_like(x, 128)]).astype(np.uint8)
    angles = []
    for seed in SEEDS:
        drawn, mask = paste(np.full((512, 512, 3), 110, np.uint8), seed, donor=donor)
        rows, columns = np.nonzero(core_of(mask))
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
    image, donor = np.full((256, 256), 100, np.uint8), np.full((256, 256), 200, np.uint8)
    for seed in (0, 1, 2):
        full, mask = paste(image, seed, donor=donor)
        half, _ = paste(image, seed, 0.5, donor=donor)
        core = core_of(mask)
        if core.any():
            whole = full[core].mean() - 100
            assert half[core].mean() - 100 == pytest.approx(whole / 2, abs=1.5)


@pytest.mark.parametrize("colour", [False, True])
def test_donor_of_the_other_kind_of_colour(colour: bool) -> None:
    shape = (128, 128, 3) if colour else (128, 128)
    donor = (128, 128) if colour else (128, 128, 3)
    drawn, mask = paste(np.full(shape, 60, np.uint8), 3, donor=np.full(donor, 150, np.uint8))
    assert drawn.shape == shape
    assert mask.any()
    assert drawn[mask].max() > 140


def test_donor_smaller_than_the_patch() -> None:
    for seed in SEEDS:
        drawn, mask = paste(np.full((400, 400), 60, np.uint8), seed,
                            donor=np.full((33, 33), 150, np.uint8))  # fmt: skip
        assert mask.any()
        assert drawn.max() <= 165


def test_unknown_name_offers_it() -> None:
    with pytest.raises(BurnishError, match="Did you mean 'cutpaste'"):
        draw_defect(np.zeros((64, 64), np.uint8), "cut-paste", np.random.default_rng(0))
