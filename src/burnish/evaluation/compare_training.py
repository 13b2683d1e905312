"""Compare the training data of several runs, which may differ in more than their settings."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.evaluation.compare import Run
from burnish.evaluation.record import ModelFacts
from burnish.files import printable

FACTS = {
    "training_folder": "training folder",
    "training_images": "images learnt from",
    "held_out_images": "images held out",
    "training_fingerprint": "data fingerprint",
}
"""Fields of `ModelFacts` -> name for people."""


def by_training_data(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs by fingerprint of their training images; runs without one are left out."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if fingerprint := run.evaluation.model.training_fingerprint:
            groups.setdefault(fingerprint, []).append(run)
    return list(groups.values())


def same_training_data(runs: Sequence[Run]) -> bool | None:
    """Whether all models learnt from the same images; None if unknown."""
    groups = by_training_data(runs)
    if len(groups) > 1:
        return False
    return True if groups and len(groups[0]) == len(runs) else None


def training_warning(runs: Sequence[Run]) -> str:
    """A warning if the models did not learn from the same images, else ""."""
    groups = by_training_data(runs)
    if len(groups) < 2:
        return ""
    said = "; ".join(
        f"{', '.join(run.name for run in group)} from {_data_of(group[0].evaluation.model)}"
        for group in groups
    )
    return printable(
        f"These models did not learn from the same images: {said}. "
        "Their figures may differ because of the images, not of the settings."
    )


def training_facts(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Each of `FACTS` by its name -> text of each run."""
    return {name: [_text(run.evaluation.model, key) for run in runs] for key, name in FACTS.items()}


def _data_of(model: ModelFacts) -> str:
    folder = f"{model.training_folder}, " if model.training_folder else ""
    images = "?" if model.training_images is None else model.training_images
    fingerprint = _text(model, "training_fingerprint")
    return f"{folder}fingerprint {fingerprint} ({images} learnt, {model.held_out_images} held out)"


def _text(model: ModelFacts, key: str) -> str:
    value = getattr(model, key)
    if value is None:
        return "not known"
    return str(value)[:16] if key == "training_fingerprint" else str(value)
