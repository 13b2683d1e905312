"""Mirroring and lamp changes of training images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from burnish.training.augment import augment

PIXELS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (64, 3, 5, 6), dtype=np.uint8))
PLAIN = PIXELS.float() / 127.5 - 1


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_without_changes_pixels_map_to_minus_one_and_one() -> None:
    images = augment(PIXELS, "none", 0.0, rng())[0]
    assert images.dtype == torch.float32
    assert torch.equal(images, PLAIN)
    ends = augment(torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2), "none", 0, rng())[
        0
    ]
    assert ends.flatten().tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("flips", "axes"),
    [("horizontal", [(), (2,)]), ("vertical", [(), (1,)]), ("both", [(), (1,), (2,), (1, 2)])],
)
def test_each_image_is_mirrored_on_its_own_with_chance_one_half(
    flips: str, axes: list[tuple[int, ...]]
) -> None:
    counts = dict.fromkeys(axes, 0)
    for seed in range(8):
        for plain, image in zip(PLAIN, augment(PIXELS, flips, 0.0, rng(seed))[0], strict=True):
            (match,) = [a for a in axes if torch.equal(image, plain.flip(a))]
            counts[match] += 1
    expected = 8 * 64 / len(axes)
    for count in counts.values():
        assert count == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_lamp_shifts_brightness_and_scales_contrast_of_each_image() -> None:
    grey = (PIXELS // 4 + 96).to(torch.uint8)  # far from the ends: nothing is clipped
    plain = grey.float() / 127.5 - 1
    jitter = 0.1
    images = augment(grey, "none", jitter, rng())[0]
    shifts = (images.mean(dim=(1, 2, 3)) - plain.mean(dim=(1, 2, 3))) / 2  # share of the range
    scales = images.std(dim=(1, 2, 3)) / plain.std(dim=(1, 2, 3))
    for drawn in (shifts, scales - 1):
        assert drawn.abs().max() <= jitter + 1e-5
        assert drawn.abs().max() > 0.8 * jitter  # the whole span is used
        assert drawn.mean().abs() < 0.3 * jitter
        assert len(drawn.unique()) > 60  # each image on its own
    rebuilt = plain.mean(dim=(1, 2, 3), keepdim=True) + 2 * shifts[:, None, None, None]
    rebuilt = rebuilt + scales[:, None, None, None] * (
        plain - plain.mean(dim=(1, 2, 3), keepdim=True)
    )
    torch.testing.assert_close(images, rebuilt, rtol=0, atol=1e-5)


def test_the_lamp_of_an_image_is_not_that_of_others() -> None:
    dark, bright = PIXELS[:32] // 4, PIXELS[32:] // 4 + 190
    alone = augment(torch.cat([dark, dark]), "none", 0.2, rng())[0]
    among = augment(torch.cat([dark, bright]), "none", 0.2, rng())[0]
    assert torch.equal(among[:32], alone[:32])


def test_lamp_clips_as_a_camera_would() -> None:
    images = augment(PIXELS, "none", 0.5, rng())[0]
    assert images.min() == -1
    assert images.max() == 1


def test_same_generator_same_result() -> None:
    once, again = (augment(PIXELS, "both", 0.2, rng(3))[0] for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, augment(PIXELS, "both", 0.2, rng(4))[0])


def test_the_same_numbers_are_drawn_whatever_the_settings() -> None:
    after = set()
    for flips in ("none", "horizontal", "both"):
        for jitter in (0.0, 0.3):
            generator = rng(5)
            augment(PIXELS, flips, jitter, generator)
            after.add(generator.random())
    assert len(after) == 1


def test_the_stored_pixels_are_not_touched() -> None:
    before = PIXELS.clone()
    augment(PIXELS, "both", 0.5, rng())
    assert torch.equal(PIXELS, before)


def test_the_region_is_mirrored_with_its_image() -> None:
    marks = torch.randint(0, 2, PIXELS[:, :1].shape, generator=torch.Generator().manual_seed(0))
    images, inside = augment(marks.to(torch.uint8) * 255, "both", 0.0, rng(), marks.bool())
    assert inside is not None
    assert torch.equal(images > 0, inside)
    assert not torch.equal(inside, marks.bool())
