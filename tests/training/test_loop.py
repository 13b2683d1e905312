"""Training as a whole: it learns, repeats, resumes, stops and fails as promised."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from burnish import BurnishError
from burnish.configuration import make_settings
from burnish.images.synthetic.surfaces import make_surface
from burnish.training.loop import Interrupted, Trainer
from burnish.training.samples import Samples
from burnish.training.state import Progress, load_state, read_header, save_state

MICRO = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32, "heads": 2,
    "depth_encoder": 1, "depth_decoder": 1, "disc_width": 32, "disc_heads": 2, "disc_depth": 2,
    "batch": 4, "warmup": 2, "checkpoint_minutes": 0, "precision": "float32",
}  # fmt: skip


def pixels(count: int = 10) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([make_surface("brushed", (32, 32), rng)[None] for _ in range(count)])


def trainer(folder: Path, count: int = 10, **changes: object) -> Trainer:
    folder.mkdir(parents=True, exist_ok=True)
    settings = make_settings("tiny", MICRO | {"steps": 9} | changes)
    samples = Samples(pixels(count), range(count))
    return Trainer(settings, samples, folder, {"settings": settings.model_dump(mode="json")})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint.safetensors")


def assert_same_weights(a: Path, b: Path) -> None:
    one, two = weights(a), weights(b)
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def test_overfits_a_few_images(tmp_path: Path) -> None:
    run = trainer(
        tmp_path, 4, steps=400, weight_adversarial=0, weight_latent=0, flips="none",
        mask_blocks=(8,), learning_rate=3e-3, checkpoint_minutes=9, ema=0.9, precision="float32",
    )  # fmt: skip
    run.fit()
    first, last = run.progress.rows[0]["l1"], run.progress.rows[-1]["l1"]
    assert last < 0.35 * first
    assert last < 0.05  # of a range of 2


def test_same_seed_same_weights_other_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trainer(tmp_path / name, seed=seed, jitter=0.1).fit()
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    one, other = weights(tmp_path / "a"), weights(tmp_path / "c")
    key = "generator/to_pixels.weight"
    assert not torch.equal(one[key], other[key])


def test_dropping_hidden_tokens_learns_and_resumes(tmp_path: Path) -> None:
    changes = {"hidden_tokens": "drop", "steps": 60, "learning_rate": 3e-3, "jitter": 0.1}
    unbroken = trainer(tmp_path / "whole", **changes)
    unbroken.fit()
    rows = unbroken.progress.rows
    assert rows[-1]["l1"] < 0.7 * rows[0]["l1"]
    first = trainer(tmp_path / "parts", **changes)
    first.on_step = lambda e: os.kill(os.getpid(), signal.SIGTERM) if e.step == 7 else None
    with pytest.raises(Interrupted):
        first.fit()
    trainer(tmp_path / "parts", **changes).fit(resume=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_drawing_a_step_ahead_draws_the_same(tmp_path: Path) -> None:
    """As where steps are replayed, on a GPU; a step that is not drawn ahead may come between."""
    plain, ahead = trainer(tmp_path / "a"), trainer(tmp_path / "b")
    ahead.replay = ahead.update  # type: ignore[assignment]
    for step in range(8):
        if step == 5:
            ahead.replay = None
        assert ahead.train_step() == plain.train_step()


def test_training_does_not_touch_the_callers_random_state(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trainer(tmp_path, steps=2).fit()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("stop_after", [1, 4, 5])
def test_interrupted_then_resumed_equals_unbroken(tmp_path: Path, stop_after: int) -> None:
    unbroken = trainer(tmp_path / "whole")
    unbroken.fit()

    first = trainer(tmp_path / "parts")
    first.on_step = lambda e: os.kill(os.getpid(), signal.SIGTERM) if e.step == stop_after else None
    with pytest.raises(Interrupted, match="--resume"):
        first.fit()
    assert first.progress.step == stop_after  # the step under way was finished
    second = trainer(tmp_path / "parts")
    second.fit(resume=True)

    assert_same_weights(tmp_path / "whole", tmp_path / "parts")
    columns = [set(row) - {"seconds"} for row in unbroken.progress.rows]
    for a, b, names in zip(unbroken.progress.rows, second.progress.rows, columns, strict=True):
        assert {n: a[n] for n in names} == {n: b[n] for n in names}


KILLED = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
import test_loop
test_loop.trainer(pathlib.Path(sys.argv[1]), steps=150).fit(resume=True)
"""


def test_resume_after_kill_9_equals_unbroken(tmp_path: Path) -> None:
    trainer(tmp_path / "whole", steps=150, checkpoint_minutes=9).fit()
    folder = tmp_path / "killed"
    folder.mkdir()
    command = [sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parent)]
    kills = 0
    while kills < 2:
        before = step_of(folder)
        process = subprocess.Popen(command)
        while process.poll() is None and step_of(folder) < before + 5:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
        kills += 1
    assert 10 <= step_of(folder) < 150
    subprocess.run(command, check=True)
    assert step_of(folder) == 150
    assert_same_weights(tmp_path / "whole", folder)


def step_of(folder: Path) -> int:
    path = folder / "checkpoint.safetensors"
    return read_header(path)["progress"]["step"] if path.exists() else 0


@pytest.mark.parametrize(
    "text",
    [None, "", "no json", "[" * 100_000, "7", '["a"]', '{"format": 1}',
     '{"format": 1, "progress": [3]}', '{"format": 1, "progress": {"step": "x", "seconds": 0}}',
     '{"format": 1, "progress": {"step": 1, "seconds": 0}, "settings": []}'],
)  # fmt: skip
def test_what_is_no_checkpoint_is_named(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_file({"a": torch.zeros(1)}, path, None if text is None else {"burnish-state": text})
    with pytest.raises(BurnishError, match=r"checkpoint\.safetensors is not a burnish checkpoint"):
        read_header(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("generator/to_pixels.weight", lambda tensor: None),
        ("generator/to_pixels.weight", lambda tensor: tensor[:1].clone()),
        ("adam_g/0/exp_avg", lambda tensor: None),
        ("adam_g/0/exp_avg", lambda tensor: tensor.new_zeros(0)),
        ("adam_d/0/step", lambda tensor: tensor.new_zeros(2)),
        ("adam_g/9999/step", lambda tensor: torch.zeros(())),
        ("adam_g/x/step", lambda tensor: torch.zeros(())),
    ],
)
def test_a_checkpoint_of_other_tensors_is_named(
    tmp_path: Path, name: str, change: Callable[[Any], torch.Tensor | None]
) -> None:
    trainer(tmp_path, steps=2).fit()
    path, tensors = tmp_path / "checkpoint.safetensors", weights(tmp_path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    changed = change(tensors.pop(name, None))
    save_file(tensors | ({} if changed is None else {name: changed}), path, metadata)
    with pytest.raises(BurnishError, match=r"checkpoint\.safetensors is not .*, or it is damaged"):
        trainer(tmp_path, steps=4).fit(resume=True)


def test_a_checkpoint_that_was_read_is_no_longer_needed(tmp_path: Path) -> None:
    """Windows replaces no file whose pages are in use."""
    network = torch.nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 8)).sum().backward()
    optimizer.step()
    path, state = tmp_path / "checkpoint.safetensors", ({"net": network}, {"adam": optimizer})
    save_state(path, *state, Progress(step=1), {})
    load_state(path, *state)
    moments = optimizer.state_dict()["state"][0]
    before = moments["exp_avg"].clone()
    path.write_bytes(bytes(path.stat().st_size))
    assert before.abs().sum() > 0
    assert torch.equal(moments["exp_avg"], before)


def test_non_finite_loss_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = trainer(tmp_path, steps=50)

    def poison(event: object) -> None:
        if run.progress.step == 6:
            with torch.no_grad():
                run.networks["generator"].to_pixels.weight.fill_(float("nan"))

    run.on_step = poison
    with pytest.raises(BurnishError, match="diverged"):
        run.fit()
    assert step_of(tmp_path) == 5
    assert all(torch.isfinite(t).all() for t in weights(tmp_path).values())
    resumed = trainer(tmp_path, steps=8)
    resumed.fit(resume=True)
    assert resumed.progress.step == 8


def test_csv_has_a_row_per_epoch_with_every_term(tmp_path: Path) -> None:
    trainer(tmp_path, steps=6).fit()  # 10 images, batch 4: 2 steps an epoch
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    terms = {"total", "l1", "ssim", "gradient", "adversarial", "latent", "discriminator"}
    assert terms <= set(rows[0])
    for row in rows:
        assert all(np.isfinite(float(row[term])) for term in terms)
        consistency = float(row["l1"]) + float(row["ssim"]) + float(row["gradient"])
        expected = 20 * consistency + float(row["adversarial"]) + float(row["latent"])
        assert float(row["total"]) == pytest.approx(expected, rel=1e-4)


def logged(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "losses.csv").open()))
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def test_an_epoch_that_the_end_cuts_short_has_a_row(tmp_path: Path) -> None:
    constant = {"schedule": "constant", "weight_latent": 0}
    short, losses = trainer(tmp_path / "a", steps=3, **constant), []
    short.on_step = lambda event: losses.append(event.losses["l1"])
    short.fit()
    assert [row["epoch"] + " " + row["step"] for row in logged(tmp_path / "a")] == ["1 2", "2 3"]
    assert float(logged(tmp_path / "a")[1]["l1"]) == losses[2]
    assert len(short.progress.rows) == 1
    trainer(tmp_path / "a", steps=5, **constant).fit(resume=True)
    trainer(tmp_path / "b", steps=5, **constant).fit()
    assert logged(tmp_path / "a") == logged(tmp_path / "b")
    assert [row["step"] for row in logged(tmp_path / "a")] == ["2", "4", "5"]


def test_a_batch_of_all_there_is_says_so(tmp_path: Path) -> None:
    told = r"batch 9 \(all there is to learn from; 64 was asked for\) does not divide among 2"
    with pytest.raises(BurnishError, match=told):
        trainer(tmp_path, 9, devices=2, batch=64, accelerator="cpu")
    with pytest.raises(BurnishError, match="batch 5 does not divide among 2 devices: choose"):
        trainer(tmp_path, 9, devices=2, batch=5, accelerator="cpu")


def test_minutes_limit_ends_training(tmp_path: Path) -> None:
    run = trainer(tmp_path, steps=None, minutes=0.02)
    start = time.monotonic()
    run.fit()
    assert run.progress.step > 0
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("term", ["weight_adversarial", "weight_latent", "weight_consistency"])
def test_each_part_can_be_left_out(tmp_path: Path, term: str) -> None:
    run = trainer(tmp_path, steps=2, **{term: 0})
    run.fit()
    assert ("discriminator" in run.networks) == (term != "weight_adversarial")
    assert ("encoder" in run.networks) == (term != "weight_latent")


def test_averaged_weights_follow_the_decay(tmp_path: Path) -> None:
    run = trainer(tmp_path, steps=1, ema=0.5)
    start = run.networks["averaged"].to_pixels.weight.clone()
    kept = run.fit()
    now = run.networks["generator"].to_pixels.weight
    decay = min(0.5, 1 / 10)  # the first step counts little
    torch.testing.assert_close(kept.to_pixels.weight, decay * start + (1 - decay) * now)


def test_learning_rate_warms_up_and_anneals(tmp_path: Path) -> None:
    run = trainer(tmp_path, steps=9, warmup=3, schedule="cosine", learning_rate=1e-3)
    rates = []
    run.on_step = lambda e: rates.append(run.optimizers["adam_g"].param_groups[0]["lr"])
    run.fit()
    cosine = [0.5 * (1 + np.cos(np.pi * step / 9)) for step in range(9)]
    warm = [min(1, (step + 1) / 3) for step in range(9)]
    assert rates == pytest.approx([1e-3 * c * w for c, w in zip(cosine, warm, strict=True)])
