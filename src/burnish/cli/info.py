"""`burnish info`: what is in a model file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def info(
    model: Annotated[Path, typer.Argument(help="Model file, run folder or exported model.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Show a model's settings, training data, calibration, versions and size."""
    from burnish.detection.model_file import card_summary, load_model
    from burnish.detection.run_folder import EXPORTED, model_bytes

    if model.suffix.lower() in EXPORTED:
        from burnish.export.exported import load_exported

        exported = load_exported(model)
        record = exported.metadata
        card, threshold = record.card, record.threshold
        own: dict[str, Any] = {"export": record.model_dump(mode="json", exclude={"card", "roi"})}
    else:
        loaded = load_model(model)
        card, threshold = loaded.card, loaded.card.calibration.threshold
        own = {"parameters": sum(p.numel() for p in loaded.generator.parameters())}
    file = model / "model.safetensors" if model.is_dir() else model
    size = {"file_bytes": model_bytes(file)} | own
    if as_json:
        print(json.dumps(card_summary(card) | size, indent=1))
        return

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from burnish.configuration import as_value
    from burnish.detection.oddest import Oddest
    from burnish.setting_groups import GROUPS

    c, shape, data = card.calibration, card.shape, card.data
    learnt = f"{data['training_images']} good images learnt"
    held_out = f"{data['held_out_images']} held out ({data['held_out_parts']} parts)"
    if "calibrated_on" in data:
        held_out = f"from {data['folder']}; {held_out}"
    tiles = "" if card.settings.tile == "full" else "tiles of "
    facts = {
        "file": f"{file} ({', '.join(_size_of(size))}, format {card.format})",
        "preset": card.preset,
        "input": f"{tiles}{shape.width} x {shape.height} px, "
        f"{'grey' if shape.channels == 1 else 'RGB'}",
        "data": f"{learnt}, {held_out}, from {data.get('calibrated_on', data['folder'])}",
        "fingerprint": data["fingerprint"][:16],
        "skipped": f"{len(data['skipped'])} files that could not be read",
        "training": f"{card.training['steps']} steps in {card.training['seconds']:.0f} s on "
        f"{card.training['device']} ({card.training['precision']}), seed {card.settings.seed}",
        "threshold": f"{threshold:.5g} (wanted false alarms {100 * c.false_alarms:.2g} %)",
        "promise": c.promise(),
        "good scores": f"{c.scores[0]:.4g} to {c.scores[-1]:.4g}, median "
        f"{c.scores[len(c.scores) // 2]:.4g}",
    }
    # Not there in older files; and with another rate another image sets the threshold.
    if data.get("oddest") and c.false_alarms == card.settings.false_alarms:
        facts["odd one out"] = str(Oddest(**data["oddest"]))
    if "export" in own:
        facts["export"] = (
            f"{record.precision}; scores within {100 * record.tolerance:g} % of the threshold of "
            f"those of the model with SHA-256 {record.model_sha256[:16]}"
        )
    facts["versions"] = ", ".join(f"{k} {v}" for k, v in card.versions.items())
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(f"[bold]{name}", escape(value))
    for group, keys in GROUPS.items():
        values = "  ".join(f"{key}={as_value(getattr(card.settings, key))}" for key in keys)
        table.add_row(f"[bold]{group}", escape(values))
    Console().print(table, highlight=False)


def _size_of(size: dict[str, Any]) -> list[str]:
    units = {"file_bytes": "MB", "parameters": "M parameters"}
    return [f"{size[name] / 1e6:.2f} {unit}" for name, unit in units.items() if name in size]
