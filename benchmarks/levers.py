"""Each lever on speed, on and off in turns: what a training step or an inspection then costs.

    python benchmarks/levers.py [LEVER ...] [--steps 12] [--threads 1]

Preset small with a discriminator, 256 x 256 px grey, batch 8, float32; of inspection painting and
the mask scales' maps alone. "on" is burnish as it is (for precision, compile and no discriminator:
what is named), "off" the plain way beside it, computing the same; but hidden_tokens, level_light,
precision and no discriminator learn something else. Both take turns, one step each, in a process.
CPU and wall time are medians; a gain is off / on. Levers not named stay in levers.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW

from burnish.bench.flops import count_step
from burnish.bench.machine import hardware
from burnish.configuration import make_settings
from burnish.detection.scorer import Scorer
from burnish.detection.view import View
from burnish.method import blocks, losses, reconstruction
from burnish.method.generator import Generator, InputShape
from burnish.method.reconstruction import hide, merge_halves
from burnish.training import networks, update
from burnish.training.allocator import freed_memory_kept
from burnish.training.loop import Trainer
from burnish.training.samples import Samples

OUT = Path(__file__).with_suffix(".json")
SIDE = 256
WITH_D = {"precision": "float32", "weight_adversarial": 1.0}
BF16 = {"precision": "bfloat16"}
Turn = tuple[Callable[[], object], Callable[[], AbstractContextManager[object]]]
Lever = Callable[[], tuple[Turn, Turn]]


def trainer(**changes: object) -> Trainer:
    settings = make_settings("small", {**WITH_D, **changes})
    images = np.random.default_rng(0).integers(0, 255, (64, 1, SIDE, SIDE), dtype=np.uint8)
    return Trainer(settings, Samples(images, range(64)), Path(tempfile.mkdtemp()), {})


def scorer(**changes: object) -> Callable[[], object]:
    """Inspection of one image, all masks."""
    settings = make_settings("small", {"standardise": "none", **changes})
    torch.manual_seed(0)
    found = Scorer(Generator(settings, InputShape(1, SIDE, SIDE)), settings, torch.device("cpu"))
    view = View(np.random.default_rng(0).integers(0, 255, (1, SIDE, SIDE), dtype=np.uint8))
    mu, sigma = found.references(*[(0.1,) * len(settings.mask_blocks)] * 2)
    return lambda: found.score(view, mu, sigma)


# --- the plain ways -------------------------------------------------------------------------------


def permuted_attention(
    self: blocks.Attention, tokens: Tensor, sizes: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    b, n, d = tokens.shape
    qkv = self.qkv(tokens).reshape(b, n, 3, self.heads, d // self.heads)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    bias = None if sizes is None else sizes.log().reshape(b, 1, 1, n).expand(-1, -1, n, -1)
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    key.mean(dim=1)
    return self.project(out.transpose(1, 2).reshape(b, n, d)), key


def plain_softmax(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
) -> Tensor:
    weights = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return (weights if attn_mask is None else weights + attn_mask).softmax(dim=-1) @ value


def plain_head(self: Generator, image: Tensor) -> Tensor:
    return self.smooth(image)


def ssim_by_convolution(image: Tensor, reconstruction: Tensor) -> Tensor:
    """11 x 11 taps, as in the text book."""
    taps = torch.exp(-0.5 * (torch.arange(-5.0, 6.0) / 1.5) ** 2)
    window = (taps[:, None] * taps / taps.sum() ** 2)[None, None]
    x, y = image, reconstruction
    mean_x, mean_y, xx, yy, xy = (F.conv2d(t, window) for t in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * losses.DATA_RANGE) ** 2, (0.03 * losses.DATA_RANGE) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * (xy - mean_x * mean_y) + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (xx - mean_x**2 + yy - mean_y**2 + c2)
    return (top / below).mean()


def halves_apart(
    generator: Any, images: Tensor, masks: Tensor, mask_channel: bool, inside: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    passes = [generator(hide(images, mask[None], mask_channel), mask[None]) for mask in masks]
    painted, bottleneck = (torch.cat(parts) for parts in zip(*passes, strict=True))
    return merge_halves(painted, masks), bottleneck


def painted_twice(generator: Any, *given: Any) -> tuple[Tensor, Tensor]:
    """Once for D's step without gradients, once for G's, as most code for such games does."""
    with torch.no_grad():
        loop_pass(generator, *given)
    return loop_pass(generator, *given)


loop_pass = update.generator_pass


def masks_apart(generator: Generator, images: Tensor, masks: Tensor) -> Tensor:
    scales = []
    for pair in masks:
        halves = [generator(hide(images, mask[None]), mask[None])[0] for mask in pair]
        scales.append(merge_halves(torch.cat(halves), pair))
    return torch.stack(scales, dim=1)


# --- the levers -----------------------------------------------------------------------------------


def levers() -> dict[str, Lever]:
    """Name -> (on, off): what to do in a turn, and in which surroundings."""

    def patched(target: object, name: str, plain: object, **changes: object) -> Lever:
        def build() -> tuple[Turn, Turn]:
            step = trainer(**changes).train_step
            return (step, nullcontext), (step, lambda: patch.object(target, name, plain))

        return build

    def settings(work: Callable[..., Any], on: dict[str, Any], off: dict[str, Any]) -> Lever:
        def build() -> tuple[Turn, Turn]:
            turns = [work(**on), work(**off)]
            steps = [t.train_step if isinstance(t, Trainer) else t for t in turns]
            return (steps[0], nullcontext), (steps[1], nullcontext)

        return build

    def fused_adam() -> tuple[Turn, Turn]:
        with patch.object(networks, "AdamW", lambda *a, **k: AdamW(*a, **{**k, "fused": False})):
            plain = trainer()
        return (trainer().train_step, nullcontext), (plain.train_step, nullcontext)

    def six_masks() -> tuple[Turn, Turn]:
        plain = patch.object(reconstruction, "reconstruct", masks_apart)
        work = scorer()
        return (work, nullcontext), (work, lambda: plain)

    def compiled() -> tuple[Turn, Turn]:
        fast = trainer()
        for network in fast.networks.values():
            network.compile()
        return (fast.train_step, nullcontext), (trainer().train_step, nullcontext)

    return {
        "attention: gradients of q, k, v joined in one copy": patched(
            blocks.Attention, "forward", permuted_attention
        ),
        "attention in float32: fused, not plain softmax": patched(
            F, "scaled_dot_product_attention", plain_softmax
        ),
        "3x3 head: nine sums in training": patched(Generator, "_head", plain_head),
        "SSIM: banded products": patched(losses, "ssim", ssim_by_convolution),
        "both mask halves in one batch": patched(update, "generator_pass", halves_apart),
        "one painting for D's and G's step": patched(update, "generator_pass", painted_twice),
        "fused AdamW": fused_adam,
        "hidden_tokens=drop, training": settings(trainer, {}, {"hidden_tokens": "keep"}),
        "precision=bfloat16": settings(trainer, BF16, {}),
        "no discriminator": settings(trainer, {"weight_adversarial": 0.0, **BF16}, BF16),
        "attention in bfloat16: plain, not fused": patched(
            blocks, "attend", F.scaled_dot_product_attention, precision="bfloat16"
        ),
        "inspection: six masks in one batch": six_masks,
        "hidden_tokens=drop, inspection": settings(scorer, {}, {"hidden_tokens": "keep"}),
        "level_light, training": settings(trainer, {}, {"level_light": False}),
        "level_light, inspection": settings(scorer, {}, {"level_light": False}),
        "torch.compile": compiled,
    }


ALLOCATOR = ("freed memory kept, training", "freed memory kept, inspection")
BATCH = "making the batch (what prefetching could save)"


def race(on: Turn, off: Turn, steps: int) -> dict[str, float]:
    """One step each in turns; the first two are not counted."""
    times: dict[str, list[tuple[float, float]]] = {"on": [], "off": []}
    for number in range(steps + 2):
        for name, (work, surroundings) in (("on", on), ("off", off)):
            with surroundings():
                found = clocked(work)
            if number >= 2:
                times[name].append(found)
    return compare(times)


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return 1e3 * (time.process_time() - cpu), 1e3 * (time.perf_counter() - wall)


def compare(times: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    on, off = (np.median(np.array(times[name]), axis=0) for name in ("on", "off"))
    return {
        "on_cpu_ms": round(float(on[0]), 1),
        "off_cpu_ms": round(float(off[0]), 1),
        "gain_cpu": round(float(off[0] / on[0]), 3),
        "gain_wall": round(float(off[1] / on[1]), 3),
    }


def allocator(work: str, steps: int, threads: int) -> dict[str, float]:
    """Of the process as a whole, so each turn is a process of its own."""
    times: dict[str, list[tuple[float, float]]] = {"on": [], "off": []}
    for _ in range(3):
        for name in times:
            command = [sys.executable, __file__, "--turn", f"{name} {work}", "--steps", str(steps)]
            command += ["--threads", str(threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times[name] += [tuple(pair) for pair in json.loads(done.stdout)]
    return compare(times)


def turn(words: str, steps: int) -> None:
    name, work = words.split()
    with freed_memory_kept() if name == "on" else nullcontext():
        step = trainer().train_step if work == "training" else scorer()
        print(json.dumps([clocked(step) for _ in range(steps + 2)][2:]))


def making_batches(steps: int) -> dict[str, float]:
    run = trainer()
    whole = [clocked(run.train_step)[0] for _ in range(steps)]
    batch = [clocked(lambda: run._batch(0))[0] for _ in range(steps)]
    share = np.median(batch) / np.median(whole)
    return {"batch_cpu_ms": round(float(np.median(batch)), 2), "share": round(float(share), 4)}


@contextmanager
def machine(threads: int) -> Iterator[None]:
    torch.set_num_threads(threads)
    with freed_memory_kept():
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = [*levers(), *ALLOCATOR, BATCH]
    parser.add_argument("levers", nargs="*", metavar="LEVER", help="; ".join(known))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.turn:
        torch.set_num_threads(given.threads)
        turn(given.turn, given.steps)
        return
    if wrong := set(given.levers) - set(known):
        parser.error(f"no lever {sorted(wrong)}; there are: {'; '.join(known)}")
    found: dict[str, dict[str, float]] = {}
    for name in given.levers or known:
        if name in ALLOCATOR:
            row = allocator(name.split(", ")[1], given.steps, given.threads)
        else:
            with machine(given.threads):
                row = making_batches(given.steps) if name == BATCH else race(
                    *levers()[name](), given.steps
                )  # fmt: skip
        found[name] = row | {"threads": given.threads, "steps": given.steps}
        print(name, row, flush=True)
    flops, shape = {}, InputShape(1, SIDE, SIDE)
    for hidden in ("keep", "drop"):
        changed = WITH_D | {"hidden_tokens": hidden}
        flops[hidden] = count_step(make_settings("small", changed), shape, 8).flops
    record = json.loads(OUT.read_text()) if OUT.exists() else {"levers": {}}
    record["levers"] |= found
    record["flops_per_step"] = flops
    record |= {"command": "python benchmarks/levers.py", "machine": hardware("cpu", given.threads)}
    order = {name: record["levers"][name] for name in known if name in record["levers"]}
    OUT.write_text(json.dumps(record | {"levers": order}, indent=1) + "\n")


if __name__ == "__main__":
    main()
