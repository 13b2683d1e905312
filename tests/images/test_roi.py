"""The region of interest, from a mask image or a polygon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.draw import polygon2mask

from burnish.errors import BurnishError
from burnish.images.reader import resize
from burnish.images.roi import fit_roi, load_roi, pack_roi, regions_at, roi_file, unpack_roi


def test_polygon_against_scikit_image() -> None:
    found = load_roi("10,5 60,12 50,40 5,30", [(48, 64)] * 3)
    expected = polygon2mask((48, 64), np.array([(5, 10), (12, 60), (40, 50), (30, 5)]))
    assert found.shape == (48, 64)
    differing = found ^ expected
    assert differing.sum() < 0.05 * expected.sum()  # borders are drawn inclusively
    assert load_roi("0,0;63,0;63,47;0,47", [(48, 64)]).all()


def test_a_polygon_is_drawn_on_the_commonest_of_sizes_that_hardly_differ() -> None:
    sizes = [(640, 256), (640, 254), (640, 254), (640, 251)]
    assert load_roi("0,0 100,0 100,639 0,639", sizes).shape == (640, 254)


@pytest.mark.parametrize(
    ("size", "fits"),
    [((100, 103), True), ((102, 100), True), ((100, 104), False), ((104, 100), False)],
)
def test_shapes_may_differ_by_three_in_a_hundred(size: tuple[int, int], fits: bool) -> None:
    sizes = [(100, 100), (100, 100), size]
    if fits:
        assert load_roi("0,0 99,0 99,99 0,99", sizes).shape == (100, 100)
    else:
        with pytest.raises(BurnishError, match="fits only images of one shape"):
            load_roi("0,0 99,0 99,99 0,99", sizes)


@pytest.mark.parametrize("value", [1, 255])
def test_mask_image(value: int, tmp_path: Path) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[3:9, 4:20] = value
    Image.fromarray(mask).save(tmp_path / "roi.png")
    found = load_roi(str(tmp_path / "roi.png"), [(20, 30), (40, 60)])
    assert np.array_equal(found, mask > 0)


def test_a_mask_saved_as_jpeg_keeps_its_shape(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 8:56] = 255
    Image.fromarray(mask).save(tmp_path / "roi.jpg", quality=60)
    assert (load_roi(str(tmp_path / "roi.jpg"), [(64, 64)]) ^ (mask > 0)).sum() == 0


@pytest.mark.parametrize("value", [1, 255, 65535])
def test_a_mask_of_16_bits_may_use_the_lower_ones_alone(value: int, tmp_path: Path) -> None:
    mask = np.zeros((20, 30), np.uint16)
    mask[3:9, 4:20] = value
    Image.fromarray(mask).save(tmp_path / "roi.png")
    assert np.array_equal(load_roi(str(tmp_path / "roi.png"), [(20, 30)]), mask > 0)


def test_a_polygon_longer_than_a_file_name_may_be() -> None:
    around = "0,0 63,0 63,47 0,47"
    text = " ".join([around, *["0,47.0"] * 600])
    assert load_roi(text, [(48, 64)]).all()
    assert roi_file(text) is None
    with pytest.raises(BurnishError, match="neither a file nor a polygon"):
        load_roi(f"{text} 1.2.3,4", [(48, 64)])


@pytest.mark.parametrize(
    ("text", "sizes", "message"),
    [
        ("nowhere.png", [(8, 8)], "neither a file nor a polygon"),
        ("1,1 2", [(8, 8)], "neither a file nor a polygon"),
        ("1,1 5,5", [(8, 8)], "2 corners"),
        ("0,0 5,0 5,5", [(8, 8), (8, 8), (8, 9)], "is for 8x8 px and an image is 9x8"),
        ("20,20 30,20 30,30", [(8, 8)], "marks nothing"),
    ],
)
def test_bad_regions(text: str, sizes: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(BurnishError, match=message):
        load_roi(text, sizes)


def test_bad_masks(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "black.png")
    with pytest.raises(BurnishError, match="marks nothing"):
        load_roi(str(tmp_path / "black.png"), [(8, 8)])
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "square.png")
    with pytest.raises(BurnishError, match=r"8x8 px and an image is 16x8: .* of one shape"):
        load_roi(str(tmp_path / "square.png"), [(8, 16)])


def test_no_pixel_from_outside_reaches_the_resized_inside() -> None:
    region = np.zeros((120, 90), dtype=bool)
    region[17:101, 13:71] = True
    small = fit_roi(region, 32, 24)
    dark = np.where(region, 100, 0).astype(np.uint8)
    bright = np.where(region, 100, 255).astype(np.uint8)
    for image in (dark, bright):
        assert (resize(image, 32, 24)[small] == 100).all()
    assert small.sum() > 0.75 * region.mean() * 32 * 24
    assert fit_roi(region, 120, 90) is region


def test_a_region_too_thin_for_the_models_input_is_told() -> None:
    region = np.zeros((1000, 1000), dtype=bool)
    region[500, :] = True
    with pytest.raises(BurnishError, match="vanishes at 100x100"):
        fit_roi(region, 100, 100)


def test_a_packed_region_comes_back() -> None:
    region = np.random.default_rng(0).random((37, 53)) < 0.4
    packed = pack_roi(region)
    assert packed.dtype == np.uint8
    assert np.array_equal(unpack_roi(packed), region)
    with pytest.raises(BurnishError, match="roi"):
        unpack_roi(packed[: len(packed) // 2])


def test_the_region_at_a_size_is_the_fitted_one_made_once() -> None:
    region = np.zeros((40, 30), bool)
    region[5:30, 4:22] = True
    at = regions_at(region)
    assert np.array_equal(at(20, 15), fit_roi(region, 20, 15))
    assert at(20, 15) is at(20, 15)
    assert at(40, 30) is region
    assert regions_at(None)(20, 15) is None
