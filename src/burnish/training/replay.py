"""Replay a step on a GPU as one CUDA graph instead of launching thousands of kernels one by one.

At the paper's batch of 8 a GPU finishes kernels faster than Python can launch them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
WARM_UP = 3  # calls before the capture: libraries set up, optimisers allocate their moments


class Replay(Generic[T]):
    """Calls `work` and, after `WARM_UP` calls, replays its kernels as a CUDA graph. CUDA only.

    Args:
        work: takes tensors (or None) of the same shapes each time, and gives one or several. It
            must not wait for the device, and must read and change the same other tensors each time.
    """

    def __init__(self, work: Callable[..., T]) -> None:
        self._work, self._calls = work, 0
        self._stream = torch.cuda.Stream()
        self._graph = torch.cuda.CUDAGraph()
        self._inputs: list[Tensor | None] = []
        self._result: T | None = None

    def __call__(self, *inputs: Tensor | None) -> T:
        """The result; it is overwritten by the next call."""
        self._calls += 1
        if self._calls <= WARM_UP:
            # On the capture's stream, as gradients accumulate on the stream they were made on.
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                result = self._work(*inputs)
            torch.cuda.current_stream().wait_stream(self._stream)
            return result
        if self._result is None:
            self._inputs = [None if tensor is None else tensor.clone() for tensor in inputs]
            torch.cuda.synchronize()
            with torch.cuda.graph(
                self._graph, stream=self._stream, capture_error_mode="thread_local"
            ):
                self._result = self._work(*self._inputs)
        for kept, tensor in zip(self._inputs, inputs, strict=True):
            if kept is None or tensor is None:
                assert kept is tensor, "what was None at the capture is None"
            else:
                kept.copy_(tensor)
        self._graph.replay()
        return self._result
