"""Time `Detector.inspect` stage by stage, and the speed that larger batches would have."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from burnish.bench.clock import best_seconds, percentile, repeated_seconds
from burnish.bench.memory import peak_mib, reset_peak
from burnish.bench.peak import products_peak, record_products, square_peak
from burnish.bench.record import InspectionFigures, Products, Quantiles
from burnish.detection.detector import Detector
from burnish.detection.scorer import Scorer, tensor_cores
from burnish.detection.view import to_tensor
from burnish.images.reader import read_image
from burnish.method.scoring import choose_score, fuse, image_score, with_whole
from burnish.training.allocator import freed_memory_kept

WARM_UP, LEAST = 3, 20  # images
LEAST_BATCHES = 10  # of the best size
BATCHES = {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 2, 4, 8, 16, 32, 64, 128)}
STAGES = ("read", "preprocess", "inference", "postprocess")


def measure_inspection(
    detector: Detector, files: Sequence[Path], seconds: float
) -> InspectionFigures:
    """Judge the files over and over for about `seconds`, at least 20 images."""
    scorer, settings = detector.scorer.scorer, detector.card.settings
    device = scorer.device
    with tensor_cores(device):  # as the networks have it
        before = square_peak(device, torch.float32, seconds / 20)
    mu, sigma = scorer.references(detector.card.calibration.mu, detector.card.calibration.sigma)
    view = _a_view(detector, files[0])

    def work(size: int) -> Callable[[], Tensor]:
        images = view.repeat(size, 1, 1, 1)
        return lambda: score_batch(scorer, images, mu, sigma).cpu()

    with freed_memory_kept():  # as `burnish inspect` does
        stages, source, memory = _judge(detector, files, seconds)
        batches = measure_batches(work, device, seconds)
        best = max(batches, key=lambda size: batches[size])
        of_best = repeated_seconds(work(best), device, seconds / 2, LEAST_BATCHES)
    quantiles = {name: _quantiles(values) for name, values in stages.items()}
    flops = count_inspection(scorer, view, mu, sigma)
    own = record_products(lambda: score_batch(scorer, view, mu, sigma))
    with tensor_cores(device):
        after = square_peak(device, torch.float32, seconds / 20)
        alone = products_peak(own, device, torch.float32, seconds / 5)
    inference = quantiles["inference"].p50 / 1000
    if settings.tile != "full":  # inference covers many views, the count of products one
        inference = 1 / batches[1]
    return InspectionFigures(
        images=len(stages["total"]),
        files=len(files),
        source_size=source,
        stages_ms=quantiles,
        images_per_second=1000 / quantiles["total"].p50,
        batches=batches,
        best_batch=best,
        best_batch_ms=_quantiles([1000 * spent for spent in of_best]),
        peak_memory_mib=memory,
        products=Products.of(
            flops=flops,
            seconds=inference,
            square_peak=max(before, after),
            products_peak=alone,
        ),
    )


def _quantiles(values: Sequence[float]) -> Quantiles:
    return Quantiles(percentile(values, 0.5), percentile(values, 0.99))


def _judge(
    detector: Detector, files: Sequence[Path], seconds: float
) -> tuple[dict[str, list[float]], tuple[int, int], float]:
    """Milliseconds of every image by stage, the last image's height and width, peak MiB."""
    device = detector.scorer.scorer.device
    reset_peak(device)
    for index in range(WARM_UP):
        detector.inspect(files[index % len(files)])
    stages: dict[str, list[float]] = {name: [] for name in (*STAGES, "total")}
    start = time.perf_counter()
    count = 0
    while count < LEAST or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        result = detector.inspect(files[count % len(files)])
        stages["total"].append(1000 * (time.perf_counter() - begin))
        for name in STAGES:
            stages[name].append(getattr(result.speed, name))
        count += 1
    height, width = result.image.shape[:2]
    return stages, (height, width), peak_mib(device)


def measure_batches(
    work: Callable[[int], Callable[[], Tensor]], device: torch.device, seconds: float
) -> dict[int, float]:
    """Views per second that the networks and the scoring reach, by batch.

    Args:
        work: gives what scores a batch of a size.
    """
    sizes = BATCHES.get(device.type, BATCHES["cpu"])
    share = seconds / len(sizes) / 2
    return {size: size / best_seconds(work(size), device, share) for size in sizes}


def _a_view(detector: Detector, file: Path) -> Tensor:
    """The image as the network sees it, or its first tile: (1, C, H, W) in [-1, 1]."""
    pixels, _ = detector.prepare(read_image(file))
    _, first = next(detector.scorer.views(pixels))
    return to_tensor(first.pixels[None], detector.scorer.scorer.device)


def count_inspection(scorer: Scorer, images: Tensor, mu: Tensor, sigma: Tensor) -> int:
    """FLOPs of judging images (B, C, H, W): of all matrix products and convolutions, in networks,
    blurs, textures and lines."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        score_batch(scorer, images, mu, sigma)
    return counter.get_total_flops()


@torch.inference_mode()
def score_batch(scorer: Scorer, images: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """Scores (B,) of images (B, C, H, W) in [-1, 1] at once.

    For measuring only: `Scorer` judges one view at a time, so that a score never depends on what
    else is in the batch. Without a region of interest.
    """
    s = scorer.settings
    errors, _, whole = scorer.errors_of(images)
    of_maps = mu[: scorer.maps], sigma[: scorer.maps]
    fused = fuse(errors, *of_maps, s.fusion)
    alone = image_score(errors.flatten(0, 1), s.reduction, s.top_share)
    alone = (alone.unflatten(0, (-1, scorer.maps)) - of_maps[0]) / of_maps[1]
    scores = choose_score(lambda: image_score(fused, s.reduction, s.top_share), alone, s.fusion)
    return scores if whole is None else with_whole(scores, (whole - mu[-1]) / sigma[-1])
