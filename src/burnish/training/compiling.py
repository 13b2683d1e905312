"""torch.compile for the Transformer blocks: fuses what lies between the matrix products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from burnish.errors import BurnishError
from burnish.method.blocks import Block

HALVES = "attention_half", "mlp_half"  # of a block; token merging between them is not compiled
SHAPES = 64  # most input shapes that one half is compiled for


def compile_blocks(networks: Mapping[str, nn.Module]) -> None:
    """Have both halves of every block compiled at their first call; blocks that merge tokens, for
    any number of them."""
    import torch._dynamo  # takes seconds

    config: Any = torch._dynamo.config
    config.recompile_limit = SHAPES
    for block in _blocks(networks):
        for half in HALVES:
            plain = getattr(block, half)
            setattr(block, half, torch.compile(plain, dynamic=bool(block.tome_r)))


@contextmanager
def failures_reported() -> Iterator[None]:
    """Turn a failure of torch.compile inside into an error for users.

    Raises:
        BurnishError: torch.compile failed (no C++ compiler, no Triton, a fault of its own).
    """
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise BurnishError(
            f"torch.compile does not work here: {reason}. Train without compiled=true"
        ) from error


def release_blocks(networks: Mapping[str, nn.Module]) -> None:
    """Undo `compile_blocks`: inspection's shapes and modes would be compiled anew."""
    for block in _blocks(networks):
        for half in HALVES:
            block.__dict__.pop(half, None)


def _blocks(networks: Mapping[str, nn.Module]) -> Iterator[Block]:
    for network in networks.values():
        for module in network.modules():
            if isinstance(module, Block):
                yield module
