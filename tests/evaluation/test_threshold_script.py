"""The page in a real browser: quiet console, and a slider that counts what numpy counts."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.metrics import confusion_at
from burnish.evaluation.record import Evaluation
from burnish.evaluation.report import write_report

pytestmark = pytest.mark.slow
LEFT, RIGHT, HOME, END = "\ue012", "\ue014", "\ue011", "\ue010"  # WebDriver's names of keys


@pytest.fixture(scope="module")
def page(
    hostile_metal: Path, simple: Callable[..., Any], evaluation: Evaluation,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:  # fmt: skip
    out = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(evaluation, simple(hostile_metal), hostile_metal, out, gallery=1)


def shown(browser: Any) -> dict[str, str]:
    keys = ("threshold", "caught", "missed", "escapes", "alarms", "rate", "precision", "f1")
    return {key: browser.text(f"now-{key}") for key in keys}


def counted(e: Evaluation, threshold: float) -> dict[str, str]:
    scores, defect = [r.score for r in e.images], [r.is_defect for r in e.images]
    c = confusion_at(scores, defect, threshold)
    assert c.f1 is not None
    return {
        "caught": str(c.caught), "missed": str(c.missed), "alarms": str(c.false_alarms),
        "precision": "n/a" if c.precision is None else f"{c.precision:.3f}", "f1": f"{c.f1:.3f}",
    }  # fmt: skip


def test_it_opens_without_a_word_and_starts_at_the_calibrated_threshold(
    browser: Any, page: Path, evaluation: Evaluation
) -> None:
    browser.open(page)
    assert browser.console() == []
    now = shown(browser)
    assert now["threshold"] == f"{evaluation.threshold:.4g}"
    assert counted(evaluation, evaluation.threshold).items() <= now.items()
    table = browser.js(
        "return [...document.querySelectorAll('.compare tbody tr')].map(r =>"
        " [r.children[1].textContent, r.children[2].textContent])"
    )
    assert all(calibrated == moved for calibrated, moved in table), table
    assert browser.text("moved") == "This is the calibrated threshold."
    assert browser.js("return document.getElementById('reset').disabled")
    assert browser.js("return document.getElementById('line').hidden")


def test_moved_by_keyboard_it_counts_what_numpy_counts(
    browser: Any, page: Path, evaluation: Evaluation
) -> None:
    browser.open(page)
    data = browser.js("return JSON.parse(document.getElementById('scores-data').textContent)")
    low, high = np.log(data["x"]) if data["log"] else data["x"]
    seen = set()
    for keys in ([LEFT] * 40, [LEFT] * 200, [HOME], [RIGHT] * 300, [END]):
        browser.press("threshold", *keys)
        share = int(browser.js("return document.getElementById('threshold').value")) / 1000
        place = low + share * (high - low)
        threshold = float(np.exp(place)) if data["log"] else float(place)
        assert counted(evaluation, threshold).items() <= shown(browser).items()
        seen.add(browser.text("now-caught") + "/" + browser.text("now-alarms"))
    assert len(seen) >= 4
    assert not browser.js("return document.getElementById('looking-only').hidden")
    browser.click("reset")
    assert shown(browser)["threshold"] == f"{evaluation.threshold:.4g}"
    assert browser.text("moved") == "This is the calibrated threshold."
    assert browser.js("return document.activeElement.id") == "threshold"
    assert browser.console() == []


def test_the_buttons_change_the_verdict_of_one_score_at_a_time(
    browser: Any, page: Path, evaluation: Evaluation
) -> None:
    browser.open(page)
    scores = np.unique([row.score for row in evaluation.images])[::-1]
    below = scores[scores <= evaluation.threshold]
    for cut, following in itertools.pairwise(below[:6]):
        browser.click("lower")
        assert counted(evaluation, (cut + following) / 2).items() <= shown(browser).items()
    named = browser.text("changed-bad") + browser.text("changed-good")
    changed = [r.path for r in evaluation.images if below[5] < r.score <= evaluation.threshold]
    assert all(path in named for path in changed)
    for _ in range(5):
        browser.click("higher")
    assert counted(evaluation, evaluation.threshold).items() <= shown(browser).items()
    for _ in range(len(scores) + 2):
        if browser.js("return document.getElementById('higher').disabled"):
            break
        browser.click("higher")
    assert shown(browser)["caught"] == "0"
    assert shown(browser)["precision"] == "n/a"


def test_marks_follow_on_the_figures(browser: Any, page: Path, evaluation: Evaluation) -> None:
    browser.open(page)
    browser.press("threshold", *[LEFT] * 60)
    where = browser.js(
        "return ['roc-dot', 'pr-dot'].map(id => { var d = document.getElementById(id);"
        " return [parseFloat(d.style.left) / 100, parseFloat(d.style.top) / 100,"
        " +d.dataset.left, +d.dataset.width, +d.dataset.top, +d.dataset.height, +d.dataset.high,"
        " d.hidden]; })"
    )
    now = {key: int(shown(browser)[key]) for key in ("caught", "missed", "alarms")}
    recall = now["caught"] / evaluation.n_defect
    expected = (
        (now["alarms"] / evaluation.n_good, recall),
        (recall, now["caught"] / (now["caught"] + now["alarms"])),
    )
    for (x, y, left, width, top, height, high, hidden), (right, up) in zip(
        where, expected, strict=True
    ):
        assert not hidden
        assert (x - left) / width == pytest.approx(right, abs=1e-4)
        assert (1 - (y - top) / height) * high == pytest.approx(up, abs=1e-4)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(browser: Any, page: Path, width: int) -> None:
    browser.open(page, width)
    assert browser.js("return document.documentElement.scrollWidth") <= width
    labels = browser.js(
        "return [...document.querySelectorAll('input,button')].map("
        "e => e.getAttribute('aria-label') || e.textContent)"
    )
    assert len(labels) == 4
    assert all(labels)


def test_dark_screens_are_dark_and_paper_is_white(browser: Any, page: Path) -> None:
    for dark in (True, False):
        browser.open(page, dark=dark)
        shot = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("L"))
        assert (shot.mean() < 90) == dark
        figure = browser.js(
            "var r = document.querySelector('.plot img').getBoundingClientRect();"
            "return [r.left, r.top + scrollY, r.width, r.height].map(Math.round)"
        )
        left, top, width, height = figure
        levels = shot[top : top + height, left : left + width]
        assert (np.median(levels) < 60) == dark
        assert np.ptp(levels) > 150  # axes and text stand out from it
    browser.open(page, dark=True)
    pdf = base64.b64decode(browser.call("/print", {"background": True}))
    assert pdf.startswith(b"%PDF")


def test_a_name_that_slips_through_escaping_is_not_run(
    browser: Any, page: Path, tmp_path: Path
) -> None:
    html = page.read_text(encoding="utf-8")
    broken = html.replace(
        "<main>", "<main><script>window.hit = 1</script><img src=x onerror='hit=1'>"
    )
    (tmp_path / "broken.html").write_text(broken, encoding="utf-8")
    browser.open(tmp_path / "broken.html")
    assert browser.js("return typeof window.hit") == "undefined"
    assert any("Content Security Policy" in line for line in browser.console())
    assert browser.text("moved") == "This is the calibrated threshold."


def test_a_test_set_of_one_class_is_no_error(
    browser: Any, simple: Callable[..., Any], hostile_metal: Path, evaluation: Evaluation,
    tmp_path: Path,
) -> None:  # fmt: skip
    folder = tmp_path / "only_good"
    (folder / "test").mkdir(parents=True)
    (folder / "test/good").symlink_to(hostile_metal / "test/good")
    detector = simple(hostile_metal)
    e = evaluate(detector, folder)
    browser.open(write_report(e, detector, folder, tmp_path / "r.html"))
    browser.press("threshold", *[LEFT] * 50)
    assert browser.console() == []
    assert shown(browser)["caught"] == shown(browser)["f1"] == "n/a"
    assert "false alarm" in browser.text("moved")
    assert "caught" not in browser.text("moved")
