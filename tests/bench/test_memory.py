"""Peak memory rises by what is touched and starts anew."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from burnish.bench.memory import peak_mib, reset_peak

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets the peak start anew")
def test_peak_counts_what_was_touched_since_the_reset() -> None:
    reset_peak(CPU)
    before = peak_mib(CPU)
    block = np.ones(128 * 2**17)  # 128 MiB
    held = peak_mib(CPU)
    assert held - before == pytest.approx(128, abs=16)
    del block
    assert peak_mib(CPU) == pytest.approx(held, abs=1)  # the peak stays
    reset_peak(CPU)
    assert peak_mib(CPU) - before == pytest.approx(0, abs=16)
