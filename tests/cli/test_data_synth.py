"""`burnish data synth` as a person uses it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.images.manifest import read_manifest
from burnish.images.parts import parts_of
from burnish.images.synthetic.synth import write_dataset

VERB = ("data", "synth")


SMALL = ("--train", 4, "--good", 2, "--defects", 5, "--size", "40x56")


def test_writes_what_the_library_writes(burnish: Callable, tmp_path: Path) -> None:
    code, text, _ = burnish(tmp_path / "a", *SMALL, "--surface", "cast", "--seed", 3)
    assert code == 0
    write_dataset(tmp_path / "b", train=4, good=2, defects=5, size=(40, 56), surface="cast", seed=3)
    a, b = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")}
        for n in "ab"
    )
    assert a == b
    with Image.open(tmp_path / "a/train/good/000.png") as image:
        assert (image.height, image.width) == (40, 56)
    for line in ("cast metal, 40x56 px (height x width), seed 3", f"burnish data check {tmp_path}"):
        assert line in text


def test_manifest(burnish: Callable, tmp_path: Path) -> None:
    assert burnish(tmp_path, *SMALL)[0] == 0
    rows = read_manifest(tmp_path)
    assert rows is not None
    images = {p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("t*/*/*.png")}
    assert {row.path for row in rows} == images
    assert len({row.part for row in rows}) == len(rows) == 11, "every image is a part of its own"
    for row in rows:
        path = tmp_path / row.path
        assert row.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row.path.startswith(f"{row.split}/{row.kind}/")
        assert (row.source, row.height, row.width) == ("synth", 40, 56)
        assert (row.label == "defect") == (row.kind != "good") == bool(row.mask)
        if row.mask:
            assert np.asarray(Image.open(tmp_path / row.mask)).any()
    paths = sorted(tmp_path.glob("train/good/*.png"))
    assert parts_of(paths, "", tmp_path) == [f"train/good/{n:03d}" for n in range(4)]


def test_again_completes_and_changes_nothing(burnish: Callable, tmp_path: Path) -> None:
    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}

    burnish(tmp_path, *SMALL)
    before = stamps()
    assert burnish(tmp_path, *SMALL)[0] == 0
    assert stamps() == before
    manifest = (tmp_path / "manifest.csv").read_bytes()
    for lost in ("manifest.csv", "test/pit/000.png"):
        (tmp_path / lost).unlink()
        assert burnish(tmp_path, *SMALL)[0] == 0
        assert (tmp_path / "manifest.csv").read_bytes() == manifest
        assert stamps().keys() == before.keys()


def test_other_settings_are_refused(burnish: Callable, tmp_path: Path) -> None:
    burnish(tmp_path, *SMALL)
    code, _, err = burnish(tmp_path, *SMALL, "--seed", 9)
    assert code == 2
    assert "seed 0 (wanted 9)" in err


def test_json_holds_the_settings(burnish: Callable, tmp_path: Path) -> None:
    code, text, _ = burnish(tmp_path, *SMALL, "--json")
    assert code == 0
    facts = json.loads(text)
    assert facts["size"] == [40, 56]
    assert (facts["train"], facts["good"], facts["defects"]) == (4, 2, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", "128"), "--size '128': height x width in px is wanted, as 128x128"),
        (("--size", "axb"), "height x width in px"),
        (("--size", "-5x40"), "height x width in px"),
        (("--size", "31x64"), "too small"),
        (("--size", "99999x99999"), "too large; at most 16,777,216 pixels"),
        (("--surface", "brused"), "Did you mean 'brushed'"),
        (("--train", "-1"), "train is -1; it must be 0 or more"),
    ],
)
def test_a_wrong_option_is_one_line_and_writes_nothing(
    burnish: Callable, tmp_path: Path, arguments: tuple, message: str
) -> None:
    code, text, err = burnish(tmp_path / "out", *arguments)
    assert (code, text) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()
