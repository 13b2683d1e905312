"""torch.compile of the Transformer blocks: what lies between the products, in fewer passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from burnish.method.blocks import Block

SHAPES = 64  # of inputs that one block's code may be compiled for: merging leaves fewer tokens each


def compile_blocks(networks: Mapping[str, nn.Module]) -> None:
    """Compile every block in place, at its first call. Where tokens merge, for any number of them.
    """
    import torch._dynamo  # takes seconds

    torch._dynamo.config.recompile_limit = SHAPES
    for block in _blocks(networks):
        block.compile(dynamic=bool(block.tome_r))


def release_blocks(networks: Mapping[str, nn.Module]) -> None:
    """Undo `compile_blocks`: other shapes and modes than training's would be compiled anew."""
    for block in _blocks(networks):
        block._compiled_call_impl = None


def _blocks(networks: Mapping[str, nn.Module]) -> Iterator[Block]:
    for network in networks.values():
        for module in network.modules():
            if isinstance(module, Block):
                yield module
