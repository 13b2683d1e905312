"""A graph finds, turns and puts back parts as training and inspection do, to rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from burnish import Detector
from burnish.export.graph import InspectionGraph
from burnish.export.resampling import down_first
from burnish.export.turning import find_turn, put_back, turned_view
from burnish.images.alignment import Alignment
from burnish.images.alignment_learning import learn_alignment, look_at
from burnish.images.reader import read_image, resize

Picture = NDArray[np.uint8]
Part = Callable[..., Picture]


def learn(folder: Path) -> Alignment:
    looks = look_at(map(read_image, sorted(folder.iterdir())))
    found = learn_alignment(looks, (64, 64), 8, square=False, part_only=True)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def alignment(bolts: Path) -> Alignment:
    return learn(bolts)


@pytest.fixture(scope="module")
def dialled(flanges: Path) -> Alignment:
    found = learn(flanges)
    assert found.dial is not None
    return found


def draw(shape: Part, rng: np.random.Generator, longest: float, **given: float) -> Picture:
    """A part of any size at any place and angle; `longest`: of the image's shorter side."""
    size = (int(rng.integers(60, 300)), int(rng.integers(80, 400)))
    middle = size[1] * rng.uniform(0.4, 0.6), size[0] * rng.uniform(0.4, 0.6)
    length = min(size) * rng.uniform(0.6, 1.0) * longest
    return shape(size, middle, rng.uniform(-np.pi, np.pi), length, **given)


def check_view(image: Picture, alignment: Alignment) -> None:
    expected, pose = alignment.view(image, 1)
    assert pose.found
    large = torch.from_numpy(resize(image, *alignment.enlarged).astype(np.float32))[None]
    turn = find_turn(large, alignment, down_first())
    assert torch.stack(turn).tolist() == pytest.approx([pose.x, pose.y, *pose.along], abs=1e-5)
    view, counts = turned_view(large, turn, alignment)
    levels = np.abs(view.numpy() - expected)
    assert levels.max() <= 1
    assert (levels > 0).mean() < 0.002
    seen = alignment.seen(pose)
    assert counts is not None
    assert seen is not None
    np.testing.assert_allclose(counts.numpy(), seen / 255, atol=1 / 255 + 1e-6)
    assert (np.rint(counts.numpy() * 255) != seen).mean() < 0.002
    maps = expected.astype(np.float32)
    back, weight = alignment.put_back(maps, pose, *image.shape)
    found, within = put_back(torch.from_numpy(maps), turn, alignment, *image.shape)
    np.testing.assert_allclose(within.numpy(), weight, atol=1e-3)
    np.testing.assert_allclose(found.numpy(), back, atol=0.02)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("background", "part"), [(205, 90), (25, 140)])
def test_equal_to_a_level_in_a_few_pixels(
    bolt: Part, alignment: Alignment, seed: int, background: float, part: float
) -> None:
    rng = np.random.default_rng(seed)
    check_view(draw(bolt, rng, 0.8, background=background, part=part), alignment)


@pytest.mark.parametrize("seed", range(12))
def test_parts_are_turned_by_their_dial_alike(flange: Part, dialled: Alignment, seed: int) -> None:
    check_view(draw(flange, np.random.default_rng(seed), 0.35, gradient=0.2), dialled)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_without_a_part_the_view_is_that_of_training(alignment: Alignment, level: int) -> None:
    image = np.full((120, 150), level, np.uint8)
    expected, pose = alignment.view(image, 1)
    large = torch.full((1, *alignment.enlarged), float(level))
    turn = find_turn(large, alignment, down_first())
    assert torch.stack(turn).tolist() == [pose.x, pose.y, *pose.along]
    assert np.array_equal(turned_view(large, turn, alignment)[0].numpy(), expected)


def test_a_colour_image_is_turned_by_its_grey_outline(
    bolts_run: Path, bolts: Path, bolt: Part
) -> None:
    """The outline is that of the grey image; the view has all channels."""
    model = Detector.load(bolts_run).model
    card = model.card.model_copy(update={"shape": replace(model.card.shape, channels=3)})
    graph = InspectionGraph(replace(model, card=card))
    grey = bolt((120, 150), (80, 55), 0.7, 80).astype(int)
    image = np.stack([grey, grey - 20, 255 - grey], axis=2).clip(0, 255).astype(np.uint8)
    assert card.alignment is not None
    expected, pose = card.alignment.view(image, 3)
    view, _, turn = graph._turned(graph._to_channels(torch.from_numpy(image).float()))
    levels = np.abs(view.numpy() - expected)
    assert levels.max() <= 1
    assert (levels > 0).mean() < 0.002
    assert torch.stack(turn).tolist() == pytest.approx([pose.x, pose.y, *pose.along], abs=1e-5)


@dataclass(frozen=True)
class Turned:
    """A model that turns parts, its exports, and how parts are drawn.

    Attributes:
        share: length of a part (of a flange its radius), in shares of the image's height.
    """

    run: Path
    exports: Path
    part: Part
    share: float


@pytest.fixture(scope="module", params=[("bolt", 0.65), ("flange", 0.33)], ids=lambda one: one[0])
def turned(
    request: pytest.FixtureRequest,
    write_formats: Callable[[Path, Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Turned:
    name, share = request.param
    run = request.getfixturevalue(f"{name}s_run")
    exports = write_formats(run, tmp_path_factory.mktemp(name) / "exports")
    return Turned(run, exports, request.getfixturevalue(name), share)


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
def test_every_format_judges_turned_parts_alike(turned: Turned, suffix: str) -> None:
    model, exported = (
        Detector.load(path) for path in (turned.run, turned.exports / f"model{suffix}")
    )
    rng = np.random.default_rng(3)
    for number in range(16):
        size = (120, 150) if number % 4 else (200, 260)
        image = turned.part(
            size, (size[1] / 2 + 5, size[0] / 2), rng.uniform(-np.pi, np.pi),
            turned.share * size[0], seed=number,
        )  # fmt: skip
        if number % 2:
            image[size[0] // 2 - 4 : size[0] // 2 + 4, size[1] // 2 : size[1] // 2 + 9] = 255
        one, two = model.inspect(image), exported.inspect(image)
        assert two.score == pytest.approx(one.score, rel=1e-4)
        assert two.is_defect == one.is_defect
        assert two.peak == pytest.approx(one.peak, abs=1)
        height = float(np.abs(one.anomaly_map).max())
        # Where the view ends, a pixel may lie just in or just out.
        far = np.abs(two.anomaly_map - one.anomaly_map) > 1e-3 * height
        assert far.mean() < 1e-3
        levels = np.abs(two.reconstruction.astype(int) - one.reconstruction.astype(int))
        assert (levels > 1).mean() < 1e-3
        assert (levels > 0).mean() < 0.02
        assert two.notes == one.notes
    empty = np.full((120, 150), 205, np.uint8)
    assert exported.inspect(empty).score == pytest.approx(model.inspect(empty).score, rel=1e-4)
