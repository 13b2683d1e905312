"""Figures: reproducible, themed, and their frames tell where data lie."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import rc_context
from PIL import Image

from burnish.evaluation import figures, figures_more
from burnish.evaluation.drawing import Drawing, canvas, drawn, spread, styled
from burnish.evaluation.record import Evaluation, StressRow
from burnish.evaluation.scales import scale_table


def pixel(drawing: Drawing, x: float, y: float) -> tuple[int, int]:
    """Where a data point lies in the PNG, by the drawing's box: column, row."""
    image, box = Image.open(io.BytesIO(drawing.png)), drawing.box
    low, high = box.x
    share = (math.log(x / low) / math.log(high / low)) if box.log_x else (x - low) / (high - low)
    up = (y - box.y[0]) / (box.y[1] - box.y[0])
    column = (box.left + box.width * share) * image.width
    return round(column), round((box.top + box.height * (1 - up)) * image.height)


@pytest.mark.parametrize("log", [False, True])
def test_the_box_says_where_data_lie(log: bool) -> None:
    with styled():
        figure, axes = canvas(3.0)
        axes.set(xlim=(1, 100), ylim=(0, 2), xlabel="a label", ylabel="another")
        if log:
            axes.set_xscale("log")
        axes.plot([30], [0.5], "s", color="#ff0000", markersize=6)
        drawing = drawn(figure)
    column, row = pixel(drawing, 30, 0.5)
    red = np.asarray(Image.open(io.BytesIO(drawing.png)).convert("RGB")).astype(int)
    rows, columns = np.nonzero((red[..., 0] > 250) & (red[..., 1] < 5))
    assert abs(rows.mean() - row) <= 1
    assert abs(columns.mean() - column) <= 1


def test_the_threshold_line_lies_where_the_box_says(evaluation: Evaluation) -> None:
    drawing = figures.score_distribution(evaluation)
    column, _ = pixel(drawing, evaluation.threshold, drawing.box.y[0])
    grey = np.asarray(Image.open(io.BytesIO(drawing.png)).convert("L"))
    top = round(drawing.box.top * grey.shape[0])
    strip = grey[top + 2 : top + round(0.2 * grey.shape[0]), column - 1 : column + 2]
    assert (strip.min(axis=1) < 120).mean() > 0.4  # a dashed line of ink
    beside = grey[top + 2 : top + round(0.2 * grey.shape[0]), column + 8 : column + 11]
    assert (beside.min(axis=1) < 60).mean() < 0.2


def test_figures_are_the_same_bytes_each_time(evaluation: Evaluation) -> None:
    for draw in (figures.roc, figures.precision_recall, figures.score_distribution):
        one, other = draw(evaluation), draw(evaluation)
        assert one is not None
        assert other is not None
        assert one.svg == other.svg
        assert one.png == other.png


def test_a_matplotlibrc_of_the_current_folder_has_no_say(evaluation: Evaluation) -> None:
    """It lies with the data, perhaps, and may have LaTeX run for every word."""
    drawing = figures.score_distribution(evaluation)
    with rc_context({"text.usetex": True, "lines.linewidth": 9, "savefig.bbox": "tight"}):
        assert figures.score_distribution(evaluation) == drawing


def test_colours_follow_a_dark_screen_and_paper_stays_light(evaluation: Evaluation) -> None:
    drawing = figures.roc(evaluation)
    assert drawing is not None
    rule = re.search(r"<style>(svg\{.*?)</style>", drawing.svg)
    assert rule is not None
    assert "@media screen and (prefers-color-scheme:dark)" in rule[1]
    assert "#333333" not in drawing.svg.replace(rule[0], "")
    corner = Image.open(io.BytesIO(drawing.png)).convert("RGB").getpixel((0, 0))
    assert corner == (255, 255, 255)


def test_one_class_has_no_curves(evaluation: Evaluation) -> None:
    good = tuple(row for row in evaluation.images if not row.is_defect)
    e = evaluation.model_copy(update={"images": good, "n_defect": 0, "recall": None, "kinds": ()})
    assert figures.roc(e) is None
    assert figures.precision_recall(e) is None
    assert figures.score_distribution(e).png.startswith(b"\x89PNG")


def test_precision_recall_survives_no_alarm_at_all(evaluation: Evaluation) -> None:
    e = evaluation.model_copy(update={"precision": None, "recall": 0.0})
    assert figures.precision_recall(e) is not None


def test_no_curve_runs_through_the_name_of_the_operating_point(evaluation: Evaluation) -> None:
    row = evaluation.images[0]
    # Defective and good ones in turn, from the highest score down: precision falls from 1 to 0.5.
    images = tuple(
        row.model_copy(update={"score": 200.0 - i, "is_defect": i < 20 or i % 2 == 0})
        for i in range(120)
    )
    for called in (25, 60):  # the name stands right of the point, then left
        caught = sum(image.is_defect for image in images[:called])
        defects = sum(image.is_defect for image in images)
        e = evaluation.model_copy(update={"images": images, "recall": caught / defects,
                                          "precision": caught / called})  # fmt: skip
        drawing = figures.precision_recall(e)
        assert drawing is not None
        shown = np.asarray(Image.open(io.BytesIO(drawing.png)).convert("RGB")).astype(int)
        name = abs(shown - (213, 94, 0)).sum(-1) < 60
        column, _ = pixel(drawing, caught / defects, 0.5)
        name[:, column - 12 : column + 13] = False  # the mark itself
        rows, columns = np.nonzero(name)
        box = shown[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert len(rows) > 300
        assert not (abs(box - 51).sum(-1) < 30).any(), called  # the curve's grey


def test_training_curves_from_losses(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("epoch,step,seconds,total,l1\n1,10,0.5,3.0,0.2\n2,20,1.0,2.0,0.1\n")
    steps, terms = figures.read_losses(path)
    assert steps.tolist() == [10, 20]
    assert {name: values.tolist() for name, values in terms.items()} == {
        "total": [3.0, 2.0], "l1": [0.2, 0.1],
    }  # fmt: skip
    drawing = figures.training_curves(path)
    assert drawing is not None
    assert drawing.box.x == (0, 20)
    for text in ("", "epoch,step\n", "what,is,this\n1,2,3\n", "epoch,step,seconds,total\n1,10\n"):
        path.write_text(text)
        assert figures.training_curves(path) is None
        assert figures.why_no_curves(path) == (
            "losses.csv beside the model holds no losses that can be drawn"
        )
    assert figures.training_curves(tmp_path / "none.csv") is None
    assert figures.why_no_curves(None) == "there is no losses.csv beside the model"


def test_labels_are_pushed_apart_within_the_axes() -> None:
    placed = spread([0.1, 0.11, 0.5, 0.97, 0.99, 1.0], 0.1)
    assert placed == pytest.approx([0.1, 0.2, 0.5, 0.8, 0.9, 1.0])
    assert spread([0.0, 0.5, 1.0], 0.1) == [0.0, 0.5, 1.0]


def test_scales_of_one_class_and_of_none(evaluation: Evaluation) -> None:
    scales = scale_table(evaluation)
    assert figures_more.scale_scores(scales) is not None
    assert figures_more.scale_auroc(scales, 0.9) is not None
    assert figures_more.scale_auroc(scales, None) is None
    assert figures_more.scale_scores([]) is None
    good = tuple(row for row in evaluation.images if not row.is_defect)
    alone = scale_table(evaluation.model_copy(update={"images": good, "kinds": ()}))
    assert alone[0].defect is None
    assert alone[0].image_auroc is None
    assert figures_more.scale_scores(alone) is not None
    assert figures_more.scale_auroc(alone, None) is None


def test_stress_rows_without_one_class_are_drawn() -> None:
    common: dict[str, Any] = {
        "n_good": 5, "n_defect": 0, "image_auroc": None, "false_alarms": 1, "missed": 0,
        "false_alarm_rate": 0.2, "escape_rate": None, "out_of_range": None,
    }  # fmt: skip
    rows = [StressRow(change="none", strength="as they are", **common),
            StressRow(change="blur", strength="2 px", **common)]  # fmt: skip
    assert figures_more.stress_figure(rows) is not None
    assert figures_more.stress_figure([]) is None
    assert [figures_more.stress_name(row) for row in rows] == ["unchanged", "blur 2 px"]
