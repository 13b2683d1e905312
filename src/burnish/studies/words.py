"""The conclusions of a study in sentences: differences, judged against the noise over seeds.

The noise is taken from all rows together: the variance over seeds within each row, pooled. A
difference of two means over n seeds counts when it exceeds two of its standard deviations,
s * sqrt(2 / n) each (more than two if few seeds leave s itself uncertain: Student's t, 95 %).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.studies.file import MEAN, Study

MINUS = "\N{MINUS SIGN}"
Values = Mapping[tuple[str, str, int], float | None]  # (row, data set, seed) -> a figure


@dataclass(frozen=True)
class Noise:
    """How much a figure scatters over seeds.

    Attributes:
        deviation: of one run's mean over the data sets, pooled over rows.
        limit: difference of two rows' means over the seeds that is beyond chance.
        seeds: of each row.
    """

    deviation: float
    limit: float
    seeds: int


def means_over_sets(
    values: Values, label: str, datasets: Sequence[str], seeds: Sequence[int]
) -> list[float] | None:
    """A row's mean over the data sets, one per seed; None if a run is missing."""
    means = []
    for seed in seeds:
        row = [values.get((label, name, seed)) for name in datasets]
        known = [value for value in row if value is not None]
        if len(known) < len(row):
            return None
        means.append(sum(known) / len(known))
    return means


def noise_of(
    groups: Sequence[Sequence[float]], runs: Sequence[Hashable] | None = None
) -> Noise | None:
    """The noise, pooled over rows with equally many seeds; None with a single seed.

    Args:
        runs: identity of each row's runs; rows that share runs count once.
    """
    from scipy.stats import t

    if runs is not None:
        groups = list(dict(zip(runs, groups, strict=True)).values())
    seeds = min((len(group) for group in groups), default=0)
    if seeds < 2:
        return None
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum((v - sum(g) / len(g)) ** 2 for g in groups for v in g)
    deviation = math.sqrt(squares / freedom)
    factor = max(2.0, float(t.ppf(0.975, freedom)))
    return Noise(deviation, factor * deviation * math.sqrt(2 / seeds), seeds)


def sentences(
    study: Study,
    values: Values,
    datasets: Sequence[str],
    seeds: Sequence[int],
    runs: Mapping[str, Hashable] | None = None,
) -> list[str]:
    """One sentence for each row that has another to be compared with, and a last one over all.

    Args:
        runs: by label, equal for rows that share their runs; None: no two do.
    """
    means = {row.label: means_over_sets(values, row.label, datasets, seeds) for row in study.rows}
    there = {label: group for label, group in means.items() if group is not None}
    noise = noise_of(list(there.values()), [(runs or {}).get(label, label) for label in there])
    told, beyond, compared = [], [], 0
    for row in study.rows:
        reference = study.reference_of(row)
        if reference is None:
            continue
        name = f"{row.label} against {reference.label}"
        ours, theirs = means[row.label], means[reference.label]
        if ours is None or theirs is None:
            told.append(f"{name}: {_why_none(values, (row.label, reference.label), datasets)}.")
            continue
        compared += 1
        difference = sum(ours) / len(ours) - sum(theirs) / len(theirs)
        text = f"{name}: AUROC {signed(difference)}"
        if len(datasets) > 1:
            parts = [
                f"{d} {signed(_gap(values, row.label, reference.label, d, seeds))}"
                for d in datasets
            ]
            text += f" on the mean of {len(datasets)} sets ({', '.join(parts)})"
        if MEAN in row.paper and MEAN in reference.paper:
            claimed = row.paper[MEAN][0] - reference.paper[MEAN][0]
            text += f"; the paper has {signed(claimed)}"
        told.append(f"{text}. {_claim(difference, noise)}")
        if noise is not None and abs(difference) > noise.limit:
            beyond.append(name)
    return [*told, _last(noise, beyond, compared)] if compared else told


def unused(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence for each data set of which not all test images were used.

    Args:
        results: as in cell.json.
    """
    counts: dict[str, set[tuple[int, int]]] = {}
    for result in results:
        figures = result["figures"]
        used = figures["n_good"] + figures["n_defect"]
        counts.setdefault(result["dataset"], set()).add((figures["unreadable"], used))
    told = []
    for name, found in counts.items():
        most, used = max(found)
        if most:
            some = f"{'up to ' if len(found) > 1 else ''}{most} of {most + used}"
            told.append(
                f"{name}: {some} test images could not be used, and no figure counts them; "
                "evaluation.json in the cells names them."
            )
    return told


def noted(results: Mapping[tuple[str, str, int], Mapping[str, Any]]) -> list[str]:
    """One sentence for each thing that trainings warned of, as a setting that does nothing.

    Args:
        results: (row, data set, seed) -> as in cell.json.
    """
    runs = {f"{row} on {name}": None for row, name, _ in results}
    warned: dict[str, dict[str, None]] = {}
    for (row, name, _), result in results.items():
        for note in result.get("notes", ()):  # older cells have none
            warned.setdefault(note, {})[f"{row} on {name}"] = None
    return [
        f"{'All runs' if len(where) == len(runs) else '; '.join(where)}: {note}."
        for note, where in warned.items()
    ]


def signed(value: float) -> str:
    """A difference to three places, always with its sign."""
    if round(abs(value), 3) == 0:
        return "±0.000"
    return f"{'+' if value > 0 else MINUS}{abs(value):.3f}"


def _why_none(values: Values, labels: Sequence[str], datasets: Sequence[str]) -> str:
    """Why two rows cannot be compared: a run has no AUROC, or is not there."""
    lacking = [
        name for name in datasets
        if any(value is None for (label, of, _), value in values.items()
               if of == name and label in labels)
    ]  # fmt: skip
    if lacking:
        return f"no AUROC on {', '.join(lacking)}, whose test images were of one class"
    return "not all runs are there yet"


def _gap(values: Values, label: str, reference: str, dataset: str, seeds: Sequence[int]) -> float:
    gaps = []
    for seed in seeds:
        ours, theirs = values[label, dataset, seed], values[reference, dataset, seed]
        assert ours is not None
        assert theirs is not None
        gaps.append(ours - theirs)
    return sum(gaps) / len(gaps)


def _claim(difference: float, noise: Noise | None) -> str:
    if noise is None:
        return "One seed: no claim."
    if abs(difference) <= noise.limit:
        return f"Within the noise of {noise.seeds} seeds (±{noise.limit:.3f}): no difference shown."
    side = "better" if difference > 0 else "worse"
    return f"More than the noise of {noise.seeds} seeds (±{noise.limit:.3f}): {side} here."


def _last(noise: Noise | None, beyond: Sequence[str], compared: int) -> str:
    if noise is None:
        return (
            "With one seed nobody knows how much of a difference is chance: these figures are no "
            "evidence for or against any setting."
        )
    scatter = f"One run's AUROC scatters by {noise.deviation:.3f} from seed to seed"
    if not beyond:
        return (
            f"{scatter}; no difference here is larger than that explains: these runs support no "
            "setting over another."
        )
    return (
        f"{scatter}. Beyond that: {'; '.join(beyond)}. Of {compared} comparisons, one in twenty "
        "passes this bar by chance."
    )
