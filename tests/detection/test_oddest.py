"""The held-out part that alone sets the threshold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish import Detector
from burnish.detection.oddest import Oddest, find_oddest

NAMES = [f"{number}.png" for number in range(8)]


def found(scores: list[float], parts: str = "abcdefgh", threshold: float = 10.0) -> Oddest | None:
    return find_oddest(NAMES, list(parts), scores, threshold)


def test_one_that_stands_apart() -> None:
    assert found([1, 2, 3, 10, 3, 2, 1, 5]) == Oddest("3.png", 10, 5)  # the median is 2.5


@pytest.mark.parametrize(
    ("scores", "parts", "threshold"),
    [
        ([1, 2, 3, 10, 3, 2, 1, 7], "abcdefgh", 10),  # the next is near
        ([1, 2, 3, 10, 3, 2, 1, 9], "abcdefga", 10),
        ([1, 2, 3, 10, 3, 2, 1, 5], "aaaabbbb", 10),  # two parts: which is the odd one?
        ([1, 2, 3, 10, 3, 2, 1, 5], "abcdefgh", 5),  # it does not set the threshold
        ([4] * 8, "abcdefgh", 4),
    ],
)
def test_none_that_does(scores: list[float], parts: str, threshold: float) -> None:
    assert found(scores, parts, threshold) is None


def test_images_of_one_part_are_no_company() -> None:
    """Three images of one odd part score alike: the next part counts."""
    assert found([1, 2, 3, 10, 9, 9.5, 1, 4], "abcdddef") == Oddest("3.png", 10, 4)


def test_a_defective_part_among_the_good_ones_is_named(
    metal: Path, micro: dict, tmp_path: Path, burnish_info: Callable[[Path], str]
) -> None:
    good = tmp_path / "good"
    shutil.copytree(metal / "train/good", good)
    settings = micro | {"seed": 2}
    first = Detector.train(good, "tiny", tmp_path / "first", steps=8, **settings)
    assert first.card.data["oddest"] is None
    name = first.card.data["held_out"][1]
    pixels = np.array(Image.open(good / name))
    pixels[20:44, 20:44] = 255 - pixels[20:44, 20:44]
    Image.fromarray(pixels).save(good / name)
    said: list[str] = []
    second = Detector.train(
        good, "tiny", tmp_path / "second", steps=8, **settings,
        on_stage=lambda stage: said.append(stage.message),
    )  # fmt: skip
    assert second.card.data["oddest"]["name"] == name
    assert any(f"one held-out image alone, {name}" in message for message in said)
    assert Detector.load(tmp_path / "second").card.data["oddest"]["name"] == name
    assert name in burnish_info(tmp_path / "second")
    assert "odd one out" not in burnish_info(tmp_path / "first")


@pytest.fixture
def burnish_info() -> Callable[[Path], str]:
    from typer.testing import CliRunner

    from burnish.cli.main import app

    return lambda run: CliRunner().invoke(app, ["info", str(run)]).output
