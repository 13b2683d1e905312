"""Mean and deviation over seeds, from real evaluations of two detectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from burnish.errors import BurnishError
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.record import Evaluation
from burnish.evaluation.seeds import FIGURES, figure, over_seeds
from burnish.images.synthetic.synth import write_dataset


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, simple: Callable[..., Any]) -> list[Evaluation]:
    data = write_dataset(
        tmp_path_factory.mktemp("seeds") / "metal",
        train=16,
        good=6,
        defects=5,
        size=(48, 48),
        seed=2,
    )
    return [evaluate(simple(data, rate), data) for rate in (0.1, 0.3, 0.5)]


def test_mean_and_deviation_are_numpys(runs: list[Evaluation]) -> None:
    found = over_seeds(runs)
    assert set(found) == set(FIGURES)
    rates = [run.false_alarm_rate_got for run in runs]
    assert len(set(rates)) > 1
    assert found["false_alarm_rate_got"].mean == pytest.approx(np.mean(rates))
    assert found["false_alarm_rate_got"].deviation == pytest.approx(np.std(rates, ddof=1))
    assert found["image_auroc"].deviation == 0  # one and the same score
    aupro = runs[0].pixels.overall.aupro  # type: ignore[union-attr]
    assert found["pixels.aupro"].mean == pytest.approx(aupro)
    assert figure(runs[0], "equalised.escape_rate") == runs[0].equalised.escape_rate  # type: ignore[union-attr]


def test_a_figure_that_some_run_lacks_is_counted_without_it(runs: list[Evaluation]) -> None:
    bare = runs[0].model_copy(update={"f1": None, "pixels": None, "equalised": None})
    found = over_seeds([bare, runs[1]])
    assert (found["f1"].count, found["f1"].deviation) == (1, None)
    assert found["f1"].mean == runs[1].f1
    assert str(found["f1"]) == f"{runs[1].f1:.3f}"
    assert "pixels.aupro" not in over_seeds([bare])


def test_different_test_sets_and_none_at_all_are_refused(runs: list[Evaluation]) -> None:
    other = runs[1].model_copy(update={"test_fingerprint": "0" * 64, "data": "elsewhere"})
    with pytest.raises(BurnishError, match=r"elsewhere .* different test images"):
        over_seeds([runs[0], other])
    with pytest.raises(BurnishError, match="no evaluation"):
        over_seeds([])
