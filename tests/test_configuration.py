"""Presets and single changes: what is offered, what is refused, what replaces what."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from burnish.configuration import (
    as_value,
    make_settings,
    parse_assignments,
    preset_names,
    validate_settings,
)
from burnish.errors import BurnishError

# Sensors 2023, 23(23), 9381; section 3.2 unless said otherwise.


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("learning_rat", "learning_rate"), ("mask_block", "mask_blocks"), ("epoch", "epochs"),
     ("tome", "tome_r"), ("smooth", "smoothing"), ("false_alarm", "false_alarms")],
)  # fmt: skip
def test_unknown_setting_offers_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(BurnishError, match=f"no setting '{wrong}'. Did you mean '{right}'"):
        make_settings("tiny", {wrong: 1})


@pytest.mark.parametrize("wrong", ["zzz", "lr", "threshold"])
def test_unknown_setting_unlike_any_offers_nothing(wrong: str) -> None:
    with pytest.raises(BurnishError, match=f"no setting '{wrong}'") as error:
        make_settings("tiny", {wrong: 1})
    assert "Did you mean" not in str(error.value)
    assert "burnish presets tiny" in str(error.value)


def test_unknown_preset_offers_the_nearest() -> None:
    with pytest.raises(BurnishError, match=r"no preset 'papr'. Did you mean 'paper'.*small, tiny"):
        make_settings("papr")
    with pytest.raises(BurnishError, match="no preset"):
        make_settings("../presets/tiny")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"batch": 0}, "batch.*given: 0"),
        ({"batch": 2.5}, r"batch.*given: 2\.5"),
        ({"batch": "many"}, "batch.*given: 'many'"),
        ({"skip": "inner"}, "skip.*'none', 'outer' or 'all'.*given: 'inner'"),
        ({"false_alarms": 1}, "false_alarms.*given: 1"),
        ({"holdout": 0}, "holdout"),
        ({"ema": 1.0}, "ema"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"minutes": math.inf}, "minutes"),  # JSON, and so the model file, has no infinity
        ({"smoothing": math.inf}, "smoothing"),
        ({"seed": -1}, "seed"),
        ({"part_pattern": "("}, "part_pattern.*not a regular expression"),
        ({"mask_blocks": ()}, "mask_blocks needs at least one"),
        ({"mask_blocks": (0, 8)}, "each 1 px or more"),
        ({"mask_blocks": (8, 8)}, "names a scale twice"),
        ({"lines": [0]}, "lines"),
        ({"lines": [2, 1, 2], "fusion": "scores"}, "names a width twice"),
        ({"lines": 1, "fusion": "paper"}, "texture, lines and features add maps"),
        ({"texture": [1, 2]}, "texture: 1 is no texture: name each as image:4"),
        ({"texture": "image:1,residual:65"}, "'residual:65' is no texture"),
        ({"texture": 4}, "4 is no texture"),
        ({"texture": ["image:1\n"]}, "is no texture"),
        ({"texture": "image:1, image:1", "fusion": "scores"}, "names one twice"),
        ({"mask_blocks": (8, 256)}, "smaller than image_size 256"),
        (
            {"image_size": "auto", "patch": 24},
            "auto .256 px or more. is not a multiple of patch 24",
        ),
        ({"image_size": 250}, "250 is not a multiple of patch 16: 240 would be"),
        ({"image_size": 272, "disc_patch": 32}, "not a multiple of disc_patch 32: 256 would be"),
        ({"heads": 3}, " width 512 is not a multiple of heads, 3: 510 would be"),
        ({"disc_heads": 3}, "disc_width 512 is not a multiple of disc_heads, 3: 510 would be"),
        ({"width": 510, "heads": 1}, " width 510 is not a multiple of 4"),
        ({"disc_width": 510, "disc_heads": 1}, "disc_width 510 is not a multiple of 4"),
        ({"skip": "all", "depth_encoder": 3}, "depth_encoder equal to depth_decoder"),
        (
            {"weight_adversarial": 0, "weight_latent": 0, "weight_consistency": 0},
            "nothing to learn",
        ),
        (
            {
                "weight_adversarial": 0,
                "weight_latent": 0,
                "weight_l1": 0,
                "weight_ssim": 0,
                "weight_gradient": 0,
            },
            "nothing to learn",
        ),
        ({"skip": "x", "batch": 0}, "skip.*; batch"),  # all mistakes at once
    ],
)
def test_bad_values_are_told(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(BurnishError, match=complaint):
        make_settings("paper", changes)


def test_a_discriminator_that_is_not_built_refuses_nothing() -> None:
    changes = {"image_size": 272, "patch": 16, "mask_blocks": (16, 32), "disc_width": 510}
    settings = make_settings("small", {**changes, "disc_patch": 32, "disc_heads": 7})
    assert (settings.image_size, settings.weight_adversarial) == (272, 0)
    with pytest.raises(BurnishError, match="not a multiple of disc_patch 32"):
        make_settings("small", {**changes, "disc_patch": 32, "weight_adversarial": 1})


def test_a_saved_setting_this_version_does_not_know() -> None:
    with pytest.raises(BurnishError, match="colour_space"):
        validate_settings({"colour_space": "lab"})


def test_one_of_the_lengths_must_be_given() -> None:
    with pytest.raises(BurnishError, match="epochs, steps and minutes"):
        make_settings("paper", {"epochs": None})


# --- lengths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "lengths"),
    [
        ({}, (500, None, None)),
        ({"steps": 9}, (None, 9, None)),
        ({"epochs": 3}, (3, None, None)),
        ({"minutes": 2}, (None, None, 2)),
        ({"minutes": 2, "epochs": 7}, (7, None, 2)),
        ({"steps": None, "minutes": None}, (500, None, None)),  # nothing was asked for
    ],
)
def test_a_given_length_replaces_the_presets(
    changes: dict[str, object], lengths: tuple[object, ...]
) -> None:
    settings = make_settings("paper", changes)
    assert (settings.epochs, settings.steps, settings.minutes) == lengths


# --- --set ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8), ("1e-3", 1e-3), ("-0.5", -0.5), ("true", True), ("none", "none"),
        ("null", None), ("8,16", [8, 16]), ("[8, 16]", [8, 16]), ("all", "all"), ('"all"', "all"),
        ("", ""), (r"^(kos\d+)_", r"^(kos\d+)_"), ("a=b", "a=b"), (r"[a-z]+\d", r"[a-z]+\d"),
    ],
)  # fmt: skip
def test_parse_assignments(text: str, value: object) -> None:
    found = parse_assignments([f"key={text}", " other = 1 "])
    assert found == {"key": value, "other": 1}
    assert type(found["key"]) is type(value)


def test_values_are_shown_as_they_are_set() -> None:
    """Every setting of every preset, and the empty ones."""
    for preset in preset_names():
        settings = make_settings(preset)
        shown = [f"{key}={as_value(value)}" for key, value in settings.model_dump().items()]
        assert make_settings("paper", parse_assignments(shown)) == settings
    empty = make_settings("small", parse_assignments(["texture=", "lines="]))
    assert (empty.texture, empty.lines) == ((), ())


def test_parsed_assignments_make_settings() -> None:
    changes = parse_assignments(["mask_blocks=8,16", "skip=all", "learning_rate=3e-4", "ema=0"])
    settings = make_settings("tiny", changes)
    assert settings.mask_blocks == (8, 16)
    assert settings.skip == "all"
    assert settings.learning_rate == 3e-4
    assert make_settings("tiny", parse_assignments(["mask_blocks=8"])).mask_blocks == (8,)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("2024-05-01", "2024-05-01"), ("123", "123"), ("12:30:00", "12:30:00"), ("1,2", "1,2"),
     ("null", "null"), ("true", "true"), ("'1.0'", "1.0"), (r"\d+", r"\d+"), ("", "")],
)  # fmt: skip
def test_a_pattern_may_look_like_another_value(text: str, pattern: str) -> None:
    settings = make_settings("tiny", parse_assignments([f"part_pattern={text}"]))
    assert settings.part_pattern == pattern


def test_paths_name_files() -> None:
    files = {"roi": Path("a") / "m.png", "features": Path("w.safetensors"), "fusion": "max"}
    settings = make_settings("tiny", files)
    assert (settings.roi, settings.features) == ("a/m.png", "w.safetensors")
    with pytest.raises(BurnishError, match=r"roi: .*string"):
        make_settings("tiny", {"roi": 12})


@pytest.mark.parametrize("item", ["batch", "batch 8", "=8", " =8", ""])
def test_assignments_without_key_or_value(item: str) -> None:
    with pytest.raises(BurnishError, match="not of the form key=value"):
        parse_assignments([item])


def test_the_whole_is_judged_where_there_is_what_it_needs() -> None:
    assert make_settings("small", {}).judges_whole
    for changes in ({"texture": []}, {"fusion": "max"}, {"whole": False}):
        assert not make_settings("small", changes).judges_whole
    assert not make_settings("paper", {"whole": True}).judges_whole
    only_colour = make_settings("small", {"texture": ["colour:2"]})
    assert not only_colour.judges_whole


def test_colour_is_no_texture_of_grey_images() -> None:
    settings = make_settings("tiny", {"texture": "image:4, colour:8, residual:8"})
    assert settings.textures(1) == (("image", 4), ("residual", 8))
    assert settings.textures(3) == (("image", 4), ("colour", 8), ("residual", 8))


def test_extremes_are_known_where_there_is_what_they_need() -> None:
    assert make_settings("small", {}).knows_extremes
    assert make_settings("small", {"texture": [], "lines": []}).knows_extremes
    assert make_settings("small", {"fusion": "scores"}).knows_extremes
    for changes in ({"fusion": "max"}, {"extremes": False}):
        assert not make_settings("small", changes).knows_extremes
    assert not make_settings("paper", {"extremes": True}).knows_extremes
