"""Parts at any place and angle come into one view, and what is found there goes back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from burnish.images.alignment import Alignment, cells_of, part_weight
from burnish.images.alignment_learning import BESIDE, Look, learn_alignment, look_at
from burnish.images.pose import Pose
from burnish.images.reader import resize
from burnish.images.synthetic.surfaces import SURFACES, make_surface

Bolt = Callable[..., NDArray[np.uint8]]


def many(bolt: Bolt, count: int = 24, **changes: float) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(5)
    for index in range(count):
        middle = 150 + rng.uniform(-30, 30), 120 + rng.uniform(-16, 16)
        yield bolt((240, 300), middle, rng.uniform(-np.pi, np.pi), 160, seed=index, **changes)


def test_a_strip_is_looked_at_without_enlarging_it() -> None:
    """2 x 60,000 px at the working size would be 128 x 3,840,000."""
    (look,) = look_at([np.full((2, 60_000), 100, dtype=np.uint8)])
    assert (look.size, look.has_part) == ((2, 60_000), False)
    assert look.grey.size < 100


@pytest.fixture(scope="module")
def alignment(bolt: Bolt) -> Alignment:
    found = learn_alignment(look_at(many(bolt)), (64, 64), 8, square=False)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def alone(bolt: Bolt) -> Alignment:
    """The same, judging the part alone."""
    sides, unit = (64, 64), 8
    found = learn_alignment(look_at(many(bolt)), sides, unit, square=False, part_only=True)
    assert found is not None
    return found


def test_the_view_is_as_long_as_the_parts(alignment: Alignment) -> None:
    assert alignment.turned
    height, width = alignment.size
    assert height % 8 == width % 8 == 0
    assert height * width == pytest.approx(64**2, rel=0.25)
    # The bolt is .4 of its length wide; the margin is .06 of it on each side.
    assert height / width == pytest.approx(0.52 / 1.12, rel=0.25)
    # Its length in the view: 160 px of 240, the shorter side, which is 128 at the working size.
    assert 160 / 240 * 128 * alignment.scale == pytest.approx(width / 1.12, rel=0.15)


@pytest.mark.parametrize("channels", [1, 3])
def test_all_parts_lie_alike(bolt: Bolt, alignment: Alignment, channels: int) -> None:
    views = [alignment.view(image, channels)[0] for image in many(bolt, 40)]
    stack = np.stack(views).astype(float)
    assert stack.shape == (40, channels, *alignment.size)
    # Beside the noise, only the outlines differ, by less than a pixel.
    assert np.abs(stack - np.median(stack, axis=0)).mean() < 4
    assert max(np.abs(view - np.median(stack, axis=0)).mean() for view in stack) < 7
    # A view turned the wrong way would be another picture.
    assert np.abs(stack[0] - stack[0][..., ::-1]).mean() > 15


@pytest.mark.parametrize("channels", [1, 3])
def test_each_pixel_of_a_view_is_what_lies_at_its_place(
    bolt: Bolt, alignment: Alignment, channels: int
) -> None:
    """Middles of pixels lie at halves, and levels are rounded, not cut."""
    rng = np.random.default_rng(6)
    image = bolt((240, 300), (160, 110), 0.6, 160)
    image = np.stack([image, image, image - image // 4], axis=2) if channels == 3 else image
    image = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    view, pose = alignment.view(image, channels)
    assert pose.found
    large = resize(image, *alignment.enlarged).astype(float).reshape(*alignment.enlarged, channels)
    step = [alignment.enlarged[0] / alignment.height, alignment.enlarged[1] / alignment.width]
    rows, columns = np.empty((2, *alignment.size))
    for row, column in np.ndindex(*alignment.size):
        t = (column + 0.5) / alignment.scale + alignment.left
        u = (row + 0.5) / alignment.scale + alignment.top
        rows[row, column] = (pose.y + t * pose.along[1] + u * pose.along[0]) * step[0] - 0.5
        columns[row, column] = (pose.x + t * pose.along[0] - u * pose.along[1]) * step[1] - 0.5
    for channel in range(channels):
        expected = ndimage.map_coordinates(
            large[..., channel], [rows, columns], order=1, mode="nearest"
        )
        assert np.abs(view[channel] - expected).max() < 0.51


@pytest.mark.parametrize(("x", "y", "angle"), [(150, 120, 0.3), (215, 80, -0.8), (60, 180, 2.4)])
def test_what_lies_beyond_the_image_is_not_judged(
    bolt: Bolt, alone: Alignment, x: int, y: int, angle: float
) -> None:
    """Against the place of each pixel, computed one by one; all of the view holds the part."""
    high, wide = cells_of(alone.size, alone.scale)
    alignment = alone.model_copy(update={"part": ("ff" * math.ceil(wide / 8),) * high})
    assert np.ptp(part_weight(alignment)) == 0
    image = bolt((240, 300), (x, y), angle, 160)
    pixels, pose = alignment.prepared(image, 3)
    view, seen = pixels[:3], pixels[3]
    assert np.array_equal(view, alignment.view(image, 3)[0])
    down, across = (big / small for big, small in zip(alignment.enlarged, (128, 160), strict=True))
    inwards = np.empty(alignment.size)
    for row, column in np.ndindex(*alignment.size):
        t = (column + 0.5) / alignment.scale + alignment.left
        u = (row + 0.5) / alignment.scale + alignment.top
        high = (pose.y + t * pose.along[1] + u * pose.along[0]) * down
        wide = (pose.x + t * pose.along[0] - u * pose.along[1]) * across
        inwards[row, column] = min(
            high, wide, alignment.enlarged[0] - high, alignment.enlarged[1] - wide
        )
    assert (seen[inwards > 0.51] == 255).all()
    assert (seen[inwards < -0.01] == 0).all()
    edge = (inwards > 0) & (inwards < 0.5)
    assert np.abs(seen[edge] / 255 - 2 * inwards[edge]).max(initial=0) < 0.01
    assert (seen == 0).any() == (inwards < 0).any()
    assert (x == 150) == (seen == 255).all()


def test_the_part_and_a_little_beside_it_is_judged(bolt: Bolt, alone: Alignment) -> None:
    """Against the outlines of other parts, as they lie in the view."""
    weight, reached = part_weight(alone), np.zeros(alone.size)
    for image in many(bolt, 40):
        mask = np.where(image < 150, 255, 0).astype(np.uint8)
        pose = alone.view(image, 1)[1]
        rows, columns = alone._places(pose)
        enlarged = resize(mask, *alone.enlarged).astype(float)
        reached += ndimage.map_coordinates(enlarged, [rows, columns], order=1) > 127
    away = ndimage.distance_transform_edt(reached <= 0.02 * 40)
    length = alone.size[1]  # of part and margins: what `BESIDE` is a share of
    assert (weight[away <= BESIDE * length - 1.5] == 1).all()
    assert (weight[away >= BESIDE * length + 1.5] == 0).all()
    assert 0.2 < weight.mean() < 0.8


def test_all_of_the_view_is_judged_unless_asked(bolt: Bolt, alignment: Alignment) -> None:
    image = bolt((240, 300), (215, 80), -0.8, 160)
    assert alignment.seen(alignment.view(image, 1)[1]) is None
    assert np.array_equal(alignment.prepared(image, 1)[0], alignment.view(image, 1)[0])


@pytest.mark.parametrize("part", [(), ("ff",), ("xx" * 14,) * 45, ("f" * 27,) * 45])
def test_a_part_that_does_not_fit_the_view(alone: Alignment, part: tuple[str, ...]) -> None:
    assert alone.part is not None
    assert (len(alone.part), len(alone.part[0])) == (45, 28)
    with pytest.raises(ValidationError, match="not 45 rows of 28 hexadecimal digits"):
        Alignment.model_validate(alone.model_dump() | {"part": part})


@pytest.mark.parametrize("factor", [0.5, 0.7, 2.0])
def test_another_resolution_gives_the_same_view(
    bolt: Bolt, alignment: Alignment, factor: float
) -> None:
    image = bolt((240, 300), (160, 110), 0.6, 160)
    other = resize(image, round(240 * factor), round(300 * factor))
    one, two = (alignment.view(picture, 1)[0].astype(float) for picture in (image, other))
    assert np.abs(one - two).mean() < 3


def test_another_lamp_gives_the_same_pose(bolt: Bolt, alignment: Alignment) -> None:
    image = bolt((240, 300), (160, 110), 0.6, 160)
    dim = np.rint(image * 0.6).astype(np.uint8)
    one, two = alignment.view(image, 1)[1], alignment.view(dim, 1)[1]
    assert (one.x, one.y) == pytest.approx((two.x, two.y), abs=0.1)
    assert one.along == pytest.approx(two.along, abs=0.005)


@pytest.mark.parametrize("angle", [0.0, 0.9, 2.2, -1.4])
def test_what_is_found_goes_back_to_its_place(
    bolt: Bolt, alignment: Alignment, angle: float
) -> None:
    image = bolt((240, 300), (150, 120), angle, 160)
    x, y = (round(m + 40 * f(angle)) for m, f in ((150, np.cos), (120, np.sin)))
    image[y - 3 : y + 4, x - 3 : x + 4] = 255  # on the shank
    view, pose = alignment.view(image, 1)
    # The middle of the mark on the view, as a map.
    bright = (view[0] > 180) & (np.arange(alignment.size[0])[:, None] > 0)
    bright[: alignment.size[0] // 3] = bright[-alignment.size[0] // 3 :] = False
    found = ndimage.gaussian_filter(bright.astype(np.float32), 1)
    back, weight = alignment.put_back(found[None], pose, 240, 300)
    back = back[0] * weight
    part = np.hypot(*(np.mgrid[:240, :300] - np.array([y, x])[:, None, None])) < 30
    row, column = np.unravel_index(np.argmax(back * part), back.shape)
    assert np.hypot(row - y, column - x) < 6


def test_a_picture_survives_the_way_there_and_back(
    bolt: Bolt, alignment: Alignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = bolt((240, 300), (140, 125), 0.5, 160)
    view, pose = alignment.view(image, 1)
    back, weight = alignment.put_back(view.astype(np.float32), pose, 240, 300)
    monkeypatch.setattr("burnish.images.alignment.AT_ONCE", 7 * 300)  # in bands of seven rows
    again, same = alignment.put_back(view.astype(np.float32), pose, 240, 300)
    assert np.array_equal(back, again)
    assert np.array_equal(weight, same)
    part = image < 150
    assert (weight[part] == 1).all(), "the view holds the whole part"
    assert 0.1 < weight.mean() < 0.7
    assert np.abs(back[0] - image)[weight > 0].mean() < 6


@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0])
def test_the_view_ends_without_a_step(alignment: Alignment, angle: float) -> None:
    """From 1 to 0 over half a pixel of the view, by the distance to its outline."""
    size, pose = (480, 600), Pose(80.0, 64.0, (math.cos(angle), math.sin(angle)))
    view = np.zeros((1, *alignment.size), dtype=np.float32)
    _, weight = alignment.put_back(view, pose, *size)
    tall, wide = alignment.size
    for row, column in np.random.default_rng(0).integers(0, size, (500, 2)).tolist():
        dx = (column + 0.5) * alignment.width / size[1] - pose.x
        dy = (row + 0.5) * alignment.height / size[0] - pose.y
        t = (dx * pose.along[0] + dy * pose.along[1] - alignment.left) * alignment.scale
        u = (dy * pose.along[0] - dx * pose.along[1] - alignment.top) * alignment.scale
        expected = np.clip(2 * min(t, wide - t, u, tall - u), 0, 1)
        assert weight[row, column] == pytest.approx(expected, abs=1e-3)
    assert 0 < weight.mean() < 1
    assert ((weight > 0) & (weight < 1)).any()


@pytest.mark.parametrize("kind", SURFACES)
def test_surfaces_that_fill_the_picture_are_left_alone(kind: str) -> None:
    images = (make_surface(kind, (96, 96), np.random.default_rng(seed)) for seed in range(8))
    assert learn_alignment(look_at(images), (64, 64), 8, square=False) is None


def test_parts_that_lie_alike_and_fill_the_picture_are_left_alone(bolt: Bolt) -> None:
    images = [bolt((90, 170), (85, 45), 0, 160, seed=seed) for seed in range(8)]
    assert learn_alignment(look_at(images), (64, 64), 8, square=False) is None
    small = [bolt((240, 300), (150, 120), 0, 100, seed=seed) for seed in range(8)]
    found = learn_alignment(look_at(small), (64, 64), 8, square=False)
    assert found is not None, "small parts are cut out even so"


def test_the_view_grows_with_the_parts(bolt: Bolt) -> None:
    """A bolt is 160 px long and .4 of that wide; with the margins its box is some 179 by 84 px."""
    looks = look_at(many(bolt))
    sides = []
    for most in (64, 96, 500):
        found = learn_alignment(looks, (64, most), 8, square=True)
        assert found is not None
        sides.append(found.size[0])
    assert sides[:2] == [64, 96]
    assert sides[2] % 8 == 0
    assert sides[2] == pytest.approx(math.sqrt(179 * 84), rel=0.15)


def test_one_picture_in_twenty_may_show_no_part(bolt: Bolt) -> None:
    empty = np.random.default_rng(0).integers(195, 206, (240, 300), dtype=np.uint8)
    good = list(many(bolt, 19))
    assert learn_alignment(look_at([*good, empty]), (64, 64), 8, square=False) is not None
    assert learn_alignment(look_at([*good, empty, empty]), (64, 64), 8, square=False) is None
    assert learn_alignment([], (64, 64), 8, square=False) is None


def test_outlines_must_be_found_in_nearly_all_pictures_too(bolt: Bolt) -> None:
    looks = look_at(many(bolt, 12))
    blank = Look((240, 300), np.full_like(looks[0].grey, 200), has_part=True)
    assert learn_alignment([*looks, blank], (64, 64), 8, square=False) is None


def test_a_view_that_enlarges_parts_too_far_is_none(bolt: Bolt) -> None:
    """The bolt is 85 px long at the working size, 96 with its margins."""
    looks = look_at(many(bolt))
    assert learn_alignment(looks, (60 * 96, 60 * 96), 8, square=True) is not None
    assert learn_alignment(looks, (70 * 96, 70 * 96), 8, square=True) is None


def flanges(flange: Bolt, count: int, angles: float = np.pi) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(7)
    return [
        flange(
            (200, 260), (rng.uniform(80, 180), rng.uniform(75, 125)),
            rng.uniform(-angles, angles), 60, seed=seed,
        )
        for seed in range(count)
    ]  # fmt: skip


def test_parts_without_a_longer_axis_are_turned_by_what_they_show(flange: Bolt) -> None:
    images = flanges(flange, 24)
    found = learn_alignment(look_at(images), (64, 64), 8, square=True)
    assert found is not None
    assert found.turns
    assert not found.turned
    views = np.stack([found.view(image, 1)[0] for image in flanges(flange, 40)]).astype(float)
    assert np.abs(views - np.median(views, axis=0)).mean() < 2
    moved = found.model_copy(update={"dial": None})
    assert not moved.turns
    still = np.stack([moved.view(image, 1)[0] for image in images]).astype(float)
    assert np.abs(still - np.median(still, axis=0)).mean() > 5
    assert Alignment.model_validate_json(found.model_dump_json()) == found


def test_what_is_found_on_a_turned_flange_goes_back_to_its_place(flange: Bolt) -> None:
    found = learn_alignment(look_at(flanges(flange, 24)), (64, 64), 8, square=True)
    assert found is not None
    image = flange((200, 260), (120, 90), 2.0, 60)
    view, pose = found.view(image, 1)
    back, weight = found.put_back(view.astype(np.float32), pose, 200, 260)
    assert np.abs(back[0] - image)[weight == 1].mean() < 6


def test_a_lamp_that_turns_with_no_part_turns_none(flange: Bolt) -> None:
    """All parts lie alike under an uneven light: nothing is gained by turning."""
    found = learn_alignment(look_at(flanges(flange, 24, 0.0)), (64, 64), 8, square=True)
    assert found is not None
    assert not found.turns


def test_turned_parts_that_fill_the_picture_are_aligned(flange: Bolt) -> None:
    rng = np.random.default_rng(8)

    def filling(angle: float, seed: int) -> NDArray[np.uint8]:
        return flange((128, 128), (64, 64), angle, 60, seed=seed)

    turned = [filling(rng.uniform(-np.pi, np.pi), seed) for seed in range(16)]
    alike = [filling(0.3, seed) for seed in range(16)]
    found = learn_alignment(look_at(turned), (64, 64), 8, square=True)
    assert found is not None
    assert found.turns
    assert learn_alignment(look_at(alike), (64, 64), 8, square=True) is None


def test_round_parts_are_moved_and_not_turned() -> None:
    rng = np.random.default_rng(1)

    def disc() -> NDArray[np.uint8]:
        y, x = np.mgrid[:200, :260]
        inside = np.hypot(x - rng.uniform(70, 190), y - rng.uniform(60, 140)) < 45
        return np.clip(np.where(inside, 80, 200) + rng.normal(0, 2, x.shape), 0, 255).astype("u1")

    discs = [disc() for _ in range(12)]
    found = learn_alignment(look_at(discs), (64, 64), 8, square=True)
    assert found is not None
    assert not found.turns
    assert found.size == (64, 64)
    views = np.stack([found.view(image, 1)[0] for image in discs]).astype(float)
    assert np.abs(views - np.median(views, axis=0)).mean() < 4
    height, width = found.size
    assert np.abs(views[:, :, height // 2, width // 2] - 80).max() < 20


def test_it_survives_json(alignment: Alignment, alone: Alignment) -> None:
    for one in (alignment, alone):
        assert Alignment.model_validate_json(one.model_dump_json()) == one


def test_an_image_without_a_part_is_shown_as_it_lies(alignment: Alignment) -> None:
    view, pose = alignment.view(np.full((240, 300), 200, np.uint8), 1)
    assert not pose.found
    assert (view == 200).all()


def test_long_thin_parts_keep_room_for_the_blocks() -> None:
    """A view narrower than a mask block would stop the training of what needs no alignment."""
    rng = np.random.default_rng(2)

    def rod() -> NDArray[np.uint8]:
        y, x = np.mgrid[:300, :300] - 150.0
        angle = rng.uniform(0, np.pi)
        t, u = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        inside = (np.abs(t) < 130) & (np.abs(u) < 10)
        return np.clip(np.where(inside, 80, 200) + rng.normal(0, 2, x.shape), 0, 255).astype("u1")

    looks = look_at(rod() for _ in range(12))
    free = learn_alignment(looks, (64, 64), 8, square=False)
    found = learn_alignment(looks, (64, 64), 8, square=False, least=33)
    assert free is not None
    assert found is not None
    assert free.size[0] < 33
    assert found.size[0] == 40
    assert found.size[1] == free.size[1]


def test_strips_are_left_alone(bolt: Bolt) -> None:
    strip = np.pad(bolt((60, 100), (50, 30), 0.4, 50), ((0, 0), (0, 500)), mode="edge")
    assert strip.shape == (60, 600)
    assert learn_alignment(look_at([strip] * 8), (64, 64), 8, square=False) is None


def test_few_surfaces_are_looked_at() -> None:
    seen = []

    def surfaces() -> Iterator[NDArray[np.uint8]]:
        for seed in range(64):
            seen.append(seed)
            yield make_surface("rolled", (64, 64), np.random.default_rng(seed))

    assert learn_alignment(look_at(surfaces()), (64, 64), 8, square=False) is None
    assert len(seen) == 7
