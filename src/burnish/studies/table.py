"""The tables of a study of quality: AUROC and F1, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from burnish.evaluation.seeds import OverSeeds
from burnish.studies.cells import Cell, Dataset
from burnish.studies.file import MEAN, Row, Study
from burnish.studies.report import Report, Table, origin_facts
from burnish.studies.words import Values, means_over_sets, noted, sentences, unused

Results = Mapping[tuple[str, str, int], dict[str, Any]]  # (row, data set, seed) -> cell.json
CALL_ALL = "calling every part defective"
BEST_F1 = (
    "The threshold is chosen on the test images, as papers seem to: to compare with them, never to "
    "be used."
)
F1 = "The threshold comes from held-out good images alone: what a user gets."


def quality_report(
    study: Study,
    datasets: Sequence[Dataset],
    seeds: Sequence[int],
    cells: Sequence[Cell],
    problems: Sequence[str],
    facts: Mapping[str, str],
) -> Report:
    """Tables and sentences from every cell that is finished; a missing one shows as a dash.

    Args:
        facts: of the run, from the caller; those from the cells are added.
    """
    results: dict[tuple[str, str, int], dict[str, Any]] = {}
    for cell in cells:
        result = cell.result()
        if result is not None:
            results[cell.label, cell.dataset, cell.seed] = result
    names = [each.name for each in datasets]
    auroc = figure(results, "image_auroc")
    runs = {
        row.label: tuple(cell.folder for cell in cells if cell.label == row.label)
        for row in study.rows
    }
    return Report(
        study=study,
        says=(
            *unused(results.values()),
            *noted(results),
            *sentences(study, auroc, names, seeds, runs),
        ),
        problems=tuple(problems),
        tables=(
            _figures(study, "Image AUROC", "", results, "image_auroc", datasets, seeds, 0),
            _figures(study, "Best F1", BEST_F1, results, "best_f1", datasets, seeds, 1),
            _figures(
                study, "F1 at the calibrated threshold", F1, results, "f1", datasets, seeds, None
            ),
            _runs(cells, results),
        ),
        facts={**facts, **_facts(datasets, results)},
        lines=tuple(_lines(study, cells, results, datasets)),
    )


def figure(results: Results, name: str) -> Values:
    """One figure of every finished cell."""
    return {key: result["figures"][name] for key, result in results.items()}


def over_seeds(seeds: Sequence[int]) -> str:
    """The explanation of ± in a caption; empty for one seed."""
    if len(seeds) == 1:
        return ""
    return f"Mean and standard deviation over {len(seeds)} seeds."


def _figures(
    study: Study,
    caption: str,
    note: str,
    results: Results,
    name: str,
    datasets: Sequence[Dataset],
    seeds: Sequence[int],
    paper_index: int | None,
) -> Table:
    values = figure(results, name)
    head = ["setting", *(d.name for d in datasets)]
    sets = [d.name for d in datasets]
    with_mean = len(datasets) > 1
    if with_mean:
        head.append("mean")
    paper_sets = [] if paper_index is None else _paper_sets(study, datasets)
    of_paper = range(len(head), len(head) + len(paper_sets))
    head += [f"paper: {set_}" for set_ in paper_sets]
    rows = []
    for row in study.rows:
        texts = [row.label]
        for set_ in sets:
            texts.append(spread(means_over_sets(values, row.label, [set_], seeds)))
        if with_mean:
            texts.append(spread(means_over_sets(values, row.label, sets, seeds)))
        texts += [_paper_text(row, set_, paper_index) for set_ in paper_sets]
        rows.append(tuple(texts))
    if name != "image_auroc":
        everything = [_call_all(results, set_) for set_ in sets]
        known = [value for value in everything if value is not None]
        texts = [CALL_ALL, *("–" if v is None else f"{v:.3f}" for v in everything)]
        if with_mean:
            texts.append(f"{sum(known) / len(known):.3f}" if len(known) == len(sets) else "–")
        rows.append(tuple(texts + [""] * len(paper_sets)))
    notes = " ".join(text for text in (note, over_seeds(seeds)) if text)
    return Table(caption, notes, tuple(head), tuple(rows), frozenset(of_paper))


def spread(values: Sequence[float] | None) -> str:
    """0.853, or 0.853 ± 0.010 over several seeds; a dash for nothing."""
    return str(OverSeeds.of(values)) if values else "–"


def _paper_sets(study: Study, datasets: Sequence[Dataset]) -> list[str]:
    known = {name for row in study.rows for name in row.paper}
    return [d.paper_name for d in datasets if d.paper_name in known] + [MEAN] * (MEAN in known)


def _paper_text(row: Row, name: str, index: int | None) -> str:
    return f"{row.paper[name][index or 0]:.3f}" if name in row.paper else "–"


def _call_all(results: Results, dataset: str) -> float | None:
    for (_, name, _), result in results.items():
        if name == dataset:
            value = result["figures"]["all_positive_f1"]
            return None if value is None else float(value)
    return None


def _runs(cells: Sequence[Cell], results: Results) -> Table:
    head = (
        "setting",
        "data set",
        "seed",
        "AUROC",
        "best F1",
        "F1",
        "false alarms",
        "escapes",
        "train s",
        "test s",
        "commit",
    )
    rows = []
    for cell in cells:
        result = results.get((cell.label, cell.dataset, cell.seed))
        if result is None:
            rows.append((cell.label, cell.dataset, str(cell.seed), "not run", *[""] * 7))
            continue
        f = result["figures"]
        shares = [
            "–" if f[n] is None else f"{100 * f[n]:.1f} %"
            for n in ("false_alarm_rate_got", "escape_rate")
        ]
        rows.append(
            (
                cell.label,
                cell.dataset,
                str(cell.seed),
                *("–" if f[n] is None else f"{f[n]:.3f}" for n in ("image_auroc", "best_f1", "f1")),
                *shares,
                f"{result['train_seconds']:.0f}",
                f"{result['evaluate_seconds']:.0f}",
                " ".join(result["commits"]),
            )
        )
    note = "False alarms and escapes are those at the calibrated threshold."
    return Table("Every run", note, head, tuple(rows))


def _facts(datasets: Sequence[Dataset], results: Results) -> dict[str, str]:
    done = list(results.values())
    facts = {
        f"data set {d.name}": next(
            (
                f"{r['training_images']} good images to learn from, {r['held_out_images']} held "
                f"out; test {r['figures']['n_good']} good, {r['figures']['n_defect']} defective; "
                f"fingerprint {d.fingerprint[:12]}"
                for r in done
                if r["dataset"] == d.name
            ),
            f"fingerprint {d.fingerprint[:12]}",
        )
        for d in datasets
    }
    return facts | origin_facts(done, precision=True)


def _lines(
    study: Study, cells: Sequence[Cell], results: Results, datasets: Sequence[Dataset]
) -> list[dict[str, Any]]:
    paper_names = {d.name: d.paper_name for d in datasets}
    lines = []
    for cell in cells:
        row = study.row(cell.label)
        paper = row.paper.get(paper_names[cell.dataset])
        line: dict[str, Any] = {"setting": cell.label, "dataset": cell.dataset, "seed": cell.seed}
        result = results.get((cell.label, cell.dataset, cell.seed))
        if result is not None:
            figures = dict(result["figures"])
            low, high = figures.pop("image_auroc_interval", None) or ("", "")
            line |= figures | {"image_auroc_low": low, "image_auroc_high": high}
            for name in ("steps", "train_seconds", "evaluate_seconds", "threads", "hardware"):
                line[name] = result[name]
            line["commit"] = result["commits"][-1]
        line |= {
            "paper_dataset": paper_names[cell.dataset] if paper else "",
            "paper_auroc": paper[0] if paper else "",
            "paper_f1": paper[1] if paper else "",
            "cell": cell.folder.name,
        }
        lines.append(line)
    return lines
