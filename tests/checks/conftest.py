"""Small data sets with one thing wrong each, made on procedural metal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.checks.check import Check, check
from burnish.checks.finding import Finding
from burnish.checks.sources import open_data

Surface = Callable[[int], np.ndarray]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def surface() -> Surface:
    """Grain, streaks and light of a ground surface: uint8 (96, 96), another one for each seed."""

    def make(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        grain = rng.normal(0, 9, (96, 96)) + np.repeat(rng.normal(0, 7, (1, 96)), 96, axis=0)
        coarse = Image.fromarray(rng.normal(128, 14, (6, 6)).astype(np.float32))
        light = np.asarray(coarse.resize((96, 96), Image.Resampling.BICUBIC))
        return np.clip(light + grain, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def save() -> Callable[..., Path]:
    """Write an array as an image file, folders and all."""

    def write(path: Path, pixels: np.ndarray, **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    return write


@pytest.fixture
def clean(tmp_path: Path, surface: Surface, save: Callable[..., Path]) -> Path:
    """MVTec AD layout, 24 good to learn from, 12 good and 12 scratched to test, nothing wrong."""
    root = tmp_path / "clean"
    for i in range(24):
        save(root / "train" / "good" / f"{i:02}.png", surface(i))
    for i in range(12):
        save(root / "test" / "good" / f"{i:02}.png", surface(100 + i))
        image, mask = surface(200 + i), np.zeros((96, 96), np.uint8)
        image[40:42, 20:60], mask[40:42, 20:60] = 90, 255
        save(root / "test" / "scratch" / f"{i:02}.png", image)
        save(root / "ground_truth" / "scratch" / f"{i:02}_mask.png", mask)
    return root


@pytest.fixture
def checked() -> Callable[..., Check]:
    """Open and check; 20 % false alarms unless told otherwise, which the small sets suffice for.

    Every image made here is a part of its own, and the check is told so unless `known` is False.
    """

    def run(
        path: Path, part: str = "", form: str = "", false_alarms: float = 0.2, known: bool = True
    ) -> Check:
        with open_data(path, form, part) as data:
            return check(replace(data, parts_named=known or data.parts_named), false_alarms)

    return run


@pytest.fixture
def found(checked: Callable[..., Check]) -> Callable[..., dict[str, Finding]]:
    """Findings of a check by code; those of one code must not come twice."""

    def run(path: Path, **options: object) -> dict[str, Finding]:
        findings = checked(path, **options).findings
        by_code = {finding.code: finding for finding in findings}
        assert len(by_code) == len(findings)
        return by_code

    return run


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """One of the real archives, or the test is skipped."""

    def archive(name: str) -> Path:
        if not (SHARED / name).is_file():
            pytest.skip(f"{SHARED / name} is not here")
        return SHARED / name

    return archive
