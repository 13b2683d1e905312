"""Runs side by side: what differs, what may be compared, and records that are none."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from burnish import Detector
from burnish.errors import BurnishError
from burnish.evaluation.compare import (
    Line,
    Run,
    by_test_set,
    differing_settings,
    lines,
    load_runs,
    over_seeds_of,
    short_names,
)
from burnish.evaluation.compare_page import as_json, range_of, text_of, warnings, write_comparison
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.record import FORMAT, Evaluation, save_json

HOSTILE = "<script>alert(1)</script>"


def run(name: str, evaluation: Evaluation, **changes: object) -> Run:
    return Run(name, Path(name) / "evaluation.json", evaluation.model_copy(update=changes))


def seeded(evaluation: Evaluation, seed: int) -> Evaluation:
    model = evaluation.model
    settings = model.settings | {"seed": seed}
    return evaluation.model_copy(
        update={"model": model.model_copy(update={"settings": settings, "seed": seed})}
    )


@pytest.fixture
def saved(evaluation: Evaluation, tmp_path: Path) -> list[Path]:
    """Two run folders and one report folder."""
    folders = [tmp_path / "runs/first", tmp_path / "runs/second", tmp_path / "reports/first"]
    for number, folder in enumerate(folders):
        inside = folder if folder.parent.name == "reports" else folder / "evaluation"
        save_json(seeded(evaluation, number), inside / "evaluation.json")
        if inside != folder:
            (folder / "model.safetensors").write_bytes(b"")
    return folders


def test_run_folders_report_folders_and_files_are_found(
    saved: list[Path], evaluation: Evaluation
) -> None:
    runs = load_runs([saved[0], saved[1] / "evaluation/evaluation.json", saved[2]])
    assert [r.evaluation.model.seed for r in runs] == [0, 1, 2]
    assert [r.name for r in runs] == ["runs/first", "runs/second", "reports/first"]
    assert [r.name for r in load_runs(saved[:2])] == ["first", "second"]
    again = load_runs([saved[0] / "model.safetensors", saved[1]])
    assert again[0].path == saved[0] / "evaluation/evaluation.json"
    shutil.copy(again[0].path, saved[0])  # a study's cell that `evaluate` has evaluated again
    assert load_runs(saved)[0].path == saved[0] / "evaluation/evaluation.json"
    assert runs[0].evaluation.images == evaluation.images


def test_names_are_as_short_as_they_can_be() -> None:
    def names(*folders: str) -> list[str]:
        return short_names([Path("/x") / folder / "evaluation.json" for folder in folders])

    assert names("a/one", "a/two") == ["one", "two"]
    assert names("a/one", "b/one") == ["a/one", "b/one"]
    assert names("a/one", "b/one", "b/two") == ["a/one", "b/one", "b/two"]
    assert short_names([Path("/x/a.json"), Path("/x/b.json")]) == ["a.json", "b.json"]


def test_runs_that_cannot_be_compared_are_refused(saved: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="at least two"):
        load_runs(saved[:1])
    with pytest.raises(BurnishError, match="given twice"):
        load_runs([saved[0], saved[0] / "evaluation"])
    with pytest.raises(BurnishError, match="does not exist"):
        load_runs([saved[0], tmp_path / "nowhere"])
    with pytest.raises(BurnishError, match=r"neither a model nor an evaluation\.json"):
        load_runs([saved[0], tmp_path])
    (saved[1] / "evaluation/evaluation.json").unlink()
    with pytest.raises(BurnishError, match=r"has not been evaluated; burnish evaluate .*second"):
        load_runs([saved[0], saved[1]])
    with pytest.raises(BurnishError, match="at most 30"):
        load_runs([saved[0]] * 31)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not the record"), (b"[1, 2]", "not the record"), (b'{"a": 1}', "not the record"),
        (b"\xff\xfe", "not the record"), (b"[" * 100_000, "not the record"),
        (b"3", "not the record"),
        (json.dumps({"format": FORMAT + 1}).encode(), "update burnish"),
        (b'{"format": 1, "data": "x"}', "is damaged"),
        (b'{"format": "new"}', "is damaged"),
    ],
)  # fmt: skip
def test_what_is_no_record(saved: list[Path], tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(BurnishError, match=said):
        load_runs([saved[0], tmp_path / "bad.json"])


def test_nan_and_emptiness_are_damage(saved: list[Path], tmp_path: Path) -> None:
    record = json.loads((saved[0] / "evaluation/evaluation.json").read_text())
    (tmp_path / "nan.json").write_text(json.dumps(record | {"threshold": float("nan")}))
    with pytest.raises(BurnishError, match="threshold"):
        load_runs([saved[0], tmp_path / "nan.json"])
    (tmp_path / "none.json").write_text(json.dumps(record | {"images": []}))
    with pytest.raises(BurnishError, match="holds no image"):
        load_runs([saved[0], tmp_path / "none.json"])


def test_settings_that_differ(evaluation: Evaluation) -> None:
    first, second = seeded(evaluation, 1), seeded(evaluation, 2)
    assert differing_settings([run("a", first), run("b", first)]) == {}
    assert differing_settings([run("a", first), run("b", second)]) == {"seed": [1, 2]}
    old = first.model_copy(update={"model": first.model.model_copy(update={"settings": {}})})
    for order in ([old, first, first], [first, old, first]):
        assert differing_settings([run(str(i), e) for i, e in enumerate(order)]) == {}
    assert differing_settings([run("o", old), run("a", first), run("b", second)]) == {
        "seed": [None, 1, 2]
    }


def test_different_test_sets_are_told_apart(evaluation: Evaluation) -> None:
    same = [run("a", evaluation), run("b", evaluation, data="elsewhere")]
    assert len(by_test_set(same)) == 1  # the same bytes in another folder
    assert warnings(same) == []
    other = run("c", evaluation, test_fingerprint="0" * 64, data="other")
    sets = by_test_set([*same, other])
    assert [s.runs for s in sets] == [("a", "b"), ("c",)]
    (said,) = warnings([*same, other])
    assert "2 different test sets: a, b on test set 1" in said
    assert "c on test set 2 (other)" in said


def test_differences_of_runs_beside_one_of_another_test_set(evaluation: Evaluation) -> None:
    first, better = run("a", evaluation), run("b", evaluation, image_auroc=1.0)
    other = run("c", evaluation, test_fingerprint="0" * 64)
    alone, among = (
        {line.key: line for line in lines(runs)}["image_auroc_difference"]
        for runs in ([first, better], [first, other, better])
    )
    assert alone.values[1] is not None
    assert among.values == (None, None, alone.values[1])
    assert among.intervals == (None, None, alone.intervals[1])


def test_pixels_counted_with_other_masks_are_not_compared(evaluation: Evaluation) -> None:
    assert evaluation.pixels is not None
    assert len(evaluation.pixels.masks) == 64
    other = evaluation.pixels.model_copy(update={"masks": "0" * 64})
    old = evaluation.pixels.model_copy(update={"masks": ""})
    first, second = seeded(evaluation, 1), seeded(evaluation, 2)
    for pixels, known in ((other, True), (old, False)):
        runs = [run("a", first), run("b", second, pixels=pixels)]
        assert any("same masks" in said for said in warnings(runs)) is known
        assert {line.key: line.best for line in lines(runs)}["pixel_aupro"] == ("high", "")[known]
        over = over_seeds_of(runs)
        assert ("pixel_aupro" in over) is not known
        assert "image_auroc" in over
        assert as_json(runs)["same_test_set"]


def test_runs_at_other_wanted_rates_are_no_seeds_of_each_other(
    metal: Path, run_folder: Path
) -> None:
    detector = Detector.load(run_folder)
    records = [
        evaluate(d, metal, pixels=False, equalised=False)
        for d in (detector, detector.with_false_alarms(0.5))
    ]
    runs = [run("a", seeded(records[0], 1)), run("b", seeded(records[1], 2))]
    assert differing_settings(runs) == {"seed": [1, 2], "false_alarms": [0.01, 0.5]}
    assert over_seeds_of(runs) == {}


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX systems alone")
def test_runs_of_any_name_are_drawn(evaluation: Evaluation, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("_old", "$a$b", os.fsdecode(b"r\xe4"))]
    for folder in folders:
        save_json(evaluation, folder / "evaluation.json")
    runs = load_runs(folders)
    assert [r.name for r in runs] == ["_old", "$a$b", "r\\udce4"]
    page = write_comparison(runs, tmp_path / "out").read_text("utf-8")
    assert (tmp_path / "out/figures/compare_roc.png").exists()
    assert "No curves" not in page
    assert unescape(page).count("r\\udce4/evaluation.json") == 1


def test_without_fingerprints_the_images_names_decide(evaluation: Evaluation) -> None:
    old = run("old", evaluation, test_fingerprint="")
    assert len(by_test_set([old, run("new", evaluation)])) == 1
    fewer = run("fewer", evaluation, test_fingerprint="", images=evaluation.images[1:])
    assert len(by_test_set([old, fewer])) == 2


def test_lines_hold_the_raw_figures(evaluation: Evaluation) -> None:
    table = {line.key: line for line in lines([run("a", evaluation), run("b", evaluation)])}
    for key in ("image_auroc", "f1", "escape_rate", "false_alarm_rate_got", "ms_per_image"):
        assert table[key].values == (getattr(evaluation, key),) * 2
    assert evaluation.pixels is not None
    assert table["pixel_aupro"].values[0] == evaluation.pixels.overall.aupro
    assert table["false_alarm_rate_got"].intervals[0] == evaluation.false_alarm_interval
    best = evaluation.best_trivial
    assert best is not None
    assert (table["trivial_auroc"].values[0], table["trivial_auroc"].notes[0]) == (
        best.auroc, best.label,
    )  # fmt: skip
    bare = run("b", evaluation, pixels=None, trivial=(), equalised=None)
    table = {line.key: line for line in lines([bare, bare])}
    for key in ("pixel_auroc", "trivial_auroc", "equalised_auroc"):
        assert table[key].values == (None, None)
        assert text_of(table[key], 0) == "n/a"


def test_runs_that_differ_in_their_seed_alone_get_mean_and_deviation(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    aurocs = (0.7, 0.8, 0.84)
    runs = [
        run(str(seed), seeded(evaluation, seed), image_auroc=auroc)
        for seed, auroc in enumerate(aurocs)
    ]
    over = over_seeds_of(runs)
    assert over["image_auroc"].mean == pytest.approx(0.78)
    assert over["image_auroc"].deviation == pytest.approx(np.std(aurocs, ddof=1))
    assert evaluation.pixels is not None
    assert over["pixel_auroc"].mean == pytest.approx(evaluation.pixels.overall.auroc)
    html = write_comparison(runs, tmp_path).read_text(encoding="utf-8")
    assert '<td class="n">0.780 ± 0.072</td>' in html
    assert "<b>" not in html  # a lucky seed is no merit
    other = seeded(evaluation, 3)
    settings = other.model.settings | {"tome_r": 1}
    model = other.model.model_copy(update={"settings": settings})
    assert over_seeds_of([runs[0], run("r", other.model_copy(update={"model": model}))]) == {}
    assert over_seeds_of([runs[0], run("o", other, test_fingerprint="0" * 64)]) == {}
    assert over_seeds_of([runs[0], run("same", seeded(evaluation, 0))]) == {}


def test_the_best_is_the_best() -> None:
    def line(best: str, *values: float | None) -> Line:
        return Line("k", "n", values, (None,) * len(values), best, "percent")

    assert line("high", 0.5, 0.9, None).leaders == {1}
    assert line("low", 0.5, 0.9, None).leaders == {0}
    assert line("high", 0.9, 0.9, 0.1).leaders == {0, 1}
    assert line("high", 0.9, 0.9).leaders == line("", 0.1, 0.9).leaders == frozenset()
    assert line("high", None, None).leaders == frozenset()
    shown = Line("k", "n", (0.125,), ((0.1, 0.1512),), "", "percent")
    assert (text_of(shown, 0), range_of(shown, 0)) == ("12.5 %", "10 to 15.1 %")


def test_the_page_and_its_parts(evaluation: Evaluation, tmp_path: Path) -> None:
    runs = [run(HOSTILE, seeded(evaluation, 1)), run("b", seeded(evaluation, 2)),
            run("c", evaluation, test_fingerprint="1" * 64, data=HOSTILE)]  # fmt: skip
    html = write_comparison(runs, tmp_path).read_text(encoding="utf-8")
    assert HOSTILE not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "script-src 'none'" in unescape(html)
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert "tested on 2 different test sets" in html
    assert "<b>" not in html  # nothing is the best of things that cannot be compared
    with open(tmp_path / "compare.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [HOSTILE, "b", "c"]
    assert [row["test_set"] for row in rows] == ["1", "1", "2"]
    assert [row["set seed"] for row in rows] == ["1", "2", str(evaluation.model.seed)]
    assert float(rows[0]["image_auroc"]) == evaluation.image_auroc
    record = json.loads((tmp_path / "compare.json").read_text())
    assert record["same_test_set"] is False
    assert record["runs"][1]["intervals"]["image_auroc"] == list(
        evaluation.intervals["image_auroc"]
    )
    names = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")}
    assert names == {
        "compare.html", "compare.csv", "compare.json", "figures/compare_roc.png",
        "figures/compare_precision_recall.png",
    }  # fmt: skip


def test_the_best_is_bold_on_the_same_test_set(evaluation: Evaluation, tmp_path: Path) -> None:
    runs = [run("a", evaluation, image_auroc=0.75), run("b", evaluation, image_auroc=0.8125)]
    html = write_comparison(runs, tmp_path).read_text(encoding="utf-8")
    assert "<b>0.812</b>" in html
    assert "<b>0.750</b>" not in html


def test_runs_of_one_class_have_no_curves_and_no_stale_ones(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    write_comparison([run("a", evaluation), run("b", evaluation)], tmp_path)
    good = tuple(row for row in evaluation.images if not row.is_defect)
    nothing = {"images": good, "n_defect": 0, "recall": None, "image_auroc": None, "kinds": ()}
    runs = [run("a", evaluation, **nothing), run("b", evaluation, **nothing)]
    assert "No curves" in write_comparison(runs, tmp_path).read_text(encoding="utf-8")
    assert list((tmp_path / "figures").iterdir()) == []
