"""Which precision is chosen, and that it stays."""

import time
from pathlib import Path

import pytest
import torch

from burnish import Detector
from burnish.configuration import make_settings
from burnish.errors import BurnishError
from burnish.training import hardware
from burnish.training.hardware import (
    bfloat16_pays,
    cores_taken,
    crowded,
    other_threads,
    resolve_precision,
    training_precision,
)


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


STAT = """cpu  {} 0 0 {} {} 0 0 0 0 0
cpu0 0 0 0 0 0 0 0 0 0 0
cpu1 0 0 0 0 0 0 0 0 0 0
intr 5
"""


def test_cores_taken_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 ticks of two cores 15 are spent, 20 idle and 5 waiting for a disk."""
    stat = tmp_path / "stat"
    stat.write_text(STAT.format(100, 900, 7))
    monkeypatch.setattr(time, "sleep", lambda _: stat.write_text(STAT.format(115, 920, 12)))
    taken, cores = cores_taken(stat)
    assert (taken, cores) == (pytest.approx(2 * 15 / 40), 2)
    assert cores_taken(tmp_path / "none") is None
    stat.write_text("something else")
    assert cores_taken(stat) is None


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for taken, told in ((0.1, 0), (0.4, 0), (0.9, 1)):
        monkeypatch.setattr(hardware, "cores_taken", lambda taken=taken: (taken, 2))
        assert len(crowded("auto")) == told
    assert "other programs keep about 0.9 of 2 cores busy" in crowded("cpu")[0]
    assert "weights are then rounded otherwise" in crowded("cpu")[0]
    assert crowded("mps") == []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert crowded("cpu") == []


def test_another_number_of_threads_on_resume_is_told(
    monkeypatch: pytest.MonkeyPatch, metal: Path, micro: dict, tmp_path: Path
) -> None:
    def train(**changes: object) -> tuple[Detector, list[str]]:
        told: list[str] = []
        made = Detector.train(metal, "tiny", tmp_path / "run", accelerator="cpu",
                              on_stage=lambda stage: told.append(stage.message),
                              **micro, **changes)  # fmt: skip
        return made, [message for message in told if "so far, now" in message]

    now = torch.get_num_threads()
    first, told = train(steps=2)
    assert (first.card.training["threads"], told) == (now, [])
    assert train(steps=3, resume=True)[1] == []
    monkeypatch.setattr(torch, "get_num_threads", lambda: now + 2)
    same, told = train(steps=3, smoothing=1, resume=True)  # nothing is trained any more
    assert (same.card.training["threads"], told) == (now, [])
    again, (note,) = train(steps=4, resume=True)
    assert again.card.training["threads"] == now + 2
    assert f"so far, now {now + 2}: the weights will not be those of an unbroken run" in note
    assert other_threads(None, torch.device("cpu")) == []  # an older checkpoint
    assert other_threads(1, torch.device("cuda")) == []
    assert "with 1 thread so far" in other_threads(1, torch.device("cpu"))[0]
