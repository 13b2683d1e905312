"""The gate's sums, worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from burnish.errors import BurnishError
from burnish.export.parity import Difference, GateImages, Parity, compare


def found(
    *scores: tuple[float, float], differs: tuple[int, ...] = (), exported_threshold: float = 20.0
) -> Parity:
    """Of images 0.png, 1.png, ...: both scores; maps that differ by tenths of the number."""
    images = [
        Difference(Path(f"{number}.png"), one, two, (7 - number) / 10, number in differs)
        for number, (one, two) in enumerate(scores)
    ]
    return Parity(tuple(images), 0.5, 20.0, exported_threshold)


def test_what_the_gate_says() -> None:
    parity = found((1, 1.25), (2, 3), (4, 2), (5, 5.5))
    assert [image.path.name for image in parity.beyond] == ["2.png", "1.png"]  # worst first
    assert parity.worst.path.name == "2.png"
    assert not parity.passed
    assert parity.to_dict() == {
        "images": 4, "largest_score_difference": 2.0, "score_tolerance": 0.5, "threshold": 20.0,
        "exported_threshold": 20.0, "largest_map_difference": 0.7, "verdicts_that_differ": 0,
    }  # fmt: skip
    assert parity.summary() == (
        "4 images: largest score difference 2 of 0.5 allowed (10 % of the threshold), "
        "largest map difference 0.7, 0 verdicts differ"
    )
    assert parity.complaint().splitlines() == [
        "  2.png: the score differs by 2 (4, exported 2)",
        "  1.png: the score differs by 1 (2, exported 3)",
    ]


@pytest.mark.parametrize(
    ("parity", "passed"),
    [
        (found((1, 1.5), (2, 2)), True),  # as far as is allowed
        (found((1, 1.6), (2, 2)), False),
        (found((1, 1), (2, 2), differs=(1,)), False),
        (found((1, math.nan), (2, 2)), False),
    ],
)
def test_one_score_or_verdict_shuts_it(parity: Parity, passed: bool) -> None:
    assert parity.passed == passed


def test_of_many_images_some_are_named_and_the_rest_counted() -> None:
    lines = found(*[(1, 2)] * 9, differs=(0, 1, 2, 4, 5, 6)).complaint().splitlines()
    assert [line.split(":")[0].strip() for line in lines[:5]] == [
        "0.png", "1.png", "2.png", "4.png", "5.png",
    ]  # fmt: skip
    assert lines[5].startswith("  3.png: the score differs")
    assert lines[6:] == ["  and 3 more images"]


def test_a_raised_threshold_is_told_where_verdicts_differ() -> None:
    """Both scores may lie above the model's."""
    scores = (20.1, 20.2)
    (line,) = found(scores, differs=(0,), exported_threshold=20.3).complaint().splitlines()
    assert line.endswith("(score 20.1, exported 20.2; threshold 20, exported 20.3)")
    for same in (20.0, 20.0 + 1e-9):  # as float32 holds it
        (line,) = found(scores, differs=(0,), exported_threshold=same).complaint().splitlines()
        assert line.endswith("(score 20.1, exported 20.2; threshold 20)")


def test_ranges_are_never_set_on_all_that_try_them() -> None:
    good, tested = tuple(map(Path, "abcdefg")), (Path("x"), Path("y"))
    assert GateImages(good, ()).for_ranges == good[:3]
    assert GateImages(good, tested).for_ranges == good
    assert GateImages(good, tested).all == good + tested


class Judge:
    """Scores an image by its number, and has a map of it; `broken` ones cannot be read."""

    def __init__(self, factor: float, threshold: float, broken: tuple[int, ...] = ()) -> None:
        self.factor, self.threshold, self.broken = factor, threshold, broken

    def inspect(self, path: Path) -> Any:
        number = int(path.stem)
        if number in self.broken:
            raise BurnishError(f"{number} is broken")
        score, anomaly_map = number * self.factor, np.zeros((3, 4))
        anomaly_map[1, 2] = score
        return SimpleNamespace(
            score=score, anomaly_map=anomaly_map, is_defect=score > abs(self.threshold)
        )


def test_both_judge_every_image_that_can_be_read() -> None:
    paths, seen = [Path(f"{number}.png") for number in range(1, 6)], []
    model, other = Judge(1.0, -4.2, (2,)), Judge(1.1, -4.3)
    parity = compare(model, other, paths, 0.05, lambda *n: seen.append(n))  # type: ignore[arg-type]
    assert [image.path.stem for image in parity.images] == ["1", "3", "4", "5"]
    assert [image.map for image in parity.images] == pytest.approx([0.1, 0.3, 0.4, 0.5])
    assert [image.differs for image in parity.images] == [False, False, True, False]
    assert (parity.tolerance, parity.threshold) == pytest.approx((0.21, -4.2))
    assert parity.exported_threshold == -4.3
    assert seen == [(1, 5), (3, 5), (4, 5), (5, 5)]
    with pytest.raises(BurnishError, match="3 is broken"):  # the export must read what it does
        compare(model, Judge(1.0, 4.2, (3,)), paths, 0.05)  # type: ignore[arg-type]
    with pytest.raises(BurnishError, match=r"none of the images .* can be read: 2 is broken"):
        compare(model, other, paths[1:2], 0.05)  # type: ignore[arg-type]
