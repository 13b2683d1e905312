"""What is learnt of good parts, against numpy over all images at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import median_abs_deviation

from burnish.configuration import make_settings
from burnish.detection.gathering import Folds
from burnish.detection.image_scorer import ImageScorer
from burnish.detection.learning import (
    LEAST_UNIT,
    CrossFitted,
    Views,
    cross_fitted_units,
    learn_all,
    learn_features,
    learn_maps,
    map_scores,
    passes,
    unit_of_whole,
    units_of,
)
from burnish.detection.learning_lines import learn_lines
from burnish.detection.learning_textures import learn_textures
from burnish.detection.scorer import Scorer
from burnish.detection.view import View, to_tensor
from burnish.method.backbone import FEATURES
from burnish.method.cells import coarse_cells, to_cells
from burnish.method.extremes import against_extremes, cell_values, find_extremes, sparing
from burnish.method.factors import FLOOR, VIEWS_EACH, find_factors, left_over, shared
from burnish.method.generator import Generator, InputShape
from burnish.method.lines import by_cells, line_responses
from burnish.method.mahalanobis import RIDGE, SLACK
from burnish.method.scoring import ORDINARY
from burnish.method.texture import (
    AMOUNT,
    DESCRIPTORS,
    TextureModel,
    descriptors,
    residual,
    smoothed,
    surface,
)
from burnish.method.whole import grid_means, learn_whole

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 1, 32, 32), dtype=np.uint8)
INSIDE = np.zeros((32, 32), dtype=bool)
INSIDE[4:24, 8:30] = True


def textured() -> Scorer:
    """Untrained: two mask scales, two grains of residual and image, so 2 + 2 * 4 maps."""
    settings = make_settings(
        "tiny",
        {"image_size": 32, "disc_patch": 8, "mask_blocks": (8, 16), "width": 16,
         "texture": ("residual:1", "residual:2", "image:1", "image:2"), "fusion": "scores",
         "reduction": "top", "top_share": 0.01},
    )  # fmt: skip
    torch.manual_seed(1)
    return Scorer(Generator(settings, InputShape(1, 32, 32)), settings, torch.device("cpu"))


def test_lines_against_numpy() -> None:
    made = textured()
    made.settings = made.settings.model_copy(update={"lines": (1, 3)})
    (models,) = learn_lines(made, views, Folds())
    assert [model.width for model in models] == [1, 3]
    fields = [surface(*made.painted_of(to_tensor(p[None], made.device))) for p in PIXELS]
    for model in models:
        found = np.stack([torch.cat(list(line_responses(f, model.width))).numpy() for f in fields])
        mean, spread = found.mean(axis=0), found.std(axis=0)
        spread = spread + SLACK * spread.mean(axis=(1, 2), keepdims=True)
        cells = by_cells(*(torch.from_numpy(values).float() for values in (mean, spread)))
        torch.testing.assert_close(model.mean, cells[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.deviation, cells[1], rtol=1e-4, atol=1e-5)


def test_lines_outside_the_region_are_not_learnt() -> None:
    made = textured()
    made.settings = made.settings.model_copy(update={"lines": (1,)})
    changed = [np.where(INSIDE, image, 255 - image) for image in PIXELS]
    (one,), (two,) = (
        learn_lines(made, partial(seen_inside, images), Folds()) for images in (PIXELS, changed)
    )
    assert torch.equal(one[0].mean, two[0].mean)
    assert torch.equal(one[0].deviation, two[0].deviation)


def seen_inside(images: Sequence[np.ndarray]) -> list[View]:
    return [View(image.astype(np.uint8), INSIDE) for image in images]


def test_the_border_of_a_region_hides_no_flaw() -> None:
    """If what lies outside were black, the step there would be the strongest texture of all."""
    made, rng = textured(), np.random.default_rng(3)
    made.settings = made.settings.model_copy(update={"lines": (1,)})

    def part(scratch: int = 0) -> View:
        image = rng.uniform(80, 160) + rng.normal(0, 4, (1, 32, 32))
        image[:, 14, 12:26] -= scratch
        return View(image.clip(0, 255).astype(np.uint8), INSIDE)

    good = [part() for _ in range(24)]
    learn_all(made, lambda: good)
    assert made.units is not None
    references = made.references(*made.units)
    fresh, flawed = ([made.score(part(s), *references).scale_scores for _ in range(8)]
                     for s in (0, 30))  # fmt: skip
    usual, raised = (np.median(scores, axis=0)[len(made.masks) + 4 :] for scores in (fresh, flawed))
    assert len(usual) == 5  # two maps a grain, and the lines
    assert (raised > usual + 0.5).all()


def all_maps(made: Scorer) -> np.ndarray:
    """(N, S + 2 T, H, W) float64."""
    return np.stack([made.errors(view)[0][0].numpy() for view in views()]).astype(float)


def views() -> list[View]:
    return [View(image) for image in PIXELS]


def units_by_others(made: Scorer, seen: Views) -> tuple[list[float], list[float]]:
    return cross_fitted_units(CrossFitted(made, seen))


def textures_of(made: Scorer, seen: list[View]) -> list[TextureModel]:
    ((models, _),) = learn_textures(made, lambda: seen, Folds())
    return models


def test_textures_against_numpy() -> None:
    made = textured()
    ((models, whole),) = learn_textures(made, views, Folds())
    assert whole is None
    expected = [("residual", 1), ("residual", 2), ("image", 1), ("image", 2)]
    assert [(model.of, model.grain) for model in models] == expected
    seen = [made.painted_of(to_tensor(p[None], made.device)) for p in PIXELS]
    fields = {"residual": [residual(*s) for s in seen], "image": [surface(*s) for s in seen]}
    for model in models:
        found = np.concatenate(
            [
                descriptors(smoothed(f, [model.grain]), model.grain).detach().numpy()
                for f in fields[model.of]
            ]
        )
        mean, spread = found.mean(axis=0), found.std(axis=0)
        spread = spread + SLACK * spread.mean(axis=(1, 2), keepdims=True)
        cells = [to_cells(torch.from_numpy(values)) for values in (mean, spread)]
        torch.testing.assert_close(model.mean, cells[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.deviation, cells[1], rtol=1e-3, atol=1e-5)
        # The correlation is measured on a sample of the pixels: near that of all.
        full = model.at(32, 32)
        z = (found - full.mean.numpy()) / full.deviation.numpy()
        z = z.transpose(1, 0, 2, 3).reshape(DESCRIPTORS, -1)
        distances = ((model.precision[1].numpy() @ z) * z).sum(axis=0)
        # The ridge weighs more on the image's descriptors, which are alike.
        allowed = 0.05 if model.of == "residual" else 0.1
        assert distances.mean() == pytest.approx(1, abs=allowed)  # of the average good pixel


def test_what_all_places_do_together_is_taken_out_of_the_image() -> None:
    """Views of one grain, each of another contrast: no place is unusual by that."""
    rng = np.random.default_rng(2)
    grains = 128 + rng.uniform(5, 60, (24, 1, 1, 1)) * rng.uniform(-1, 1, (24, 1, 32, 32))
    seen = [View(image) for image in grains.astype(np.uint8)]
    made = textured()
    plain = {(m.of, m.grain): m for m in textures_of(made, seen)}
    made.settings = made.settings.model_copy(update={"texture_factors": 16})
    for model in textures_of(made, seen):
        before = plain[model.of, model.grain]
        if model.of == "residual":  # the painting has seen to it
            assert model.factors is None
            assert torch.equal(model.deviation, before.deviation)
            continue
        assert model.factors is not None
        assert len(model.factors.ways) == 24 // VIEWS_EACH
        fields = [surface(*made.painted_of(to_tensor(v.pixels[None], made.device))) for v in seen]
        found = torch.cat([descriptors(smoothed(f, [model.grain]), model.grain) for f in fields])
        explained = shared(*coarse_cells(found.detach()), model.factors, (32, 32))
        variance = explained.square().mean(dim=0)
        expected = before.deviation.square() - to_cells(variance)
        expected = expected.clamp_min(0).sqrt().maximum(FLOOR * before.deviation)
        apart = (model.deviation / expected - 1).abs()  # by pixels or by cells
        assert apart.mean() < 0.005
        assert apart.max() < 0.1
        energies = slice(1, AMOUNT, 2)
        left = (model.deviation / before.deviation)[energies].mean()
        assert left < 0.75
        # What is left is standardised: the average good pixel is as far away as before.
        full = model.at(32, 32)
        z = (found.detach() - full.mean - explained) / full.deviation
        z = z.transpose(0, 1).flatten(1)
        distances = ((model.precision[1] @ z) * z).sum(dim=0)
        assert distances.mean() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("factors", [0, 2])
def test_textures_repeat_and_depend_on_nothing_outside_the_region(factors: int) -> None:
    made, inside = textured(), INSIDE
    made.settings = made.settings.model_copy(update={"texture_factors": factors})
    seen = np.random.default_rng(3).integers(0, 256, (2 * VIEWS_EACH, 1, 32, 32), dtype=np.uint8)
    other = [np.where(inside, image, 255 - image) for image in seen]
    one, again, two = (
        textures_of(made, [View(image, inside) for image in images])
        for images in (seen, seen, other)
    )
    for a, b, c in zip(one, again, two, strict=True):
        assert torch.equal(a.precision, b.precision)
        torch.testing.assert_close(a.precision, c.precision)
        torch.testing.assert_close(a.mean, c.mean)
        torch.testing.assert_close(a.deviation, c.deviation)
        assert (a.factors is not None) == (factors > 0 and a.of == "image")


def test_what_is_learnt_of_views_with_regions_of_their_own_against_numpy() -> None:
    """As of tiles at a border: a pixel is judged by the views that show it, a coarse cell too."""
    regions = [INSIDE, np.zeros((32, 32), dtype=bool)]
    regions[1][14:, :20] = True
    rng, count = np.random.default_rng(3), 3 * VIEWS_EACH
    seen = [View(rng.integers(0, 256, (1, 32, 32), dtype=np.uint8), regions[n % 2])
            for n in range(count)]  # fmt: skip
    insides = np.stack([regions[n % 2] for n in range(count)])[:, None]
    made = textured()
    made.settings = made.settings.model_copy(update={"texture_factors": 2, "lines": (1,)})

    def by_cells_of(values: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, K, H, W) -> mean and deviation, where no view reaches those of all that it does."""
        anywhere = insides.any(axis=(0, 1))
        shown = np.where(insides, values, np.nan)[..., anywhere]
        found = []
        for numbers in (np.nanmean(shown, axis=0), np.nanstd(shown, axis=0)):
            full = np.repeat(numbers.mean(axis=1)[:, None, None], 32, axis=1).repeat(32, axis=2)
            full[:, anywhere] = numbers
            found.append(torch.from_numpy(full).float())
        return found[0], found[1] + SLACK * found[1][:, torch.from_numpy(anywhere)].mean(
            dim=1
        ).view(-1, 1, 1)

    painted = []
    for view in seen:
        region = torch.from_numpy(view.inside)
        images = to_tensor(view.pixels[None], made.device).masked_fill(~region, 0.0)
        painted.append((images, made.painted_of(images, region)[1].detach(), region))
    for model in textures_of(made, seen):
        field = {"residual": residual, "image": surface}[model.of]
        grain = model.grain
        found = torch.cat([
            descriptors(smoothed(field(*p), [grain], p[2]), grain, inside=p[2]) for p in painted
        ])  # fmt: skip
        mean, deviation = (to_cells(values) for values in by_cells_of(found.numpy()))
        torch.testing.assert_close(model.mean, mean, rtol=1e-4, atol=1e-4)
        if model.of == "residual":
            torch.testing.assert_close(model.deviation, deviation, rtol=1e-3, atol=1e-4)
            continue
        cells = np.full((count, DESCRIPTORS, 4, 4), np.nan, dtype=np.float32)
        for view, row, column in np.ndindex(count, 4, 4):
            cell = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            shows = insides[view, 0][cell]
            if shows.any():
                cells[view, :, row, column] = found[view].numpy()[:, *cell][:, shows].mean(axis=1)
        expected = find_factors(torch.from_numpy(cells), 2)
        assert expected is not None
        assert model.factors is not None
        torch.testing.assert_close(model.factors.mean, expected[0].mean, rtol=1e-4, atol=1e-4)
        ways = [factors.ways.flatten(1) for factors in (model.factors, expected[0])]
        torch.testing.assert_close(ways[0].T @ ways[0], ways[1].T @ ways[1], rtol=0, atol=1e-3)
        left = left_over(deviation, expected[1])
        torch.testing.assert_close(model.deviation, left, rtol=1e-2, atol=1e-4)
    ((model,),) = learn_lines(made, lambda: seen, Folds())
    fields = [surface(*p) for p in painted]
    found = np.stack([torch.cat(list(line_responses(f, 1, p[2]))).numpy()
                      for f, p in zip(fields, painted, strict=True)])  # fmt: skip
    mean, deviation = by_cells(*by_cells_of(found))
    torch.testing.assert_close(model.mean, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.deviation, deviation, rtol=1e-4, atol=1e-5)


def test_units_against_numpy() -> None:
    made = textured()
    made.use_textures(textures_of(made, views()))
    scores = map_scores(made, views())
    maps = all_maps(made)
    assert maps.shape[:2] == (len(PIXELS), 2 + 8)
    flat = np.sort(maps.reshape(*maps.shape[:2], -1), axis=2)
    expected = flat[:, :, -10:].mean(axis=2)  # top_share 0.01 of 1024 pixels
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5)
    mu, unit = units_of(scores)
    middle = np.median(expected, axis=0)
    spread = median_abs_deviation(expected, axis=0, scale="normal")
    spread = np.maximum(spread, LEAST_UNIT * middle)
    np.testing.assert_allclose(unit, spread, rtol=1e-3)
    np.testing.assert_allclose(mu, middle - ORDINARY * spread, atol=1e-4)


class Filters(torch.nn.Module):
    """In place of the pretrained network: filters of 4 x 4 px, side by side."""

    weight = torch.randn(FEATURES, 1, 4, 4, generator=torch.Generator().manual_seed(0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(images, self.weight, stride=4)


def test_features_of_views_with_regions_of_their_own_against_numpy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("burnish.detection.learning.load_backbone", lambda name: Filters())
    made, rng = textured(), np.random.default_rng(5)
    insides = np.zeros((40, 32, 32), dtype=bool)
    insides[:, 4:24, 8:28] = True
    insides[::2, 4:12] = False
    insides[7] = False
    insides[7, 5, 9] = True  # no place is half inside: the one that is furthest in stands for it
    pixels = rng.integers(0, 256, (40, 1, 32, 32), dtype=np.uint8)
    (model,) = learn_features(made, lambda: list(map(View, pixels, insides)), Folds())
    masked = np.where(insides[:, None], pixels / 127.5 - 1, 0)
    found = Filters()(torch.from_numpy(masked).float()).double().numpy()
    share = insides.reshape(40, 8, 4, 8, 4).mean(axis=(2, 4))
    coarse = share >= 0.5
    coarse[7] = share[7] > 0
    assert coarse[7].sum() == 1
    anywhere = coarse.any(axis=0)
    shown = np.where(coarse[:, None], found, np.nan)[..., anywhere]
    mean, spread = np.nanmean(shown, axis=0), np.nanstd(shown, axis=0)
    spread = spread + SLACK * spread.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(model.mean[:, anywhere], mean, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.deviation[:, anywhere], spread, rtol=1e-3)
    z = (shown - mean) / spread
    z = z.transpose(1, 0, 2).reshape(FEATURES, -1)
    z = z[:, ~np.isnan(z[0])]
    # The correlation is measured on a sample of the places: near that of all.
    inverse = np.linalg.inv(z @ z.T / z.shape[1] + RIDGE * np.eye(FEATURES)) / FEATURES
    ours, expected = (((p @ z) * z).sum(axis=0).mean() for p in (model.precision.numpy(), inverse))
    assert ours == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("score", "unit"), [(4.0, 0.2), (-4.0, 0.2), (0.0, 1e-9)])
def test_maps_that_score_alike_on_all_views_scatter_by_a_share_of_it(
    score: float, unit: float
) -> None:
    mu, sigma = units_of(torch.full((9, 1), score, dtype=torch.float64))
    assert sigma == pytest.approx([unit], rel=1e-6)
    assert mu == pytest.approx([score - 5 * unit])


def test_the_unit_is_a_standard_deviation() -> None:
    scores = np.random.default_rng(1).normal(20, [1.5, 3], (20_000, 2))
    mu, unit = units_of(torch.from_numpy(scores))
    np.testing.assert_allclose(unit, [1.5, 3], rtol=0.03)
    np.testing.assert_allclose(np.add(mu, ORDINARY * np.array(unit)), 20, rtol=0.01)


FOURTHS = [[0, 4], [1, 5], [2, 6], [3]]  # of seven parts
THIRDS = [[0, 1], [2, 3, 4], [5, 6]]  # of aabbbcc: each part


@pytest.mark.parametrize(
    ("parts", "folds"),
    [
        ("aabbbcc", THIRDS),
        ("aabbaab", [[0, 1, 4, 5], [2, 3, 6]]),
        ("abcdefg", FOURTHS),
        ("", FOURTHS),
        ("aaaaaaa", FOURTHS),
    ],
)
def test_units_come_from_parts_that_the_maps_do_not_know(
    parts: str, folds: list[list[int]]
) -> None:
    """By hand: the first, fifth ... part's views by what the others taught, and so on."""
    seen = [View(image, part=part) for image, part in zip(PIXELS, parts or [""] * 7, strict=True)]
    made, found = textured(), []
    for judged in folds:
        learn_maps(made, lambda judged=judged: [v for n, v in enumerate(seen) if n not in judged])
        found.append(map_scores(made, [seen[n] for n in judged]))
    assert units_by_others(made, lambda: seen) == units_of(torch.cat(found))


def whole() -> Scorer:
    made = textured()
    made.settings = made.settings.model_copy(update={"whole": True})
    return made


def test_the_whole_is_learnt_with_the_textures() -> None:
    made = whole()
    ((models, learnt),) = learn_textures(made, views, Folds())
    assert learnt is not None
    seen = [made.painted_of(to_tensor(p[None], made.device)) for p in PIXELS]
    fields = {"residual": residual, "image": surface}
    means = [
        torch.cat(
            [
                grid_means(
                    *coarse_cells(
                        descriptors(smoothed(fields[m.of](*one), [m.grain]), m.grain).detach()
                    )
                )
                for m in models
            ],
            dim=1,
        )
        for one in seen
    ]
    expected = learn_whole(torch.cat(means))
    for name, values in vars(expected).items():
        torch.testing.assert_close(getattr(learnt, name), values, rtol=1e-3, atol=1e-4)


def test_unit_of_the_whole_against_numpy() -> None:
    """One more of it weighs as one deviation of the highest of all maps' scores."""
    scores = np.random.default_rng(1).normal([20, 50, -1], [1.5, 3, 0.2], (5000, 3))
    mu, sigma = units_of(torch.from_numpy(scores[:, :2]))
    middle, unit = unit_of_whole(torch.from_numpy(scores), mu, sigma)
    local = ((scores[:, :2] - mu) / sigma).max(axis=1)
    spread = median_abs_deviation(local, scale="normal")
    assert unit == pytest.approx(0.2 / spread, rel=0.05)
    assert middle == pytest.approx(-1 - ORDINARY * unit, abs=0.02)


@pytest.mark.parametrize(
    ("local_spread", "whole_spread", "unit"),
    [(0.0, 0.5, 0.5 / 0.1), (2.0, 0.0, 1e-3 / 2), (0.0, 0.0, 1e-3 / 0.1), (2.0, 0.5, 0.5 / 2)],
)
def test_the_unit_of_the_whole_where_views_do_not_differ(
    local_spread: float, whole_spread: float, unit: float
) -> None:
    alike = np.array([-1.0, -1, 0, 1, 1]) / 1.4826  # of deviation 1
    scores = np.stack([7 + local_spread * alike, -1 + whole_spread * alike], axis=1)
    middle, found = unit_of_whole(torch.from_numpy(scores), [0.0], [1.0])
    assert found == pytest.approx(unit, rel=1e-4)
    assert middle == pytest.approx(-1 - 5 * unit)


def test_the_whole_adds_to_the_score_what_it_has_above_the_ordinary() -> None:
    made = whole()
    learn_all(made, views)
    assert made.units is not None
    mu, sigma = made.units
    assert len(mu) == len(sigma) == made.maps + 1 == 11
    evidence = made.errors(View(PIXELS[0]))
    assert evidence.whole is not None
    alike = float(evidence.whole[0])
    for above, added in ((-2.0, 0.0), (3.0, 3.0)):
        references = made.references([*mu[:-1], alike - 2 * (ORDINARY + above)], [*sigma[:-1], 2.0])
        scored = made.score(View(PIXELS[0]), *references)
        plain = whole()
        learn_maps(plain, views)
        plain.use_whole(None)
        before = plain.score(View(PIXELS[0]), *plain.references(mu[:-1], sigma[:-1]))
        assert scored.score == pytest.approx(before.score + added, abs=1e-4)
        assert scored.scale_scores[:-1] == before.scale_scores
        assert scored.scale_scores[-1] == pytest.approx(ORDINARY + above, abs=1e-4)
        assert torch.equal(scored.anomaly_map, before.anomaly_map)  # it has no place there


def test_units_of_the_whole_come_from_other_parts_too() -> None:
    made, found = whole(), []
    seen = [View(image, part=part) for image, part in zip(PIXELS, "aabbbcc", strict=True)]
    for judged in THIRDS:
        learn_maps(made, lambda judged=judged: [v for n, v in enumerate(seen) if n not in judged])
        found.append(map_scores(made, [seen[n] for n in judged]))
    scores = torch.cat(found)
    mu, sigma = units_by_others(made, lambda: seen)
    assert (mu[:-1], sigma[:-1]) == units_of(scores[:, :-1])
    assert (mu[-1], sigma[-1]) == unit_of_whole(scores, mu[:-1], sigma[:-1])


def test_units_of_one_part_come_from_its_views() -> None:
    made = textured()
    one = units_by_others(made, lambda: [View(image, part="only") for image in PIXELS])
    assert one == units_by_others(made, views)


def test_extremes_come_from_parts_that_the_maps_do_not_know() -> None:
    """And the units after them: by hand, as above."""
    seen = [View(image, part=part) for image, part in zip(PIXELS, "aabbbcc", strict=True)]
    made, maps = textured(), []
    made.settings = made.settings.model_copy(update={"extremes": True})
    for judged in THIRDS:
        learn_maps(made, lambda judged=judged: [v for n, v in enumerate(seen) if n not in judged])
        maps += [made.errors(seen[n]).errors for n in judged]
    expected = find_extremes(torch.cat([cell_values(one).transpose(0, 1) for one in maps]))
    expected = sparing(expected, len(made.masks))  # standardised by position
    by_pixel = expected.at(32, 32)
    compared = torch.cat([against_extremes(one, by_pixel) for one in maps])
    scores = compared.flatten(2).topk(10, dim=2).values.mean(dim=2).double()

    learn_all(made, lambda: seen)
    assert made.learnt_extremes is not None
    torch.testing.assert_close(made.learnt_extremes.mean, expected.mean)
    torch.testing.assert_close(made.learnt_extremes.height, expected.height)
    assert made.units is not None
    for found, value in zip(made.units, units_of(scores), strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-5)


def test_what_views_do_not_show_counts_in_no_extreme_and_no_unit() -> None:
    """As above, with places beyond an image's edge: whole cells of 8 px, of each view others."""
    shown = np.full((len(PIXELS), 32, 32), 255, dtype=np.uint8)
    for number, view in enumerate(shown):
        view[: 8 * (number % 3)] = 0
        view[:, 24:] *= number % 2
    parts = zip(PIXELS, "aabbbcc", shown, strict=True)
    seen = [View(image, part=part, seen=weight) for image, part, weight in parts]
    made, maps = textured(), []
    made.settings = made.settings.model_copy(update={"extremes": True})
    for judged in THIRDS:
        learn_maps(made, lambda judged=judged: [v for n, v in enumerate(seen) if n not in judged])
        maps += [(made.errors(seen[n]).errors, n) for n in judged]
    values = []
    for one, number in maps:
        cells = cell_values(one)
        hidden = torch.from_numpy(shown[number, ::8, ::8] == 0)
        values.append(cells.masked_fill(hidden, torch.nan).transpose(0, 1))
    expected = sparing(find_extremes(torch.cat(values)), len(made.masks))
    by_pixel, scores = expected.at(32, 32), []
    for one, number in maps:
        compared = against_extremes(one, by_pixel)[0][:, torch.from_numpy(shown[number] > 0)]
        scores.append(compared.topk(10, dim=1).values.mean(dim=1))

    learn_all(made, lambda: seen)
    assert made.learnt_extremes is not None
    torch.testing.assert_close(made.learnt_extremes.mean, expected.mean)
    torch.testing.assert_close(made.learnt_extremes.height, expected.height)
    assert made.units is not None
    for found, value in zip(made.units, units_of(torch.stack(scores).double()), strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-5)


def test_maps_standardised_by_position_have_no_extremes() -> None:
    for standardise, spared in (("position", True), ("none", False)):
        made, plain = textured(), textured()
        for one in (made, plain):
            one.settings = one.settings.model_copy(update={"standardise": standardise})
        made.settings = made.settings.model_copy(update={"extremes": True})
        learn_all(made, views)
        learn_all(plain, views)
        assert made.units is not None
        assert plain.units is not None
        scales = len(made.masks)
        for view in views():
            before, after = plain.errors(view).errors[0], made.errors(view).errors[0]
            same = [bool(torch.isclose(a, b).all()) for a, b in zip(after, before, strict=True)]
            assert same == [spared] * scales + [False] * (len(before) - scales)
        for ours, theirs in zip(made.units, plain.units, strict=True):
            assert (ours[:scales] == pytest.approx(theirs[:scales], rel=1e-4)) == spared


def test_maps_are_compared_with_extremes_once_they_are_known() -> None:
    made, plain = textured(), textured()
    made.settings = made.settings.model_copy(update={"extremes": True})
    learn_all(made, views)
    learn_all(plain, views)
    assert made.extremes is not None
    assert plain.extremes is plain.learnt_extremes is None
    for view in views():
        before, after = plain.errors(view).errors, made.errors(view).errors
        assert after.shape == before.shape
        assert torch.equal(after, against_extremes(before, made.extremes))


def test_learning_tells_of_every_pass() -> None:
    for changes in ({}, {"extremes": True}, {"fusion": "max"}, {"lines": (1,), "extremes": True}):
        made, ticks = textured(), []
        made.settings = made.settings.model_copy(update=changes)
        learn_all(made, views, lambda ticks=ticks: ticks.append(None))
        assert len(ticks) == passes(made.settings, 1) * len(PIXELS)


def test_extremes_are_forgotten_before_anything_is_learnt_anew() -> None:
    made = textured()
    made.settings = made.settings.model_copy(update={"extremes": True})
    learn_all(made, views)
    once = made.learnt_extremes, made.units
    learn_all(made, views)
    assert once[0] is not None
    assert made.learnt_extremes is not None
    assert torch.equal(made.learnt_extremes.height, once[0].height)
    assert made.units == once[1]


def test_the_highest_map_judges() -> None:
    made = textured()
    made.settings = made.settings.model_copy(update={"fusion": "highest", "whole": True})
    learn_all(made, views)
    assert made.units is not None
    references = made.references(*made.units)
    for view in views():
        scored = made.score(view, *references)
        *maps, whole = scored.scale_scores
        assert scored.score == pytest.approx(max(maps) + max(whole - ORDINARY, 0), rel=1e-6)


def test_extremes_inside_a_region() -> None:
    """What lies outside it changes nothing."""
    learnt = []
    for images in (PIXELS, [np.where(INSIDE, image, 255 - image) for image in PIXELS]):
        made = textured()
        made.settings = made.settings.model_copy(update={"extremes": True})
        seen = [View(image.astype(np.uint8), INSIDE) for image in images]
        learn_all(made, lambda seen=seen: seen)
        assert made.learnt_extremes is not None
        assert made.learnt_extremes.height.isfinite().all()
        learnt.append(made.learnt_extremes)
    assert torch.equal(learnt[0].height, learnt[1].height)
    assert torch.equal(learnt[0].mean, learnt[1].mean)


def test_all_views_teach_the_maps() -> None:
    made, other = textured(), textured()
    learn_all(made, views)
    learn_maps(other, views)
    for ours, theirs in zip(made.learnt, other.learnt, strict=True):
        assert torch.equal(ours.mean, theirs.mean)
        assert torch.equal(ours.precision, theirs.precision)


def test_held_out_images_do_not_touch_the_units() -> None:
    """Else the conformal promise would not hold: their scores have to be like any new part's."""
    made = textured()
    ticks: list[None] = []
    learn_all(made, views, lambda: ticks.append(None))
    # Four textures and the positions are learnt, then each fold is judged.
    assert len(ticks) == (4 + 1 + 1) * len(PIXELS) == passes(made.settings, 1) * len(PIXELS)
    assert made.units is not None
    scorer, ticks = ImageScorer(made, made.settings), []
    calibration, scores = scorer.calibrate(PIXELS[:3], lambda: ticks.append(None))
    assert sorted(scores) == list(calibration.scores)
    assert len(ticks) == 3 == scorer.calibration_passes * 3
    assert (list(calibration.mu), list(calibration.sigma)) == made.units
    maps = all_maps(made)[:3]
    mu, sigma = (np.array(values)[:, None, None] for values in made.units)
    fused = np.sort(((maps - mu) / sigma).max(axis=1).reshape(3, -1), axis=1)
    np.testing.assert_allclose(calibration.scores, np.sort(fused[:, -10:].mean(axis=1)), rtol=1e-4)


def test_learning_again_starts_from_nothing() -> None:
    made = textured()
    learn_all(made, views)
    first = made.units, [texture.precision for texture in made.learnt]
    learn_all(made, views)
    assert made.units == first[0]
    assert all(torch.equal(a.precision, b) for a, b in zip(made.learnt, first[1], strict=True))


def test_each_map_says_what_it_alone_would_give() -> None:
    made = textured()
    learn_all(made, views)
    assert made.units is not None
    scored = made.score(View(PIXELS[0]), *made.references(*made.units))
    assert len(scored.scale_scores) == 2 + 8
    assert scored.scale == int(np.argmax(scored.scale_scores[:2]))
    assert scored.score >= max(scored.scale_scores) - 1e-5  # the maximum is taken by pixel


MEMORY = """
import torch
from burnish.configuration import make_settings
from burnish.detection.gathering import Folds
from burnish.detection.learning_textures import learn_textures
from burnish.detection.scorer import Scorer
from burnish.detection.view import View
from burnish.method.generator import Generator, InputShape

torch.set_num_threads(1)
settings = make_settings("small", {})
scorer = Scorer(Generator(settings, InputShape(1, 256, 256)), settings, torch.device("cpu"))
seen = []

def views():
    for number in range(32):
        yield View(torch.randint(0, 256, (1, 256, 256), dtype=torch.uint8).numpy())
        pages = int(open("/proc/self/statm").read().split()[1])
        seen.append(pages * 4096 / 2**20)

learn_textures(scorer, views, Folds([number % 4 for number in range(32)]))
print(max(seen[pass_ + 31] - seen[pass_ + 7] for pass_ in (0, 32, 64, 96)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_views() -> None:
    """It once grew by 3 to 40 MB a view: small tensors that were kept split the large holes."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 40
