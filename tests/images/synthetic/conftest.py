"""What the tests of synthetic data share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def kill_in_the_middle() -> Callable[[str, Path, str], None]:
    """Runs Python code and `kill -9`s it once five files that match a pattern lie in a folder."""

    def kill(code: str, folder: Path, pattern: str) -> None:
        process = subprocess.Popen([sys.executable, "-c", code])
        deadline = time.monotonic() + 60
        while len(list(folder.glob(pattern))) < 5:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    return kill
