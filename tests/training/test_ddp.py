"""Two processes on one batch do what one process does (Fabric's DDP, here on the CPU)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file


@pytest.mark.slow
def test_two_devices_train_the_same_weights_as_one(
    metal: Path, micro: dict, tmp_path: Path
) -> None:
    settings = micro | {"mask_blocks": "8,16", "steps": 8, "accelerator": "cpu"}
    settings |= {"precision": "float32"}
    for devices in (1, 2):
        command = [
            sys.executable,
            "-m",
            "burnish.cli.main",
            "train",
            str(metal),
            "--preset",
            "tiny",
        ]
        command += ["--out", str(tmp_path / str(devices)), "--set", f"devices={devices}"]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("model written") == 1
    one, two = (load_file(tmp_path / str(d) / "model.safetensors") for d in (1, 2))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-5)
