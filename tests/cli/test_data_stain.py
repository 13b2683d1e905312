"""`burnish data stain` as a person uses it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from burnish.images.formats.kolektor import Kolektor
from burnish.images.preparing.prepare import Request, prepare
from burnish.images.synthetic.defects import STAINS
from burnish.images.synthetic.synth import write_dataset

DATA = Path(__file__).resolve().parents[2] / "../shared/data"


VERB = ("data", "stain")


@pytest.fixture
def metal(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "metal", train=20, good=1, defects=1, size=(40, 40))


def test_the_terminal_shows_counts_notes_and_next_steps(
    burnish: Callable, metal: Path, tmp_path: Path
) -> None:
    (metal / "train/good/003.png").write_bytes(b"broken")
    out = tmp_path / "out"
    arguments = (metal, out, "--holdout", 0.3, "--kinds", "pit, cutpaste", "--per-image", 2)
    code, text, err = burnish(*arguments)
    assert (code, err) == (0, "")
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == [str(out), "written"]
    for row in (["good", "13", "6"], ["pit", "6"], ["cutpaste", "6"], ["parts", "13", "6"]):
        assert row in rows
    assert "1 images are left out:" in text
    assert any(row[:1] == ["003.png:"] for row in rows)
    assert f"burnish train {out} --out runs/out-drawn\n" in text
    code, text, _ = burnish(*arguments)
    assert code == 0
    assert "is already there, nothing has changed" in text


def test_json_holds_status_and_counts(burnish: Callable, metal: Path, tmp_path: Path) -> None:
    code, text, _ = burnish(metal, tmp_path / "out", "--seed", 5, "--holdout", 0.2, "--json")
    assert code == 0
    found = json.loads(text)
    assert found["status"] == "written"
    assert found["train"] == 16
    assert found["test"]["good"] == 4
    assert sum(found["test"].values()) == 8


def test_help_names_every_kind(burnish: Callable) -> None:
    code, text, _ = burnish("--help")
    assert code == 0
    words = re.findall(r"\w+", text)
    assert not set(STAINS) - set(words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kinds", "pit,scrach"), "no defect 'scrach'"),
        (("--holdout", 1.5), "--holdout 1.5: a share between 0 and 1"),
        (("--part", "("), "not a regular expression"),
        (("--strength", 0), "--strength 0: a number above 0"),
        (("--per-image", 0), "--per-image 0: 1 to 100"),
        (("--roi", "1,2 3,4"), "a polygon needs three"),
        (("--on-part",), "no plain background"),
    ],
)
def test_a_wrong_option_is_one_line_and_writes_nothing(
    burnish: Callable, metal: Path, tmp_path: Path, arguments: tuple, message: str
) -> None:
    code, text, err = burnish(metal, tmp_path / "out", *arguments)
    assert (code, text) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not DATA.is_dir(), reason="the real archives are not at hand")
@pytest.mark.slow
def test_real_commutators_are_split_by_part(burnish: Callable, tmp_path: Path) -> None:
    prepare(DATA / "KolektorSDD.zip", tmp_path / "kolektor", Request(Kolektor.name))
    code, _, _ = burnish(tmp_path / "kolektor", tmp_path / "out", "--kinds", "crack,cutpaste")
    assert code == 0
    learnt, held = (
        {path.name[:5] for path in (tmp_path / "out").glob(f"{folder}/*")}
        for folder in ("train/good", "test/*")
    )
    assert len(learnt) > 20
    assert len(held) > 4
    assert not learnt & held
    for path in (tmp_path / "out").glob("test/c*/*.png"):
        mask = tmp_path / "out/ground_truth" / path.parent.name / f"{path.stem}_mask.png"
        with Image.open(path) as image, Image.open(mask) as marked:
            assert image.size == marked.size
            assert 0.0 < marked.histogram()[255] / (image.width * image.height) < 0.05
