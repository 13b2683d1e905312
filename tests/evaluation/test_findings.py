"""The sentences beside the figures say what the figures say."""

from __future__ import annotations

import pytest

from burnish.evaluation.findings import on_equalised, on_scales, on_stress, on_stressed, on_trivial
from burnish.evaluation.record import Equalised, Evaluation, StressRow, TrivialRow
from burnish.evaluation.scales import ScaleRow


def with_trivial(e: Evaluation, model: float, statistic: float) -> Evaluation:
    row = TrivialRow(statistic="mean", label="mean brightness", unit="grey levels", auroc=statistic,
                     higher_in_defects=False, median_good=180, median_defect=170)  # fmt: skip
    return e.model_copy(update={"image_auroc": model, "trivial": (row,)})


@pytest.mark.parametrize(
    ("model", "statistic", "said"),
    [
        (0.615, 1.0, "does better than the model"),
        (0.95, 0.945, "does as well as the model"),
        (0.95, 0.955, "does as well as the model"),
        (0.95, 0.82, "but mean brightness alone (lower in defects) reaches an AUROC of 0.820"),
        (0.95, 0.6, "No trivial statistic comes near the model (0.950)"),
    ],
)
def test_finding_on_trivial_statistics(
    evaluation: Evaluation, model: float, statistic: float, said: str
) -> None:
    assert said in on_trivial(with_trivial(evaluation, model, statistic))


@pytest.mark.parametrize(
    ("now", "said"),
    [(0.7, "leans on brightness or contrast"), (0.88, "does not rest on"), (0.99, "disturb")],
)
def test_finding_on_equalised_brightness(evaluation: Evaluation, now: float, said: str) -> None:
    equal = Equalised(mean=100, spread=20, image_auroc=now, average_precision=now, f1=0.5,
                      best_f1=0.6, false_alarms=1, false_alarm_rate=0.1, missed=3,
                      escape_rate=0.3)  # fmt: skip
    e = evaluation.model_copy(update={"image_auroc": 0.9, "equalised": equal})
    assert said in on_equalised(e)
    assert f"{now:.3f} with both made equal, 0.900 as they are" in on_equalised(e)


def stress(change: str, strength: str, alarms: int, missed: int) -> StressRow:
    return StressRow(change=change, strength=strength, n_good=10, n_defect=20, image_auroc=0.8,
                     false_alarms=alarms, false_alarm_rate=alarms / 10, missed=missed,
                     escape_rate=missed / 20, out_of_range=0.5)  # fmt: skip


def test_stress_names_the_worst(evaluation: Evaluation) -> None:
    rows = (stress("none", "as they are", 1, 10), stress("brightness", "-25 %", 8, 4),
            stress("blur", "2 px", 0, 19))  # fmt: skip
    said = on_stress(evaluation.model_copy(update={"stress": rows}))
    assert "Most false alarms come under brightness -25 %: 80 % of the good parts, 10 %" in said
    assert "Most defects escape under blur 2 px: 95 % of the defective parts, 50 %" in said
    calm = (rows[0], stress("shift", "1 px", 1, 10))
    said = on_stress(evaluation.model_copy(update={"stress": calm}))
    assert "No change raises false alarms: 10 % of the good parts, as unchanged." in said
    assert "No change lets more defects escape: 50 %" in said


def test_stress_on_some_of_the_images_is_not_compared_with_all(evaluation: Evaluation) -> None:
    rows = (stress("none", "as they are", 1, 10),)
    some = evaluation.model_copy(update={"stress": rows, "n_good": 211, "n_defect": 318})
    assert "10 good and 20 defective images, drawn from 211 and 318" in on_stressed(some)
    assert "not with the figures of all test images" in on_stressed(some)
    whole = some.model_copy(update={"images": (evaluation.images[0],) * 30})
    assert on_stressed(whole) == "All test images: 10 good and 20 defective images."


def test_finding_on_error_maps() -> None:
    def row(name: str, auroc: float | None) -> ScaleRow:
        return ScaleRow(name, auroc, {}, None, None, None)

    rows = [row("8 px", 0.7), row("16 px", 0.8)]
    assert "16 px alone would rank these images better (0.800)" in on_scales(rows, 0.75)
    assert "(16 px: 0.800) ranks as well" in on_scales(rows, 0.795)
    assert "fused score ranks better" in on_scales(rows, 0.9)
    assert on_scales(rows[:1], 0.9) == ""
    assert on_scales([row("8 px", None)] * 2, None) == ""


def test_nothing_known_says_nothing(evaluation: Evaluation) -> None:
    e = evaluation.model_copy(update={"trivial": (), "equalised": None, "stress": ()})
    assert on_trivial(e) == on_equalised(e) == on_stress(e) == on_stressed(e) == ""
    e = with_trivial(evaluation, 0.9, 0.9).model_copy(update={"image_auroc": None})
    assert on_trivial(e) == ""
