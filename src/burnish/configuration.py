"""Settings from a preset and single changes: `--set key=value`, or keyword arguments.

A preset is a TOML file in `presets/` beside this module.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from pydantic import ValidationError

from burnish.errors import BurnishError, nearest
from burnish.settings import Settings

DEFAULT_PRESET = "small"


def preset_names() -> list[str]:
    """Names of the presets that come with burnish."""
    folder = resources.files("burnish") / "presets"
    return sorted(
        f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")
    )


def load_preset(name: str) -> dict[str, Any]:
    """The settings that preset `name` changes from the defaults.

    Raises:
        BurnishError: there is no such preset.
    """
    if name not in preset_names():
        raise BurnishError(
            f"no preset '{name}'.{nearest(name, preset_names())} "
            f"The presets are: {', '.join(preset_names())}."
        )
    text = (resources.files("burnish") / "presets" / f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


def preset_summary(name: str) -> str:
    """The preset's first comment: what it is for."""
    text = (resources.files("burnish") / "presets" / f"{name}.toml").read_text("utf-8")
    return text.splitlines()[0].removeprefix("#").strip().rstrip(".")


def make_settings(
    preset: str = DEFAULT_PRESET,
    changes: Mapping[str, Any] | None = None,
    arguments: Iterable[str] = (),
) -> Settings:
    """Preset plus `changes`, validated as a whole.

    A length given in `changes` (epochs, steps or minutes) replaces the preset's length.

    Args:
        arguments: other names that may have been meant by an unknown one.

    Raises:
        BurnishError: unknown preset or setting (the nearest right name is offered), a value out
            of its range, or settings that do not fit together.
    """
    values = load_preset(preset)
    changes = dict(changes or {})
    for key in changes:
        if key not in Settings.model_fields:
            raise BurnishError(
                f"no setting '{key}'.{nearest(key, [*Settings.model_fields, *arguments])} "
                f"`burnish presets {preset}` lists them all."
            )
    if {"epochs", "steps", "minutes"} & {k for k, v in changes.items() if v is not None}:
        values |= {"epochs": None, "steps": None, "minutes": None}
    return validate_settings(values | changes)


def validate_settings(values: Mapping[str, Any]) -> Settings:
    """Settings from plain values; a `BurnishError` names each value that does not fit."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems: dict[tuple[str, str], str] = {}
        for problem in error.errors():
            name = ".".join(str(p) for p in problem["loc"][:1])
            given = f" (given: {problem['input']!r})" if name else ""
            message = problem["msg"].removeprefix("Value error, ")
            if (name, given) in problems:  # pydantic reports each type of a union
                before = problems[name, given]
                message = f"{before} or {message.removeprefix('Input should be ')}"
            problems[name, given] = message
        told = [f"{n}: {m}{given}" if n else m for (n, given), m in problems.items()]
        raise BurnishError("settings do not fit: " + "; ".join(told)) from error


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """Parse `["learning_rate=1e-3", "mask_blocks=8,16"]`: values in TOML syntax, also bare words,
    lists without brackets, and null.

    Raises:
        BurnishError: an item is not of the form key=value.
    """
    changes: dict[str, Any] = {}
    for item in assignments:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise BurnishError(f"--set '{item}' is not of the form key=value")
        name, value = key.strip(), _parse_value(text.strip())
        field = Settings.model_fields.get(name)
        if field is not None and field.annotation is str and not isinstance(value, str):
            value = text.strip()  # a pattern may look like a number or a date
        changes[name] = value
    return changes


def as_value(value: object) -> str:
    """A setting's value as text for `--set`, the inverse of `parse_assignments`."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or "[]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _parse_value(text: str) -> Any:
    if text == "null":  # "none" is a value of skip, flips and standardise
        return None
    for candidate in (text, f"[{text}]" if "," in text else text):
        try:
            return tomllib.loads(f"value = {candidate}")["value"]
        except tomllib.TOMLDecodeError:
            continue
    return text
