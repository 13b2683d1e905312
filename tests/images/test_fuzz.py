"""Thousands of damaged files through the reader: decoded or refused, no crash, hang or leak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "fuzz" / "run.py"
SLOWEST = 5.0  # s for one file
GROWTH = 20.0  # MiB
LIMIT = 300  # s for a run; it takes about ten


def fuzz(what: str, count: int, tmp_path: Path) -> dict:
    """One run in a process of its own, so that a crash or a hang of a decoder fails the test."""
    done = subprocess.run(
        [sys.executable, RUN, what, str(count), "0"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-3000:]}"
    found = json.loads(done.stdout)
    print(found)
    assert found["decoded"] + found["refused"] == count
    assert found["slowest"] < SLOWEST, found
    before, after = found["resident"][1], found["resident"][-1]  # the first fifth still imports
    assert after - before < GROWTH, found
    return found


@pytest.mark.slow
def test_images(tmp_path: Path) -> None:
    found = fuzz("images", 6000, tmp_path)
    assert found["decoded"] > 1000  # the mutations reach the decoders ...
    assert found["refused"] > 1000  # ... and the errors


@pytest.mark.slow
def test_archives(tmp_path: Path) -> None:
    found = fuzz("archives", 1000, tmp_path)
    assert found["decoded"] > 100
    assert found["refused"] > 100


def test_a_culprit_is_kept_and_fails_the_run(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(RUN.parent)!r}); import run\n"
        "def broken(data, name): raise KeyError(name)\n"
        "run.read_image_bytes = run.read_image = broken\n"
        "run.main('images', 3, 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "KeyError" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["burnish-fuzz-images-0"]
