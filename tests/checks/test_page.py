"""The page: whole, offline, and showing what it talks about."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.checks.check import check
from burnish.checks.page import write_page
from burnish.checks.pictures import MARK, histogram, thumbnail
from burnish.checks.shortcuts import Contrast
from burnish.checks.sources import open_data
from burnish.errors import BurnishError
from burnish.images.statistics import STATISTICS

VOID = {"meta", "link", "img", "br", "wbr", "path"}


class Page(HTMLParser):
    """Collects pictures and texts, and sees that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: dict[str, str] = {}
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert tag != "script"
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v is not None]
        if tag == "img":
            self.images.setdefault(str(values["alt"]), str(values["src"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


@pytest.fixture
def page(tmp_path: Path) -> Callable[[Path], Page]:
    def make(root: Path) -> Page:
        with open_data(root) as data:
            write_page(check(data, 0.2), tmp_path / "out.html")
        return Page((tmp_path / "out.html").read_text())

    return make


def test_copies_stand_side_by_side(clean: Path, page) -> None:
    shutil.copy(clean / "train/good/03.png", clean / "test/good/leak.png")
    found = page(clean)
    assert set(found.images) == {"train/good/03.png", "test/good/leak.png"}
    original = np.asarray(Image.open(clean / "train/good/03.png")).astype(float)
    for uri in found.images.values():
        shown = decoded(uri).astype(float)
        assert np.corrcoef(shown.ravel(), original.ravel())[0, 1] > 0.9
    assert "The same image in train and test" in found.words


def test_nothing_is_asked_of_the_network(clean: Path, page) -> None:
    shutil.copy(clean / "train/good/03.png", clean / "test/good/leak.png")
    assert all(a.startswith(("data:", "#")) for a in page(clean).addresses)


def test_a_clean_set_has_a_page_too(clean: Path, page) -> None:
    found = page(clean)
    assert "Nothing wrong was found in 48 images (1 note)." in found.words  # parts are not known
    assert found.words.count("unknown") == 3  # train, test good, test scratch
    assert found.images == {}


def test_masks_are_outlined(clean: Path, page, save) -> None:
    shutil.copy(clean / "test/scratch/01.png", clean / "test/scratch/zz.png")
    other = np.zeros((96, 96), np.uint8)
    other[10:20, 70:90] = 1
    save(clean / "ground_truth/scratch/zz_mask.png", other)
    shown = decoded(page(clean).images["test/scratch/zz.png"]).astype(int)
    orange = (np.abs(shown - MARK) < 70).all(axis=2) & (np.ptp(shown, axis=2) > 60)
    rows, columns = np.nonzero(orange)
    assert len(rows) > 20
    assert (rows.min(), rows.max()) == (pytest.approx(8, abs=2), pytest.approx(21, abs=2))
    assert (columns.min(), columns.max()) == (pytest.approx(68, abs=2), pytest.approx(91, abs=2))
    assert not orange[12:18, 73:87].any()  # an outline, not a cover


def test_a_mask_of_another_size_is_shown_beside(clean: Path, page, save) -> None:
    save(clean / "ground_truth/scratch/03_mask.png", np.full((48, 96), 255, np.uint8))
    found = page(clean)
    assert decoded(found.images["mask of test/scratch/03.png"]).shape == (48, 96)
    assert any("mask 96 x 48 px" in words for words in found.words)


def test_what_cannot_be_read_says_why(clean: Path, page) -> None:
    (clean / "train/good/00.png").write_bytes(b"")
    assert any("is empty (0 bytes)" in words for words in page(clean).words)


def test_names_cannot_break_out(clean: Path, page) -> None:
    (clean / "test" / "<script>alert(1)<!--").mkdir()
    shutil.copy(clean / "train/good/03.png", clean / "test" / "<script>alert(1)<!--" / "a.png")
    found = page(clean)  # Page refuses a script and tags left open
    assert any(name.startswith("test/<script>") for name in found.images)


def test_shortcuts_come_with_histograms_and_typical_images(clean: Path, page, tmp_path) -> None:
    for path in (clean / "test/scratch").glob("*.png"):
        pixels = np.asarray(Image.open(path)).astype(int) + 40
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    found = page(clean)
    assert len(found.images) == 8
    assert sum("scratch" in name for name in found.images) == 4
    assert any(w.startswith("Mean brightness, AUROC") for w in found.words)
    assert (tmp_path / "out.html").read_text().count("<svg") == 4


def test_many_findings_stay_bounded(clean: Path, page, surface, save) -> None:
    for i in range(70):
        for name in "ab":
            save(clean / f"train/good/{name}{i}.png", surface(500 + i))
    found = page(clean)
    assert len(found.images) == 120
    assert any("60 of 70 groups are shown" in words for words in found.words)


def test_a_page_that_cannot_be_written(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with open_data(clean) as data, pytest.raises(BurnishError, match="cannot write"):
        write_page(check(data, 0.2), tmp_path / "file" / "out.html")


def test_thumbnails_are_small_and_never_empty() -> None:
    rng = np.random.default_rng(0)
    assert decoded(thumbnail(rng.integers(0, 256, (1200, 300), dtype=np.uint8))).shape == (320, 80)
    assert decoded(thumbnail(np.zeros((3, 4000, 3), np.uint8))).shape == (1, 320, 3)
    mask = np.zeros((2000, 2000), bool)
    mask[700, 700] = True  # one pixel of four million still shows
    shown = decoded(thumbnail(np.full((2000, 2000), 128, np.uint8), mask)).astype(int)
    assert (np.ptp(shown, axis=2) > 60).sum() > 4


def test_histogram_outlines_have_the_heights_of_numpy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, 400), rng.normal(2, 1, 100)
    contrast = Contrast("mean", STATISTICS["mean"], first, second, ((), ()), 0.9, None, 0.0)
    drawn = histogram(contrast)
    edges = np.linspace(min(first.min(), second.min()), max(first.max(), second.max()), 33)
    shares = [np.histogram(v, edges)[0] / len(v) for v in (first, second)]
    top = max(share.max() for share in shares)
    for path, share in zip((drawn.first, drawn.second), shares, strict=True):
        points = [tuple(map(float, p.split(","))) for p in re.findall(r"L([\d.]+,[\d.]+)", path)]
        heights = [96 - y for _, y in points[:-1:2]]
        np.testing.assert_allclose(heights, 96 * share / top, atol=0.06)
