"""`burnish info`: what is in a model file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from burnish.detection.model_file import ModelCard
    from burnish.export.metadata import Metadata


def info(
    model: Annotated[Path, typer.Argument(help="Model file, run folder or exported model.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Show a model's settings, training data, calibration, versions and size."""
    known = _known(model)
    if as_json:
        print(json.dumps(known.card.model_dump(mode="json") | known.size, indent=1))
        return

    from rich.markup import escape
    from rich.table import Table

    from burnish.cli.console import Console
    from burnish.configuration import as_value
    from burnish.setting_groups import GROUPS

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in _facts(known).items():
        table.add_row(f"[bold]{name}", escape(value))
    for group, keys in GROUPS.items():
        values = "  ".join(f"{key}={as_value(getattr(known.card.settings, key))}" for key in keys)
        table.add_row(f"[bold]{group}", escape(values))
    Console().print(table, highlight=False)


@dataclass(frozen=True)
class _Known:
    """What is shown of a model.

    Attributes:
        threshold: that of the file: an int8 export has one of its own.
        size: `file_bytes`, and the facts that only this kind of file has.
        exported: of an exported model.
    """

    file: Path
    card: ModelCard
    threshold: float
    size: dict[str, Any]
    exported: Metadata | None = None


def _known(model: Path) -> _Known:
    from burnish.detection.model_file import MODEL, load_model
    from burnish.detection.run_folder import EXPORTED, model_bytes

    if model.suffix.lower() in EXPORTED:
        from burnish.export.exported import load_exported

        record = load_exported(model).metadata
        export = record.model_dump(mode="json", exclude={"card", "roi"})
        size = {"file_bytes": model_bytes(model), "export": export}
        return _Known(model, record.card, record.threshold, size, record)
    loaded = load_model(model)
    file = model / MODEL if model.is_dir() else model
    parameters = sum(p.numel() for p in loaded.generator.parameters())
    size = {"file_bytes": model_bytes(file), "parameters": parameters}
    return _Known(file, loaded.card, loaded.card.calibration.threshold, size)


def _facts(known: _Known) -> dict[str, str]:
    """Name and value of each line of the table, before the settings."""
    from burnish.detection.oddest import Oddest

    card = known.card
    c, shape, data = card.calibration, card.shape, card.data
    learnt = f"{data['training_images']} good images learnt"
    held_out = f"{data['held_out_images']} held out ({data['held_out_parts']} parts)"
    if c.folds:
        held_out = f"held out in turn in {c.folds} folds ({data['held_out_parts']} parts)"
    if "calibrated_on" in data:
        held_out = f"from {data['folder']}; {held_out}"
    tiles = "" if card.settings.tile == "full" else "tiles of "
    facts = {
        "file": f"{known.file} ({', '.join(_sizes(known.size))}, format {card.format})",
        "preset": card.preset,
        "input": f"{tiles}{shape.width} x {shape.height} px, "
        f"{'grey' if shape.channels == 1 else 'RGB'}",
        "data": f"{learnt}, {held_out}, from {data.get('calibrated_on', data['folder'])}",
        "fingerprint": data["fingerprint"][:16],
        "skipped": f"{len(data['skipped'])} files that could not be read",
        "training": f"{card.training['steps']} steps in {card.training['seconds']:.0f} s on "
        f"{card.training['device']} ({card.training['precision']}), seed {card.settings.seed}",
        "threshold": f"{known.threshold:.5g} (wanted false alarms {100 * c.false_alarms:.2g} %)",
        "promise": c.promise(),
        "good scores": f"{c.scores[0]:.4g} to {c.scores[-1]:.4g}, median "
        f"{c.scores[len(c.scores) // 2]:.4g}",
    }
    # Older files do not have it; and at another rate another image sets the threshold.
    if data.get("oddest") and c.false_alarms == card.settings.false_alarms:
        facts["odd one out"] = str(Oddest(**data["oddest"]))
    if (record := known.exported) is not None:
        facts["export"] = (
            f"{record.precision}; scores within {100 * record.tolerance:g} % of the threshold of "
            f"those of the model with SHA-256 {record.model_sha256[:16]}"
        )
    facts["versions"] = ", ".join(f"{k} {v}" for k, v in card.versions.items())
    return facts


def _sizes(size: dict[str, Any]) -> list[str]:
    units = {"file_bytes": "MB", "parameters": "M parameters"}
    return [f"{size[name] / 1e6:.2f} {unit}" for name, unit in units.items() if name in size]
