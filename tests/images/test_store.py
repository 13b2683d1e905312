"""Good images decoded once: size, colour, and what could not be read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.configuration import make_settings
from burnish.errors import BurnishError
from burnish.images.reader import prepare, read_image
from burnish.images.store import load_store, model_size
from burnish.settings import Settings


def settings(**changes: object) -> Settings:
    small = {"image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (4,)}
    return make_settings("tiny", small | changes)


def write(folder: Path, *shapes: tuple[int, ...], suffix: str = "png") -> list[Path]:
    """Noise images of the given shapes."""
    rng, paths = np.random.default_rng(0), []
    for index, shape in enumerate(shapes):
        path = folder / f"{index:02d}.{suffix}"
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(100, 100)], (128, 128)),
        ([(500, 1270)], (80, 208)),  # 1270 / 500: sqrt is 1.594; 80.3 and 204 px
        ([(1270, 500)], (208, 80)),
        ([(100, 200), (100, 100), (200, 100)], (128, 128)),  # the median one
        ([(10, 4000)], (16, 2560)),  # never less than one patch
    ],
)
def test_aspect_keep(sizes: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    keep = settings(aspect="keep", image_size=128, patch=8, disc_patch=16)
    assert model_size(sizes, keep) == expected


@pytest.mark.parametrize("patches", [(8, 8), (8, 16), (4, 32), (16, 4)])
def test_sides_are_multiples_of_both_patches_at_about_the_same_area(
    patches: tuple[int, int],
) -> None:
    keep = settings(aspect="keep", image_size=256, patch=patches[0], disc_patch=patches[1])
    for size in [(300, 400), (211, 989), (1000, 333), (64, 64)]:
        height, width = model_size([size], keep)
        for side in (height, width):
            assert side % patches[0] == side % patches[1] == 0
        assert height * width == pytest.approx(256**2, rel=0.2)
        assert height / width == pytest.approx(size[0] / size[1], rel=0.25)


def test_a_discriminator_that_is_not_built_has_no_say_in_the_size() -> None:
    alone = {"aspect": "keep", "image_size": 248, "disc_patch": 16, "weight_adversarial": 0}
    assert model_size([(500, 1270)], settings(**alone)) == (152, 392)  # 155.6 and 395.2 px
    assert model_size([(100, 100)], settings(**alone)) == (248, 248)


def test_no_side_is_too_small_for_the_ssim_window() -> None:
    keep = settings(aspect="keep", patch=2, disc_patch=8, mask_blocks=(1,))
    height, width = model_size([(10, 4000)], keep)
    assert height == 16 >= 11  # 8 would leave the 11-tap window no place
    assert width > height


def test_square_squashes() -> None:
    assert model_size([(500, 1270)], settings(aspect="square")) == (32, 32)


@pytest.mark.parametrize(
    ("sizes", "kept", "square"),
    [
        ([(200, 200)], (256, 256), 256),  # never less than 256 px a side
        ([(640, 255)] * 3 + [(64, 64)], (608, 256), 384),  # 404 px a side: 384, the largest
        ([(300, 300)], (288, 288), 288),  # in whole patches
        ([(319, 321)], (288, 288), 288),
        ([(320, 320)], (320, 320), 320),
        ([(3000, 4000)], (320, 448), 384),
    ],
)
def test_the_input_grows_with_the_images(
    sizes: list[tuple[int, int]], kept: tuple[int, int], square: int
) -> None:
    assert model_size(sizes, make_settings("small", {"image_size": "auto"})) == kept
    squashed = make_settings("small", {"image_size": "auto", "aspect": "square"})
    assert model_size(sizes, squashed) == (square, square)
    fixed = make_settings("small", {"image_size": 256, "aspect": "square"})
    assert model_size(sizes, fixed) == (256, 256)


def test_pixels_are_what_inspection_prepares(tmp_path: Path) -> None:
    paths = write(tmp_path, (40, 80), (50, 100), (40, 80))
    store = load_store(paths, settings(aspect="keep"), 1)
    assert store.paths == paths
    assert store.sizes == [(40, 80), (50, 100), (40, 80)]
    assert store.skipped == store.notes == []
    for path, pixels in zip(paths, store, strict=True):
        assert pixels.dtype == np.uint8
        assert np.array_equal(pixels, prepare(read_image(path), 1, 24, 48))


@pytest.mark.parametrize(
    ("colour", "shapes", "channels"),
    [
        ("auto", [(32, 32)] * 3, 1),
        ("auto", [(32, 32), (32, 32, 3)], 3),  # one coloured image makes the model see colour
        ("grey", [(32, 32, 3)] * 2, 1),
        ("rgb", [(32, 32)] * 2, 3),
    ],
)
def test_colour_sets_the_number_of_channels(
    tmp_path: Path, colour: str, shapes: list[tuple[int, ...]], channels: int
) -> None:
    store = load_store(write(tmp_path, *shapes), settings(colour=colour), 1)
    assert store.channels == len(store[0]) == channels


@pytest.mark.parametrize("changes", [{}, {"tile": 16, "overlap": 4}])
def test_grey_stored_as_rgb_counts_as_grey(tmp_path: Path, changes: dict) -> None:
    """Of three equal channels one is shown, and that is what inspection makes of the file."""
    rng = np.random.default_rng(0)
    grey = np.stack([np.arange(256, dtype=np.uint8)] * 40)  # every level
    for name, pixels in {"a": grey, "b": rng.integers(0, 256, (50, 90), dtype=np.uint8)}.items():
        Image.fromarray(pixels).convert("RGB").save(tmp_path / f"{name}.png")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    store = load_store(paths, settings(**changes), 1)
    assert store.channels == 1
    for path, pixels in zip(paths, store, strict=True):
        height, width = pixels.shape[1:]
        assert np.array_equal(pixels, prepare(read_image(path), 1, height, width))
    if changes:
        assert np.array_equal(store[0][0], grey)
    # One coloured pixel far down, and it is a set of coloured images.
    coloured = np.stack([grey] * 3, axis=2)
    coloured[-1, -1, 2] ^= 1
    Image.fromarray(coloured).save(paths[0])
    assert load_store(paths, settings(**changes), 1).channels == 3
    assert load_store(paths, settings(colour="rgb"), 1).channels == 3


def test_tiles_are_cut_from_images_at_their_own_size(tmp_path: Path) -> None:
    paths = write(tmp_path, (40, 80), (50, 100), (7, 9))
    store = load_store(paths, settings(tile=16, overlap=4), 1)
    assert [image.shape for image in store] == [(1, 40, 80), (1, 50, 100), (1, 7, 9)]
    assert store.sizes == [(40, 80), (50, 100), (7, 9)]
    assert np.array_equal(store[1][0], read_image(paths[1]))


def test_notes_tell_what_is_left_out(tmp_path: Path) -> None:
    paths = write(tmp_path, (32, 32), (32, 32))
    pages = [Image.new("L", (32, 32), level) for level in (10, 20, 30)]
    pages[0].save(tmp_path / "02.tif", save_all=True, append_images=pages[1:])
    paths.append(tmp_path / "02.tif")
    for _ in range(2):  # decoded, and from the cache
        store = load_store(paths, settings(), 1)
        assert store.notes == [f"{tmp_path / '02.tif'}: it has 3 pages; the first is read"]
        assert (store[2] == 10).all()


def test_unreadable_files_are_skipped_and_named(tmp_path: Path) -> None:
    paths = write(tmp_path, *[(32, 32)] * 5)
    paths[1].write_bytes(paths[1].read_bytes()[:200])
    paths[3].write_text("no image")
    store = load_store(paths, settings(), 3)
    assert store.paths == [paths[0], paths[2], paths[4]]
    assert len(store) == 3
    assert len(store.skipped) == 2
    assert str(paths[1]) in store.skipped[0]
    assert f"{paths[3]} is not an image" in store.skipped[1]


def test_too_few_readable_files(tmp_path: Path) -> None:
    paths = write(tmp_path, *[(32, 32)] * 4)
    paths[2].write_bytes(b"")
    with pytest.raises(BurnishError, match=r"only 3 of 4.*at least 4.*02\.png is empty"):
        load_store(paths, settings(), 4)


def test_blocks_that_do_not_fit_the_kept_aspect(tmp_path: Path) -> None:
    paths = write(tmp_path, (10, 200))
    keep = settings(aspect="keep", image_size=64, mask_blocks=(4, 16))  # fits 64 x 64 px
    with pytest.raises(BurnishError, match="do not fit the model's input of 16 x 288"):
        load_store(paths, keep, 1)
    # The same images are in the cache by now, and the blocks fit no better.
    load_store(paths, keep.model_copy(update={"mask_blocks": (4,)}), 1)
    with pytest.raises(BurnishError, match="do not fit the model's input of 16 x 288"):
        load_store(paths, keep, 1)


# --- fingerprint ----------------------------------------------------------------------------------


def test_fingerprint_tells_names_contents_and_order_apart(tmp_path: Path) -> None:
    paths = write(tmp_path, (32, 32), (32, 32))
    expected = hashlib.sha256(
        b"".join(
            path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest()
            for path in paths
        )
    ).hexdigest()
    assert load_store(paths, settings(), 1).fingerprint == expected
    assert load_store(paths[::-1], settings(), 1).fingerprint != expected
    assert load_store(paths, settings(tile=16, overlap=4), 1).fingerprint == expected
    (tmp_path / "elsewhere").mkdir()
    moved = [Path(p.rename(tmp_path / "elsewhere" / p.name)) for p in paths]
    assert load_store(moved, settings(), 1).fingerprint == expected  # the folder does not matter
    Image.new("L", (32, 32)).save(moved[0])
    assert load_store(moved, settings(), 1).fingerprint != expected


def test_files_that_leave_out_the_same_are_told_of_once(tmp_path: Path) -> None:
    wide = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) << 5
    paths = [tmp_path / f"it has {i}.png" for i in range(4)]
    for path in paths[:3]:
        Image.fromarray(wide).save(path)
    Image.fromarray((wide >> 8).astype(np.uint8)).save(paths[3])
    settings = make_settings("tiny", {"image_size": 32, "mask_blocks": (8, 16)})
    (note,) = load_store(paths, settings, 1).notes
    assert note == f"{paths[0]}: it has 16 bits a channel; the upper 8 are read, and so of 2 more"
