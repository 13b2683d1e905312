"""`burnish presets`: the presets, or every setting of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table


def presets(
    name: Annotated[str | None, typer.Argument(help="Show every setting of this preset.")] = None,
) -> None:
    """List the presets, or every setting of one with its meaning, for --set."""
    from burnish.cli.console import Console

    Console().print(_presets() if name is None else _settings(name), highlight=name is None)


def _presets() -> Table:
    """One row per preset."""
    from rich.table import Table

    from burnish.configuration import make_settings, preset_names, preset_summary

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("preset", "for", "input", "patch", "width", "blocks", "length"):
        table.add_column(column)
    for name in preset_names():
        s = make_settings(name)
        blocks = f"{s.depth_encoder}+{s.depth_middle}+{s.depth_decoder}"
        length = f"{s.steps} steps" if s.steps else f"{s.epochs} epochs"
        least, largest = s.sides
        side = f"{least} px" if least == largest else f"{least} to {largest} px"
        table.add_row(name, preset_summary(name), side, str(s.patch), str(s.width), blocks, length)
    return table


def _settings(preset: str) -> Table:
    """One row per setting of a preset, by theme, beside the paper's value where that differs."""
    from rich.markup import escape
    from rich.table import Table

    from burnish.configuration import as_value, make_settings
    from burnish.setting_groups import GROUPS
    from burnish.settings import Settings

    settings, papers = make_settings(preset), make_settings("paper")
    table = Table(title=f"preset {preset}", box=None, padding=(0, 2, 0, 0), title_justify="left")
    for column in ("setting", "value", "paper", "meaning"):
        table.add_column(column, overflow="fold")
    for group, keys in GROUPS.items():
        table.add_section()
        table.add_row(f"[bold]{group}")
        for key in keys:
            value, paper = getattr(settings, key), getattr(papers, key)
            beside = "" if value == paper else as_value(paper)
            meaning = Settings.model_fields[key].description or ""
            table.add_row(*map(escape, (f"  {key}", as_value(value), beside, meaning)))
    return table
