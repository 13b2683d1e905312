"""ToMe, honestly: tokens merged per block (r) against tokens left, FLOPs, time and quality.

    python benchmarks/tome_curve.py discriminator [--turns 8]
    python benchmarks/tome_curve.py generator --model /tmp/runs/rail-small-0 --data /tmp/real/rail

`discriminator`: D alone, as the paper has it, at presets small (on 16 images) and paper (on 2 of
3 x 256 x 256 px): forward and backward, all r taking turns, and what of that goes into matching and
merging; and the whole training step at preset small.
`generator`: our own extension at inspection. Tokens merge in encoder and middle and are copied back
to their places before decoder and skip; a trained model, nothing trained anew, judged by the mask
scales' maps alone. Position references are measured again for every r on training images, mu and
sigma on other training images, and AUROC on the test images; ms per image in turns. Sections not
named stay. Times are the process's CPU time, medians. Writes benchmarks/tome_curve.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from burnish import Detector
from burnish.bench.flops import tokens_of
from burnish.bench.machine import hardware
from burnish.configuration import make_settings
from burnish.detection.gathering import Folds
from burnish.detection.learning import learn_positions
from burnish.detection.scorer import Scorer
from burnish.detection.view import View
from burnish.images.reader import prepare, read_image
from burnish.method import blocks
from burnish.method.discriminator import Discriminator
from burnish.method.generator import Generator, InputShape
from burnish.training.allocator import freed_memory_kept
from burnish.training.loop import Trainer
from burnish.training.samples import Samples

OUT = Path(__file__).with_suffix(".json")
RATES = (0, 1, 2, 4, 8, 16)
GENERATOR_RATES = (0, 2, 4, 8, 16, 32)
Work = Callable[[], object]


def cpu_ms(work: Work) -> float:
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def in_turns(works: dict[int, Work], turns: int) -> dict[int, float]:
    """Median CPU time of each, ms; the first turn is not counted."""
    times: dict[int, list[float]] = {r: [] for r in works}
    for number in range(turns + 1):
        for r, work in works.items():
            found = cpu_ms(work)
            if number:
                times[r].append(found)
    return {r: float(np.median(found)) for r, found in times.items()}


def flops_of(work: Work) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


# --- D alone --------------------------------------------------------------------------------------


def forward_backward(network: Discriminator, images: Tensor) -> Work:
    def work() -> None:
        network.zero_grad()
        logits, _ = network(images)
        logits.square().mean().backward()

    return work


def merging_only(network: Discriminator, counts: Sequence[int], batch: int) -> Work:
    """What ToMe adds to a pass: every block's match and merge, forward and backward."""
    width, heads = network.norm.normalized_shape[0], network.blocks[0].attention.heads
    given = [
        (torch.randn(batch, n, width, requires_grad=True), torch.ones(batch, n, 1),
         torch.randn(batch, n, width // heads))
        for n in counts[:-1]
    ]  # fmt: skip

    def work() -> None:
        for (tokens, sizes, keys), block in zip(given, network.blocks, strict=True):
            merged, _ = blocks.merge_tokens(tokens, sizes, keys, block.tome_r)
            merged.backward(torch.ones_like(merged))

    return work


def discriminator(preset: str, shape: InputShape, batch: int, turns: int) -> list[dict[str, Any]]:
    images = torch.rand(batch, shape.channels, shape.height, shape.width) * 2 - 1
    works: dict[int, Work] = {}
    merges: dict[int, Work] = {}
    rows = []
    for r in RATES:
        settings = make_settings(preset, {"tome_r": r})
        torch.manual_seed(0)
        network = Discriminator(settings, shape)
        counts = tokens_of(settings, shape)
        works[r] = forward_backward(network, images)
        if r:
            merges[r] = merging_only(network, counts, batch)
        rows.append({"r": r, "tokens": counts, "gflop": round(flops_of(works[r]) / 1e9, 3)})
    times, merging = in_turns(works, turns), in_turns(merges, turns)
    for row in rows:
        r = row["r"]
        row |= {
            "ms": round(times[r], 2),
            "merging_ms": round(merging.get(r, 0.0), 2),
            "flops_against_r0": round(row["gflop"] / rows[0]["gflop"], 3),
            "time_against_r0": round(times[r] / times[0], 3),
        }
        print(preset, row, flush=True)
    return rows


def whole_step(turns: int) -> list[dict[str, Any]]:
    import tempfile

    images = np.random.default_rng(0).integers(0, 255, (64, 1, 256, 256), dtype=np.uint8)
    works: dict[int, Work] = {}
    for r in RATES:
        changes = {"tome_r": r, "precision": "float32", "weight_adversarial": 1.0}
        settings = make_settings("small", changes)
        run = Trainer(settings, Samples(images, range(64)), Path(tempfile.mkdtemp()), {})
        works[r] = run.train_step
    times = in_turns(works, turns)
    rows = [{"r": r, "ms": round(t, 1), "against_r0": round(t / times[0], 3)}
            for r, t in times.items()]  # fmt: skip
    print(rows, flush=True)
    return rows


# --- inside the generator, at inspection ----------------------------------------------------------


def match_all(keys: Tensor, r: int) -> Tensor:
    """As `burnish.method.tome.match`, without a class token to protect: places (B, N)."""
    batch, n, _ = keys.shape
    left = n - min(r, n // 2)
    unit = F.normalize(keys, dim=-1)
    best, partner = (unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)).max(dim=-1)
    stays = torch.ones_like(partner).scatter_(1, best.topk(n - left, dim=-1).indices, 0)
    first_odd = left - n // 2
    places = torch.empty(batch, n, dtype=torch.int64)
    places[:, ::2] = torch.where(stays.bool(), stays.cumsum(dim=1) - 1, first_odd + partner)
    places[:, 1::2] = torch.arange(first_odd, left)
    return places


def merging_encoder(
    encoder: Any, images: Tensor, kept: Tensor | None, r: int
) -> tuple[Tensor, list[Tensor]]:
    """`Encoder.forward` with r merges a block; what it returns has all of its tokens again."""
    tokens, sizes = encoder.embed(images, kept), None
    batch, n, width = tokens.shape
    where = torch.arange(n).expand(batch, -1)  # the place of each patch among the tokens left
    outputs = []
    for block in [*encoder.blocks, *encoder.middle]:
        attended, keys = block.attention(block.norm1(tokens), sizes)
        tokens = tokens + attended
        sizes = tokens.new_ones(batch, n, 1) if sizes is None else sizes
        places = match_all(keys.mean(dim=1), r)
        left = tokens.shape[1] - min(r, tokens.shape[1] // 2)
        rows = (places + left * torch.arange(batch)[:, None]).flatten()
        old = sizes.flatten(0, 1)
        merged = old.new_zeros(batch * left, 1).index_add_(0, rows, old)
        weighted = tokens.flatten(0, 1) * (old / merged[rows])
        tokens = tokens.new_zeros(batch * left, width).index_add_(0, rows, weighted)
        tokens, sizes = tokens.unflatten(0, (batch, left)), merged.unflatten(0, (batch, left))
        where = places.gather(1, where)
        tokens = tokens + block.mlp(block.norm2(tokens))
        if len(outputs) < len(encoder.blocks):
            outputs.append(copied_back(tokens, where))
    return copied_back(encoder.linear(encoder.norm(tokens)), where), outputs


def copied_back(tokens: Tensor, where: Tensor) -> Tensor:
    rows = (where + tokens.shape[1] * torch.arange(len(tokens))[:, None]).flatten()
    return tokens.flatten(0, 1)[rows].unflatten(0, where.shape)


def with_merging(generator: Generator, r: int) -> Any:
    def forward(images: Tensor, kept: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        return merging_encoder(generator.encoder, images, kept, r)

    return patch.object(generator.encoder, "forward", forward) if r else patch.object(
        generator.encoder, "training", False
    )  # fmt: skip


def views(folder: Path, shape: InputShape, stride: int = 1, start: int = 0) -> list[View]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".bmp"))
    size = (shape.channels, shape.height, shape.width)
    return [View(prepare(read_image(path), *size)) for path in files[start::stride]]


def generator(model: Path, data: Path, turns: int) -> list[dict[str, Any]]:
    detector = Detector.load(model, "cpu")
    settings, shape = detector.card.settings, detector.card.shape
    network = detector.model.generator
    if settings.tile != "full":
        raise SystemExit(f"{model} looks at tiles; take a model of whole images")
    good = data / "train" / "good"
    learn, refer = views(good, shape, 3), views(good, shape, 9, 1)
    tests = [(view, kind.name != "good") for kind in sorted((data / "test").iterdir())
             for view in views(kind, shape)]  # fmt: skip
    works: dict[int, Work] = {}
    rows: list[dict[str, Any]] = []
    for r in GENERATOR_RATES:
        scorer = Scorer(network, settings, torch.device("cpu"))
        with with_merging(network, r):
            if settings.standardise == "position":
                (scorer.position,) = learn_positions(scorer, lambda: learn, Folds())
            errors = torch.stack([scorer.errors(view)[0][0] for view in refer])
            mu, sigma = errors.mean(dim=(0, 2, 3)), errors.transpose(0, 1).flatten(1).std(dim=1)
            scores = [scorer.score(view, mu, sigma).score for view, _ in tests]
            counted = flops_of(lambda s=scorer: s.errors(tests[0][0]))

        def work(
            r: int = r, scorer: Scorer = scorer, mu: Tensor = mu, sigma: Tensor = sigma
        ) -> None:
            with with_merging(network, r):
                scorer.score(tests[0][0], mu, sigma)

        works[r] = work
        patches = shape.height // settings.patch * (shape.width // settings.patch)
        tokens = network.visible or patches  # that the encoder sees
        left = tokens
        for _ in range(settings.depth_encoder + settings.depth_middle):
            left -= min(r, left // 2)
        auroc = roc_auc_score([bad for _, bad in tests], scores)
        rows.append({"r": r, "tokens": [tokens, left], "gflop": counted / 1e9,
                     "image_auroc": round(float(auroc), 4)})  # fmt: skip
        print(rows[-1], flush=True)
    for row, ms in zip(rows, in_turns(works, turns).values(), strict=True):
        row["ms_per_image"] = round(ms, 2)
    for row in rows:
        row["time_against_r0"] = round(row["ms_per_image"] / rows[0]["ms_per_image"], 3)
        print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("section", choices=("discriminator", "generator"))
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    record = json.loads(OUT.read_text()) if OUT.exists() else {}
    found: dict[str, Any] = {}
    with freed_memory_kept():
        if given.section == "discriminator":
            found["small"] = discriminator("small", InputShape(1, 256, 256), 16, 3 * given.turns)
            found["paper"] = discriminator("paper", InputShape(3, 256, 256), 2, given.turns)
            found["whole_step_small"] = whole_step(given.turns)
        elif given.model is None or given.data is None:
            parser.error("generator needs --model and --data")
        else:
            found["rows"] = generator(given.model, given.data, 4 * given.turns)
            found["model"], found["data"] = given.model.name, given.data.name
    words = " ".join([given.section] + ["--model M --data D"] * (given.section == "generator"))
    found["command"] = f"python benchmarks/tome_curve.py {words} --turns {given.turns}"
    found["machine"] = hardware("cpu", given.threads)
    OUT.write_text(json.dumps(record | {given.section: found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
