"""Synthetic defects: exact masks, on every kind of picture, and each looking as its name says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from burnish.errors import BurnishError
from burnish.images.synthetic.defects import (
    DEFECTS,
    DISCOLOURATION,
    RELIEFS,
    STAINS,
    draw_defect,
)
from burnish.images.synthetic.room import EDGE, INSIDE, LEFT, Room
from burnish.images.synthetic.surfaces import SURFACES, make_surface

SEEDS = range(12)
Picture = NDArray[np.uint8]


def noise(mean: float, deviation: float, size: tuple[int, int] = (128, 128)) -> Picture:
    pixels = np.random.default_rng(9).normal(mean, deviation, size)
    return np.clip(pixels, 0, 255).astype(np.uint8)


PICTURES: dict[str, Picture] = {
    **{kind: make_surface(kind, (128, 128), np.random.default_rng(5)) for kind in SURFACES},
    "black": np.zeros((128, 128), np.uint8),
    "white": np.full((128, 128), 255, np.uint8),
    "flat grey": np.full((100, 140), 128, np.uint8),
    "dark, noisy": noise(25, 12),
    "bright, noisy": noise(235, 15),
    "harsh": noise(128, 70),
    "small": noise(120, 5, (32, 32)),
    "wide": noise(120, 5, (40, 300)),
    "colour": np.dstack([noise(170, 8), noise(150, 8), noise(120, 8)]),
}


def draw(
    picture: Picture, kind: str, seed: int = 0, strength: float = 1.0
) -> tuple[Picture, NDArray[np.bool_], NDArray[np.int64]]:
    """Image, mask, and signed change averaged over the channels."""
    image, mask = draw_defect(picture, kind, np.random.default_rng(seed), strength)
    change = image.astype(np.int64) - picture
    return image, mask, change.mean(axis=2) if change.ndim == 3 else change


@pytest.mark.parametrize("kind", STAINS)
@pytest.mark.parametrize("name", PICTURES)
def test_mask_is_exact(name: str, kind: str) -> None:
    picture = PICTURES[name]
    before = picture.copy()
    for seed in SEEDS:
        image, mask = draw_defect(picture, kind, np.random.default_rng(seed))
        assert np.array_equal(picture, before), "the input was modified"
        assert image.shape == picture.shape
        assert image.dtype == np.uint8
        assert mask.shape == picture.shape[:2]
        assert mask.dtype == np.bool_
        assert mask.any()
        differs = image != picture
        if differs.ndim == 3:
            differs = differs.any(axis=2)
        assert not differs[~mask].any(), "changed outside the mask"
        # Half of a mark may lack room on a black or white picture; elsewhere nearly all changes.
        least = 0.6 if name in ("black", "white", "dark, noisy", "bright, noisy", "harsh") else 0.9
        assert differs[mask].mean() > least


@pytest.mark.parametrize("kind", STAINS)
@pytest.mark.parametrize("name", PICTURES)
def test_shows_on_every_picture(name: str, kind: str) -> None:
    """The strongest tenth of the change stands out of the fine texture, dark picture or bright."""
    picture = PICTURES[name]
    grey = picture.mean(axis=2) if picture.ndim == 3 else picture.astype(float)
    texture = 1.4826 * np.median(np.abs(grey - ndimage.gaussian_filter(grey, 3.0)))
    for seed in SEEDS:
        _, mask, change = draw(picture, kind, seed)
        peak = np.percentile(np.abs(change[mask]), 90)
        assert peak >= 6.0
        if name != "harsh":
            assert peak >= 1.0 * texture


@pytest.mark.parametrize("kind", STAINS)
def test_same_seed_same_defect(kind: str) -> None:
    first, second, other = (draw(PICTURES["brushed"], kind, seed) for seed in (7, 7, 8))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("kind", STAINS)
def test_strength_scales_the_change(kind: str) -> None:
    picture = PICTURES["flat grey"]
    image, mask, _ = draw(picture, kind, 1, strength=0.0)
    assert not mask.any()
    assert np.array_equal(image, picture)
    peaks = [float(np.abs(draw(picture, kind, 1, strength)[2]).max()) for strength in (0.5, 1, 2)]
    assert peaks[1] / peaks[0] == pytest.approx(2.0, rel=0.15)
    assert peaks[2] / peaks[1] == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("kind", DEFECTS)
def test_contrast_follows_the_texture(kind: str) -> None:
    quiet = np.abs(draw(noise(128, 2), kind, 1)[2]).max()
    loud = np.abs(draw(noise(128, 20), kind, 1)[2]).max()
    assert loud > 2.0 * quiet


@pytest.mark.parametrize("kind", DEFECTS)
def test_sizes_vary_and_grow_with_the_picture(kind: str) -> None:
    def areas(side: int) -> NDArray[np.float64]:
        picture = np.full((side, side), 128, np.uint8)
        return np.array([draw(picture, kind, seed)[1].sum() for seed in range(40)], dtype=float)

    small, large = areas(128), areas(256)
    assert small.min() >= 4
    assert small.max() < 0.1 * 128**2
    assert small.max() > 2.5 * small.min()
    growth = np.median(large / small)
    # Blobs grow with the square of the side. Lines keep an antialiased edge of fixed width, so
    # they grow at least as their length does.
    assert (1.8 if kind in ("scratch", "crack") else 2.5) < growth < 4.5


@pytest.mark.parametrize("kind", ["scratch", "stain", "dent", "crack"])
def test_in_one_piece(kind: str) -> None:
    for seed in range(40):
        _, mask, _ = draw(PICTURES["flat grey"], kind, seed)
        sizes = np.bincount(ndimage.label(mask, np.ones((3, 3)))[0].ravel())[1:]
        assert sizes.max() > 0.97 * sizes.sum()


def test_pits_are_one_to_four_round_craters() -> None:
    counts = set()
    for seed in range(60):
        _, _, change = draw(PICTURES["flat grey"], "pit", seed)
        holes, count = ndimage.label(change < -8)
        counts.add(count)
        if count == 1:
            area = (holes == 1).sum()
            box = ndimage.find_objects(holes)[0]
            height, width = (axis.stop - axis.start for axis in box)
            assert area < 1.1 * height * width
            assert height < 20
            assert width < 20
    assert counts <= {1, 2, 3, 4}
    assert {1, 2} <= counts


@pytest.mark.parametrize("kind", ["scratch", "crack"])
def test_lines_are_thin_and_long(kind: str) -> None:
    for seed in range(20):
        _, mask, change = draw(PICTURES["flat grey"], kind, seed)
        rows, columns = np.nonzero(mask)
        length = math.hypot(np.ptp(rows), np.ptp(columns))
        assert length > 0.15 * 100
        # Twice the largest distance to the outside is the width of the widest place.
        core = np.abs(change) > 0.5 * np.abs(change).max()
        assert 2.0 * ndimage.distance_transform_edt(core).max() < 8.0


def test_signs_of_the_change() -> None:
    grey = PICTURES["flat grey"]
    for seed in SEEDS:
        for kind in ("crack", "stain"):
            change = draw(grey, kind, seed)[2]
            assert change.max() <= 0
        for kind in ("scratch", "dent", "pit"):
            change = draw(grey, kind, seed)[2]
            assert change.max() > 5
            assert change.min() < -5
        change = draw(grey, "dent", seed)[2]
        assert abs(change.sum()) < 0.4 * np.abs(change).sum(), "both halves weigh about the same"
        bright, dark = (ndimage.center_of_mass(part) for part in (change > 0, change < 0))
        assert math.dist(bright, dark) > 3.0, "bright on one side, dark on the other"
        change = draw(grey, "scratch", seed)[2]
        assert change.max() > -change.min(), "the core outshines its edges"


def test_turns_its_sign_where_there_is_no_room() -> None:
    for kind in DEFECTS:
        assert draw(PICTURES["black"], kind)[2].max() >= 6
        assert draw(PICTURES["white"], kind)[2].min() <= -6


def test_rust_is_brown_and_the_rest_is_grey() -> None:
    picture = np.full((128, 128, 3), 150, np.uint8)
    image, mask, _ = draw(picture, "stain", 2)
    red, green, blue = 150.0 - image[mask].mean(axis=0)
    assert red / green == pytest.approx(0.45, abs=0.08)
    assert blue / green == pytest.approx(1.5, abs=0.08)
    for kind in ("scratch", "pit", "dent", "crack"):
        image, _, _ = draw(picture, kind, 2)
        assert (image == image[:, :, :1]).all()


def test_unknown_defect_offers_the_nearest_name() -> None:
    with pytest.raises(BurnishError, match=r"unknown defect 'scrach'.*Did you mean 'scratch'\?"):
        draw(PICTURES["cast"], "scrach")


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((64, 64), np.float32),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros(64, np.uint8),
        np.zeros((64, 20), np.uint8),
    ],
    ids=["float", "four channels", "one axis", "narrow"],
)
def test_other_arrays_are_refused(picture: Picture) -> None:
    with pytest.raises(BurnishError, match="cannot be drawn on an"):
        draw(picture, "pit")


@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf")])
def test_bad_strength(strength: float) -> None:
    with pytest.raises(BurnishError, match="must be a number of 0 or more"):
        draw(PICTURES["cast"], "pit", strength=strength)


# Mask area (px) and sum of the change (grey levels) of seeds 0 to 3, as of FORMAT 1 of the
# procedural set: the demo's images must not change unless that number does.
FORMAT_1 = {
    "scratch": ([233, 242, 157, 114], [357, 1560, 311, 65]),
    "pit": ([163, 79, 71, 36], [-1382, -1325, -737, -345]),
    "stain": ([681, 439, 344, 156], [-17075, -8700, -7579, -2085]),
    "dent": ([647, 434, 283, 142], [-2099, -1603, -698, -435]),
    "crack": ([119, 138, 100, 70], [-2576, -3568, -1488, -1108]),
}


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_procedural_set_stays_as_it_is(kind: str) -> None:
    picture = make_surface("brushed", (128, 128), np.random.default_rng(11))
    for seed, (area, total) in enumerate(zip(*FORMAT_1[kind], strict=True)):
        _, mask, change = draw(picture, kind, seed)
        assert mask.sum() == pytest.approx(area, abs=2)
        assert change.sum() == pytest.approx(total, abs=0.02 * np.abs(change).sum())


def strip(turn: bool = False) -> NDArray[np.bool_]:
    allowed = np.zeros((160, 120), np.bool_)
    allowed[60:84, 10:110] = True
    return allowed[:, ::-1].copy() if turn else allowed


@pytest.mark.parametrize("kind", STAINS)
def test_stays_where_it_is_allowed(kind: str) -> None:
    picture = noise(120, 5, (160, 120))
    places = []
    for seed in SEEDS:
        image, mask = draw_defect(picture, kind, np.random.default_rng(seed), allowed=strip())
        assert mask.any()
        assert not mask[~strip()].any()
        assert np.array_equal(image[~strip()], picture[~strip()])
        assert (image != picture)[mask].mean() > 0.9
        places.append(np.argwhere(mask).mean(axis=0)[1])
    assert np.ptp(places) > 40, "defects lie all along the strip"


COLOURS = {
    "even": PICTURES["colour"],
    "bright": np.dstack([noise(mean, 6) for mean in (250, 240, 220)]),
    "dark": np.dstack([noise(mean, 4) for mean in (30, 22, 12)]),
}


@pytest.mark.parametrize("name", COLOURS)
def test_a_discolouration_changes_hue_and_not_brightness(name: str) -> None:
    picture, hues = COLOURS[name], []
    for seed in SEEDS:
        drawn = draw_defect(picture, DISCOLOURATION, np.random.default_rng(seed))
        image, mask = drawn
        again = draw_defect(picture, DISCOLOURATION, np.random.default_rng(seed))
        assert all(np.array_equal(one, two) for one, two in zip(drawn, again, strict=True))
        change = image.astype(int) - picture
        assert np.array_equal(change.any(axis=2) & ~mask, np.zeros_like(mask))
        assert change[mask].any(axis=1).mean() > (0.6 if name == "bright" else 0.9)
        assert np.abs(change.mean(axis=2)).max() <= 1.0  # rounding
        if name == "even":
            assert np.percentile(np.abs(change[mask]).max(axis=1), 90) > 8
        hues.append(change[mask].sum(axis=0) / np.abs(change[mask]).sum())
    assert (np.ptp(hues, axis=0) > 0.3).all(), "hues differ"


@pytest.mark.parametrize("kind", [kind for kind in DEFECTS if kind != "stain"])
def test_shade_keeps_the_hue_of_the_metal(kind: str) -> None:
    """A dent in brass is darker or brighter brass; the mean over the channels is that on grey."""
    tint = np.array([1.2, 1.0, 0.8])
    grey = np.full((128, 128), 120, np.uint8)
    brass = np.rint(grey[:, :, None] * tint).astype(np.uint8)
    for seed in SEEDS:
        _, mask, change = draw(grey, kind, seed)
        image, same, coloured = draw(brass, kind, seed)
        assert np.array_equal(mask, same)
        assert np.abs(coloured - change).max() < 1.0
        differ = image.astype(float) - brass
        by_channel = np.abs(differ[mask]).sum(axis=0)
        np.testing.assert_allclose(by_channel / by_channel.mean(), tint, rtol=0.05)


@pytest.mark.parametrize("kind", ["grey", "grey in three channels"])
def test_a_grey_picture_cannot_be_discoloured(kind: str) -> None:
    picture = PICTURES["cast"] if kind == "grey" else np.dstack([PICTURES["cast"]] * 3)
    with pytest.raises(BurnishError, match="the image is grey: draw another kind"):
        draw_defect(picture, DISCOLOURATION, np.random.default_rng(0))


@pytest.mark.parametrize("kind", DEFECTS)
def test_nine_tenths_of_a_shape_lie_inside(kind: str) -> None:
    rng = np.random.default_rng(3)
    placed_once = False
    for _ in range(20):
        support = RELIEFS[kind](60.0, rng).support
        placed = Room((160, 120), strip()).place(support, rng)
        if placed is None:
            continue
        window, canvas = placed
        inside = (support[canvas] & strip()[window]).sum() / support.sum()
        assert inside >= INSIDE
        placed_once = True
    assert placed_once


def to_the_edge(allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows or columns to the nearest pixel that is not allowed or not there: the slow way."""
    outside = np.argwhere(~np.pad(allowed, 1)) - 1
    found = np.zeros(allowed.shape, np.int64)
    for row, column in np.argwhere(allowed):
        found[row, column] = np.abs(outside - (row, column)).max(axis=1).min()
    return found


@pytest.mark.parametrize("within", [None, strip()], ids=["image", "region"])
@pytest.mark.parametrize("kind", DEFECTS)
def test_a_shape_lies_across_the_edge(kind: str, within: NDArray | None) -> None:
    rng = np.random.default_rng(3)
    allowed = np.ones((160, 120), np.bool_) if within is None else within
    distance, near, cut = to_the_edge(allowed), round(EDGE * 120), []
    for _ in range(20):
        support = RELIEFS[kind](60.0, rng).support
        placed = Room((160, 120), within, at_edge=True).place(support, rng)
        if placed is None:
            continue
        window, canvas = placed
        shown = support[canvas]
        assert shown.shape == allowed[window].shape
        left = (shown & allowed[window]).sum() / support.sum()
        assert left >= LEFT
        cut.append(left < 1)
        if shown.shape == tuple(np.ptp(np.argwhere(support), axis=0) + 1):  # wholly on the image
            middle = tuple((axis.start + axis.stop) // 2 for axis in window)
            assert 0 < distance[middle] <= near
    assert len(cut) > 5
    assert any(cut)


@pytest.mark.parametrize("kind", STAINS)
def test_defects_at_the_edge_stay_where_they_are_allowed(kind: str) -> None:
    picture = noise(120, 5, (160, 120))
    for seed in SEEDS:
        image, mask = draw_defect(
            picture, kind, np.random.default_rng(seed), allowed=strip(), at_edge=True
        )
        assert mask.any()
        assert not mask[~strip()].any()
        assert np.array_equal(image[~strip()], picture[~strip()])


def test_most_defects_at_the_edge_reach_it() -> None:
    picture = PICTURES["cast"]
    touching = {True: 0, False: 0}
    for at_edge in touching:
        for seed in range(60):
            _, mask = draw_defect(picture, "stain", np.random.default_rng(seed), at_edge=at_edge)
            mask[2:-2, 2:-2] = False
            touching[at_edge] += bool(mask.any())
    assert touching[True] > 55
    assert touching[False] < 15


def test_all_allowed_covers_the_whole_picture() -> None:
    picture, allowed = PICTURES["flat grey"], np.ones((100, 140), np.bool_)
    centres = []
    for seed in range(60):
        _, mask = draw_defect(picture, "pit", np.random.default_rng(seed), allowed=allowed)
        centres.append(np.argwhere(mask).mean(axis=0))
    assert (np.min(centres, axis=0) < (20, 25)).all()
    assert (np.max(centres, axis=0) > (80, 115)).all()


@pytest.mark.parametrize("kind", STAINS)
@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_a_region_too_small_for_a_defect_is_refused(kind: str, pixels: int) -> None:
    allowed = np.zeros((128, 128), np.bool_)
    allowed[0, :pixels] = True
    for at_edge in (False, True):
        with pytest.raises(BurnishError, match=f"too small or too thin for a {kind}"):
            draw_defect(
                PICTURES["cast"], kind, np.random.default_rng(0), allowed=allowed, at_edge=at_edge
            )


@pytest.mark.parametrize(
    "allowed",
    [
        np.ones((128, 127), np.bool_),
        np.ones((128, 128), np.uint8),
        np.ones((128, 128, 1), np.bool_),
    ],
    ids=["size", "type", "axes"],
)
def test_a_region_of_another_shape(allowed: NDArray) -> None:
    with pytest.raises(BurnishError, match="must be bool 128x128"):
        draw_defect(PICTURES["cast"], "pit", np.random.default_rng(0), allowed=allowed)


def test_an_uneven_surface_is_rougher_or_smoother() -> None:
    picture, ratios = noise(128, 12, (160, 160)), []
    for seed in range(12):
        image, mask = draw_defect(picture, "uneven", np.random.default_rng(seed))
        core = (
            ndimage.distance_transform_edt(mask) > 0.6 * ndimage.distance_transform_edt(mask).max()
        )
        before, after = (
            (grey - ndimage.gaussian_filter(grey, 3.0))[core].std()
            for grey in (picture.astype(float), image.astype(float))
        )
        ratios.append(after / before)
    assert min(ratios) < 0.7
    assert max(ratios) > 1.4
    assert all(not 0.85 < ratio < 1.15 for ratio in ratios)
