"""`burnish data prepare` and `formats` as a person uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.images.formats import formats

VERB = ("data",)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """20 good parts of two pictures each, and 5 scratched ones."""
    rng = np.random.default_rng(0)
    for kind, parts in (("ok", 20), ("scratch", 5)):
        for part in range(parts):
            for view in range(2):
                path = tmp_path / "shop" / kind / f"{kind}{part:02d}_{view}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (16, 24), np.uint8)).save(path)
    return tmp_path / "shop"


def test_the_terminal_shows_counts_notes_and_next_steps(
    burnish: Callable, shop: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, text, err = burnish("prepare", shop, out, "--part", r"[a-z]+\d+(?=_)", "--train", 0.5)
    assert (code, err) == (0, "")
    rows = [line.split() for line in text.splitlines()]
    assert rows[0][1:] == ["prepared", "(format", "folder)"]
    assert ["good", "20", "20"] in rows
    assert ["scratch", "10"] in rows
    assert ["parts", "10", "15"] in rows
    assert ["on", "both", "sides", "0"] in rows
    assert "- split by part, seed 0: 10 of 20 parts without a defect go to train" in text
    assert f"next: burnish data check {out}" in text
    assert f"burnish train {out} --out runs/out" in text
    code, text, _ = burnish("prepare", shop, out, "--part", r"[a-z]+\d+(?=_)", "--train", 0.5)
    assert code == 0
    assert "is already there, nothing has changed" in text.splitlines()[0]
    code, _, err = burnish("prepare", shop, out, "--seed", 3)
    assert code == 2
    assert "seed was 0 and is now 3" in err


def test_json_holds_counts_and_what_is_left_out(
    burnish: Callable, shop: Path, tmp_path: Path
) -> None:
    (shop / "ok" / "broken.png").write_bytes(b"junk")
    code, text, _ = burnish("prepare", shop, tmp_path / "out", "--from", "folder", "--json")
    assert code == 0  # something useful was written; what was not is named
    found = json.loads(text)
    assert found["status"] == "prepared"
    assert found["train"] + found["test"]["good"] == 40
    assert found["left_out"].keys() == {"ok/broken.png"}
    code, text, _ = burnish("prepare", shop, tmp_path / "out", "--from", "folder")
    assert "1 images could not be used and are left out" in text
    assert "ok/broken.png: is not an image" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{tmp}/gone", "{tmp}/out"], "no such file or folder"),
        (["{shop}", "{tmp}/out", "--from", "foldr"], "Did you mean 'folder'?"),
        (["{shop}", "{tmp}/out", "--from", "kolektor"], "this is not KolektorSDD"),
        (["{shop}", "{tmp}/out", "--part", "("], "is not a regular expression"),
        (["{shop}", "{tmp}/out", "--part", "kos"], "matches no image"),
        (["{shop}", "{tmp}/out", "--train", "1"], "a share between 0 and 1"),
        (["{shop}", "{tmp}/out", "--split", "random"], "choose one of auto, source, part"),
        (["{shop}", "{tmp}/out", "--split", "source"], "no split of its own"),
        (["{shop}", "{tmp}/out", "--window", "4"], "at least 16 px"),
        (["{shop}", "{shop}/out"], "must not become its own source"),
        (["{shop}", "{shop}/ok/ok00_0.png"], "lies in"),
        (["{shop}/ok/ok00_0.png", "{tmp}/out"], "neither a zip nor a tar"),
        (["{tmp}/labels.csv", "{tmp}/out"], "give the folder that it lies in"),
        (["{shop}", "/proc/nowhere/out"], "cannot be written to"),
    ],
)
def test_a_wrong_option_is_one_line_and_writes_nothing(
    burnish: Callable, shop: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "labels.csv").write_text("path,label\na.png,good\n")
    code, out, err = burnish("prepare", *(a.format(shop=shop, tmp=tmp_path) for a in arguments))
    assert (code, out) == (2, "")
    assert said in err
    assert not (tmp_path / "out").exists()


def test_an_empty_folder(burnish: Callable, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = burnish("prepare", tmp_path / "empty", tmp_path / "out")
    assert code == 2
    assert "holds no image; it is empty" in err
    (tmp_path / "empty" / "readme.txt").write_text("words")
    code, _, err = burnish("prepare", tmp_path / "empty", tmp_path / "out")
    assert code == 2
    assert "holds no image; it holds readme.txt" in err


def test_patterns_need_no_format(burnish: Callable, shop: Path, tmp_path: Path) -> None:
    code, text, _ = burnish("prepare", shop, tmp_path / "out", "--good", "ok/*", "--json")
    assert code == 0
    assert json.loads(text)["test"]["scratch"] == 10


def test_control_characters_do_not_reach_the_terminal(
    burnish: Callable, shop: Path, tmp_path: Path
) -> None:
    (shop / "ok" / "\x1b[2Jgone.png").write_bytes(b"junk")
    code, text, _ = burnish("prepare", shop, tmp_path / "out")
    assert code == 0
    assert "\x1b" not in text
    assert "gone.png" in text


def test_formats_lists_all(burnish: Callable) -> None:
    code, text, _ = burnish("formats")
    assert code == 0
    names = [line.split()[0] for line in text.splitlines() if line[:1] != " "]
    assert names == sorted(formats())
    code, text, _ = burnish("formats", "--json")
    assert json.loads(text) == {name: format.summary for name, format in formats().items()}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['burnish', 'data', 'prepare', '--help']\n"
        "from burnish.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
