"""Galleries: which images are shown, their panels, and a gallery as one picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from burnish.detection.result import Result
from burnish.evaluation.gallery import (
    Exhibit,
    Gallery,
    Panel,
    choose,
    make_galleries,
    shrunk_jpeg,
    truth_panel,
)
from burnish.evaluation.record import Evaluation
from burnish.evaluation.sheets import gallery_sheet

Simple = Callable[..., Any]


def test_galleries_are_chosen_by_score_and_show_nothing_twice(evaluation: Evaluation) -> None:
    groups = choose(evaluation, 4)
    shown = [row.path for rows, _ in groups.values() for row in rows]
    assert len(shown) == len(set(shown))
    missed = sorted(r.score for r in evaluation.images if r.is_defect and r.verdict == "good")
    assert [row.score for row in groups["missed"][0]] == missed[:4]
    assert groups["missed"][1] == evaluation.missed == len(missed)
    alarms = groups["false_alarms"]
    assert alarms[1] == evaluation.false_alarms
    assert all(not r.is_defect and r.verdict == "defect" for r in alarms[0])
    surest = groups["surest"][0]
    assert surest[0].score == max(r.score for r in evaluation.images if r.is_defect)
    caught_kinds = {r.kind for r in evaluation.images if r.is_defect and r.verdict == "defect"}
    assert len({r.kind for r in surest}) == min(4, len(caught_kinds))
    closest = groups["closest"][0]
    far = max(abs(r.score - evaluation.threshold) for r in closest)
    rest = [r for r in evaluation.images if r.path not in shown]
    assert all(abs(r.score - evaluation.threshold) >= far for r in rest)
    assert all(not r.is_defect and r.verdict == "good" for r in groups["passed"][0])


def test_the_defect_called_defective_says_where(
    hostile_metal: Path, simple: Simple, evaluation: Evaluation
) -> None:
    detector = simple(hostile_metal)
    galleries = {g.key: g for g in make_galleries(evaluation, detector, hostile_metal, 2)}
    for exhibit in galleries["surest"].exhibits:
        result = detector.inspect(hostile_metal / exhibit.row.path)
        worst = result.regions[0]
        assert f"{worst.width} × {worst.height} px at ({worst.x}, {worst.y})" in exhibit.where
        assert "blocks of 8 px stood out" in exhibit.where
        assert [panel.name for panel in exhibit.panels] == [
            "part", "reconstruction", "residual ×4", "heat map", "ground truth",
        ]  # fmt: skip

    class Everywhere:
        @staticmethod
        def inspect(path: Path) -> Result:
            found = detector.inspect(path)
            return replace(found, regions=(), evidence="whole surface")

    galleries = {g.key: g for g in make_galleries(evaluation, Everywhere(), hostile_metal, 2)}
    assert galleries["surest"].exhibits[0].where.startswith("all over, most at (")
    assert all(exhibit.where == "" for exhibit in galleries["passed"].exhibits)
    assert all(len(exhibit.panels) == 4 for exhibit in galleries["passed"].exhibits)


def test_truth_panel_marks_exactly_the_mask() -> None:
    image = np.full((20, 30), 100, np.uint8)
    mask = np.zeros((20, 30), bool)
    mask[4:9, 10:20] = True
    pixels = np.asarray(truth_panel(image, mask)).astype(int)
    orange = pixels[..., 0] - pixels[..., 2] > 50
    assert (orange == mask).all()
    assert (pixels[4, 10:20] == (213, 94, 0)).all()  # the outline is solid
    empty = np.asarray(truth_panel(image, np.zeros((20, 30), bool)))
    assert np.ptp(empty.astype(int), axis=2).max() == 0


def test_pictures_are_shrunk_and_never_enlarged() -> None:
    for size, expected in (((2000, 1000), (440, 220)), ((64, 32), (64, 32)), ((5000, 2), (440, 1))):
        content = shrunk_jpeg(Image.new("L", size, 50))
        assert Image.open(io.BytesIO(content)).size == expected


def test_noise_is_kept_within_the_bytes_allowed() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    sizes = [len(shrunk_jpeg(picture, most)) for most in (10**7, 60_000, 30_000)]
    assert sizes[0] > 100_000
    assert sizes[1] <= 60_000
    assert sizes[2] <= 30_000
    smallest = Image.open(io.BytesIO(shrunk_jpeg(picture, 1)))
    assert smallest.size == (200, 200)  # shown all the same


def test_a_gallery_as_one_picture_holds_every_panel(evaluation: Evaluation) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    panels = tuple(
        Panel(str(i), shrunk_jpeg(Image.new("RGB", (100, 50), c))) for i, c in enumerate(colours)
    )
    rows = evaluation.images[:3]
    exhibits = (
        Exhibit(rows[0], panels, 2.0),
        Exhibit(rows[1], panels[:2], 2.0),
        Exhibit(rows[2], (), 1.0, problem="gone"),
    )
    sheet = gallery_sheet(Gallery("k", "t", "l", "n", 3, exhibits))
    assert sheet is not None
    pixels = np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB")).astype(int)
    for colour, times in zip(colours, (2, 2, 1), strict=True):
        close = (np.abs(pixels - colour).max(axis=2) < 12).sum()
        assert abs(close - times * 220 * 110) < 0.02 * times * 220 * 110
    assert gallery_sheet(Gallery("k", "t", "l", "n", 1, exhibits[2:])) is None


def test_the_truth_of_a_few_pixels_is_seen_in_a_large_image() -> None:
    image = np.full((900, 1200), 90, np.uint8)
    mask = np.zeros((900, 1200), dtype=bool)
    mask[400:404, 500:504] = True
    drawn = np.asarray(truth_panel(image, mask)).astype(int)
    changed = (drawn != drawn[0, 0]).any(axis=2)
    assert changed.sum() == (4 + 2 * 4) ** 2  # four px wider on each side
    with Image.open(io.BytesIO(shrunk_jpeg(truth_panel(image, mask)))) as small:
        shown = np.asarray(small).astype(int)
    reddish = shown[..., 0] - shown[..., 2] > 60
    assert reddish.sum() > 9
