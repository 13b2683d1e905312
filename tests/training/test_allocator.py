"""Freed memory stays while it is wanted and goes back afterwards; counted in page faults and MB."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from burnish.training import allocator

SCRIPT = """
import resource, sys
from contextlib import nullcontext
import torch
from burnish.training.allocator import freed_memory_kept

torch.set_num_threads(1)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

def use():
    blocks = [torch.ones(1 << 20) for _ in range(20)]  # 80 MiB in blocks of 4
    torch.ones(6 << 20)  # 24 MiB

with freed_memory_kept() if sys.argv[1] == "kept" else nullcontext():
    use()
    for _ in range(2):
        before = faults()
        for _ in range(5):
            use()
        print(faults() - before)
    print(resident())
print(resident())
"""


def measured(mode: str) -> tuple[int, int, float, float]:
    command = [sys.executable, "-c", SCRIPT, mode]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(out[0]), int(out[1]), float(out[2]), float(out[3])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_memory_is_faulted_in_once_and_given_back_at_the_end() -> None:
    faults, later, during, after = measured("kept")
    plain = measured("plain")[0]
    assert faults < 15_000  # of pages of 4 KiB; 5 x 104 MiB are 133,000
    assert later < 100  # up to 11 blocks come anew until the heap has found its shape, then none
    assert plain > max(faults, 30_000)  # 32,754 to 126,833 by where the heap happens to lie
    assert after < during - 80


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator, "_set", lambda *given: pytest.fail("called mallopt"))
    with allocator.freed_memory_kept():
        pass
