"""`burnish inspect` on images unlike the training images: flagged, and judged all the same."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish import Detector
from burnish.cli.main import run


def burnish(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["burnish", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        run()
    out, err = capsys.readouterr()
    return int(leaving.value.code or 0), out, err


def test_line_csv_and_json_say_which_and_by_how_much(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    run_folder: Path,
    metal: Path,
    tmp_path: Path,
) -> None:
    held_out = set(Detector.load(run_folder).card.data["held_out"])
    usual = next(p for p in sorted((metal / "train/good").iterdir()) if p.name not in held_out)
    dim = tmp_path / "dim.png"
    Image.fromarray((np.asarray(Image.open(usual)) * 0.4).astype(np.uint8)).save(dim)

    code, out, err = burnish(capsys, monkeypatch, "inspect", run_folder, usual, dim)
    first, second = out.splitlines()
    assert "UNLIKE" not in first
    assert "UNLIKE TRAINING: " in second
    assert " sd below" in second
    assert "1 of them unlike the training images" in err

    again, out, _ = burnish(capsys, monkeypatch, "inspect", run_folder, usual, dim, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows[0]["out_of_range"] == ""
    assert "mean brightness" in rows[1]["out_of_range"]

    _, out, err = burnish(capsys, monkeypatch, "inspect", run_folder, usual, dim, "--json")
    rows = json.loads(out)
    assert rows[0]["out_of_range"] == []
    mean = next(u for u in rows[1]["out_of_range"] if u["statistic"] == "mean")
    assert mean["value"] < mean["low"] < mean["high"]
    assert mean["by"] < -1
    defects = sum(row["is_defect"] for row in rows)
    assert code == again == (1 if defects else 0)  # the flag changes no verdict


def test_the_image_before_once_more_is_noted(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    run_folder: Path,
    metal: Path,
    tmp_path: Path,
) -> None:
    for name, source in zip("abcdefgh", "01100000", strict=True):
        with Image.open(metal / f"test/good/00{source}.png") as image:
            image.save(tmp_path / f"{name}.bmp")
    _, out, err = burnish(capsys, monkeypatch, "inspect", run_folder, tmp_path, "--csv")
    notes = {Path(row["path"]).stem: row["notes"] for row in csv.DictReader(io.StringIO(out))}
    assert [name for name, note in notes.items() if note] == list("cefgh")
    assert notes["c"] == (
        f"every pixel is as in {tmp_path / 'b.bmp'}, the image before: is the camera stuck?"
    )
    assert f"note: {tmp_path / 'c.bmp'}: {notes['c']}" in err

    _, out, _ = burnish(capsys, monkeypatch, "inspect", run_folder, tmp_path, "--json")
    assert ["; ".join(row["notes"]) for row in json.loads(out)] == list(notes.values())
