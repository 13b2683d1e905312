"""No lever on speed changes what is learnt beyond its stated tolerance.

Tolerances: the allocator: none. Fused kernels, banded products and joined gradients against the
plain ways: 1e-3 of a loss after 12 steps (float32 adds in another order, and steps multiply what it
rounds). bfloat16 against float32: 5 % of a loss, averaged over 40 steps.
"""

from __future__ import annotations

import math
from contextlib import ExitStack, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW

from burnish.configuration import make_settings
from burnish.images.synthetic.surfaces import make_surface
from burnish.method.generator import Generator
from burnish.training import loop, networks
from burnish.training.samples import Samples

MICRO = {
    "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32, "heads": 2,
    "depth_encoder": 2, "depth_decoder": 2, "disc_width": 32, "disc_heads": 2, "disc_depth": 2,
    "batch": 4, "warmup": 2, "checkpoint_minutes": 9, "precision": "float32", "steps": 12,
}  # fmt: skip


def fit(folder: Path, **changes: object) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """The losses of every step and the weights at the end."""
    folder.mkdir()
    settings = make_settings("tiny", MICRO | changes)
    rng = np.random.default_rng(0)
    images = np.stack([make_surface("brushed", (32, 32), rng)[None] for _ in range(10)])
    run = loop.Trainer(settings, Samples(images, range(10)), folder, {})
    steps, train_step = [], run.train_step

    def noted() -> dict[str, float]:
        steps.append(train_step())
        return steps[-1]

    run.train_step = noted  # type: ignore[method-assign]
    run.fit()
    return steps, {k: v.clone() for k, v in run.networks["generator"].state_dict().items()}


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
) -> Tensor:
    weights = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return (weights if attn_mask is None else weights + attn_mask).softmax(dim=-1) @ value


@pytest.mark.parametrize("hidden", ["keep", "drop"])
def test_keeping_freed_memory_changes_no_bit(tmp_path: Path, hidden: str) -> None:
    kept, weights = fit(tmp_path / "kept", hidden_tokens=hidden)
    with patch.object(loop, "freed_memory_kept", nullcontext):
        plain, others = fit(tmp_path / "plain", hidden_tokens=hidden)
    assert kept == plain
    assert all(torch.equal(weights[name], others[name]) for name in weights)


@pytest.mark.parametrize("hidden", ["keep", "drop"])
def test_fast_ways_learn_what_the_plain_ways_learn(tmp_path: Path, hidden: str) -> None:
    fast, _ = fit(tmp_path / "fast", hidden_tokens=hidden)
    with ExitStack() as plain:
        change = lambda *args: plain.enter_context(patch.object(*args))  # noqa: E731
        change(Generator, "_head", lambda self, image: self.smooth(image))
        change(F, "scaled_dot_product_attention", plain_attention)
        plainly = {"fused": False, "foreach": False}
        change(networks, "AdamW", lambda *a, **k: AdamW(*a, **{**k, **plainly}))
        slow, _ = fit(tmp_path / "slow", hidden_tokens=hidden)
    assert len(fast) == len(slow) == 12
    for ours, expected in zip(fast, slow, strict=True):
        assert ours == pytest.approx(expected, rel=1e-3)
    assert fast[-1]["total"] < 0.9 * fast[0]["total"]  # and they did learn


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["keep", "drop"])
def test_bfloat16_reaches_the_losses_of_float32(tmp_path: Path, hidden: str) -> None:
    changes = {"hidden_tokens": hidden, "steps": 50}
    full, weights = fit(tmp_path / "float32", **changes)
    half, others = fit(tmp_path / "bfloat16", precision="bfloat16", **changes)
    assert any(not torch.equal(weights[name], others[name]) for name in weights)
    assert all(v.dtype == torch.float32 for v in others.values())
    assert np.mean([s["total"] for s in full[-40:]]) < 0.8 * full[0]["total"]
    for term in full[0]:
        ours, expected = (np.mean([s[term] for s in run[-40:]]) for run in (half, full))
        assert ours == pytest.approx(expected, rel=0.05), term
