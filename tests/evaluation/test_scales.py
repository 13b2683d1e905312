"""Each mask scale alone, against a slow obvious version."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.evaluation.record import Evaluation
from burnish.evaluation.scales import scale_table


def spread_out(evaluation: Evaluation) -> Evaluation:
    """The same images with scales' scores that differ."""
    rng = np.random.default_rng(4)
    rows = tuple(
        row.model_copy(
            update={"scale_scores": tuple((rng.normal(size=3) + row.is_defect).tolist())}
        )
        for row in evaluation.images
    )
    model = evaluation.model.model_copy(update={"mask_blocks": (8, 16, 32)})
    return evaluation.model_copy(update={"images": rows, "model": model})


def test_each_scale_alone(evaluation: Evaluation) -> None:
    e = spread_out(evaluation)
    table = scale_table(e)
    assert [row.name for row in table] == ["8 px", "16 px", "32 px"]
    for place, row in enumerate(table):
        good = [r.scale_scores[place] for r in e.images if not r.is_defect]
        bad = [r.scale_scores[place] for r in e.images if r.is_defect]
        wins = [(b > g) + 0.5 * (b == g) for b in bad for g in good]
        assert row.image_auroc == pytest.approx(np.mean(wins))
        assert row.good is not None
        assert row.good[1] == pytest.approx(np.median(good))
        kind = e.kinds[0].kind
        of_kind = [r.scale_scores[place] for r in e.images if r.kind == kind]
        wins = [(b > g) + 0.5 * (b == g) for b in of_kind for g in good]
        assert row.by_kind[kind] == pytest.approx(np.mean(wins))
    highest = [int(np.argmax(r.scale_scores)) for r in e.images if r.is_defect]
    assert [row.decided for row in table] == [
        pytest.approx(highest.count(place) / len(highest)) for place in range(3)
    ]


def test_scales_without_known_blocks_are_numbered(evaluation: Evaluation) -> None:
    model = evaluation.model.model_copy(update={"mask_blocks": ()})
    table = scale_table(evaluation.model_copy(update={"model": model}))
    assert [row.name for row in table] == ["scale 1", "scale 2", "scale 3"]


def test_an_older_record_has_none(evaluation: Evaluation) -> None:
    rows = tuple(row.model_copy(update={"scale_scores": ()}) for row in evaluation.images)
    assert scale_table(evaluation.model_copy(update={"images": rows})) == []
    mixed = (rows[0], *evaluation.images[1:])
    assert scale_table(evaluation.model_copy(update={"images": mixed})) == []
