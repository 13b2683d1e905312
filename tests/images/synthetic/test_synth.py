"""The data set on disk: layout, seeds, completion after an interruption, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.synthetic.defects import DEFECTS
from burnish.images.synthetic.surfaces import SURFACES, make_surface
from burnish.images.synthetic.synth import write_dataset


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.mode == "L"
        return np.asarray(image)


def test_layout_of_mvtec(tmp_path: Path) -> None:
    out = write_dataset(tmp_path / "a/set", train=3, good=2, defects=7, size=(48, 64))
    assert out == tmp_path / "a/set"
    expected = {"synth.json", "manifest.csv"}
    expected |= {f"train/good/{index:03d}.png" for index in range(3)}
    expected |= {f"test/good/{index:03d}.png" for index in range(2)}
    for kind, count in zip(DEFECTS, (2, 2, 1, 1, 1), strict=True):
        expected |= {f"test/{kind}/{index:03d}.png" for index in range(count)}
        expected |= {f"ground_truth/{kind}/{index:03d}_mask.png" for index in range(count)}
    assert set(tree(out)) == expected
    for path in out.rglob("*.png"):
        assert read(path).shape == (48, 64)
    assert json.loads((out / "synth.json").read_text())["size"] == [48, 64]


def test_masks_mark_exactly_what_was_drawn(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, train=0, good=0, defects=10, surface="cast", seed=4)
    for key, kind in enumerate(DEFECTS, start=1):
        for index in range(2):
            seed = np.random.SeedSequence(4, spawn_key=(1, key, index))
            flawless = make_surface("cast", (128, 128), np.random.default_rng(seed))
            mask = read(out / f"ground_truth/{kind}/{index:03d}_mask.png")
            differs = read(out / f"test/{kind}/{index:03d}.png") != flawless
            assert set(np.unique(mask)) == {0, 255}
            assert not differs[mask == 0].any()
            assert differs[mask == 255].mean() > 0.9


def test_an_image_depends_on_its_place_and_the_seed_alone(tmp_path: Path) -> None:
    small = tree(write_dataset(tmp_path / "s", train=2, good=1, defects=5, size=(40, 40)))
    large = tree(write_dataset(tmp_path / "l", train=6, good=4, defects=12, size=(40, 40)))
    other = tree(write_dataset(tmp_path / "o", train=2, good=1, defects=5, size=(40, 40), seed=1))
    images = [name for name in small if name.endswith(".png")]
    assert all(small[name] == large[name] for name in images)
    assert all(small[name] != other[name] for name in images if "mask" not in name)
    shown = [content for name, content in large.items() if "ground_truth" not in name]
    assert len(set(shown)) == len(shown), "no two images of a set are the same"


def test_mixed_goes_through_all_surfaces(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, train=8, good=0, defects=5, surface="mixed")
    for index in range(8):
        seed = np.random.SeedSequence(0, spawn_key=(0, 0, index))
        expected = make_surface(SURFACES[index % 4], (128, 128), np.random.default_rng(seed))
        assert np.array_equal(read(out / f"train/good/{index:03d}.png"), expected)


def test_second_call_writes_nothing(tmp_path: Path) -> None:
    def stamps() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    write_dataset(tmp_path, train=3, good=2, defects=5, size=(40, 40))
    before = stamps()
    write_dataset(tmp_path, train=3, good=2, defects=5, size=(40, 40))
    assert stamps() == before


@pytest.mark.parametrize(
    "lost", ["train/good/001.png", "test/pit/000.png", "ground_truth/crack/000_mask.png"]
)
def test_missing_files_are_made_again(tmp_path: Path, lost: str) -> None:
    settings: dict[str, Any] = {"train": 3, "good": 2, "defects": 5, "size": (40, 40)}
    before = tree(write_dataset(tmp_path, **settings))
    (tmp_path / lost).unlink()
    assert tree(write_dataset(tmp_path, **settings)) == before


def test_killed_run_is_completed(kill_in_the_middle: Callable, tmp_path: Path) -> None:
    """A real `kill -9` in the middle, then the same call: the same set as an unbroken run."""
    settings: dict[str, Any] = {"train": 400, "good": 2, "defects": 5, "size": (64, 64)}
    broken = tmp_path / "broken"
    code = (
        "from burnish.images.synthetic.synth import write_dataset;"
        f"write_dataset({str(broken)!r}, **{settings!r})"
    )
    kill_in_the_middle(code, broken, "train/good/*.png")
    assert len(list(broken.glob("train/good/*.png"))) < 400, "killed too late to test anything"
    write_dataset(broken, **settings)
    whole = write_dataset(tmp_path / "whole", **settings)
    assert tree(broken) == tree(whole)


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=1, good=0, defects=0, size=(40, 40))
    before = tree(tmp_path)
    with pytest.raises(BurnishError, match=r"other settings: surface brushed \(wanted cast\), tra"):
        write_dataset(tmp_path, train=2, good=0, defects=0, size=(40, 40), surface="cast")
    assert tree(tmp_path) == before


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(BurnishError, match="not empty"):
        write_dataset(tmp_path, train=1, good=0, defects=0)
    assert set(tree(tmp_path)) == {"holiday.jpg"}


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    with pytest.raises(BurnishError, match="is a file"):
        write_dataset(tmp_path / "set", train=1, good=0, defects=0)


@pytest.mark.parametrize("content", ["{", "[1]", "\xff\xfe"])
def test_broken_settings_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "synth.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(BurnishError, match="Delete the folder or choose another"):
        write_dataset(tmp_path, train=1, good=0, defects=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": -1}, "train is -1"),
        ({"good": -2}, "good is -2"),
        ({"defects": -3}, "defects is -3"),
        ({"seed": -4}, "seed is -4"),
        ({"size": (31, 128)}, "size 31x128 is too small"),
        ({"size": (128, 31)}, "size 128x31 is too small"),
        ({"surface": "mixd"}, "Did you mean 'mixed'"),
    ],
)
def test_bad_settings_write_nothing(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {"train": 1, "good": 1, "defects": 1} | change
    with pytest.raises(BurnishError, match=message):
        write_dataset(tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()
