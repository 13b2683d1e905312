"""`burnish presets`: the presets, or every setting of one."""

from __future__ import annotations

from typing import Annotated

import typer


def presets(
    name: Annotated[str | None, typer.Argument(help="Show every setting of this preset.")] = None,
) -> None:
    """List the presets, or every setting of one with its meaning, for --set."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from burnish.configuration import as_value, make_settings, preset_names, preset_summary
    from burnish.setting_groups import GROUPS
    from burnish.settings import Settings

    console = Console()
    if name is None:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("preset", "for", "input", "patch", "width", "blocks", "length"):
            table.add_column(column)
        for each in preset_names():
            s = make_settings(each)
            blocks = f"{s.depth_encoder}+{s.depth_middle}+{s.depth_decoder}"
            length = f"{s.steps} steps" if s.steps else f"{s.epochs} epochs"
            least, largest = s.sides
            side = f"{least} px" if least == largest else f"{least} to {largest} px"
            table.add_row(
                each, preset_summary(each), side, str(s.patch), str(s.width), blocks, length
            )
        console.print(table)
        return
    settings = make_settings(name)
    table = Table(title=f"preset {name}", box=None, padding=(0, 2, 0, 0), title_justify="left")
    for column in ("setting", "value", "paper", "meaning"):
        table.add_column(column, overflow="fold")
    for group, keys in GROUPS.items():
        table.add_section()
        table.add_row(f"[bold]{group}")
        for key in keys:
            value, paper = getattr(settings, key), getattr(make_settings("paper"), key)
            meaning = Settings.model_fields[key].description or ""
            shown = (
                f"  {key}",
                as_value(value),
                "" if value == paper else as_value(paper),
                meaning,
            )
            table.add_row(*map(escape, shown))
    console.print(table, highlight=False)
