"""The one configuration: presets, refusals with the nearest right name, `--set` values."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from pydantic import ValidationError

from burnish.errors import BurnishError
from burnish.settings import (
    GROUPS,
    Settings,
    load_preset,
    make_settings,
    parse_assignments,
    preset_names,
    preset_summary,
    validate_settings,
)

# Sensors 2023, 23(23), 9381; section 3.2 unless said otherwise.
PAPER = {
    "image_size": 256, "patch": 16,  # Fig. 3
    "width": 512, "heads": 8, "depth_encoder": 6, "depth_middle": 1, "depth_decoder": 6,  # 13
    "skip": "outer",  # 2.1.2, Fig. 4
    "mask_blocks": (16, 32, 64), "mask_channel": False,  # 2.2: three scales
    "disc_depth": 8, "tome_r": 2,  # Table 5
    "weight_adversarial": 1, "weight_latent": 1, "weight_consistency": 20,  # eq. 5
    "weight_l1": 1, "weight_ssim": 1, "weight_gradient": 1,  # eq. 1
    "batch": 8, "learning_rate": 1e-4, "disc_learning_rate": 1e-4, "epochs": 500, "steps": None,
    "minutes": None, "schedule": "constant", "warmup": 0, "ema": 0, "flips": "none", "jitter": 0,
    "fusion": "paper", "error": "absolute", "standardise": "none",  # eq. 7-9
}  # fmt: skip


def test_the_paper_preset_holds_the_papers_values() -> None:
    settings = make_settings("paper").model_dump()
    assert {name: settings[name] for name in PAPER} == PAPER


def test_the_defaults_are_the_papers() -> None:
    assert Settings() == make_settings("paper")


@pytest.mark.parametrize("name", ["paper", "small", "tiny"])
def test_presets_load_and_tell_what_they_are_for(name: str) -> None:
    assert preset_names() == ["paper", "small", "tiny"]
    settings = make_settings(name)
    assert set(load_preset(name)) <= set(Settings.model_fields)
    assert {k: getattr(settings, k) for k in load_preset(name)} == {
        k: tuple(v) if isinstance(v, list) else v for k, v in load_preset(name).items()
    }
    assert len(preset_summary(name)) > 10
    assert not preset_summary(name).startswith("#")


def test_every_setting_is_in_exactly_one_group_and_described() -> None:
    grouped = Counter(name for names in GROUPS.values() for name in names)
    assert grouped == Counter(list(Settings.model_fields))
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_settings_are_frozen() -> None:
    settings = make_settings("tiny")
    with pytest.raises(ValidationError, match="frozen"):
        settings.batch = 3
    assert hash(settings) == hash(make_settings("tiny"))


@pytest.mark.parametrize("name", ["paper", "small", "tiny"])
def test_round_trip_through_json(name: str) -> None:
    settings = make_settings(name, {"learning_rate": 0.1 + 0.2, "seed": 7})
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    assert validate_settings(json.loads(json.dumps(settings.model_dump(mode="json")))) == settings


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("learning_rat", "learning_rate"), ("mask_block", "mask_blocks"), ("epoch", "epochs"),
     ("tome", "tome_r"), ("smooth", "smoothing"), ("false_alarm", "false_alarms")],
)  # fmt: skip
def test_unknown_setting_offers_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(BurnishError, match=f"no setting '{wrong}'. Did you mean '{right}'"):
        make_settings("tiny", {wrong: 1})


def test_unknown_setting_unlike_any_offers_nothing() -> None:
    with pytest.raises(BurnishError, match="no setting 'zzz'") as error:
        make_settings("tiny", {"zzz": 1})
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
        ({"mask_blocks": (8, 256)}, "smaller than image_size 256"),
        ({"image_size": 250}, "250 is not a multiple of patch 16: 240 would be"),
        ({"image_size": 272, "disc_patch": 32}, "not a multiple of disc_patch 32: 256 would be"),
        ({"heads": 3}, "width 512 is not a multiple of the 3 heads"),
        ({"disc_heads": 3}, "width 512 is not a multiple of the 3 heads"),
        ({"width": 510, "heads": 1}, "multiples of 4"),
        ({"skip": "all", "depth_encoder": 3}, "depth_encoder equal to depth_decoder"),
        (
            {"weight_adversarial": 0, "weight_latent": 0, "weight_consistency": 0},
            "nothing to learn",
        ),
        ({"skip": "x", "batch": 0}, "skip.*; batch"),  # all mistakes at once
    ],
)
def test_bad_values_are_told(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(BurnishError, match=complaint):
        make_settings("paper", changes)


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


def test_parsed_assignments_make_settings() -> None:
    changes = parse_assignments(["mask_blocks=8,16", "skip=all", "learning_rate=3e-4", "ema=0"])
    settings = make_settings("tiny", changes)
    assert settings.mask_blocks == (8, 16)
    assert settings.skip == "all"
    assert settings.learning_rate == 3e-4
    assert make_settings("tiny", parse_assignments(["mask_blocks=8"])).mask_blocks == (8,)


@pytest.mark.parametrize("item", ["batch", "batch 8", "=8", " =8", ""])
def test_assignments_without_key_or_value(item: str) -> None:
    with pytest.raises(BurnishError, match="not of the form key=value"):
        parse_assignments([item])
