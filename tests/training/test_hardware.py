"""Which precision is chosen, and that it stays."""

import pytest
import torch

from burnish import Detector
from burnish.configuration import make_settings
from burnish.errors import BurnishError
from burnish.training import hardware
from burnish.training.hardware import bfloat16_pays, resolve_precision, training_precision


@pytest.fixture(autouse=True)
def fresh():
    bfloat16_pays.cache_clear()
    yield
    bfloat16_pays.cache_clear()


@pytest.mark.parametrize(("seconds", "pays"), [(0.5, True), (0.9, False), (2.0, False)])
def test_a_processor_is_measured_not_believed(monkeypatch, seconds, pays):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    times = {torch.float32: 1.0, torch.bfloat16: seconds}
    monkeypatch.setattr(hardware, "matmul_seconds", lambda *kinds: [times[k] for k in kinds])
    assert bfloat16_pays("cpu") == pays
    settings = make_settings("tiny", {"accelerator": "cpu"})
    assert resolve_precision(settings).precision == ("bfloat16" if pays else "float32")
    assert training_precision(settings) == ("bf16-mixed" if pays else "32-true")


def test_without_the_instructions_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(hardware, "matmul_seconds", lambda *kinds: pytest.fail("measured"))
    assert not bfloat16_pays("cpu")


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken(asked):
    settings = make_settings("tiny", {"precision": asked})
    assert resolve_precision(settings) == settings


def test_products_are_timed_in_turns_and_the_shortest_counts(monkeypatch):
    """Against a clock that only products move: the first is slow, and the machine is busy for a
    while."""
    clock, kinds = [0.0], []

    def multiply(left, right):
        turn = len(kinds) // 2
        slow = {0: 100.0, 1: 1.0}.get(turn, 7.0)  # the first one is not counted
        clock[0] += slow * (1.0 if left.dtype == torch.float32 else 0.5)
        kinds.append(left.dtype)

    monkeypatch.setattr(hardware, "ROUNDS", 4)
    monkeypatch.setattr(torch, "mm", multiply)
    monkeypatch.setattr(hardware.time, "perf_counter", lambda: clock[0])
    assert hardware.matmul_seconds(torch.float32, torch.bfloat16) == [1.0, 0.5]
    assert kinds == [torch.float32, torch.bfloat16] * 5


def test_a_resumed_run_keeps_its_precision(monkeypatch, tmp_path, metal):
    monkeypatch.setattr(hardware, "bfloat16_pays", lambda accelerator: False)
    first = Detector.train(metal, "tiny", tmp_path / "run", steps=2)
    assert first.card.settings.precision == "float32"
    monkeypatch.setattr(hardware, "bfloat16_pays", lambda accelerator: True)
    again = Detector.train(metal, "tiny", tmp_path / "run", resume=True, steps=3)
    assert again.card.settings.precision == "float32"
    with pytest.raises(BurnishError, match="precision was float32, is bfloat16"):
        Detector.train(metal, "tiny", tmp_path / "run", resume=True, steps=3, precision="bfloat16")
