"""Settings that cannot take effect are told, and none that can."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish import Detector
from burnish.configuration import make_settings, preset_names
from burnish.detection.unreached import find_cut_warmup, find_unreached


def test_settings_that_cannot_take_effect_are_told(
    metal: Path, micro: dict, tmp_path: Path
) -> None:
    told: list[str] = []
    changes = micro | {"steps": 4, "warmup": 5, "tome_r": 9, "weight_adversarial": 1.0}
    Detector.train(
        metal, "tiny", tmp_path / "a", on_stage=lambda s: told.append(s.message), **changes
    )
    assert any("warmup is 5 steps and the training has 4:" in m for m in told)
    assert any("merges no more than half of its tokens" in m and "has 16" in m for m in told)
    told.clear()
    changes |= {"warmup": 4, "tome_r": 8}
    Detector.train(
        metal, "tiny", tmp_path / "b", on_stage=lambda s: told.append(s.message), **changes
    )
    assert not any("warmup" in message or "merges" in message for message in told)


def test_hues_of_grey_images_are_told() -> None:
    settings = make_settings("small", {"texture": "image:1, colour:2"})
    assert find_unreached(settings, "small", 1000, 100, (3, 256, 256)) == []
    (told,) = find_unreached(settings, "small", 1000, 100, (1, 256, 256))
    assert told == "texture colour:2 does nothing: the network sees grey images"


@pytest.mark.parametrize("preset", preset_names())
def test_presets_ask_for_nothing_that_is_not_done(preset: str) -> None:
    assert find_unreached(make_settings(preset), preset, 1000, 100, (1, 256, 256)) == []


@pytest.mark.parametrize(
    ("preset", "changes", "told"),
    [
        (
            "small",
            {"disc_depth": 3, "tome_r": 4},
            "disc_depth=3, tome_r=4 do nothing: needed is a discriminator",
        ),
        ("small", {"disc_depth": 3, "weight_adversarial": 1}, ""),
        ("small", {"disc_depth": 4}, ""),  # as in the preset
        ("small", {"tome_r": 0}, ""),
        ("tiny", {"epochs": 3, "steps": 20, "warmup": 0}, "epochs=3 does nothing: steps=20 says"),
        ("tiny", {"epochs": 3}, ""),
        ("small", {"overlap": 16}, "overlap=16 does nothing: needed is tiles"),
        ("small", {"overlap": 16, "tile": 128}, ""),
        ("tiny", {"tile": 64, "image_size": 96}, "image_size=96 does nothing: needed is tile=full"),
        (
            "small",
            {"texture": "residual:8", "texture_factors": 4},
            "texture_factors=4 does nothing: needed is a texture of the image",
        ),
        ("tiny", {"whole": True}, "whole=True does nothing: needed is texture and"),
        ("tiny", {"extremes": True}, "extremes=True does nothing: needed is fusion=highest"),
        ("tiny", {"top_share": 0.1}, "top_share=0.1 does nothing: needed is reduction=top"),
        ("small", {"holdout": 0.3, "folds": 5}, "holdout=0.3 does nothing: needed is folds=0"),
        ("small", {"holdout": 0.3}, ""),
        ("tiny", {"batch": 101}, "batch is 101, but there are 100 to learn from"),
        ("tiny", {"batch": 100}, ""),
    ],
)
def test_what_was_set_but_needs_more(preset: str, changes: dict, told: str) -> None:
    settings = make_settings(preset, changes)
    found = find_unreached(settings, preset, 1000, 100, (1, 256, 256))
    assert len(found) == bool(told)
    assert told in "".join(found)


def test_minutes_that_end_within_the_warm_up() -> None:
    settings = make_settings("tiny", {"minutes": 1, "warmup": 50})
    assert "ended after 49 steps, within a warm-up of 50" in find_cut_warmup(settings, 10**9, 49)[0]
    assert find_cut_warmup(settings, 10**9, 50) == []
    assert find_cut_warmup(settings, 49, 49) == []  # told before


def test_it_is_told_when_training_is_over(metal: Path, micro: dict, tmp_path: Path) -> None:
    told: list[str] = []
    Detector.train(
        metal, "tiny", tmp_path, minutes=0.001, warmup=10**6, **micro,
        on_stage=lambda stage: told.append(stage.message),
    )  # fmt: skip
    assert sum("within a warm-up of 1000000" in message for message in told) == 1
