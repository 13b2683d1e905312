"""The one configuration: presets, refusals with the nearest right name, `--set` values."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from pydantic import ValidationError

from burnish.configuration import (
    load_preset,
    make_settings,
    preset_names,
    preset_summary,
    validate_settings,
)
from burnish.setting_groups import GROUPS
from burnish.settings import Settings

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
