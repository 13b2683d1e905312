"""Products recorded against what was multiplied; FLOPs against the counter and by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from burnish.bench import peak
from burnish.bench.flops import count_step, run_step
from burnish.bench.inspection import count_inspection, score_batch
from burnish.bench.peak import Product, products_peak, record_products, square_peak
from burnish.configuration import make_settings
from burnish.detection.gathering import Folds
from burnish.detection.learning_textures import learn_textures
from burnish.detection.scorer import Scorer
from burnish.detection.view import View
from burnish.method.generator import Generator, InputShape
from burnish.settings import Settings

CPU = torch.device("cpu")
SHAPE = InputShape(1, 32, 32)


@pytest.fixture
def settings(micro: dict) -> Settings:
    return make_settings("tiny", micro)


def a_view(settings: Settings) -> tuple[Scorer, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A scorer, an image, and units of its maps."""
    scorer = Scorer(Generator(settings, SHAPE), settings, CPU)
    if settings.texture:
        rng = np.random.default_rng(0)
        views = [View(rng.integers(0, 256, (1, 32, 32), dtype=np.uint8)) for _ in range(8)]
        learn_textures(scorer, lambda: views, Folds())
    mu, sigma = scorer.references([0.0] * scorer.maps, [1.0] * scorer.maps)
    return scorer, torch.zeros(1, 1, 32, 32), mu, sigma


def test_products_are_recorded_with_shape_and_strides() -> None:
    left, right, bias = torch.ones(2, 3), torch.ones(4, 3), torch.ones(4)
    batch = torch.ones(5, 2, 3)

    def work() -> None:
        left @ right.T
        F.linear(left, right, bias)
        batch @ batch.transpose(1, 2)

    flat = Product(((2, 3), (3, 1)), ((3, 4), (1, 3)))
    pair = Product(((5, 2, 3), (6, 3, 1)), ((5, 3, 2), (6, 1, 3)))
    found = record_products(work)
    assert found == Counter({flat: 2, pair: 1})
    assert flat.flops == 2 * 2 * 3 * 4
    assert pair.flops == 5 * 2 * 2 * 3 * 2


def test_the_recorded_products_are_nearly_all_the_flops_counted(settings: Settings) -> None:
    judged = a_view(settings.model_copy(update={"texture": ("residual:1", "image:2")}))
    for counted, work in (
        (count_step(settings, SHAPE, 4).flops, lambda: run_step(settings, SHAPE, 4)),
        (count_inspection(*judged), lambda: score_batch(*judged)),
    ):
        own = sum(product.flops * times for product, times in record_products(work).items())
        assert 0.98 * counted < own <= counted  # the rest: a 3x3 convolution of one channel


def test_inspection_is_counted_as_by_hand(settings: Settings) -> None:
    s, n, p, d = settings, 16, 8 * 8, 32
    r = int(s.mlp_ratio)
    block = n * (3 * d * d + d * d + 2 * r * d * d) + 2 * n * n * d
    blocks = s.depth_encoder + s.depth_middle + s.depth_decoder
    around = n * p * d + n * d * d + n * 2 * d * d + n * d * p  # embed, linear, join, to_pixels
    one = 2 * (blocks * block + around) + 2 * 9 * 32 * 32  # and the 3x3 head
    networks = 2 * len(s.mask_blocks) * one
    bare = s.model_copy(update={"smoothing": 0.0})
    assert count_inspection(*a_view(bare)) == networks
    # Smoothing of each scale's error map, down and across: a block of 16 rows mixes its own and,
    # beyond its one inner border, as many as the Gaussian reaches (4 sigma).
    reach = 16 + int(4 * s.smoothing + 0.5)
    blurs = len(s.mask_blocks) * 2 * 2 * reach * 32**2
    assert count_inspection(*a_view(s)) == networks + blurs


def test_a_product_that_repeats_counts_by_how_often() -> None:
    small = Product(((8, 8), (8, 1)), ((8, 8), (8, 1)))
    large = Product(((512, 512), (512, 1)), ((512, 512), (512, 1)))
    slow = products_peak(Counter({small: 1}), CPU, torch.float32, 0.02)
    mixed = products_peak(Counter({small: 1, large: 100}), CPU, torch.float32, 0.1)
    assert mixed > 3 * slow  # a product of 8 x 8 is all overhead
    assert square_peak(CPU, torch.float32, 0.05) > 3 * slow


@pytest.mark.parametrize(("speed", "side"), [(1e12, 2048), (2 * 1024**3 / 0.4, 1024), (1e6, 256)])
def test_a_slow_machine_multiplies_smaller_squares(
    monkeypatch: pytest.MonkeyPatch, speed: float, side: int
) -> None:
    """Where bfloat16 is emulated, one product of full size takes half a minute."""
    counted: list[int] = []

    def by_flops(work: Callable[[], object], device: torch.device, seconds: float) -> float:
        with FlopCounterMode(display=False) as counter:
            work()
        counted.append(counter.get_total_flops())
        return counted[-1] / speed

    monkeypatch.setattr(peak, "best_seconds", by_flops)
    assert square_peak(CPU, torch.float32, 0.1) == pytest.approx(speed)
    tried = [n for n in (256, 512, 1024) if n <= side]  # the largest needs no trial
    assert counted == [2 * n**3 for n in (*tried, side)]
