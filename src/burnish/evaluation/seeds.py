"""The same evaluation over several seeds: mean and deviation of every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from burnish.errors import BurnishError
from burnish.evaluation.record import Evaluation

FIGURES = (
    "image_auroc", "average_precision", "f1", "precision", "recall", "best_f1", "all_positive_f1",
    "false_alarm_rate_got", "escape_rate", "ms_per_image",
    "pixels.auroc", "pixels.average_precision", "pixels.aupro", "pixels.best_f1",
    "equalised.image_auroc", "equalised.false_alarm_rate", "equalised.escape_rate",
)  # fmt: skip


@dataclass(frozen=True)
class OverSeeds:
    """One figure over several runs.

    Attributes:
        mean: over the runs that have it.
        deviation: standard deviation of a run (n - 1 in the denominator); None for a single one.
        count: of runs that have it.
    """

    mean: float
    deviation: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> OverSeeds:
        """Summarise one value per run; at least one."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))

    def __str__(self) -> str:
        if self.deviation is None:
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} ± {self.deviation:.3f}"


def over_seeds(evaluations: Sequence[Evaluation]) -> dict[str, OverSeeds]:
    """Mean and deviation of each of `FIGURES` that a run has.

    Args:
        evaluations: of one test set, by models that differ in their seed. If their masks differ,
            pixel-level figures are left out.

    Raises:
        BurnishError: none given, or they are of different test sets.
    """
    if not evaluations:
        raise BurnishError("no evaluation to take a mean of")
    first = evaluations[0]
    for other in evaluations[1:]:
        if other.test_fingerprint != first.test_fingerprint:
            raise BurnishError(
                f"{other.data} and {first.data} are different test images: a mean over them says "
                "nothing; evaluate every model on the same"
            )
    found = {}
    comparable = same_masks(evaluations)
    for name in FIGURES:
        if name.startswith("pixels.") and not comparable:
            continue
        values = [value for e in evaluations if (value := figure(e, name)) is not None]
        if values:
            found[name] = OverSeeds.of(values)
    return found


def same_masks(evaluations: Sequence[Evaluation]) -> bool:
    """Whether pixels were counted with the same masks, as far as the records tell."""
    return len({e.pixels.masks for e in evaluations if e.pixels and e.pixels.masks}) < 2


def figure(evaluation: Evaluation, name: str) -> float | None:
    """One of `FIGURES`; None when this evaluation does not have it."""
    part, _, field = name.rpartition(".")
    if part == "pixels":
        source: object = evaluation.pixels and evaluation.pixels.overall
    elif part == "equalised":
        source = evaluation.equalised
    else:
        source = evaluation
    value = getattr(source, field) if source is not None else None
    return None if value is None else float(value)
