"""FLOPs against formulas worked out by hand, tokens against the network, times in turns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from burnish.bench.flops import count_step, tokens_of
from burnish.configuration import make_settings
from burnish.method.discriminator import Discriminator
from burnish.method.generator import InputShape
from burnish.settings import Settings
from burnish.studies.cells import Dataset
from burnish.studies.costs import cost_report, hours, ratio, share, task_of
from burnish.studies.file import load_study

SHAPE = InputShape(1, 48, 32)
BATCH = 3


def settings_with(**changes: Any) -> Settings:
    values = {
        "image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (8, 16), "width": 32,
        "heads": 2, "depth_encoder": 1, "depth_decoder": 1, "disc_width": 24, "disc_heads": 2,
        "disc_depth": 3, "batch": BATCH,
    }  # fmt: skip
    return make_settings("tiny", values | changes)


def discriminator_by_hand(s: Settings, shape: InputShape, batch: int) -> int:
    """2 FLOPs a multiply-add. Counted by hand from Fig. 3 and 6; d: width, n: tokens.

    D's own step sees `batch` images and as many reconstructions, forward and backward to its
    weights; feature matching sees them again, backward only through the reconstructions, and only
    to pixels: D's weights are fixed then.
    """
    d, patch = s.disc_width, s.disc_patch
    patches = (shape.height // patch) * (shape.width // patch)
    embedding = 2 * patches * shape.channels * patch * patch * d
    linear = attention = similarity = 0
    n = patches + 1
    for _ in range(s.disc_depth):
        linear += 2 * n * d * 3 * d + 2 * n * d * d  # qkv, projection
        attention += 2 * (2 * n * n * d)  # scores, weighted values; all heads together
        if s.tome_r:
            even, odd = (n + 1) // 2, n // 2
            similarity += 2 * even * odd * (d // s.disc_heads)
            n -= s.tome_r
        linear += 2 * (2 * n * d * int(s.mlp_ratio * d))
    head = 2 * d
    forward = embedding + linear + attention + similarity + head
    products = linear + attention
    own_step = 2 * batch * (forward + embedding + 2 * products + 2 * head)
    matching = 2 * batch * forward + batch * (embedding + linear + 2 * attention)
    return own_step + matching


@pytest.mark.parametrize("r", [0, 1, 2, 4])
def test_flops_of_the_discriminator_are_those_of_the_formula(r: int) -> None:
    s = settings_with(tome_r=r)
    cost = count_step(s, SHAPE, BATCH)
    assert cost.discriminator_flops == discriminator_by_hand(s, SHAPE, BATCH)
    assert cost.flops > cost.discriminator_flops


def test_without_a_discriminator_nothing_is_counted_for_it() -> None:
    cost = count_step(settings_with(weight_adversarial=0), SHAPE, BATCH)
    assert (cost.discriminator_flops, cost.tokens) == (0, ())
    whole = count_step(settings_with(), SHAPE, BATCH)
    assert cost.flops == whole.flops - whole.discriminator_flops


@pytest.mark.parametrize("r", [0, 2, 8, 40])
def test_tokens_are_those_that_the_blocks_give(r: int) -> None:
    s = settings_with(tome_r=r)
    network = Discriminator(s, SHAPE)
    seen: list[int] = []
    for block in network.blocks:
        block.register_forward_hook(lambda *call: seen.append(call[2][0].shape[1]))
    network(torch.zeros(1, 1, 48, 32))
    assert tokens_of(s, SHAPE) == [25, *seen]


@pytest.mark.slow
def test_at_the_papers_size_merging_saves_little() -> None:
    shape = InputShape(1, 256, 256)
    zero, two = (
        count_step(make_settings("paper", {"tome_r": r}), shape, 8) for r in (0, 2)
    )  # fmt: skip
    assert two.tokens == (257, 255, 253, 251, 249, 247, 245, 243, 241)
    assert 0.010 < 1 - two.flops / zero.flops < 0.018
    assert 0.030 < 1 - two.discriminator_flops / zero.discriminator_flops < 0.040


def test_ratio_follows_turns_not_means() -> None:
    drift = np.linspace(1, 3, 40)  # the machine slows down threefold, both rows alike
    change, low, high = ratio(0.9 * drift, drift)
    assert (change, low, high) == pytest.approx((-0.1, -0.1, -0.1))
    rng = np.random.default_rng(3)
    change, low, high = ratio(drift * rng.normal(1, 0.05, 40), drift)
    assert low < 0 < high
    assert low < change < high


def test_shares_and_hours_as_text() -> None:
    minus = "\N{MINUS SIGN}"
    assert [share(v) for v in (-0.0123, 0.1, 0.0001)] == [f"{minus}1.2 %", "+10.0 %", "±0.0 %"]
    assert [hours(v) for v in (293, 59.6, 691)] == ["4 h 53 min", "60 min", "11 h 31 min"]


ROWS = """
[[row]]
label = "R = 0"
settings = { tome_r = 0 }
paper_minutes = { Metal = 100 }

[[row]]
label = "R = 2"
settings = { tome_r = 2 }
paper_minutes = { Metal = 90 }
"""
COST = (
    ("paper_says", 'kind = "cost"\nagainst = "R = 0"\npaper_says'),
    ("threads = 1", "threads = 1\nturns = 20\nturn_steps = 1"),
)


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(0.9, "It pays here."), (1.1, "costs more than it saves"), (1.0, "No difference shown.")],
)
def test_the_sentence_says_whether_it_pays(
    study_file: Callable[..., Path], tmp_path: Path, factor: float, verdict: str
) -> None:
    study = load_study(study_file(*COST, rows=ROWS))
    scale = study.scale("micro")
    dataset = Dataset("metal", "Metal", tmp_path, "f" * 64)
    task = task_of(study, scale, dataset, 0, tmp_path / "out")
    before = cost_report(study, scale, [dataset], [task], [], {})
    assert before.says == ("Nothing is measured yet.",)
    rng = np.random.default_rng(0)
    step = {"flops": 1000, "discriminator_flops": 500, "tokens": [17, 17, 17]}
    less = {"flops": 900, "discriminator_flops": 400, "tokens": [17, 15, 13]}
    rows = [
        {"label": "R = 0", "seconds_per_step": rng.normal(0.2, 0.002, 20).tolist(),
         "steps_per_epoch": 9, "step": step, "paper_step": step},
        {"label": "R = 2", "seconds_per_step": (factor * rng.normal(0.2, 0.002, 20)).tolist(),
         "steps_per_epoch": 9, "step": less, "paper_step": less},
    ]  # fmt: skip
    result = {"format": 1, "dataset": "metal", "rows": rows, "hardware": "a machine",
              "torch": "2", "commits": ["abc"]}  # fmt: skip
    task.folder.mkdir(parents=True)
    (task.folder / "cost.json").write_text(json.dumps(result))
    report = cost_report(study, scale, [dataset], [task], [], {})
    assert verdict in report.says[0]
    assert "the paper has \N{MINUS SIGN}10.0 % on its Metal" in report.says[0]
    counted = "by \N{MINUS SIGN}10.0 % at this scale (\N{MINUS SIGN}20.0 % of the discriminator's)"
    assert counted in report.says[1]
    time = report.tables[0].rows[0]
    assert time[-2:] == (hours(np.median(rows[0]["seconds_per_step"]) * 9 * 500 / 60), "1 h 40 min")
    assert report.tables[1].rows[1][-1] == "17 to 13 in 2 blocks"
