"""Validators of single settings: conversions, and refusals."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

TEXTURE = re.compile("(image|residual|colour):([1-9]|[1-5][0-9]|6[0-4])")


def one_or_many(value: Any) -> Any:
    """A single number becomes a tuple of one; empty text an empty one."""
    return () if value == "" else (value,) if isinstance(value, int) else value


def file_name(value: Any) -> Any:
    """A path as text."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def texture_names(value: Any) -> Any:
    """Names as `Settings.texture` has them, or text with commas between.

    Raises:
        ValueError: one is no texture.
    """
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")] if value else []
    for name in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(name, str) or not TEXTURE.fullmatch(name):
            raise ValueError(
                f"{name!r} is no texture: name each as image:4, residual:8 or colour:4, with "
                "a grain of 1 to 64 px; [] for none"
            )
    return value


def textures_seen(names: Sequence[str], channels: int) -> tuple[tuple[str, int], ...]:
    """What each texture is of, and its grain; without `colour` where there is one channel:
    `image:4` is ("image", 4)."""
    pairs = (name.split(":") for name in names)
    return tuple((of, int(grain)) for of, grain in pairs if of != "colour" or channels == 3)


def regular_expression(value: str) -> str:
    """The text itself.

    Raises:
        ValueError: it is no regular expression.
    """
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from error
    return value
