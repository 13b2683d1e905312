"""`burnish calibrate` as a person uses it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from burnish import Detector

Burnish = Callable[..., tuple[int, str, str]]


@pytest.fixture
def good(metal: Path, tmp_path: Path) -> Path:
    """Fourteen images in which nothing is learnt from: six good test images and eight more."""
    folder = shutil.copytree(metal / "test/good", tmp_path / "new parts")
    for path in sorted((metal / "test").glob("[!g]*/*.png"))[:8]:
        shutil.copy(path, folder / f"{path.parent.name}_{path.name}")
    return folder


def test_a_new_model_and_the_old_one_stays(
    burnish: Burnish, run_folder: Path, good: Path, tmp_path: Path
) -> None:
    before = (run_folder / "model.safetensors").read_bytes()
    out = tmp_path / "line 2"
    code, _, err = burnish("calibrate", run_folder, good, "--out", out, "--false-alarms", 0.25)
    assert code == 0, err
    new, old = Detector.load(out), Detector.load(run_folder)
    assert err.splitlines()[-2:] == [
        f"model written to {out}/model.safetensors", f"next: burnish inspect '{out}' IMAGES"
    ]  # fmt: skip
    assert f"threshold {new.threshold:.4g}" in err
    assert "at most 25 % of good parts will be called defective" in err
    assert sorted(path.name for path in out.iterdir()) == ["model.safetensors"]
    assert new.card.calibration.false_alarms == 0.25
    assert new.threshold != old.threshold
    assert (run_folder / "model.safetensors").read_bytes() == before


def test_info_tells_where_the_threshold_comes_from(
    burnish: Burnish, run_folder: Path, metal: Path, good: Path, tmp_path: Path
) -> None:
    burnish("calibrate", run_folder, good, "--out", tmp_path / "new")
    code, said, _ = burnish("info", tmp_path / "new")
    said = " ".join(said.split())
    assert code == 0
    assert f"14 good images learnt, from {metal}; 14 held out (14 parts), from {good}" in said


def test_what_lies_in_out_is_only_replaced_on_demand(
    burnish: Burnish, run_folder: Path, good: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new"
    assert burnish("calibrate", run_folder, good, "--out", out)[0] == 0
    first = (out / "model.safetensors").read_bytes()
    (out / "model.onnx").touch()
    code, _, err = burnish("calibrate", run_folder, good, "--out", out, "--false-alarms", 0.2)
    assert code == 2
    assert "already holds model.safetensors: --overwrite replaces it" in err
    assert (out / "model.safetensors").read_bytes() == first
    code, _, err = burnish(
        "calibrate", run_folder, good, "--out", out, "--false-alarms", 0.2, "--overwrite"
    )
    assert code == 0, err
    assert "model.onnx in" in err  # of the model before
    assert (out / "model.safetensors").read_bytes() != first


def test_mistakes_are_told(
    burnish: Burnish, run_folder: Path, metal: Path, good: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new"
    for arguments, message in (
        ((tmp_path / "nothing", good), "no such model"),
        ((run_folder, tmp_path / "nothing"), "no such folder"),
        ((run_folder, metal), "the very images that the model was trained on"),
        ((run_folder, good, "--part", "lot"), "found in none of the 14 file names"),
        ((run_folder, good, "--part", "("), "part_pattern"),
        ((run_folder, good, "--false-alarms", 1.5), "false_alarms"),
        ((run_folder, good, "--device", "tpu9"), "no device 'tpu9'"),
    ):
        code, _, err = burnish("calibrate", *arguments, "--out", out)
        assert (code, message in err) == (2, True), err
        assert not (out / "model.safetensors").exists()


def test_interrupted_it_leaves_nothing(run_folder: Path, good: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    for number in range(150):
        shutil.copy(good / "000.png", good / f"more{number}.png")
        with (good / f"more{number}.png").open("ab") as file:
            file.write(bytes(number + 1))  # no copy
    command = [sys.executable, "-m", "burnish.cli.main", "calibrate"]
    with subprocess.Popen(
        [*command, str(run_folder), str(good), "--out", str(out)],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        # A shell lets what it starts in the background ignore SIGINT, and the tests with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("calibrating on"):
                break
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert list(out.glob("*")) == []
