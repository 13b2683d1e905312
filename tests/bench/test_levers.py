"""The levers of benchmarks/levers.py: a turn "off" runs the plain way, a turn "on" does not."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAIN = {
    "permuted_attention": "attention: gradients of q, k, v joined in one copy",
    "plain_softmax": "attention in float32: fused, not plain softmax",
    "plain_head": "3x3 head: nine sums in training",
    "ssim_by_convolution": "SSIM: banded products",
    "halves_apart": "both mask halves in one batch",
    "painted_twice": "one painting for D's and G's step",
    "masks_apart": "inspection: six masks in one batch",
}
CHANGES = {"fused AdamW", "no discriminator", "precision=bfloat16", "torch.compile",
           "hidden_tokens=drop, training", "hidden_tokens=drop, inspection",
           "level_light, training", "level_light, inspection"}  # fmt: skip
KERNEL = "attention in bfloat16: plain, not fused"  # torch's own, wherever it is called


@pytest.fixture
def levers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("levers")


def test_every_lever_is_of_a_known_kind(levers: ModuleType) -> None:
    assert set(levers.levers()) == {*PLAIN.values(), *CHANGES, KERNEL}


@pytest.mark.parametrize("plain", PLAIN)
def test_off_is_the_plain_way(
    levers: ModuleType, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, function = [], getattr(levers, plain)

    def noted(*given: Any, **named: Any) -> Any:
        calls.append(plain)
        return function(*given, **named)

    monkeypatch.setattr(levers, plain, noted)
    on, off = levers.levers()[PLAIN[plain]]()

    def called(turn: tuple[Any, Any]) -> bool:
        calls.clear()
        work, surroundings = turn
        with surroundings():
            work()
        return bool(calls)

    assert [called(turn) for turn in (on, off, on)] == [False, True, False]
