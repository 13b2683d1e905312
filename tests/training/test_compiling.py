"""Compiled blocks learn what plain ones do, and leave nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from burnish.configuration import make_settings
from burnish.method.blocks import Block
from burnish.training.compiling import HALVES, compile_blocks, release_blocks
from burnish.training.loop import Trainer
from burnish.training.samples import Samples

MICRO = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32, "heads": 2,
    "depth_encoder": 1, "depth_decoder": 1, "disc_width": 32, "disc_heads": 2, "disc_depth": 2,
    "batch": 4, "tome_r": 2, "ema": 0.0, "precision": "float32", "steps": 3, "accelerator": "cpu",
}  # fmt: skip


def trainer(folder: Path, **changes: object) -> Trainer:
    images = np.random.default_rng(0).integers(0, 255, (8, 1, 32, 32), dtype=np.uint8)
    settings = make_settings("tiny", MICRO | changes)
    return Trainer(settings, Samples(images, range(8)), folder, {})


def test_releasing_leaves_the_plain_methods() -> None:
    networks = {"one": torch.nn.Sequential(Block(8, 2, 2.0), Block(8, 2, 2.0, tome_r=1))}
    compile_blocks(networks)
    assert all(half in vars(block) for block in networks["one"] for half in HALVES)
    assert not any("_half" in key for key in networks["one"].state_dict())
    release_blocks(networks)
    assert not any(half in vars(block) for block in networks["one"] for half in HALVES)


@pytest.mark.slow
def test_without_a_compiler_it_says_so(tmp_path: Path, metal: Path) -> None:
    changes = [f"--set={k}={v}" for k, v in {"steps": 2, "warmup": 1, "compiled": "true"}.items()]
    environment = {**os.environ, "CXX": "/nowhere", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "c")}
    command = [sys.executable, "-m", "burnish.cli.main", "train", str(metal), "--preset", "tiny"]
    command += ["--out", str(tmp_path / "run"), *changes, "--set=accelerator=cpu"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2
    assert "torch.compile does not work here" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_losses_are_those_of_plain_blocks(tmp_path: Path) -> None:
    plain, compiled = trainer(tmp_path), trainer(tmp_path, compiled=True)
    for _ in range(3):
        expected = plain.train_step()
        assert compiled.train_step() == pytest.approx(expected, rel=1e-4)
    kept = compiled.fit()
    assert not any(half in vars(m) for m in kept.modules() for half in HALVES)
