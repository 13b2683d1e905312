"""The report: whole, self-contained, safe against hostile names, right pictures in it."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from burnish import Detector
from burnish.errors import BurnishError
from burnish.evaluation import figures
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.gallery import choose, data_uri, truth_panel
from burnish.evaluation.record import Evaluation
from burnish.evaluation.report import write_report
from burnish.images.synth import write_dataset

Simple = Callable[..., Any]
HOSTILE = '<img src=x onerror=alert(1)> & "quoted" {{ 7*7 }}.png'


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._skip = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        self._skip = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.text += data

    @property
    def images(self) -> list[str]:
        return [attrs["src"] or "" for tag, attrs in self.tags if tag == "img"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a hostile file name, a hostile kind, and one file that is no image."""
    folder = tmp_path_factory.mktemp("data") / "metal"
    write_dataset(folder, train=20, good=12, defects=15, size=(64, 64), seed=1)
    shutil.copy(folder / "test/crack/000.png", folder / "test/crack" / HOSTILE)
    (folder / "test/<b>odd$kind").mkdir()
    shutil.copy(folder / "test/crack/001.png", folder / "test/<b>odd$kind/0.png")
    (folder / "test/dent/broken.png").write_text("<script>alert(2)</script>")
    return folder


@pytest.fixture(scope="module")
def evaluation(data: Path, simple: Simple) -> Evaluation:
    return evaluate(simple(data), data)


@pytest.fixture(scope="module")
def html(
    data: Path, simple: Simple, evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory
) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report(evaluation, simple(data), data, out, gallery=20) == out
    return out.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(html: str) -> None:
    page = Page(html)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "form", "base"}
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "action"):
            if name in attrs:
                assert str(attrs[name]).startswith("data:"), (tag, attrs)
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in html


def test_hostile_names_are_text(html: str) -> None:
    page = Page(html)
    assert HOSTILE in page.text
    assert "<b>odd$kind" in page.text
    alts = [attrs["alt"] or "" for tag, attrs in page.tags if tag == "img"]
    assert any(HOSTILE in alt for alt in alts)
    assert not any(attrs.get("src") == "x" for _, attrs in page.tags)
    assert "<script" not in html


def test_every_embedded_picture_opens(html: str) -> None:
    images = Page(html).images
    assert len(images) > 40
    for uri in images:
        head, _, body = uri.partition(";base64,")
        content = base64.b64decode(body, validate=True)
        if head == "data:image/svg+xml":
            assert ElementTree.fromstring(content).tag.endswith("svg")
        else:
            assert head == "data:image/jpeg"
            Image.open(io.BytesIO(content)).load()


def test_the_page_says_the_numbers(html: str, evaluation: Evaluation) -> None:
    text = " ".join(Page(html).text.split())
    e = evaluation
    assert f"Of {e.n_defect} images of defective parts, {e.caught} were caught" in text
    assert f"image AUROC {e.image_auroc:.3f}" in text
    assert f"best F1 {e.best_f1:.3f} threshold chosen on the test images" in text
    assert "1 of 30 test images could not be read." in text
    assert "broken.png is not an image" in text
    assert "mask_blocks 8, 16, 32" in text
    assert "1 min 23 s" in text
    for kind in e.kinds:
        assert f"{kind.kind} {kind.images} {kind.caught} " in text


def test_n_a_comes_with_its_reason(data: Path, simple: Simple, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "metal"))
    for folder in (copy / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    detector = simple(copy)
    out = write_report(evaluate(detector, copy), detector, copy, tmp_path / "r.html")
    text = " ".join(Page(out.read_text()).text.split())
    assert "image AUROC n/a" in text
    assert "(n/a: there are no defective test images)" in text
    assert "No ROC curve: there are no defective test images." in text


def test_galleries_are_chosen_by_score_and_show_nothing_twice(evaluation: Evaluation) -> None:
    groups = {choice.title: (choice.rows, total) for choice, total in choose(evaluation, 4)}
    shown = [row.path for rows, _ in groups.values() for row in rows]
    assert len(shown) == len(set(shown))
    missed = sorted(r.score for r in evaluation.images if r.is_defect and r.verdict == "good")
    assert [row.score for row in groups["Missed defects"][0]] == missed[:4]
    assert groups["Missed defects"][1] == evaluation.missed == len(missed)
    alarms = groups["False alarms"]
    assert alarms[1] == evaluation.false_alarms
    assert all(not r.is_defect and r.verdict == "defect" for r in alarms[0])
    surest = groups["Surest catches"][0]
    assert surest[0].score == max(r.score for r in evaluation.images if r.is_defect)
    caught_kinds = {r.kind for r in evaluation.images if r.is_defect and r.verdict == "defect"}
    assert len({r.kind for r in surest}) == min(4, len(caught_kinds))
    closest = groups["Closest calls"][0]
    far = max(abs(r.score - evaluation.threshold) for r in closest)
    rest = [r for r in evaluation.images if r.path not in shown]
    assert all(abs(r.score - evaluation.threshold) >= far for r in rest)
    assert all(not r.is_defect and r.verdict == "good" for r in groups["Good parts passed"][0])


def test_only_gallery_images_are_inspected_again(
    data: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    detector = simple(data)
    write_report(evaluation, detector, data, tmp_path / "r.html", gallery=1)
    chosen = [row.path for choice, _ in choose(evaluation, 1) for row in choice.rows]
    assert [p.relative_to(data).as_posix() for p in detector.inspected] == chosen
    detector.inspected.clear()
    write_report(evaluation, detector, data, tmp_path / "r.html", gallery=0)
    assert detector.inspected == []


def test_an_image_gone_since_is_said_and_the_page_still_made(
    data: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "metal"))
    gone = choose(evaluation, 1)[0][0].rows[0]
    (copy / gone.path).unlink()
    out = write_report(evaluation, simple(copy), copy, tmp_path / "r.html", gallery=1)
    assert "the file is no longer there" in Page(out.read_text()).text


def test_an_unreadable_mask_costs_only_its_panel(
    data: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "metal"))
    for mask in (copy / "ground_truth").rglob("*.png"):
        mask.write_bytes(b"no mask")
    detector = simple(copy)
    text = Page(write_report(evaluation, detector, copy, tmp_path / "r.html").read_text()).text
    assert "no ground truth:" in text
    assert "heat map" in text


def test_a_folder_that_cannot_be_written_to(
    data: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BurnishError, match="cannot write"):
        write_report(evaluation, simple(data), data, tmp_path / "file/report.html", gallery=0)


def test_truth_panel_marks_exactly_the_mask() -> None:
    image = np.full((20, 30), 100, np.uint8)
    for on in (255, 1):  # both ways masks are written
        mask = np.zeros((20, 30), np.uint8)
        mask[4:9, 10:20] = on
        pixels = np.asarray(truth_panel(image, mask)).astype(int)
        orange = pixels[..., 0] - pixels[..., 2] > 50
        assert (orange == (mask > 0)).all()
    half = np.zeros((10, 15), np.uint8)
    half[2:4, 5:10] = 255  # a mask at half the size is scaled to the image
    orange = np.ptp(np.asarray(truth_panel(image, half)).astype(int), axis=2) > 50
    assert (orange == np.kron(half > 0, np.ones((2, 2), bool))).all()
    empty = np.asarray(truth_panel(image, np.zeros((20, 30), np.uint8)))
    assert np.ptp(empty.astype(int), axis=2).max() == 0


def test_pictures_are_shrunk_and_never_enlarged() -> None:
    for size, expected in (((2000, 1000), (440, 220)), ((64, 32), (64, 32)), ((5000, 2), (440, 1))):
        uri = data_uri(Image.new("L", size, 50))
        content = base64.b64decode(uri.partition("base64,")[2])
        assert Image.open(io.BytesIO(content)).size == expected


def test_figures_are_the_same_bytes_each_time(evaluation: Evaluation) -> None:
    assert figures.roc(evaluation) == figures.roc(evaluation)
    assert figures.score_distribution(evaluation) == figures.score_distribution(evaluation)


def test_training_curves_from_losses(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("epoch,step,seconds,total,l1\n1,10,0.5,3.0,0.2\n2,20,1.0,2.0,0.1\n")
    steps, terms = figures.read_losses(path)
    assert steps.tolist() == [10, 20]
    assert {name: values.tolist() for name, values in terms.items()} == {
        "total": [3.0, 2.0], "l1": [0.2, 0.1],
    }  # fmt: skip
    svg = figures.training_curves(path)
    assert svg is not None
    assert "<svg" in svg
    for text in ("", "epoch,step\n", "what,is,this\n1,2,3\n", "epoch,step,seconds,total\n1,10\n"):
        path.write_text(text)
        assert figures.training_curves(path) is None
    assert figures.training_curves(tmp_path / "none.csv") is None


def test_labels_are_pushed_apart_within_the_axes() -> None:
    placed = figures.spread([0.1, 0.11, 0.5, 0.97, 0.99, 1.0], 0.1)
    assert placed == pytest.approx([0.1, 0.2, 0.5, 0.8, 0.9, 1.0])
    assert figures.spread([0.0, 0.5, 1.0], 0.1) == [0.0, 0.5, 1.0]


def test_a_trained_model_end_to_end(
    detector: Detector, run_folder: Path, metal: Path, tmp_path: Path
) -> None:
    """The real Detector: what it says in `inspect` is what evaluation and report say."""
    e = evaluate(detector, metal)
    assert e.model.preset == "tiny"
    assert e.model.training_seconds == detector.card.training["seconds"]
    for row in e.images[:3]:
        assert row.score == detector.inspect(metal / row.path).score
    page = Page(write_report(e, detector, metal, tmp_path / "r.html", gallery=2).read_text())
    assert "fingerprint" in page.text
    assert any("svg" in uri[:20] for uri in page.images)
    assert re.search(r"steps\s*12\b", page.text)
    assert (run_folder / "losses.csv").exists()
    alts = [attrs.get("alt") for tag, attrs in page.tags if tag == "img"]
    assert "Loss terms during training" in alts
