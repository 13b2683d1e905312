"""Whose a run folder is."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from burnish import BurnishError, Detector
from burnish.configuration import make_settings
from burnish.detection.run_folder import check_length, check_same_run, locked_run_folder, start_run


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with locked_run_folder(out, resume=False, overwrite=False):
        asked = (
            "from pathlib import Path; from burnish.detection.run_folder import locked_run_folder\n"
        )
        asked += f"with locked_run_folder(Path({str(out)!r}), False, True): print('mine')"
        found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
        assert "mine" not in found.stdout
        assert f"another run is at work in {out}" in found.stderr
    with locked_run_folder(out, resume=False, overwrite=False):
        pass
    assert list(out.iterdir()) == []


def test_where_there_are_no_locks_a_run_is_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems answer ENOLCK."""

    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with locked_run_folder(tmp_path, resume=False, overwrite=False):
        pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roi": "0,0 5,5 9,oops"}, "neither a file nor a polygon"),
        ({"tile": 512}, "twice as large"),
        ({"holdout": 0.95}, "at least 2 are needed"),
    ],
)
def test_a_slip_costs_no_checkpoint(
    metal: Path, micro: dict, tmp_path: Path, changes: dict, message: str
) -> None:
    """What is wrong is told before anything of the run that is to be replaced is touched."""
    run = tmp_path / "run"
    Detector.train(metal, "tiny", run, steps=2, **micro)
    kept = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with pytest.raises(BurnishError, match=message):
        Detector.train(metal, "tiny", run, overwrite=True, steps=2, **micro | changes)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == kept
    Detector.train(metal, "tiny", run, resume=True, steps=3, **micro)


def test_a_longer_training_is_not_called_a_shorter_one(
    metal: Path, micro: dict, tmp_path: Path
) -> None:
    Detector.train(metal, "tiny", tmp_path, steps=4, **micro)
    with pytest.raises(BurnishError, match="has gone 4 steps, more than the 3 asked for"):
        Detector.train(metal, "tiny", tmp_path, resume=True, steps=3, **micro)
    assert json.loads((tmp_path / "settings.json").read_text())["settings"]["steps"] == 4
    again = Detector.train(metal, "tiny", tmp_path, resume=True, steps=4, smoothing=1, **micro)
    assert again.card.training["steps"] == 4


@pytest.mark.parametrize("before", [None, 2.0])
def test_nor_one_of_more_minutes_one_of_fewer(tmp_path: Path, before: float | None) -> None:
    header = {"progress": {"step": 9, "seconds": 121.0}, "settings": {"minutes": before}}
    with pytest.raises(BurnishError, match=r"has gone 2\.02 minutes, more than the 1 asked for"):
        check_length(header, 100, 1.0, tmp_path)
    check_length(header, 100, 3.0, tmp_path)
    check_length(header, 100, None, tmp_path)
    stopped = {"progress": {"step": 9, "seconds": 59.0}, "settings": {"minutes": before}}
    check_length(stopped, 100, 1.0, tmp_path)
    if before:
        check_length(header, 100, 2.0, tmp_path)  # it ended a little after its time


def test_a_run_that_replaces_another_leaves_none_of_its_losses(tmp_path: Path) -> None:
    kept = [tmp_path / "tensorboard" / "mine.txt", tmp_path / "model.safetensors"]
    losses = [tmp_path / "losses.csv", tmp_path / "tensorboard" / "events.out.tfevents.1.host.2.0"]
    checkpoint = tmp_path / "checkpoint.safetensors"
    kept[0].parent.mkdir()
    for path in (*kept, *losses, checkpoint):
        path.touch()
    start_run(tmp_path, {}, resume=True)
    assert all(path.exists() for path in (*kept, *losses, checkpoint))
    start_run(tmp_path, {}, resume=False)
    assert not any(path.exists() for path in (*losses, checkpoint))
    assert all(path.exists() for path in kept)
    losses[0].touch()
    start_run(tmp_path, {}, resume=True)  # there is nothing to go on from
    assert not losses[0].exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "(other images are held out, as they show other parts than before)"),
        ({"seed": 1}, "(seed was 0, is 1)"),
        ({"holdout": 0.5}, "(holdout was auto, is 0.5)"),
    ],
)
def test_another_hold_out_is_told_with_its_reason(tmp_path: Path, changes: dict, told: str) -> None:
    one, two = (
        {"settings": make_settings("tiny", changed).model_dump(mode="json"), "roi": "",
         "fingerprint": "f", "held_out": "some"}
        for changed in ({}, changes)
    )  # fmt: skip
    with pytest.raises(BurnishError) as caught:
        check_same_run(one, two | {"held_out": "others"}, tmp_path / "c")
    assert told in str(caught.value)
    assert str(caught.value).endswith("start anew with --overwrite in place of --resume")


def test_another_preset_is_no_long_list(tmp_path: Path) -> None:
    one, two = (
        {"settings": make_settings(preset).model_dump(mode="json"), "roi": "", "fingerprint": "f"}
        for preset in ("small", "paper")
    )
    with pytest.raises(BurnishError) as caught:
        check_same_run(one, two | {"held_out": []}, tmp_path / "c")
    assert str(caught.value).count(" was ") == 5
    assert "more settings, as of another preset): resume with the same settings" in str(
        caught.value
    )
    check_same_run(one, one | {"held_out": []}, tmp_path / "c")
