"""Models that inspect tiles, exported: as many tiles as an image asks for, and the same verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from burnish import Detector
from burnish.errors import BrokenModel, BurnishError
from burnish.export.export import export_model
from burnish.export.exported import load_exported
from burnish.export.graph import TOLERANCE, Outputs, least_size
from burnish.export.metadata import describe
from burnish.export.parity import compare, gate_images
from burnish.export.tiled import TiledGraph, mirrored, spread
from burnish.export.write import to_onnx, trace, write_openvino
from burnish.images.tiles import cut, starts

TILE = 32
SUFFIXES = (".onnx", ".xml", ".pt2")


@pytest.mark.parametrize("tile", [16, 32])
@pytest.mark.parametrize("overlap", [0, 1, 5, 8])
def test_tiles_lie_where_burnish_cuts_them(tile: int, overlap: int) -> None:
    for length in [*range(tile, 6 * tile), 32_768]:
        expected = starts(length, tile, overlap)
        numbers = torch.arange(len(expected))
        assert spread(numbers, length, tile, len(expected)).tolist() == expected


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16])
def test_a_tile_is_filled_as_burnish_fills_it(length: int) -> None:
    side = np.arange(length, dtype=np.uint8)
    expected = cut(np.repeat(side[:, None], 16, axis=1), 0, 0, 16)[:, 0]
    places = mirrored(torch.arange(16), torch.tensor(length))
    assert side[places.numpy()].tolist() == expected.tolist()


@pytest.fixture(scope="module")
def surface(micro: dict, metal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: tiles of grey images that are larger."""
    folder = tmp_path_factory.mktemp("surface") / "run"
    changes = {
        "steps": 8, "tile": TILE, "overlap": 8, "fusion": "highest", "extremes": True,
        "texture": ("residual:1", "image:2"), "texture_factors": 2, "whole": True,
    }  # fmt: skip
    Detector.train(metal, "tiny", folder, **{**micro, **changes})
    return folder


@pytest.fixture(scope="module")
def surface_exports(
    surface: Path, write_formats: Callable, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write_formats(surface, tmp_path_factory.mktemp("surface") / "exports")


@pytest.fixture(scope="module")
def plate(micro: dict, metal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: tiles of colour images with a region of interest."""
    folder = tmp_path_factory.mktemp("plate")
    (folder / "good").mkdir()
    rng = np.random.default_rng(0)
    for path in sorted((metal / "train" / "good").iterdir())[:12]:
        grey = np.asarray(Image.open(path)).astype(int)[:, :48]
        tinted = np.stack([grey, grey - 20, grey + rng.integers(0, 9, grey.shape)], axis=2)
        Image.fromarray(tinted.clip(0, 255).astype(np.uint8)).save(folder / "good" / path.name)
    changes = {
        "steps": 6, "tile": TILE, "overlap": 16, "roi": "6,5 41,8 41,58 6,49", "fusion": "highest",
        "standardise": "none", "hidden_tokens": "drop", "texture": ("image:1", "colour:2"),
        "whole": True, "lines": (1,),
    }  # fmt: skip
    Detector.train(folder / "good", "tiny", folder / "run", **{**micro, **changes})
    return folder / "run"


@pytest.fixture(scope="module")
def plate_exports(
    plate: Path, write_formats: Callable, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write_formats(plate, tmp_path_factory.mktemp("plate") / "exports")


def assert_same(model: Detector, exported: Detector, image: NDArray[np.uint8]) -> None:
    one, two = model.inspect(image), exported.inspect(image)
    assert two.score == pytest.approx(one.score, abs=1e-5 * model.threshold)
    assert two.is_defect == one.is_defect
    assert two.block == one.block
    assert two.peak == pytest.approx(one.peak)
    assert two.scale_scores == pytest.approx(one.scale_scores, abs=1e-4 * model.threshold)
    assert two.anomaly_map.shape == one.anomaly_map.shape
    height = float(np.abs(one.anomaly_map).max())
    np.testing.assert_allclose(two.anomaly_map, one.anomaly_map, atol=1e-5 * height)
    levels = np.abs(two.reconstruction.astype(int) - one.reconstruction)
    assert levels.max() <= 1  # where a blend lies between two
    assert (levels > 0).mean() < 0.01


def test_every_format_takes_any_size_from_a_tile_on(surface: Path, surface_exports: Path) -> None:
    """In one test, that the files are written once, as are those below."""
    model = Detector.load(surface)
    images = gate_images(model.card, None).all
    small = np.full((TILE - 1, 64), 120, np.uint8)
    assert model.inspect(small).score > 0
    for suffix in SUFFIXES:
        exported = load_exported(surface_exports / f"model{suffix}")
        for size in ((64, 64), (32, 32), (32, 90), (33, 40), (150, 97)):
            rng = np.random.default_rng(sum(size))
            assert_same(model, exported, rng.integers(60, 190, size, dtype=np.uint8))
        large = np.full((150, 150), 120, np.uint8)
        assert exported.inspect(large).notes == model.inspect(large).notes
        assert "more tiles" in exported.inspect(large).notes[-1]
        parity = compare(model, exported, images, TOLERANCE)
        assert parity.passed
        assert len(parity.images) == len(images) > 16
        assert exported.metadata.input.endswith("32 px a side or more")
        with pytest.raises(BurnishError, match=r"tiles of 32 px.*has 64 x 31 px"):
            exported.inspect(small)


def test_every_format_takes_colour_with_a_region_of_interest(
    plate: Path, plate_exports: Path
) -> None:
    """Some tiles lie outside the region; and some images are smaller than a tile."""
    model = Detector.load(plate)
    for suffix in SUFFIXES:
        exported = load_exported(plate_exports / f"model{suffix}")
        for size in ((64, 48), (200, 150), (31, 24), (20, 15)):
            rng = np.random.default_rng(sum(size))
            assert_same(model, exported, rng.integers(0, 256, (*size, 3), dtype=np.uint8))


def test_a_region_thinner_than_a_tile_shows(plate: Path) -> None:
    """At a tile's size none of it would be left."""
    model = Detector.load(plate).model
    thin = np.zeros((64, 48), dtype=np.bool_)
    thin[20, 3:40] = True
    narrowed = replace(model, roi=thin)
    image = np.random.default_rng(1).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    with torch.no_grad():
        found = Outputs(*TiledGraph(narrowed)(torch.from_numpy(image)))
    expected = Detector(narrowed).inspect(image)
    assert float(found.score) == pytest.approx(expected.score, rel=1e-5)
    np.testing.assert_allclose(found.anomaly_map, expected.anomaly_map, rtol=1e-4, atol=1e-5)


def test_images_that_were_smaller_are_taken(surface: Path, plate: Path) -> None:
    card = Detector.load(surface).card
    assert card.data["smallest"] == [64, 64]
    assert least_size(card) == TILE
    for smallest in ([64, 31], [31, 64]):
        smaller = card.model_copy(update={"data": card.data | {"smallest": smallest}})
        assert least_size(smaller) == 1
    older = {key: value for key, value in card.data.items() if key != "smallest"}
    assert least_size(card.model_copy(update={"data": older})) == 1
    assert least_size(Detector.load(plate).card) == 1  # masked anyway


@pytest.mark.parametrize("tiles", [False, True])
def test_a_score_that_is_no_number_stays_none(
    run_folder: Path, surface: Path, tmp_path: Path, tiles: bool
) -> None:
    """OpenVINO's clamps and maxima drop NaN: a broken network would call every part good."""
    file = (surface if tiles else run_folder) / "model.safetensors"
    model = Detector.load(file).model
    with torch.no_grad():
        model.generator.encoder.embed.position.fill_(torch.nan)
    record = describe(model, file, "float32", TOLERANCE, {})
    write_openvino(to_onnx(trace(model)), record, tmp_path / "m.xml")
    with pytest.raises(BrokenModel, match="no finite number"):
        load_exported(tmp_path / "m.xml").inspect(np.full((64, 64), 120, np.uint8))


def test_int8_does_not_reach_into_loops(surface: Path, tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="does not reach into loops"):
        export_model(surface, "onnx", tmp_path / "m.onnx", int8=True)
    assert list(tmp_path.iterdir()) == []


def test_an_older_torch_is_told(surface: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "burnish.export.tiled", None)
    with pytest.raises(BurnishError, match="cannot export models that inspect tiles: update torch"):
        trace(Detector.load(surface).model)
