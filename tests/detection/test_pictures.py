"""Heat maps on the calibrated scale, panels, and files that are whole or not there."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from burnish.detection.pictures import heat, heatmap, outline, panels, residual, save_picture
from burnish.detection.ranges import Unlike
from burnish.detection.result import WHOLE, Region, Result, Speed
from burnish.errors import BurnishError

LOW, HIGH = 2.0, 6.0


def result(height: int = 20, width: int = 30, colour: bool = False, **changes: object) -> Result:
    rng = np.random.default_rng(0)
    shape = (height, width, 3) if colour else (height, width)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    made = Result(
        path=Path("part.png"), is_defect=False, score=1.5, threshold=2.0, p_value=0.25, regions=(),
        peak=(0, 0), block=16, scale_scores=(1.0,),
        anomaly_map=np.zeros((height, width), np.float32),
        reconstruction=np.clip(image.astype(int) + 7, 0, 255).astype(np.uint8), image=image,
        heat_range=(LOW, HIGH), pixel_threshold=4.0, speed=Speed(1, 2, 3, 4),
    )  # fmt: skip
    return replace(made, **changes)


def luma(image: np.ndarray) -> np.ndarray:
    grey = np.asarray(Image.fromarray(image).convert("L"))
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("colour", [False, True])
def test_a_map_below_heat_low_leaves_the_grey_part_untouched(colour: bool) -> None:
    part = result(colour=colour)
    cold = np.random.default_rng(1).uniform(-50, LOW, part.anomaly_map.shape).astype(np.float32)
    picture = heatmap(replace(part, anomaly_map=cold))
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), luma(part.image))


def test_heat_is_the_calibrated_scale_clipped_at_its_ends() -> None:
    values = np.array([[-9, 2, 3, 4, 5, 6, 99]], np.float32)
    assert heat(values, (LOW, HIGH)).tolist() == [[0, 0, 0.25, 0.5, 0.75, 1, 1]]


def test_hot_pixels_are_three_quarters_turbo() -> None:
    part = result()
    hot = replace(part, anomaly_map=np.full((20, 30), 1e3, np.float32))
    red = np.array(colormaps["turbo"](1.0)[:3]) * 255
    expected = np.round(0.25 * luma(part.image) + 0.75 * red)
    np.testing.assert_allclose(np.asarray(heatmap(hot)), expected, atol=1)


def test_colour_does_not_depend_on_the_rest_of_the_image() -> None:
    part = result()
    one, other = np.zeros((20, 30), np.float32), np.zeros((20, 30), np.float32)
    one[4, 5] = other[4, 5] = 4.3
    other[10:] = 1e6  # were maps stretched by image, this would cool the spot down
    pictures = [np.asarray(heatmap(replace(part, anomaly_map=m))) for m in (one, other)]
    assert np.array_equal(pictures[0][4, 5], pictures[1][4, 5])
    assert not np.array_equal(pictures[0][4, 5], luma(part.image)[4, 5])
    assert np.array_equal(pictures[0][0], luma(part.image)[0])


def test_residual_is_four_times_the_difference() -> None:
    part = result()
    difference = np.abs(part.image.astype(int) - part.reconstruction.astype(int))
    assert np.array_equal(np.asarray(residual(part)), np.minimum(4 * difference, 255))


def test_residual_of_colours_is_that_of_the_channel_that_differs_most() -> None:
    part = result(colour=True)
    difference = np.abs(part.image.astype(int) - part.reconstruction.astype(int)).max(axis=2)
    assert np.array_equal(np.asarray(residual(part)), np.minimum(4 * difference, 255))
    grey = luma(part.image)[..., 0]  # a model of grey tells nothing of colour
    assert not np.asarray(residual(replace(part, reconstruction=grey))).any()


def test_nothing_outside_the_region_is_coloured() -> None:
    inside = np.zeros((20, 30), dtype=bool)
    inside[5:12, 3:9] = True
    part = result(anomaly_map=np.full((20, 30), 1e3, np.float32), inside=inside)
    changed = (np.asarray(heatmap(part)) != luma(part.image)).any(axis=2)
    assert np.array_equal(changed, inside)


def test_a_defect_without_a_region_has_a_ring_round_its_peak() -> None:
    part = result(200, 300, is_defect=True, peak=(120, 80))
    drawn = np.asarray(outline(Image.new("RGB", (300, 200)), part))[..., 0] > 0
    ys, xs = np.nonzero(drawn)
    assert (xs.min() + xs.max()) / 2 == pytest.approx(120, abs=1)
    assert (ys.min() + ys.max()) / 2 == pytest.approx(80, abs=1)
    assert not drawn[80, 120]
    whole = replace(part, evidence=WHOLE)
    assert not np.asarray(outline(Image.new("RGB", (300, 200)), whole)).any()


def test_of_many_regions_the_worst_ten_are_boxed() -> None:
    regions = tuple(Region(40 * i, 90, 5, 5, 9.0 - i / 100) for i in range(14))
    part = result(200, 600, is_defect=True, regions=regions)
    drawn = np.asarray(outline(Image.new("RGB", (600, 200)), part))[..., 0] > 0
    assert drawn[:, :385].any()
    assert not drawn[:, 385:].any()
    few = replace(part, regions=regions[:10])
    assert panels(part).height > panels(few).height  # a line says that there are more


def test_panels_show_up_to_640_px_of_a_side() -> None:
    wide = [panels(result(side, side)).width for side in (100, 320, 500, 640, 2000)]
    assert wide == [4 * side + 60 for side in (320, 320, 500, 640, 640)]


def test_a_notebook_shows_the_panels_and_print_no_pixels() -> None:
    part = result(200, 300)
    with Image.open(io.BytesIO(part._repr_png_())) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(panels(part)))
    assert len(repr(part)) < 600
    assert "array" not in repr(part)


def test_outline_draws_each_region() -> None:
    regions = (Region(3, 4, 6, 5, 9.0), Region(20, 10, 2, 2, 5.0))
    part = result(regions=regions, is_defect=True)
    drawn = np.asarray(outline(Image.new("RGB", (30, 20)), part))[..., 0] > 0
    expected = np.zeros((20, 30), bool)
    expected[3:10, 2:10] = True  # round the region, which stays in sight
    expected[4:9, 3:9] = False
    expected[9:13, 19:23] = True
    expected[10:12, 20:22] = False
    assert np.array_equal(drawn, expected)
    good = Image.new("RGB", (30, 20))
    assert not np.asarray(outline(good, result(regions=regions))).any()


def test_panels_show_part_reconstruction_residual_and_heat_map() -> None:
    part = result(height=160, width=320)  # shown at its own size
    canvas = np.asarray(panels(part))
    top, gap = 40, 12
    expected = (luma(part.image), luma(part.reconstruction), luma(np.asarray(residual(part))))
    for index, panel in enumerate(expected):
        left = gap + index * (320 + gap)
        assert np.array_equal(canvas[top : top + 160, left : left + 320], panel)
    left = gap + 3 * (320 + gap)
    assert np.array_equal(canvas[top : top + 160, left : left + 320], np.asarray(heatmap(part)))


def test_verdict_is_written_in_its_colour() -> None:
    def headline(part: Result) -> np.ndarray:
        head = np.asarray(panels(part))[:38].reshape(-1, 3).astype(int)
        ink = head[head.sum(axis=1) < 700]
        assert len(ink) > 50
        return ink.mean(axis=0)

    good, bad = headline(result()), headline(result(is_defect=True))
    assert good[1] > good[0]  # greenish
    assert bad[0] > bad[1]  # reddish


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (2000, 1), (3, 2), (5, 4000)])
def test_tiny_and_extreme_images_work(size: tuple[int, int], colour: bool, tmp_path: Path) -> None:
    part = result(*size, colour=colour, is_defect=True, regions=(Region(0, 0, 1, 1, 9.0),))
    assert part.heatmap().size == size[::-1]
    part.save(tmp_path / "report.png")
    with Image.open(tmp_path / "report.png") as picture:
        assert picture.mode == "RGB"
        assert picture.width >= 560


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.jpeg", "JPEG"), ("a.bmp", "BMP"), ("a.tif", "TIFF"),
     ("a.tiff", "TIFF"), ("a.webp", "WEBP")],
)  # fmt: skip
def test_save_by_suffix_into_a_new_folder(name: str, format: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / name
    assert result().save(path) == path
    with Image.open(path) as picture:
        assert picture.format == format
        assert picture.size == panels(result()).size
    assert [p.name for p in path.parent.iterdir()] == [name]  # no part file stays


def test_png_keeps_every_pixel(tmp_path: Path) -> None:
    result().save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(panels(result())))


@pytest.mark.parametrize("name", ["report", "report.txt", "report.gif", "report.png.exe"])
def test_unknown_suffix(name: str, tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match=r"\.png"):
        result().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_save_keeps_the_old_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    result().save(path)
    before = path.read_bytes()
    with pytest.raises(BurnishError, match="cannot write"):
        save_picture(Image.new("RGBA", (4, 4)), path)  # JPEG has no alpha
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]


def test_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BurnishError, match="cannot write"):
        result().save(tmp_path / "file" / "a.png")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({}, ""),
        ({"is_defect": True, "peak": (3, 9)}, "near 3,9"),
        (
            {"is_defect": True, "evidence": "whole surface", "peak": (3, 9)},
            "whole surface, most near 3,9",
        ),
        ({"is_defect": True, "regions": (Region(3, 4, 6, 5, 9.0),)}, "3,4 6x5"),
        ({"is_defect": True, "regions": (Region(3, 4, 6, 5, 9.0),) * 3}, "3,4 6x5 (+2)"),
        ({"regions": (Region(3, 4, 6, 5, 9.0),)}, ""),  # a good part has no defect's place
    ],
)
def test_where_names_the_worst_region_or_the_peak(changes: dict[str, object], where: str) -> None:
    assert result(**changes).where == where


def test_to_dict_is_plain_json() -> None:
    part = result(is_defect=True, regions=(Region(3, 4, 6, 5, 9.0),))
    found = json.loads(json.dumps(part.to_dict(), allow_nan=False))
    assert found["path"] == "part.png"
    assert found["verdict"] == "defect"
    assert found["regions"] == [{"x": 3, "y": 4, "width": 6, "height": 5, "peak": 9.0}]
    assert (found["height"], found["width"]) == (20, 30)
    assert found["speed_ms"] == {
        "read": 1, "preprocess": 2, "inference": 3, "postprocess": 4
    }  # fmt: skip
    assert part.speed.total == 10
    assert replace(part, path=None).to_dict()["path"] is None


def test_a_part_unlike_the_training_images_says_so_in_its_picture() -> None:
    plain = panels(result())
    unlike = (
        Unlike("mean", "mean brightness", 60, 100, 140, -5.0),
        Unlike("spread", "spread of brightness", 36, 20, 30, 3.0),
    )
    told = panels(result(out_of_range=unlike))
    assert told.height == plain.height + 36  # two lines more, the rest as it was
    below = np.asarray(told)[40 + 36 :, : plain.width]
    np.testing.assert_array_equal(below, np.asarray(plain)[40:])
    lines = np.asarray(told)[36:72]
    assert (lines < 200).any(axis=2).sum() > 300  # ink


def test_a_surface_that_is_wrong_as_a_whole_says_so_in_its_picture() -> None:
    everywhere = {"is_defect": True, "regions": ()}
    plain, told = panels(result(**everywhere)), panels(result(**everywhere, evidence=WHOLE))
    assert told.height == plain.height + 18
    alike = 12 + 3 * (320 + 12)  # but the heat map, where the other has a ring round its peak
    below = np.asarray(told)[40 + 18 :, :alike]
    np.testing.assert_array_equal(below, np.asarray(plain)[40:, :alike])
    assert (np.asarray(told)[36:54] < 200).any(axis=2).sum() > 150  # ink


@pytest.mark.parametrize("name", ["Teil ü 3.png", "odd\udcff.png", "long" * 50 + ".png"])
def test_the_picture_names_its_file(name: str) -> None:
    told, plain = (np.asarray(panels(result(path=p))) for p in (Path(name), None))
    assert told.shape == plain.shape
    changed = (told != plain).any(axis=2)
    assert changed.sum() > 30  # ink
    rows, columns = np.nonzero(changed)
    assert rows.max() < 40
    verdict = np.nonzero((plain[:36] < 200).any(axis=(0, 2)))[0].max()
    assert columns.min() > verdict
