"""What a first verdict loads: every one of these modules costs a tenth of a second or more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from burnish import Detector

COSTLY = ("sympy", "torch._dynamo", "torch._inductor", "sklearn", "matplotlib", "lightning_fabric",
          "jinja2", "pandas", "scipy")  # fmt: skip
PROGRAM = f"""
import sys
from burnish.cli.main import app
try:
    app(["inspect", sys.argv[1], sys.argv[2]])
finally:
    print("loaded:", *(name for name in {COSTLY!r} if name in sys.modules))
"""


@pytest.mark.slow
def test_a_good_part_is_judged_without_the_costly_modules(
    detector: Detector, run_folder: Path, metal: Path
) -> None:
    pictures = sorted((metal / "train" / "good").iterdir())
    flawless = next(p for p in pictures if not detector.inspect(p).regions)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run_folder), str(flawless)],
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("good"), done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
