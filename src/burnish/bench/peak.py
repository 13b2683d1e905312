"""Peak speed of matrix products on this machine: of one large product, and of a step's own.

The large square product gives the machine's peak. A step's own products are smaller and of odd
shapes, so they reach less: `products_peak` is a bound that no optimisation of the rest can exceed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import bmm_flop, mm_flop

from burnish.bench.clock import best_seconds

Layout = tuple[tuple[int, ...], tuple[int, ...]]  # shape and strides
aten = torch.ops.aten
PLACES = {aten.mm.default: 0, aten.addmm.default: 1, aten.bmm.default: 0, aten.baddbmm.default: 1}
SIDES = {"cpu": 2048, "cuda": 8192}
SMALLEST = 256  # of them
LEAST = 0.5  # seconds that a single product may always take
REPEATS = 20  # of a product in a CUDA graph


@dataclass(frozen=True)
class Product:
    """One matrix product (2-D) or batch of them (3-D) as a step does it, strides included."""

    left: Layout
    right: Layout

    @property
    def flops(self) -> int:
        left, right = self.left[0], self.right[0]
        return int(mm_flop(left, right) if len(left) == 2 else bmm_flop(left, right))


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[Product] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in PLACES:
            left, right = args[PLACES[func] : PLACES[func] + 2]
            self.found[Product(_layout(left), _layout(right))] += 1
        else:
            with self:  # in inference mode, where the dispatcher sees whole operations
                found = func.decompose(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
        return func(*args, **(kwargs or {}))


def _layout(tensor: Tensor) -> Layout:
    return tuple(tensor.shape), tuple(tensor.stride())


def record_products(work: Callable[[], object]) -> Counter[Product]:
    """Every matrix product in `work`, with its count; costs nothing on the meta device.

    Attention counts as the plain products it consists of, not as one fused kernel.
    """
    with sdpa_kernel(SDPBackend.MATH), _Recorder() as recorder:
        work()
    return recorder.found


def square_peak(device: torch.device, kind: torch.dtype, seconds: float) -> float:
    """FLOP/s of a large square product, the best of about `seconds`.

    The side is doubled, up to the device's of `SIDES`, as long as one product will take no longer
    than `seconds`: without hardware support bfloat16 takes minutes at full size.
    """

    def shortest(side: int, seconds: float) -> float:
        left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
        return best_seconds(lambda: torch.mm(left, right), device, seconds)

    side, largest = SMALLEST, SIDES.get(device.type, 4096)
    with torch.inference_mode():
        while side < largest and 2**3 * shortest(side, 0.0) <= max(seconds, LEAST):
            side *= 2
        return 2 * side**3 / shortest(side, seconds)


def products_peak(
    products: Counter[Product], device: torch.device, kind: torch.dtype, seconds: float
) -> float:
    """FLOP/s if a step did nothing but its products, each as fast as this machine can do it alone.

    Args:
        seconds: about how long to measure, over all products.
    """
    spent, flops = 0.0, 0
    for product, times in products.items():
        tensors = []
        for shape, strides in (product.left, product.right):
            tensor = torch.empty_strided(shape, strides, dtype=kind, device=device)
            tensors.append(tensor.normal_() if 0 not in strides else tensor.zero_())
        multiply = torch.mm if len(product.left[0]) == 2 else torch.bmm
        with torch.inference_mode():
            best = _best(partial(multiply, *tensors), device, seconds / len(products))
        spent += times * best
        flops += times * product.flops
    return flops / spent


def _best(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """The shortest time of `work`; on a GPU, of many repeats in one CUDA graph, as launching a
    small product takes longer than the product itself."""
    if device.type != "cuda":
        return best_seconds(work, device, seconds)
    work()
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(REPEATS):
            work()
    return best_seconds(graph.replay, device, seconds) / REPEATS
