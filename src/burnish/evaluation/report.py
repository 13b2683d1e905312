"""One self-contained HTML page about an evaluation: opens offline, prints, works on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from burnish.evaluation import figures, figures_more, findings
from burnish.evaluation.collect import Card, Inspector
from burnish.evaluation.drawing import Drawing
from burnish.evaluation.gallery import make_galleries
from burnish.evaluation.pages import facts, number, plain, render
from burnish.evaluation.record import Evaluation
from burnish.evaluation.report_files import write_figures, write_galleries, write_tables
from burnish.evaluation.rows import PixelMetrics
from burnish.evaluation.scales import scale_table
from burnish.evaluation.summary import cautions, percent, verdict
from burnish.files import atomic_write, printable
from burnish.setting_groups import GROUPS

CONTENTS = (
    ("scores", "Scores and threshold"), ("kinds", "Kinds of defect"), ("pictures", "Pictures"),
    ("shortcuts", "Could something simpler do it?"), ("stress", "When conditions change"),
    ("pixels", "Where the defects are"), ("scales", "Error maps"), ("numbers", "All numbers"),
    ("model", "Model"), ("settings", "Settings"),
)  # fmt: skip


def write_report(
    evaluation: Evaluation,
    detector: Inspector,
    data: str | Path,
    out: str | Path,
    title: str | None = None,
    gallery: int = 6,
) -> Path:
    """Write the page in one step (no request to anywhere, pictures inside) and its parts beside it.

    The parts are figures/*.png (every figure, and each gallery as one picture) and *.csv (see
    `burnish.evaluation.report_files`). Parts of an earlier report that this one does not have are
    removed. The page is written last.

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
    data, out, e = Path(data), Path(out), evaluation
    model = detector.path
    losses = model and (model if model.is_dir() else model.parent) / "losses.csv"
    drawings = _drawings(e, losses)
    galleries = make_galleries(e, detector, data, gallery) if gallery > 0 else []
    title = printable(title or f"Defect detection on {data.resolve().name}")
    page = render(
        "report.html.j2",
        script="threshold.js",
        title=title,
        contents=[entry for entry in CONTENTS if galleries or entry[0] != "pictures"],
        figures=drawings,
        why_no_curves=figures.why_no_curves(losses),
        galleries=galleries,
        live=_live(e, drawings["scores"]),
        **_of_evaluation(e),
        **_of_model(detector.card),
    )
    write_figures(out.parent, drawings)
    write_galleries(out.parent, galleries)
    write_tables(out.parent, e, scale_table(e))
    atomic_write(out, page)
    return out


def _drawings(e: Evaluation, losses: Path | None) -> dict[str, Drawing | None]:
    """Every figure by name; None where there is nothing to draw.

    Args:
        losses: losses.csv of the run, if the model has a file.
    """
    scales = scale_table(e)
    return {
        "scores": figures.score_distribution(e),
        "roc": figures.roc(e),
        "precision_recall": figures.precision_recall(e),
        "stress": figures_more.stress_figure(e.stress),
        "scale_scores": figures_more.scale_scores(scales),
        "scale_auroc": figures_more.scale_auroc(scales, e.image_auroc),
        "training": None if losses is None else figures.training_curves(losses),
    }


def _of_evaluation(e: Evaluation) -> dict[str, Any]:
    """The template's values that come from the evaluation."""
    scales = scale_table(e)
    return {
        "e": e,
        "verdict": verdict(e),
        "cautions": cautions(e),
        "at_threshold": _at_threshold(e),
        "intervals_by_kind": any(row.intervals for row in e.kinds),
        "says": {
            "trivial": findings.on_trivial(e),
            "equalised": findings.on_equalised(e),
            "stress": findings.on_stress(e),
            "stressed": findings.on_stressed(e),
            "scales": findings.on_scales(scales, e.image_auroc),
        },
        "missing": lambda name: _missing(e, name),
        "unlike_good": sum(not row.is_defect for row in e.out_of_range),
        "stress_name": figures_more.stress_name,
        "pixel_rows": _pixel_rows(e),
        "scales": scales,
    }


def _of_model(card: Card) -> dict[str, Any]:
    """The template's values that come from the model's card."""
    return {
        "settings": {
            group: {key: plain(getattr(card.settings, key)) for key in keys}
            for group, keys in GROUPS.items()
        },
        "card_data": facts(card.data),
        "training": facts(card.training),
        "versions": facts(card.versions),
    }


def _missing(e: Evaluation, name: str) -> str:
    """Why a section is empty."""
    why = e.not_available.get(name, "the evaluation does not hold it")
    if name == "stress":
        why += " (burnish evaluate … --stress takes the time of many evaluations)"
    return why


def _at_threshold(e: Evaluation) -> list[tuple[str, str, str]]:
    """(key, name, value) of the figures that the page's script updates at another threshold."""
    bad, good = e.n_defect > 0, e.n_good > 0
    return [
        ("threshold", "threshold", f"{e.threshold:.4g}"),
        ("caught", "defects caught", str(e.caught) if bad else "n/a"),
        ("missed", "defects missed", str(e.missed) if bad else "n/a"),
        ("escapes", "escape rate", percent(e.escape_rate)),
        ("alarms", "false alarms", str(e.false_alarms) if good else "n/a"),
        ("rate", "false-alarm rate", percent(e.false_alarm_rate_got)),
        ("precision", "precision", number(e.precision)),
        ("f1", "F1", number(e.f1)),
    ]


def _live(e: Evaluation, scores: Drawing | None) -> dict[str, Any]:
    """The data of the page's script: raw scores, labels, names, and the figure's axis."""
    assert scores is not None
    return {
        "threshold": e.threshold,
        "x": scores.box.x,
        "log": scores.box.log_x,
        "images": [[row.score, int(row.is_defect), row.path] for row in e.images],
    }


def _pixel_rows(e: Evaluation) -> list[tuple[str, PixelMetrics, dict[str, Any]]]:
    """Name, metrics and intervals: all kinds first, then each that has usable masks."""
    if e.pixels is None:
        return []
    rows: list[tuple[str, PixelMetrics, dict[str, Any]]]
    rows = [("all kinds", e.pixels.overall, dict(e.pixels.intervals))]
    return rows + [(row.kind, row.pixels, {}) for row in e.kinds if row.pixels is not None]
