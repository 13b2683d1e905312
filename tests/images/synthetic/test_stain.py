"""Stained sets on disk: what is held out and drawn on, exact masks, resuming, refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.dataset import find_test_images, find_training_images
from burnish.images.manifest import read_manifest, write_manifest
from burnish.images.preparing.record import RECORD
from burnish.images.reader import read_image
from burnish.images.synthetic.defects import DISCOLOURATION, STAINS
from burnish.images.synthetic.stain import stain
from burnish.images.synthetic.stain_plan import Request
from burnish.images.synthetic.surfaces import make_surface

PART = r"part\d+"


def fill(folder: Path, parts: int = 10, views: int = 2, size: tuple[int, int] = (48, 64)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(parts):
        for view in range(views):
            rng = np.random.default_rng((part, view))
            pixels = make_surface("cast", size, rng)
            Image.fromarray(pixels).save(folder / f"part{part:02d}_{view}.png")
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MVTec AD layout, 10 parts in two views each; its test images are garbage, not to be read."""
    root = tmp_path_factory.mktemp("shop")
    fill(root / "train/good")
    for name in ("test/good/part00_9.png", "test/scratch/part01_9.png"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(b"not to be read")
    return root


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def part_of(path: str) -> str:
    found = re.search(PART, path)
    assert found
    return found[0]


def test_every_held_out_image_once_good_and_once_defective(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = stain(shop, out, Request(part=PART, holdout=0.3))
    learn, test = find_training_images(out), find_test_images(out)
    good = {image.path.name for image in test if not image.is_defect}
    flawed = {image.path.name for image in test if image.is_defect}
    assert (len(learn), len(good), len(flawed)) == (14, 6, 6)
    assert good == flawed
    assert all(image.mask for image in test if image.is_defect)
    assert not {part_of(path.name) for path in learn} & {part_of(name) for name in good}
    assert done.parts == {"train": 7, "test": 3, "both": 0}
    assert (done.status, done.train, sum(done.test.values())) == ("written", 14, 12)
    assert done.masks == 6
    assert all("part00_9" not in name and "part01_9" not in name for name in tree(out))
    rows = read_manifest(out)
    assert rows is not None
    assert Counter(row.part for row in rows if row.split == "test") == dict.fromkeys(
        {part_of(name) for name in good}, 4
    )
    assert {row.path for row in rows} == {
        path.relative_to(out).as_posix() for path in (*learn, *(image.path for image in test))
    }
    for row in rows:
        assert (row.height, row.width) == (48, 64)
        assert row.source == f"train/good/{Path(row.path).name}"


def test_pixels_and_masks(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stain(shop, out, Request(part=PART, holdout=0.3, per_image=len(STAINS)))
    kinds = Counter()
    for image in find_test_images(out):
        source = read_image(shop / "train/good" / image.path.name)
        shown = read_image(image.path)
        if image.mask is None:
            assert np.array_equal(shown, source)
            continue
        kinds[image.kind] += 1
        mask = read_image(image.mask)
        assert set(np.unique(mask)) == {0, 255}
        assert np.array_equal(shown[mask == 0], source[mask == 0])
        assert (shown != source)[mask > 0].mean() > 0.8
    assert kinds == dict.fromkeys(STAINS, 6)


def test_discolourations_of_colour_images(brass: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = stain(brass, out, Request(holdout=0.3, kinds=(*STAINS, DISCOLOURATION), per_image=2))
    assert done.test[DISCOLOURATION] > 0
    for image in find_test_images(out):
        if image.kind == DISCOLOURATION:
            assert image.mask is not None
            source, shown = (
                read_image(brass / "train/good" / image.path.name),
                read_image(image.path),
            )
            assert np.abs(shown.astype(int).sum(axis=2) - source.sum(axis=2)).max() <= 3
            assert np.array_equal(
                shown[read_image(image.mask) == 0], source[read_image(image.mask) == 0]
            )


def test_grey_images_cannot_be_discoloured(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(
        BurnishError, match=r"--kinds discolouration: .*\.png is grey: leave it out"
    ):
        stain(shop, out, Request(part=PART, kinds=("dent", DISCOLOURATION)))
    assert not list(out.glob("*"))
    stain(shop, out, Request(part=PART, kinds=("dent",)))


def test_training_files_are_the_same_files(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stain(shop, out, Request(part=PART))
    for path in find_training_images(out):
        assert path.samefile(shop / "train/good" / path.name)


def test_where_links_are_impossible_files_are_copied(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    out = tmp_path / "out"
    stain(shop, out, Request(part=PART))
    for path in find_training_images(out):
        assert path.stat().st_nlink == 1
        assert path.read_bytes() == (shop / "train/good" / path.name).read_bytes()


def test_parts_of_the_manifest(shop: Path, tmp_path: Path) -> None:
    """Its part column says what no file name tells: views 0 are one part, all others their own."""
    data = tmp_path / "data"
    stain(shop, tmp_path / "first", Request(part=PART))
    shutil.copytree(shop / "train", data / "train")
    rows = read_manifest(tmp_path / "first")
    assert rows is not None
    write_manifest(
        data,
        [
            type(row)(f"train/good/{name}", row.sha256, "train", "good", "good", "",
                      "zero" if name.endswith("_0.png") else name, "", 64, 48)
            for row, name in zip(rows, sorted(os.listdir(data / "train/good")), strict=False)
        ],
    )  # fmt: skip
    for seed in range(3):
        out = tmp_path / f"out{seed}"
        stain(data, out, Request(seed=seed))
        sides = {"zero": {path.parent.parent.name for path in out.glob("t*/*/*_0.png")}}
        assert len(sides["zero"]) == 1
    out = tmp_path / "pattern"
    stain(data, out, Request(part=PART))
    held = {part_of(path.name) for path in out.glob("test/good/*.png")}
    assert not held & {part_of(path.name) for path in out.glob("train/good/*.png")}


def test_a_defect_depends_on_seed_name_kind_alone(shop: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in sorted((shop / "train/good").iterdir())[4:]:
        shutil.copy(path, fewer)
    request = Request(part=PART, holdout=0.5, kinds=("pit",), per_image=2)
    stain(shop, tmp_path / "a", request)
    stain(fewer, tmp_path / "b", request)
    stain(fewer, tmp_path / "c", Request(part=PART, holdout=0.5, kinds=("pit",), seed=1))
    a, b, c = (tree(tmp_path / name) for name in "abc")
    both = {name for name in set(a) & set(b) if "/pit/" in name}
    assert len(both) >= 8
    assert any("-2" in name for name in both)
    assert all(a[name] == b[name] for name in both)
    other = {name for name in set(a) & set(c) if "test/pit/" in name}
    assert other
    assert all(a[name] != c[name] for name in other)
    shown = [content for name, content in a.items() if "test/" in name]
    assert len(set(shown)) == len(shown)


def test_kinds_in_turn_and_repeats(shop: Path, tmp_path: Path) -> None:
    # Of 10 parts two fifths are held out.
    done = stain(shop, tmp_path / "o", Request(part=PART, kinds=("dent", "pit"), per_image=3))
    assert done.test == {"good": 8, "dent": 12, "pit": 12}
    names = {path.stem for path in (tmp_path / "o").glob("test/*/*.png")}
    assert sum(name.endswith("-2") for name in names) == 8


def test_strength_scales_the_change(shop: Path, tmp_path: Path) -> None:
    change = {}
    for strength in (0.5, 2.0):
        out = tmp_path / str(strength)
        stain(shop, out, Request(part=PART, strength=strength, kinds=("stain",)))
        change[strength] = np.mean([
            np.abs(
                read_image(path).astype(int) - read_image(out / "test/good" / path.name)
            ).max()
            for path in out.glob("test/stain/*.png")
        ])  # fmt: skip
    assert change[2.0] / change[0.5] == pytest.approx(4.0, rel=0.2)


def test_share_of_defects_at_the_edges(shop: Path, tmp_path: Path) -> None:
    """The others stay as they are without."""
    made = {}
    for edges in (0.0, 0.5, 1.0):
        out = tmp_path / str(edges)
        request = Request(part=PART, kinds=("stain", "dent"), per_image=8, edges=edges)
        stain(shop, out, request)
        made[edges] = {
            path.relative_to(out).as_posix(): read_image(path) > 0
            for path in out.glob("ground_truth/*/*.png")
        }
    none, half, every = made.values()
    moved = [name for name in none if not np.array_equal(none[name], half[name])]
    assert 0.25 * len(none) < len(moved) < 0.75 * len(none)
    assert all(np.array_equal(half[name], every[name]) for name in moved)

    def reach(masks: dict[str, NDArray[np.bool_]]) -> int:
        return sum(
            bool(m[:2].any() or m[-2:].any() or m[:, :2].any() or m[:, -2:].any())
            for m in masks.values()
        )

    assert reach(every) > 0.8 * len(every)
    assert reach(none) < 0.5 * len(none)


def test_a_record_of_before_edges(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stain(shop, out, Request(part=PART))
    record = out / RECORD
    known = json.loads(record.read_text())
    del known["recipe"]["edges"]
    record.write_text(json.dumps(known))
    assert stain(shop, out, Request(part=PART)).status == "already there"
    with pytest.raises(BurnishError, match="edges was 0"):
        stain(shop, out, Request(part=PART, edges=0.1))


def test_too_faint_to_see(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match=r"part.*changes nothing; choose a larger --strength"):
        stain(shop, tmp_path / "out", Request(part=PART, strength=0.001))


def test_second_run_changes_nothing(shop: Path, tmp_path: Path) -> None:
    def stamps() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    first = stain(shop, tmp_path / "out", Request(part=PART))
    before = stamps()
    again = stain(shop, tmp_path / "out", Request(part=PART))
    assert stamps() == before
    assert again.status == "already there"
    assert (again.train, again.test, again.parts) == (first.train, first.test, first.parts)


@pytest.mark.parametrize(
    ("pattern", "altered"),
    [
        ("train/good/*.png", False), ("test/good/*.png", False), ("test/pit/*.png", False),
        ("ground_truth/pit/*.png", False), ("manifest.csv", False),
        ("test/good/*.png", True), ("test/pit/*.png", True), ("ground_truth/pit/*.png", True),
        ("manifest.csv", True),
    ],
)  # fmt: skip
def test_what_is_lost_or_altered_is_mended(
    shop: Path, tmp_path: Path, pattern: str, altered: bool
) -> None:
    out = tmp_path / "out"
    stain(shop, out, Request(part=PART, holdout=0.4))
    before = tree(out)
    victim = sorted(out.glob(pattern))[0]
    if altered:
        victim.write_bytes(victim.read_bytes()[:-20] + b"x" * 20)
    else:
        victim.unlink()
    done = stain(shop, out, Request(part=PART, holdout=0.4))
    assert done.status == "mended"
    assert any("mended" in note for note in done.notes)
    after = tree(out)
    assert {k: v for k, v in after.items() if not k.startswith(".")} == {
        k: v for k, v in before.items() if not k.startswith(".")
    }
    assert stain(shop, out, Request(part=PART, holdout=0.4)).status == "already there"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"strength": 2.0}, "strength was 1.0 and is now 2.0"),
        ({"kinds": ("pit",)}, "kinds was"),
        ({"per_image": 2}, "per_image was 1"),
        ({"part": ""}, "part was"),
        ({"roi": "0,0 60,0 60,40 0,40"}, "roi was"),
        ({"on_part": True}, "on_part was False"),
        ({"edges": 0.5}, "edges was 0.0 and is now 0.5"),
    ],
)
def test_other_settings_are_refused(shop: Path, tmp_path: Path, change: dict, message: str) -> None:
    out = tmp_path / "out"
    stain(shop, out, Request(part=PART, holdout=0.3))
    before = tree(out)
    with pytest.raises(BurnishError, match=message):
        stain(shop, out, Request(**({"part": PART, "holdout": 0.3} | change)))
    assert tree(out) == before


def test_changed_source_is_refused(tmp_path: Path) -> None:
    data = fill(tmp_path / "data")
    stain(data, tmp_path / "out", Request(part=PART))
    fill(tmp_path / "data", parts=11)
    with pytest.raises(BurnishError, match="the source's content has changed"):
        stain(data, tmp_path / "out", Request(part=PART))


def test_killed_run_is_resumed(kill_in_the_middle: Callable, tmp_path: Path) -> None:
    """A real `kill -9` in the middle, then the same call: the same set as an unbroken run."""
    data = fill(tmp_path / "data", parts=12, views=1, size=(100, 100))
    broken = tmp_path / "broken"
    code = (
        "from burnish.images.synthetic.stain import stain;"
        "from burnish.images.synthetic.stain_plan import Request;"
        f"stain({str(data)!r}, {str(broken)!r}, Request(holdout=0.7, per_image=6))"
    )
    kill_in_the_middle(code, broken, "test/*/*.png")
    assert not (broken / "manifest.csv").exists(), "killed too late to test anything"
    request = Request(holdout=0.7, per_image=6)
    assert stain(data, broken, request).status == "resumed"
    stain(data, tmp_path / "whole", request)
    assert tree(broken) == tree(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_disk_without_room(tmp_path: Path) -> None:
    """No file may grow beyond 6 kB in the process: what a full disk does to a write."""
    data = fill(tmp_path / "data", size=(128, 128))
    code = (
        "import resource; from burnish.errors import BurnishError;"
        "from burnish.images.synthetic.stain import stain\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        f"try:\n    stain({str(data)!r}, {str(tmp_path / 'out')!r})\n"
        "except BurnishError as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert re.match(r"cannot write .*\.png: File too large", result.stdout)
    assert not list((tmp_path / "out").rglob("*.part"))
    assert stain(data, tmp_path / "out").status == "resumed"


def test_what_cannot_be_used_is_left_out_and_named(tmp_path: Path) -> None:
    data = fill(tmp_path / "data")
    whole = (data / "part03_0.png").read_bytes()
    (data / "part03_0.png").write_bytes(whole[: len(whole) // 2])
    (data / "part04_0.png").write_bytes(b"")
    Image.new("L", (64, 31), 90).save(data / "part05_0.png")
    shutil.copy(data / "part00_0.png", data / "part06_0.png")
    done = stain(data, tmp_path / "out", Request(part=PART))
    assert set(done.left_out) == {f"part0{n}_0.png" for n in (3, 4, 5, 6)}
    assert "64x31 px; at least 32 px a side" in done.left_out["part05_0.png"]
    assert "byte for byte, as part00_0.png" in done.left_out["part06_0.png"]
    assert str(tmp_path) not in "".join(done.left_out.values())
    rows = read_manifest(tmp_path / "out")
    assert rows is not None
    assert not {Path(row.source).name for row in rows} & set(done.left_out)
    assert len({row.source for row in rows}) == 16
    assert stain(data, tmp_path / "out", Request(part=PART)).left_out == done.left_out


def test_colour_jpeg_sixteen_bits_and_names_alike(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rng = np.random.default_rng(0)
    for index in range(10):
        colour = rng.integers(90, 160, (40, 50, 3), np.uint8)
        Image.fromarray(colour).save(data / f"a {index}.jpg", quality=95)
        Image.fromarray(colour[:, :, 0]).save(data / f"a {index}.png")
        wide = (colour[:, :, 1].astype(np.uint16) << 8) + 7
        Image.fromarray(wide).save(data / f"b{index}.tif")
    out = tmp_path / "out"
    done = stain(data, out, Request(holdout=0.6, per_image=6))
    assert not done.left_out
    rows = read_manifest(out)
    assert rows is not None
    assert len({row.path for row in rows}) == len(rows)
    seen = set()
    for row in rows:
        source, shown = read_image(data / row.source), read_image(out / row.path)
        seen.add((Path(row.source).suffix, row.split))
        assert shown.shape == source.shape
        if row.kind == "good":
            assert np.array_equal(shown, source)
        else:
            mask = read_image(out / row.mask) > 0
            assert np.array_equal(shown[~mask], source[~mask])
            assert row.path.endswith(".png")
    assert len(seen) == 6
    assert all("  " not in row.path and " " not in row.path for row in rows)


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    data = fill(tmp_path / "data")
    try:
        os.rename(data / "part00_0.png", os.fsencode(data) + b"/part00_\xff.png")
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    assert stain(data, tmp_path / "out", Request(part=PART, holdout=0.2)).train == 16


def polygon(*corners: tuple[int, int]) -> str:
    return " ".join(f"{x},{y}" for x, y in corners)


def test_region_of_interest(shop: Path, tmp_path: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[10:31, 20:51] = 255
    Image.fromarray(mask).save(tmp_path / "roi.png")
    for number, roi in enumerate(
        (polygon((20, 10), (50, 10), (50, 30), (20, 30)), str(tmp_path / "roi.png"))
    ):
        out = tmp_path / str(number)
        stain(shop, out, Request(part=PART, holdout=0.3, per_image=6, roi=roi))
        union = np.zeros((48, 64), np.bool_)
        for path in out.glob("ground_truth/*/*.png"):
            union |= read_image(path) > 0
        assert union.any()
        assert not union[mask == 0].any()
    assert tree(tmp_path / "0/ground_truth") == tree(tmp_path / "1/ground_truth")
    mask[:] = 255
    Image.fromarray(mask).save(tmp_path / "roi.png")
    with pytest.raises(BurnishError, match="roi was"):
        stain(shop, out, Request(part=PART, holdout=0.3, per_image=6, roi=roi))


def test_a_region_longer_than_a_file_name_may_be(shop: Path, tmp_path: Path) -> None:
    roi = polygon((20, 10), (50, 10), (50, 30), *[(20, 30)] * 60)
    assert len(roi) > 255
    assert stain(shop, tmp_path / "out", Request(part=PART, holdout=0.3, roi=roi)).masks > 0


def test_region_too_small(shop: Path, tmp_path: Path) -> None:
    roi = polygon((20, 10), (21, 10), (20, 11))
    with pytest.raises(
        BurnishError, match=r"part\d\d_\d\.png: the region .* too small or too thin"
    ):
        stain(shop, tmp_path / "out", Request(part=PART, roi=roi))


def test_defects_stay_on_the_part(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    bars: dict[str, NDArray[np.bool_]] = {}
    for index in range(12):
        rng = np.random.default_rng(index)
        bar = np.zeros((120, 120), np.bool_)
        top = 20 + 4 * index
        bar[top : top + 30, 10:110] = True
        image = np.where(bar, 90, 205) + rng.normal(0, 4, bar.shape)
        Image.fromarray(image.astype(np.uint8)).save(data / f"{index:02d}.png")
        bars[f"{index:02d}"] = bar
    request = Request(on_part=True, per_image=6, holdout=0.4)
    done = stain(data, tmp_path / "out", request)
    assert not done.left_out
    masks = list((tmp_path / "out").glob("ground_truth/*/*.png"))
    assert len(masks) == 30
    for path in masks:
        assert not (read_image(path) > 0)[~bars[path.stem.removesuffix("_mask")]].any()

    fill(data, parts=8)  # surfaces that fill the picture: nothing to keep off
    done = stain(data, tmp_path / "mixed", request)
    learnt = {path.stem for path in (tmp_path / "mixed").glob("train/good/*")}
    assert done.left_out
    assert all("no plain background" in why for why in done.left_out.values())
    assert all(name.startswith("part") for name in done.left_out)
    assert any(name.startswith("part") for name in learnt), "to learn from, they are good"


def test_no_part_found_at_all(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match=r"no plain background .* 4 images held out"):
        stain(shop, tmp_path / "out", Request(part=PART, holdout=0.2, on_part=True))
    assert not (tmp_path / "out").exists()


def test_notes_on_parts_few_images_and_strangers(shop: Path, tmp_path: Path) -> None:
    done = stain(shop, tmp_path / "a", Request(holdout=0.7))
    assert any("a part of its own" in note and "--part REGEX" in note for note in done.notes)
    assert any("train/good holds 6 images" in note for note in done.notes)
    (tmp_path / "a/test/good/mine.png").write_bytes(b"")
    done = stain(shop, tmp_path / "a", Request(holdout=0.7))
    assert any("1 files" in note and "test/good/mine.png" in note for note in done.notes)
    assert not stain(shop, tmp_path / "b", Request(part=PART)).notes


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"part": "("}, "not a regular expression"),
        ({"holdout": 0.0}, "a share between 0 and 1"),
        ({"holdout": 1.0}, "a share between 0 and 1"),
        ({"holdout": float("nan")}, "a share between 0 and 1"),
        ({"kinds": ()}, "give each kind once"),
        ({"kinds": ("pit", "pit")}, "give each kind once"),
        ({"kinds": ("scrach",)}, "Did you mean 'scratch'"),
        ({"kinds": ("good",)}, "no defect 'good'"),
        ({"per_image": 0}, "1 to 100"),
        ({"per_image": 101}, "1 to 100"),
        ({"strength": 0.0}, "above 0"),
        ({"strength": float("inf")}, "above 0"),
        ({"edges": -0.1}, "a share from 0 to 1"),
        ({"edges": float("nan")}, "a share from 0 to 1"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_bad_settings(setting: dict, message: str) -> None:
    with pytest.raises(BurnishError, match=message):
        Request(**setting)


def test_unusable_folders_leave_nothing_behind(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    for index in range(9):
        (broken / f"{index}.png").write_bytes(b"nothing")
    for data, request, message in (
        (tmp_path / "none", Request(), "no such folder"),
        (tmp_path / "empty", Request(), "holds 0 images"),
        (broken, Request(), "none of the 9 images in .* can be used"),
        (shop, Request(part="part"), "all 20 images are of one part, 'part'"),
        (shop, Request(part=PART, roi="nowhere.png"), "neither a file nor a polygon"),
    ):
        with pytest.raises(BurnishError, match=message):
            stain(data, out, request)
        assert not out.exists()


def test_folders_that_are_not_ours_are_left_alone(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(BurnishError, match="holds other files"):
        stain(shop, tmp_path)
    with pytest.raises(BurnishError, match="is a file"):
        stain(shop, tmp_path / "holiday.jpg")
    for inside in (shop, shop / "stained", shop / "train/good"):
        with pytest.raises(BurnishError, match="must not become its own source"):
            stain(shop, inside)
    assert set(tree(tmp_path)) == {"holiday.jpg"}


@pytest.mark.slow
def test_large_photographs(tmp_path: Path) -> None:
    """4000 x 3000 px: less than 3 s a defect, drawing and writing, on one core."""
    data = tmp_path / "data"
    data.mkdir()
    small = make_surface("cast", (300, 400), np.random.default_rng(0))
    large = np.kron(small, np.ones((10, 10), np.uint8))
    for index in range(8):
        Image.fromarray(np.roll(large, 100 * index, axis=1)).save(data / f"{index}.jpg")
    start = time.process_time()
    done = stain(data, tmp_path / "out", Request(holdout=0.1, per_image=6))
    drawn = sum(done.test.values()) - done.test["good"]
    assert drawn == 6
    assert (time.process_time() - start) / drawn < 3.0
