"""What the sentences claim, against Student's t test and figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_ind

from burnish.studies.file import Study, load_study
from burnish.studies.words import means_over_sets, noise_of, noted, sentences, signed, unused

MINUS = "\N{MINUS SIGN}"


def test_noise_by_hand() -> None:
    noise = noise_of([[0.80, 0.82], [0.70, 0.74]])
    assert noise is not None
    # variances 0.0002 and 0.0008, pooled 0.0005; t(0.975, 2) = 4.303; sqrt(2 / 2) = 1
    assert noise.deviation == pytest.approx(0.0005**0.5)
    assert noise.limit == pytest.approx(4.3027 * 0.0005**0.5, rel=1e-4)
    twice = [[0.80, 0.82], [0.70, 0.74], [0.70, 0.74]]
    # Rows that share their runs are no further evidence; those that only happen to agree are.
    assert noise_of(twice, ["a", "b", "b"]) == noise
    assert noise_of(twice, ["a", "b", "c"]) == noise_of(twice) != noise
    assert noise_of([[0.8], [0.7]]) is None
    assert noise_of([]) is None


def test_two_rows_are_told_apart_when_the_t_test_tells_them_apart() -> None:
    rng = np.random.default_rng(0)
    agreed = []
    for _ in range(300):
        seeds = int(rng.integers(2, 8))
        a, b = rng.normal(0.8, 0.02, seeds), rng.normal(0.82, 0.02, seeds)
        noise = noise_of([a.tolist(), b.tolist()])
        assert noise is not None
        beyond = abs(a.mean() - b.mean()) > noise.limit
        agreed.append(beyond)
        assert beyond == (ttest_ind(a, b).pvalue < 0.05)
    assert 0.1 < np.mean(agreed) < 0.9  # both verdicts were seen


def test_the_limit_is_never_below_two_deviations() -> None:
    many = np.random.default_rng(1).normal(0, 1, (40, 3)).tolist()
    noise = noise_of(many)
    assert noise is not None
    assert noise.limit == pytest.approx(2 * noise.deviation * (2 / 3) ** 0.5)


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Study:
    return load_study(study_file())


def values_of(**rows: list[float]) -> dict[tuple[str, str, int], float | None]:
    labels = {"zero": "R = 0", "two": "R = 2", "absolute": "R = 2, absolute"}
    return {
        (labels[name], "metal", seed): value
        for name, values in rows.items()
        for seed, value in enumerate(values)
    }


def test_one_seed_claims_nothing(study: Study) -> None:
    told = sentences(study, values_of(zero=[0.70], two=[0.90], absolute=[0.5]), ["metal"], [0])
    assert told[:2] == [
        f"R = 0 against R = 2: AUROC {MINUS}0.200; the paper has {MINUS}0.010. One seed: no claim.",
        f"R = 2, absolute against R = 2: AUROC {MINUS}0.400. One seed: no claim.",
    ]
    assert "no evidence for or against any setting" in told[-1]


def test_claims_over_seeds(study: Study) -> None:
    values = values_of(zero=[0.70, 0.71, 0.72], two=[0.90, 0.91, 0.92], absolute=[0.91, 0.90, 0.92])
    told = sentences(study, values, ["metal"], [0, 1, 2])
    # pooled deviation 0.01; t(0.975, 6) = 2.447; times sqrt(2 / 3)
    assert "More than the noise of 3 seeds (±0.020): worse here." in told[0]
    assert "AUROC ±0.000" in told[1]
    assert "no difference shown" in told[1]
    assert "scatters by 0.010" in told[2]
    assert "Beyond that: R = 0 against R = 2. Of 2 comparisons" in told[2]
    level = values_of(zero=[0.90, 0.91, 0.92], two=[0.90, 0.91, 0.92], absolute=[0.91, 0.9, 0.92])
    assert "support no setting over another" in sentences(study, level, ["metal"], [0, 1, 2])[-1]


def test_missing_runs_are_not_glossed_over(study: Study) -> None:
    values = values_of(zero=[0.7, 0.7], two=[0.9])
    told = sentences(study, values, ["metal"], [0, 1])
    assert told == [
        "R = 0 against R = 2: not all runs are there yet.",
        "R = 2, absolute against R = 2: not all runs are there yet.",
    ]


def test_a_run_without_an_auroc_is_no_missing_run(study: Study) -> None:
    values = values_of(zero=[0.7], two=[0.9], absolute=[0.8])
    values |= {("R = 0", "rail", 0): None, ("R = 2", "rail", 0): 0.8}
    told = sentences(study, values, ["metal", "rail"], [0])
    assert told == [
        "R = 0 against R = 2: no AUROC on rail, whose test images were of one class.",
        "R = 2, absolute against R = 2: not all runs are there yet.",
    ]


def test_images_that_no_figure_counts_are_told() -> None:
    def result(dataset: str, unreadable: int, good: int) -> dict[str, object]:
        counts = {"unreadable": unreadable, "n_good": good, "n_defect": 4}
        return {"dataset": dataset, "figures": counts}

    assert unused([result("rail", 0, 6), result("metal", 2, 4), result("metal", 2, 4)]) == [
        "metal: 2 of 10 test images could not be used, and no figure counts them; "
        "evaluation.json in the cells names them."
    ]
    (said,) = unused([result("metal", 0, 6), result("metal", 3, 3)])
    assert said.startswith("metal: up to 3 of 10 test images")


def test_what_trainings_warned_of_is_told_once() -> None:
    nothing, short = "tome_r=8 does nothing", "warmup is 50 steps"
    cells = {
        ("R = 0", "rail", 0): [short],
        ("R = 8", "rail", 0): [nothing, short],
        ("R = 8", "rail", 1): [nothing, short],
        ("R = 8", "metal", 0): [nothing, short],
    }
    assert noted({key: {"notes": notes} for key, notes in cells.items()}) == [
        "All runs: warmup is 50 steps.",
        "R = 8 on rail; R = 8 on metal: tome_r=8 does nothing.",
    ]
    assert noted({("R = 0", "rail", 0): {}}) == []  # a cell of an older burnish


def test_each_set_is_named_beside_the_mean(study: Study) -> None:
    values = values_of(zero=[0.7], two=[0.8])
    values |= {("R = 0", "rail", 0): 0.9, ("R = 2", "rail", 0): 0.8}
    told = sentences(study, values, ["metal", "rail"], [0])
    assert f"AUROC ±0.000 on the mean of 2 sets (metal {MINUS}0.100, rail +0.100)" in told[0]
    assert means_over_sets(values, "R = 0", ["metal", "rail"], [0]) == [pytest.approx(0.8)]
    assert means_over_sets(values, "R = 0", ["metal", "rail"], [0, 1]) is None


def test_signed_differences_as_text() -> None:
    assert [signed(v) for v in (0.0123, -0.0123, 0.0004, -0.0004)] == [
        "+0.012", f"{MINUS}0.012", "±0.000", "±0.000",
    ]  # fmt: skip
