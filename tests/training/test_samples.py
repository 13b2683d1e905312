"""What training draws: whole images, crops, and regions of interest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from burnish.configuration import make_settings
from burnish.training.batches import draw_batch
from burnish.training.samples import Samples


def coordinates(height: int, width: int) -> np.ndarray:
    """uint8 (2, H, W) whose channels are row and column, so that a crop tells where it is from."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns]).astype(np.uint8)


IMAGES = [coordinates(100, 180), coordinates(64, 64), coordinates(40, 200)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_whole_images_are_drawn_by_number() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 8), dtype=np.uint8)
    samples = Samples(images, [4, 1, 3])
    assert len(samples) == 3
    assert samples.shape == (1, 8, 8)
    pixels, inside = samples.batch([2, 0], rng())
    assert np.array_equal(pixels, images[[3, 4]])
    assert inside is None
    found = list(samples.references(9, 0))
    assert sorted(number for number, _, _ in found) == [1, 3, 4]
    assert all(np.array_equal(pixels, images[number]) for number, pixels, _ in found)


def test_an_epoch_of_crops_covers_each_image_once() -> None:
    samples = Samples(IMAGES, [0, 1, 2], tile=32)
    assert len(samples) == 4 * 6 + 2 * 2 + 2 * 7
    assert np.bincount(samples.owners).tolist() == [24, 4, 14]
    assert samples.shape == (2, 32, 32)
    assert len(list(samples.references(10, 0))) == 10


def test_crops_are_pieces_at_full_resolution_and_reach_every_border() -> None:
    samples = Samples(IMAGES, [0], tile=32)
    pixels, inside = samples.batch(np.zeros(2000, dtype=int), rng())
    assert inside is None
    tops, lefts = pixels[:, 0, 0, 0], pixels[:, 1, 0, 0]
    for piece, top, left in zip(pixels[:50], tops, lefts, strict=False):
        assert np.array_equal(piece, IMAGES[0][:, top : top + 32, left : left + 32])
    assert (tops.min(), tops.max(), lefts.min(), lefts.max()) == (0, 68, 0, 148)
    assert (tops == 0).mean() > 3 / 69  # borders more often than a place in the middle


def test_an_image_smaller_than_the_tile_says_what_was_filled_in() -> None:
    samples = Samples([coordinates(20, 50), coordinates(50, 50)], [0, 1], tile=32)
    _, inside = samples.batch([0, len(samples) - 1], rng())
    assert inside is not None
    assert inside.shape == (2, 1, 32, 32)
    assert inside[0, 0, :20].all()
    assert not inside[0, 0, 20:].any()
    assert inside[1].all()


def test_crops_lie_on_the_region() -> None:
    region = np.zeros((100, 180), dtype=bool)
    region[60:90, 120:170] = True  # 8 % of the image
    samples = Samples(IMAGES, [0], tile=32, roi=region)
    pixels, inside = samples.batch(np.zeros(200, dtype=int), rng())
    assert inside is not None
    for piece, seen in zip(pixels, inside, strict=True):
        top, left = piece[0, 0, 0], piece[1, 0, 0]
        assert np.array_equal(seen[0], region[top : top + 32, left : left + 32])
    shares = inside.mean(axis=(1, 2, 3))
    assert (shares >= 0.25).mean() > 0.9
    assert shares.max() > 0.8


def test_no_crop_misses_a_small_region_of_a_large_image() -> None:
    region = np.zeros((100, 180), dtype=bool)
    region[97:, 3:6] = True  # one of 2000 pixels, in a corner
    samples = Samples(IMAGES, [0], tile=16, roi=region)
    pixels, inside = samples.batch(np.zeros(300, dtype=int), rng())
    assert inside is not None
    assert inside.any(axis=(1, 2, 3)).all()
    for piece, seen in zip(pixels, inside, strict=True):
        top, left = piece[0, 0, 0], piece[1, 0, 0]
        assert np.array_equal(seen[0], region[top : top + 16, left : left + 16])


def test_batches_belong_to_seed_and_step_and_hide_what_is_outside() -> None:
    settings = make_settings("tiny", {"flips": "both", "jitter": 0.1, "tile": 32, "seed": 3,
                                      "mask_blocks": (8,), "overlap": 8})  # fmt: skip
    region = np.zeros((100, 180), dtype=bool)
    region[:, 60:] = True
    samples = Samples(IMAGES, [0], tile=32, roi=region)
    one, two, other = (draw_batch(samples, settings, step, 8, 3) for step in (5, 5, 6))
    assert np.array_equal(one.images, two.images)
    assert one.scale == two.scale
    assert not np.array_equal(one.images, other.images)
    assert one.inside is not None
    assert not one.inside.all()
    outside = ~one.inside.expand_as(one.images)
    assert (one.images[outside] == 0).all()
    assert (one.images[~outside] != 0).float().mean() > 0.95


def test_every_sample_is_seen_once_an_epoch() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1).repeat(16, 2).repeat(16, 3)
    settings = make_settings("tiny", {"flips": "none", "seed": 1})
    samples = Samples(images, range(12))
    seen = [draw_batch(samples, settings, step, 4, 3).images[:, 0, 0, 0] for step in range(3)]
    levels = np.rint((np.concatenate(seen) + 1) * 127.5)
    assert sorted(levels) == list(range(12))


def test_what_fills_no_whole_batch_sits_out_and_others_do_the_next_time() -> None:
    images = np.arange(11, dtype=np.uint8).reshape(11, 1, 1, 1).repeat(16, 2).repeat(16, 3)
    settings, samples = make_settings("tiny", {"flips": "none"}), Samples(images, range(11))
    steps = [draw_batch(samples, settings, step, 4, 3).images[:, 0, 0, 0] for step in range(40)]
    epochs = [set(np.rint((np.concatenate(steps[n : n + 2]) + 1) * 127.5)) for n in range(0, 40, 2)]
    assert {len(seen) for seen in epochs} == {8}  # 3 of 11 sit out
    assert set.union(*epochs) == set(range(11))


def test_the_order_changes_from_epoch_to_epoch() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1).repeat(16, 2).repeat(16, 3)
    settings = make_settings("tiny", {"flips": "none", "seed": 1})
    samples = Samples(images, range(12))
    orders = []
    for epoch in range(4):
        steps = range(3 * epoch, 3 * epoch + 3)
        seen = [draw_batch(samples, settings, step, 4, 3).images[:, 0, 0, 0] for step in steps]
        orders.append(tuple(np.rint((np.concatenate(seen) + 1) * 127.5)))
        assert sorted(orders[-1]) == list(range(12))
    assert len(set(orders)) == 4


def test_scale_mirror_lamp_and_crop_are_drawn_anew_at_each_step() -> None:
    changes = {"tile": 32, "seed": 3, "mask_blocks": (8,), "overlap": 8, "flips": "none"}
    crops = Samples(IMAGES, [0], tile=32)
    plain = make_settings("tiny", changes)
    batches = [draw_batch(crops, plain, step, 1, 3) for step in range(60)]
    scales = [batch.scale for batch in batches]
    assert min(scales.count(scale) for scale in range(3)) > 8
    assert len({tuple(batch.images[0, :, 0, 0].tolist()) for batch in batches}) > 50
    whole = Samples(np.stack([IMAGES[1]]), [0])  # level: row and column
    mirrored = make_settings("tiny", {"flips": "both", "jitter": 0.0})
    corners = [draw_batch(whole, mirrored, step, 1, 3).images[0, :, 0, 0] for step in range(60)]
    found = [tuple((corner > -0.9).tolist()) for corner in corners]
    assert min(found.count((row, column)) for row in (0, 1) for column in (0, 1)) > 6
    lamp = make_settings("tiny", {"flips": "none", "jitter": 0.1})
    means = [float(draw_batch(whole, lamp, step, 1, 3).images.mean()) for step in range(60)]
    assert len(set(means)) == 60
    assert 0.25 < np.ptp(means) < 0.42  # twice 0.1 of a range of 2, and a little by clipping


def test_mirroring_by_itself_leaves_out_what_no_good_part_shows() -> None:
    some = rng().integers(0, 256, (6, 1, 40, 40)).astype(np.uint8)

    def drawn(flips: str, mirrored: bool) -> torch.Tensor:
        settings = make_settings("tiny", {"flips": flips})
        samples = Samples(some, range(6), mirrored=mirrored)
        return torch.cat([draw_batch(samples, settings, step, 4, 1).images for step in range(8)])

    assert torch.equal(drawn("auto", True), drawn("both", True))
    assert torch.equal(drawn("auto", False), drawn("none", True))
    assert torch.equal(drawn("both", False), drawn("both", True)), "what is asked for is done"
    assert not torch.equal(drawn("both", True), drawn("none", True))


def test_levelled_batches_have_one_brightness() -> None:
    roi = np.zeros((40, 40), dtype=np.bool_)
    roi[5:30, 8:33] = True
    rng = np.random.default_rng(0)
    some = rng.integers(0, 90, (6, 1, 40, 40)).astype(np.uint8)
    settings = make_settings("tiny", {"flips": "both", "jitter": 0.1, "level_light": True})
    for region in (None, roi):
        batch = draw_batch(Samples(some, range(6), roi=region), settings, 0, 4, 1)
        seen = torch.ones_like(batch.images) if batch.inside is None else batch.inside.float()
        means = (batch.images * seen).sum(dim=(1, 2, 3)) / seen.sum(dim=(1, 2, 3))
        torch.testing.assert_close(means, torch.zeros(4), atol=1e-5, rtol=0)
        assert (batch.images[seen == 0] == 0).all()


@pytest.mark.parametrize("tile", ["full", 32])
def test_images_are_not_copied_into_memory(tile: object) -> None:
    read: list[int] = []

    class Watched:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> np.ndarray:
            read.append(index)
            return IMAGES[1]

    samples = Samples(Watched(), [0, 2], tile=tile)  # type: ignore[arg-type]
    len(samples)
    read.clear()
    samples.batch([0], rng())
    assert set(read) == {0}


def test_references_show_views_that_take_turns_alike() -> None:
    """Names in order: of 600 images every other one is of another camera."""
    images = np.zeros((600, 1, 2, 2), dtype=np.uint8)
    samples = Samples(images, range(600))
    drawn = [number for number, _, _ in samples.references(200, 0)]
    assert len(set(drawn)) == 200
    assert 75 < sum(number % 2 for number in drawn) < 125
    assert drawn != sorted(drawn)  # halves by order of appearance hold both kinds
