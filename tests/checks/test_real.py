"""The real archives: what their README says is wrong with them must be found, and little else."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image


def test_kolektor_repeats_are_found(shared, found) -> None:
    findings = found(shared("KolektorSDD.zip"), false_alarms=0.05)
    duplicates = findings["duplicates"]
    assert duplicates.figures["repeats"] == 17
    for said in ("kos26 repeats kos01 (8 images)", "kos34 repeats kos27 (8 images)"):
        assert said in duplicates.message
    pairs = {tuple(name.removeprefix("KolektorSDD/") for name in g) for g in duplicates.groups}
    assert ("kos21/Part6.jpg", "kos21/Part7.jpg") in pairs
    expected = {(f"{a}/Part{i}.jpg", f"{b}/Part{i}.jpg") for i in range(8)
                for a, b in (("kos01", "kos26"), ("kos27", "kos34"))}  # fmt: skip
    assert pairs == expected | {("kos21/Part6.jpg", "kos21/Part7.jpg")}
    # "The labels on them can differ": two copies have other masks.
    assert len(findings["conflicting-masks"].groups) == 2
    # Two more parts are one, photographed twice: every surface has its near copy.
    near = findings["near-duplicates"]
    assert near.figures["pairs"] == 8
    assert {name.split("/")[1] for name in near.images} == {"kos38", "kos39"}
    # Cracks are dark, which is no shortcut: outside the masks nothing tells.
    assert "shortcut" not in findings
    assert findings["easy-defects"].figures["statistics"][0]["statistic"] == "darkest"


def test_screw_s_brightness_gives_it_away(shared, checked) -> None:
    result = checked(shared("screw.zip"))
    findings = {finding.code: finding for finding in result.findings}
    shortcut = findings["shortcut"].figures["statistics"][0]
    assert shortcut["statistic"] == "mean"
    assert shortcut["auroc"] == pytest.approx(1.0, abs=5e-4)
    assert shortcut["auroc_outside_masks"] == pytest.approx(1.0, abs=5e-4)
    assert shortcut["means"] == pytest.approx([170, 187], abs=0.7)
    assert shortcut["images"] == [41, 119]
    shift = findings["shift"].figures["statistics"][0]
    assert shift["statistic"] == "mean"
    assert shift["means"] == pytest.approx([184, 170], abs=0.7)
    assert findings["mask-missing"].figures == {"images": 35, "defects": 119}
    assert findings["near-duplicates"].groups == (
        ("screw/train/good/053.png", "screw/train/good/173.png"),
    )
    json.dumps(result.as_json())


@pytest.mark.slow
def test_a_folder_says_the_same_as_its_archive(shared, checked, tmp_path) -> None:
    with zipfile.ZipFile(shared("screw.zip")) as archive:
        archive.extractall(tmp_path)
    folder, packed = checked(tmp_path / "screw"), checked(shared("screw.zip"))
    assert folder.data.form == "MVTec AD layout"
    said = {f.code: f.figures for f in packed.findings if f.code != "source"}
    assert {f.code: f.figures for f in folder.findings} == said


@pytest.mark.slow
def test_magnetic_tile_and_rail_are_not_flooded(shared, found) -> None:
    tiles = found(shared("MagneticTile.zip"))
    assert set(tiles) <= {"mask-empty", "near-duplicates", "near-duplicates-harmless", "sizes",
                          "source"}  # fmt: skip
    assert tiles["near-duplicates"].figures["pairs"] <= 5  # of 902,496
    empty = set()
    with zipfile.ZipFile(shared("MagneticTile.zip")) as archive:
        for name in archive.namelist():
            if name.endswith(".png") and "MT_Free" not in name:
                mask = np.asarray(Image.open(io.BytesIO(archive.read(name))))
                empty |= set() if mask.any() else {name.removesuffix(".png")}
    assert {name.removesuffix(".jpg") for name in tiles["mask-empty"].images} == empty
    rail = found(shared("RailHead.zip"))
    assert set(rail) <= {"mask-inverted", "source"}
