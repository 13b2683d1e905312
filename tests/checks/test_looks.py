"""Outliers: few false ones, and those that are planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from burnish.checks.looks import _beyond_most


def test_a_dark_and_a_blurred_picture(clean: Path, found, surface, save) -> None:
    save(clean / "train/good/dark.png", (surface(40) * 0.15).astype(np.uint8))
    blurred = Image.fromarray(surface(41)).filter(ImageFilter.GaussianBlur(3))
    save(clean / "train/good/blurred.png", np.asarray(blurred))
    findings = found(clean)
    brightness, sharpness = findings["brightness-outlier"], findings["sharpness-outlier"]
    assert brightness.images == ("train/good/dark.png",)
    assert brightness.severity == "warning"
    assert brightness.figures["z"][0] < -10
    assert "darker" in brightness.message
    assert set(sharpness.images) == {"train/good/blurred.png", "train/good/dark.png"}
    assert "more blurred" in sharpness.message


def test_blank_images_are_errors(clean: Path, found, save) -> None:
    save(clean / "test/good/blank.png", np.full((96, 96), 255, np.uint8))
    finding = found(clean)["blank"]
    assert (finding.severity, finding.images) == ("error", ("test/good/blank.png",))


@pytest.mark.parametrize("seed", range(5))
def test_ordinary_sets_have_no_outliers(tmp_path: Path, found, surface, save, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for i in range(20):  # two settings of the light, as on real lines
        shift = rng.choice([-12, 12])
        pixels = np.clip(surface(1000 * seed + i).astype(int) + shift, 0, 255)
        save(tmp_path / f"{i}.png", pixels.astype(np.uint8))
    assert not {"brightness-outlier", "sharpness-outlier"} & set(found(tmp_path))


def test_beyond_most_by_hand() -> None:
    values = np.array([10.0, 11, 12, 13, 14, 15, 16, 17, 39, 40])
    # Of ten, two may be outside at either end: the middle is 12 to 17, the limits 7 and 22.
    assert np.flatnonzero(_beyond_most(values)).tolist() == [8, 9]
    values[0] = 7.0
    assert np.flatnonzero(_beyond_most(values)).tolist() == [8, 9]
    values[0] = 6.9
    assert np.flatnonzero(_beyond_most(values)).tolist() == [0, 8, 9]
