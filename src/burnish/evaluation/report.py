"""One self-contained HTML page about an evaluation: opens offline, prints, works on a phone."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from burnish.evaluation import figures
from burnish.evaluation.evaluate import Inspector
from burnish.evaluation.gallery import make_galleries
from burnish.evaluation.record import Evaluation, printable
from burnish.evaluation.summary import cautions, percent, verdict
from burnish.files import atomic_write
from burnish.settings import GROUPS


def write_report(
    evaluation: Evaluation,
    detector: Inspector,
    data: str | Path,
    out: str | Path,
    title: str | None = None,
    gallery: int = 6,
) -> Path:
    """Write the report in one step: no script, no request to anywhere, pictures inside.

    Args:
        evaluation: what `evaluate(detector, data)` gave.
        detector: inspects the few images of the galleries again, one at a time.
        data: the folder that was evaluated.
        out: the HTML file.
        title: headline; by default names the data.
        gallery: at most so many images in each gallery; 0 leaves the galleries out.

    Raises:
        BurnishError: the data folder is gone, or `out` cannot be written.
    """
    data = Path(data)
    card = detector.card
    losses = None if detector.path is None else _run_folder(detector.path) / "losses.csv"
    page = _environment().get_template("report.html.j2").render(
        e=evaluation,
        title=printable(title or f"Defect detection on {data.resolve().name}"),
        verdict=verdict(evaluation),
        cautions=cautions(evaluation),
        roc=_svg_uri(figures.roc(evaluation)),
        distribution=_svg_uri(figures.score_distribution(evaluation)),
        curves=_svg_uri(figures.training_curves(losses)) if losses else None,
        galleries=make_galleries(evaluation, detector, data, gallery) if gallery > 0 else [],
        settings={
            group: {key: _plain(getattr(card.settings, key)) for key in keys}
            for group, keys in GROUPS.items()
        },
        card_data=_facts(card.data),
        training=_facts(card.training),
        versions=_facts(card.versions),
    )  # fmt: skip
    atomic_write(out, page)
    return Path(out)


def _run_folder(model: Path) -> Path:
    return model if model.is_dir() else model.parent


def _environment() -> Environment:
    """Autoescape is on for everything: file names and kinds are strangers' text."""
    environment = Environment(
        loader=PackageLoader("burnish.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": _number, "duration": _duration}
    return environment


def _number(value: float | None, digits: int = 3) -> str:
    """Fixed decimals for shares, metrics and times; "n/a" for None."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def _duration(seconds: float | None) -> str:
    """Seconds as people say them; "n/a" for None."""
    if seconds is None:
        return "n/a"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """The single values of a card's entry, readable; long lists become their length."""
    shown = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            continue
        if isinstance(value, list | tuple) and len(value) > 6:
            shown[name] = f"{len(value)} entries"
        else:
            shown[name] = _plain(value)
    return {name.replace("_", " "): text for name, text in shown.items()}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", [], ()):
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        nested = any(isinstance(item, list | tuple) for item in value)
        return ("; " if nested else ", ").join(
            " × ".join(map(str, item)) if isinstance(item, list | tuple) else _plain(item)
            for item in value
        )
    return printable(str(value))


def _svg_uri(svg: str | None) -> str | None:
    """SVG as an image address: ids of several figures cannot clash, and no script can run."""
    if svg is None:
        return None
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
