"""The report: whole, self-contained, safe against hostile names, right pictures in it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
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
from burnish.evaluation.evaluate import evaluate
from burnish.evaluation.gallery import choose
from burnish.evaluation.record import Evaluation, StressRow, Unreadable
from burnish.evaluation.report import write_report

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
        self._skip = tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.text += data

    @property
    def images(self) -> list[str]:
        return [attrs["src"] or "" for tag, attrs in self.tags if tag == "img"]


@pytest.fixture(scope="module")
def html(
    hostile_metal: Path,
    simple: Simple,
    evaluation: Evaluation,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report(evaluation, simple(hostile_metal), hostile_metal, out, gallery=20) == out
    return out.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(html: str) -> None:
    page = Page(html)
    names = {tag for tag, _ in page.tags}
    assert not names & {"iframe", "object", "embed", "form", "base"}
    ids = {attrs.get("id") for _, attrs in page.tags}
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "action"):
            address = str(attrs.get(name, "data:"))
            assert address.startswith("data:") or address[1:] in ids, (tag, attrs)
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_only_the_page_s_own_script_may_run(html: str) -> None:
    """The security policy names the hash of the one script; what a name smuggles in is not run."""
    policy = next(a["content"] or "" for _, a in Page(html).tags if "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [
        ' type="application/json" id="scores-data"', "",
    ]  # fmt: skip
    digest = base64.b64encode(hashlib.sha256(scripts[1][1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_script_s_data_are_the_raw_scores(html: str, evaluation: Evaluation) -> None:
    found = re.search(r'id="scores-data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    assert not set("<>&") & set(found[1])
    data = json.loads(found[1])
    assert data["threshold"] == evaluation.threshold
    rows = [[row.score, int(row.is_defect), row.path] for row in evaluation.images]
    assert data["images"] == rows


def test_hostile_names_are_text(html: str) -> None:
    page = Page(html)
    assert HOSTILE in page.text
    assert "<b>odd$kind" in page.text
    alts = [attrs["alt"] or "" for tag, attrs in page.tags if tag == "img"]
    assert any(HOSTILE in alt for alt in alts)
    assert not any(attrs.get("src") == "x" for _, attrs in page.tags)
    assert "alert(2)" not in html.replace("&lt;script&gt;alert(2)", "")


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
    assert "1 of 30 test images could not be used." in text
    assert "broken.png is not an image" in text
    assert "mask_blocks 8, 16, 32" in text
    assert "1 min 23 s" in text
    for kind in e.kinds:
        assert f"{kind.kind} {kind.images} {kind.caught} " in text


def test_n_a_comes_with_its_reason(hostile_metal: Path, simple: Simple, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(hostile_metal, tmp_path / "metal"))
    for folder in (copy / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    detector = simple(copy)
    out = write_report(evaluate(detector, copy), detector, copy, tmp_path / "r.html")
    text = " ".join(Page(out.read_text()).text.split())
    assert "image AUROC n/a" in text
    assert "(n/a: there are no defective test images)" in text
    assert "No ROC and no precision-recall curve: there are no defective test images." in text


def test_only_gallery_images_are_inspected_again(
    hostile_metal: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    detector = simple(hostile_metal)
    write_report(evaluation, detector, hostile_metal, tmp_path / "r.html", gallery=1)
    chosen = [row.path for rows, _ in choose(evaluation, 1).values() for row in rows]
    assert [p.relative_to(hostile_metal).as_posix() for p in detector.inspected] == chosen
    detector.inspected.clear()
    write_report(evaluation, detector, hostile_metal, tmp_path / "r.html", gallery=0)
    assert detector.inspected == []


def test_an_image_gone_since_is_said_and_the_page_still_made(
    hostile_metal: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(hostile_metal, tmp_path / "metal"))
    gone = choose(evaluation, 1)["surest"][0][0]
    (copy / gone.path).unlink()
    out = write_report(evaluation, simple(copy), copy, tmp_path / "r.html", gallery=1)
    assert "the file is no longer there" in Page(out.read_text()).text


def test_an_unreadable_mask_costs_only_its_panel(
    hostile_metal: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(hostile_metal, tmp_path / "metal"))
    for mask in (copy / "ground_truth").rglob("*.png"):
        mask.write_bytes(b"no mask")
    detector = simple(copy)
    text = Page(write_report(evaluation, detector, copy, tmp_path / "r.html").read_text()).text
    assert "no ground truth:" in text
    assert "heat map" in text


def test_a_folder_that_cannot_be_written_to(
    hostile_metal: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BurnishError, match="cannot write"):
        write_report(
            evaluation,
            simple(hostile_metal),
            hostile_metal,
            tmp_path / "file/report.html",
            gallery=0,
        )


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
    assert "Score of each error map alone" in page.text
    assert (tmp_path / "figures/scale_auroc.png").exists()
    assert "fingerprint" in page.text
    assert any("svg" in uri[:20] for uri in page.images)
    assert re.search(r"steps\s*12\b", page.text)
    assert (run_folder / "losses.csv").exists()
    alts = [attrs.get("alt") for tag, attrs in page.tags if tag == "img"]
    assert "Loss terms during training" in alts


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (None, "No training curves: there is no losses.csv beside the model."),
        (
            "epoch,step,seconds,total\n1,50,2.5,13.9\n",
            "No training curves: losses.csv holds one epoch only, and a curve needs two.",
        ),
        ("epoch,step,seconds,total\n1,50,2.5,13.9\n2,100,5,9.1\n", ""),
    ],
)
def test_no_training_curves_has_the_true_reason(
    hostile_metal: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path,
    losses: str | None, said: str,
) -> None:  # fmt: skip
    detector = simple(hostile_metal, path=tmp_path / "run/model.safetensors")
    (tmp_path / "run").mkdir()
    if losses is not None:
        (tmp_path / "run/losses.csv").write_text(losses)
    page = write_report(evaluation, detector, hostile_metal, tmp_path / "r.html", gallery=0)
    text = Page(page.read_text()).text
    assert said in text
    assert ("No training curves" in text) == bool(said)


def full(e: Evaluation) -> Evaluation:
    """The same with a stress table and a mask problem, which the simple run has not."""
    common = {"n_good": 12, "n_defect": 17}
    rows = (
        StressRow(change="none", strength="as they are", image_auroc=0.9, false_alarms=1,
                  false_alarm_rate=1 / 12, missed=3, escape_rate=3 / 17, out_of_range=0.0,
                  **common),
        StressRow(change="brightness", strength="-25 %", image_auroc=0.6, false_alarms=9,
                  false_alarm_rate=0.75, missed=1, escape_rate=1 / 17, out_of_range=1.0,
                  **common),
    )  # fmt: skip
    assert e.pixels is not None
    trouble = Unreadable(path="<i>m.png</i>", kind="dent", problem="is not an image")
    pixels = e.pixels.model_copy(update={"mask_problems": (trouble,), "n_without_mask": 4})
    return e.model_copy(update={"stress": rows, "pixels": pixels})


def test_every_section_says_its_numbers(
    hostile_metal: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    e = full(evaluation)
    out = write_report(e, simple(hostile_metal), hostile_metal, tmp_path / "r.html", gallery=0)
    text = " ".join(Page(out.read_text()).text.split())
    assert "Under" not in text
    assert "Most false alarms come under brightness -25 %: 75 % of the good parts" in text
    assert "brightness -25 % 0.600 75 % 5.88 % 100 %" in text
    assert e.pixels is not None
    m = e.pixels.overall
    assert f"all kinds {m.images} {m.components} {m.auroc:.3f}" in text
    assert "4 defective images have no mask and are left out." in text
    assert "<i>m.png</i> is not an image" in text
    best = e.best_trivial
    assert best is not None
    assert f"{best.label} {best.auroc:.3f}" in text
    (size,) = (row for row in e.trivial if row.follows_pixels)
    assert f"{size.label} (does not count) {size.auroc:.3f}" in text
    assert e.equalised is not None
    assert f"equalised {e.equalised.image_auroc:.3f} {e.equalised.average_precision:.3f}" in text
    low, high = e.intervals["image_auroc"]
    assert f"95 % interval {low:.3f} to {high:.3f}" in text
    for at in e.escapes_at:
        assert f"{at.false_alarms} of {e.n_good} {at.missed} " in text
    assert f"test fingerprint {e.test_fingerprint}" in text
    assert (tmp_path / "figures/stress.png").exists()


def test_sections_without_numbers_say_why(
    hostile_metal: Path, simple: Simple, evaluation: Evaluation, tmp_path: Path
) -> None:
    reasons = {"pixels": "no masks <here>", "equalised": "not asked for", "stress": "not asked for"}
    e = evaluation.model_copy(
        update={"pixels": None, "equalised": None, "trivial": (), "stress": (), "intervals": {},
                "not_available": reasons, "escapes_at": (),
                "images": tuple(r.model_copy(update={"scale_scores": ()})
                                for r in evaluation.images)}
    )  # fmt: skip
    out = write_report(e, simple(hostile_metal), hostile_metal, tmp_path / "r.html", gallery=0)
    text = " ".join(Page(out.read_text()).text.split())
    assert "No pixel metrics: no masks <here>." in text
    assert "Not done: not asked for (burnish evaluate … --stress" in text
    assert "No trivial statistics: the evaluation does not hold it." in text
    assert "The scores of the single mask scales are not known" in text


def test_images_unlike_the_training_images_are_listed(
    hostile_metal: Path, simple: Simple, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(hostile_metal, tmp_path / "metal"))
    for path in sorted((copy / "test/good").iterdir())[:2]:
        Image.open(path).point(lambda level: level * 0.5).save(path)
    detector = simple(copy)
    e = evaluate(detector, copy)
    out = write_report(e, detector, copy, tmp_path / "r.html", gallery=0)
    assert len([row for row in e.out_of_range if not row.is_defect]) == 2
    text = " ".join(Page(out.read_text()).text.split())
    assert f"{len(e.out_of_range)} of {len(e.images)} test images lie outside" in text
    for row in e.out_of_range:
        assert f"{row.path} {row.kind} {row.out_of_range[0].label}" in text


@pytest.mark.slow
def test_sixty_exhibits_of_noise_stay_small(
    simple: Simple, hostile_metal: Path, tmp_path: Path
) -> None:
    """The worst case for JPEG: what the page weighs is bounded whatever the parts look like."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "noise"
    for kind, count in (("good", 22), ("dent", 40)):
        (folder / "test" / kind).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (180, 180), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"test/{kind}/{number:03}.png")
    detector = simple(hostile_metal)
    e = evaluate(detector, folder, pixels=False, equalised=False)
    html = write_report(e, detector, folder, tmp_path / "r.html", gallery=20).read_text()
    pictures = [uri for uri in Page(html).images if uri.startswith("data:image/jpeg")]
    assert len(pictures) >= 4 * 60
    assert sum(map(len, pictures)) > 3_000_000  # so the bound was reached
    assert len(html) < 8_000_000
