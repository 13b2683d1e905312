"""Training and inspecting with tiles and with a region of interest, end to end."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish import BurnishError, Detector
from burnish.detection.sizes import count_tiles, size_notes
from burnish.evaluation.evaluate import evaluate
from burnish.images.synthetic.surfaces import make_surface

BOX = "8,6 57,6 57,49 8,49"  # in px of the 64 x 64 images of `metal`


@pytest.fixture(scope="module")
def tiled(metal: Path, micro: dict, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    out = tmp_path_factory.mktemp("runs") / "tiled"
    return Detector.train(metal, "tiny", out, steps=12, tile=32, overlap=8, **micro)


@pytest.fixture(scope="module")
def boxed(metal: Path, micro: dict, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    out = tmp_path_factory.mktemp("runs") / "boxed"
    return Detector.train(metal, "tiny", out, steps=12, roi=BOX, **micro)


def a_part(metal: Path) -> np.ndarray:
    return np.array(Image.open(metal / "test" / "good" / "000.png"))


@pytest.mark.parametrize("size", [(64, 64), (100, 140), (30, 30), (32, 200)])
def test_tiles_take_images_of_any_size(tiled: Detector, size: tuple[int, int]) -> None:
    image = make_surface("brushed", (max(size[0], 32), max(size[1], 32)), np.random.default_rng(0))
    image = image[: size[0], : size[1]]
    result = tiled.inspect(image)
    assert result.anomaly_map.shape == size
    assert result.anomaly_map.dtype == np.float32
    assert result.reconstruction.shape == size
    assert result.heatmap().size == size[::-1]
    assert tiled.inspect(image).score == result.score


def test_an_image_of_clearly_more_or_fewer_tiles_is_told(tiled: Detector) -> None:
    assert tiled.card.data["tiles"] == [9, 9]  # 3 x 3 of 32 px, 8 px of them shared
    image = make_surface("brushed", (128, 128), np.random.default_rng(0))
    assert tiled.inspect(image[:64, :64]).notes == ()
    assert tiled.inspect(image[:64, :88]).notes == ()  # 12
    (more,) = tiled.inspect(image).notes
    assert more == (
        "the image has 25 tiles, those that set the threshold 9: more tiles, more false alarms"
    )
    (fewer,) = tiled.inspect(image[:32, :64]).notes
    assert fewer == (
        "the image has 3 tiles, those that set the threshold 9: fewer tiles, p-values too mild"
    )
    older = {key: value for key, value in tiled.card.data.items() if key != "tiles"}
    assert size_notes(tiled.card.model_copy(update={"data": older}), None, 128, 128) == ()


def test_only_tiles_that_show_the_region_count(tiled: Detector) -> None:
    region = np.zeros((64, 64), dtype=bool)
    region[:10, 40:] = True
    assert count_tiles(tiled.card.settings, region, 64, 64) == 2  # columns 16 to 47 and 32 to 63
    various = tiled.card.model_copy(update={"data": {"tiles": [4, 9]}})
    (note,) = size_notes(various, region, 64, 64)
    assert "has 2 tiles, those that set the threshold 4 to 9: fewer" in note


def test_a_loaded_model_judges_as_the_trained_one(
    tiled: Detector, boxed: Detector, metal: Path
) -> None:
    for made in (tiled, boxed):
        assert made.path is not None
        again = Detector.load(made.path)
        one, two = made.inspect(a_part(metal)), again.inspect(a_part(metal))
        assert one.score == two.score
        assert np.array_equal(one.anomaly_map, two.anomaly_map)


def test_clamps_and_background_outside_the_region_change_no_verdict(
    boxed: Detector, metal: Path
) -> None:
    image = a_part(metal)
    region = np.zeros((64, 64), dtype=bool)
    region[6:50, 8:58] = True
    assert np.array_equal(boxed.scorer.region(64, 64), region)
    clamped = np.where(region, image, 255).astype(np.uint8)
    one, two = boxed.inspect(image), boxed.inspect(clamped)
    assert one.score == two.score
    assert np.array_equal(one.anomaly_map, two.anomaly_map)
    assert np.array_equal(two.reconstruction[~region], clamped[~region])
    assert region[one.peak[1], one.peak[0]]
    # Twice the size: the region scales with the image.
    large = np.kron(image, np.ones((2, 2), np.uint8))
    assert np.isfinite(boxed.inspect(large).score)


def test_another_region_is_another_run(metal: Path, micro: dict, tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 8:] = 255
    Image.fromarray(mask).save(tmp_path / "roi.png")
    settings = micro | {"steps": 2, "roi": str(tmp_path / "roi.png")}
    Detector.train(metal, "tiny", tmp_path / "run", **settings)
    mask[:20] = 0
    Image.fromarray(mask).save(tmp_path / "roi.png")  # the same name, another region
    with pytest.raises(BurnishError, match="region of interest is not the same"):
        Detector.train(metal, "tiny", tmp_path / "run", resume=True, **settings)


def test_overlap_may_change_without_training_again(
    tiled: Detector, metal: Path, micro: dict
) -> None:
    assert tiled.path is not None
    before = tiled.card.calibration.scores
    again = Detector.train(metal, "tiny", tiled.path.parent, resume=True,
                           steps=12, tile=32, overlap=0, **micro)  # fmt: skip
    assert again.card.training["steps"] == 12
    assert again.card.calibration.scores != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roi": "nowhere.png"}, "neither a file nor a polygon"),
        ({"roi": "200,200 300,200 300,300"}, "marks nothing"),
        ({"tile": 40}, r"tile 40 is not a multiple of disc_patch 16|tile 40 is not a multiple"),
        ({"tile": 16}, "must be smaller than tile 16"),
        ({"tile": 32, "overlap": 20}, "overlap 20 is more than half of tile 32"),
        ({"tile": "half"}, "tile"),
    ],
)
def test_settings_that_do_not_fit(
    changes: dict, message: str, metal: Path, micro: dict, tmp_path: Path
) -> None:
    with pytest.raises(BurnishError, match=message):
        Detector.train(metal, "tiny", tmp_path / "run", steps=1,
                       **micro | {"patch": 16, "disc_patch": 16} | changes)  # fmt: skip


@pytest.mark.slow
def test_a_flaw_of_three_pixels_on_twelve_megapixels_is_found_where_it_is(
    micro: dict, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    for index in range(12):
        Image.fromarray(make_surface("rolled", (256, 256), rng)).save(tmp_path / f"{index}.png")
    detector = Detector.train(
        tmp_path, "tiny", tmp_path / "run",
        **micro | {"steps": 150, "tile": 64, "overlap": 8, "disc_patch": 16, "smoothing": 0.5},
    )  # fmt: skip
    part = make_surface("rolled", (3072, 4096), rng)
    part[1500:1503, 3001:3004] = 255
    result = detector.inspect(part)
    assert result.anomaly_map.shape == (3072, 4096)
    assert abs(result.peak[0] - 3002) <= 3
    assert abs(result.peak[1] - 1501) <= 3
    assert result.is_defect
    assert any(
        r.x <= 3002 < r.x + r.width and r.y <= 1501 < r.y + r.height and r.width < 40
        for r in result.regions
    )


def test_a_defect_outside_the_region_says_nothing_of_the_model(
    boxed: Detector, metal: Path, tmp_path: Path
) -> None:
    data = tmp_path / "metal"
    shutil.copytree(metal, data)
    whole = evaluate(boxed, data, equalised=False)
    assert whole.unreadable == ()
    crack = sorted((data / "test" / "crack").iterdir())[0]
    mask = data / "ground_truth" / "crack" / f"{crack.stem}_mask.png"
    marked = np.zeros((64, 64), np.uint8)
    marked[60:, 60:] = 255
    Image.fromarray(marked).save(mask)
    for pixels in (True, False):
        found = evaluate(boxed, data, pixels=pixels, equalised=False)
        assert found.n_defect == whole.n_defect - 1
        assert [item.path for item in found.unreadable] == [f"test/crack/{crack.name}"]
        assert "wholly outside the region of interest" in found.unreadable[0].problem
        assert found.test_fingerprint == whole.test_fingerprint
    marked[40, 40] = 255  # a pixel of it lies inside
    Image.fromarray(marked).save(mask)
    assert evaluate(boxed, data, equalised=False).n_defect == whole.n_defect
