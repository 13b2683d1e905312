"""Fixtures shared by all tests: one small synthetic data set and one tiny trained model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from burnish import Detector
from burnish.images.synthetic.synth import write_dataset

# Small enough for seconds, whole enough to go through every line of the method.
MICRO = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32, "heads": 2,
    "depth_encoder": 1, "depth_decoder": 1, "disc_width": 32, "disc_heads": 2, "disc_depth": 2,
    "batch": 4,
}  # fmt: skip


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
def run_folder(metal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a model trained for a few steps: every part works, none is good."""
    folder = tmp_path_factory.mktemp("runs") / "micro"
    Detector.train(metal, "tiny", folder, steps=12, texture=(1, 2), fusion="scores", **MICRO)
    return folder


@pytest.fixture(scope="session")
def detector(run_folder: Path) -> Detector:
    return Detector.load(run_folder)
