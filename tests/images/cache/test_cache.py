"""The image cache: right pixels, whatever happens to the files, the process or the disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.configuration import make_settings
from burnish.errors import BurnishError
from burnish.images.cache import build as cache_build
from burnish.images.cache import plan as cache_plan
from burnish.images.cache.build import JOURNAL, _Gate
from burnish.images.cache.cache import CachedImages, open_cache
from burnish.images.cache.index import INDEX, read_index
from burnish.images.cache.room import cache_limit, cache_root, entries, remove
from burnish.images.reader import Header, prepare, read_image
from burnish.images.store import InputRecipe
from burnish.sampling import some_of
from burnish.settings import Settings


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BURNISH_CACHE_GB", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded from now on."""
    names: list[str] = []
    real = cache_build.read_once

    def counting(path, before):
        names.append(Path(path).name)
        return real(path, before)

    monkeypatch.setattr(cache_build, "read_once", counting)
    return names


def settings(**changes: object) -> Settings:
    small = {"image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (4,)}
    return make_settings("tiny", small | changes)


FIXED = InputRecipe(settings())
OWN = InputRecipe(settings(tile=16, overlap=4))


def picture(path: Path, shape: tuple[int, ...], seed: int) -> Path:
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def write(folder: Path, count: int, *shapes: tuple[int, ...]) -> list[Path]:
    """`count` PNG of noise; the shapes take turns."""
    folder.mkdir(exist_ok=True)
    return [picture(folder / f"{i:03d}.png", shapes[i % len(shapes)], seed=i) for i in range(count)]


def age(*paths: Path) -> None:
    """Wait until the files' last change lies so far back that stamps alone tell a later one."""
    newest = max(path.stat().st_ctime_ns for path in paths)
    time.sleep(max(0, newest + 2.05e9 - time.time_ns()) / 1e9)


def assert_right(cached: CachedImages, paths: list[Path], channels: int, size=None) -> None:
    """The slow obvious way gives the same pixels."""
    assert len(cached.records) == len(paths)
    for index, path in enumerate(paths):
        image = read_image(path)
        height, width = size or image.shape[:2]
        assert np.array_equal(cached.image(index), prepare(image, channels, height, width)), path


def entry(root: Path) -> Path:
    (found,) = entries(root)
    return found.folder


# --- pixels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 100])  # few: all headers are read first; many: a guess
def test_pixels_of_one_size(tmp_path: Path, count: int) -> None:
    paths = write(tmp_path / "images", count, (40, 60), (33, 70), (64, 64))
    assert_right(open_cache(paths, FIXED), paths, 1, (32, 32))
    assert_right(open_cache(paths, FIXED), paths, 1, (32, 32))  # and once more from the disk


def test_pixels_of_their_own_size(tmp_path: Path, root: Path) -> None:
    paths = write(tmp_path / "images", 20, (40, 60, 3), (33, 70), (3, 3, 3))
    cached = open_cache(paths, OWN)
    assert_right(cached, paths, 3)
    # Nothing lies between the images.
    assert usage_of_pixels(root) == sum(3 * r.source[0] * r.source[1] for r in cached.records)


MAKES = {
    "1": "png", "L": "png", "P": "png", "RGBA": "png", "LA": "png", "I;16": "png", "RGB": "png",
    "CMYK": "jpg", "YCbCr": "jpg", "F": "tif", "turned": "jpg", "lossy": "webp",
}  # fmt: skip


@pytest.mark.parametrize("colour", ["grey", "rgb", "auto"])
def test_every_make_gives_what_inspection_sees(tmp_path: Path, colour: str) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (50, 70), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    paths = []
    for make, suffix in MAKES.items():
        path = tmp_path / f"{make.replace(';', '')}.{suffix}"
        if make == "I;16":
            deep.save(path)
        elif make == "F":
            Image.fromarray(rng.random((50, 70), dtype=np.float32)).save(path)
        elif make == "turned":
            noise.save(path, exif=exif)
        else:
            (noise if make == "lossy" else noise.convert(make)).save(path)
        paths.append(path)
    for size in (None, (32, 32)):
        changes = {"tile": 16, "overlap": 4} if size is None else {}
        cached = open_cache(paths, InputRecipe(settings(colour=colour, **changes)))
        assert [record.error for record in cached.records] == [""] * len(paths)
        assert_right(cached, paths, 1 if colour == "grey" else 3, size)
        greys = {path.stem for path, r in zip(paths, cached.records, strict=True) if r.is_grey}
        assert greys == {"1", "L", "LA", "I16", "F"}


def usage_of_pixels(root: Path) -> int:
    (file,) = entry(root).glob("pixels-*.bin")
    return file.stat().st_size


def test_images_are_views_into_a_map_that_cannot_be_written(tmp_path: Path) -> None:
    cached = open_cache(write(tmp_path / "images", 3, (40, 60)), OWN)
    first, base = cached.image(0), cached.image(0)
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert np.shares_memory(first, base)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0] = 1


def test_the_file_that_holds_an_entry_is_closed_with_it(tmp_path: Path) -> None:
    cached = open_cache(write(tmp_path / "images", 2, (40, 60)), OWN)
    held = cached._held
    assert not held.closed
    del cached
    assert held.closed


def test_a_guess_that_is_wrong_costs_time_only(
    tmp_path: Path, root: Path, decoded: list[str]
) -> None:
    paths = write(tmp_path / "images", 100, (20, 20))
    sampled = set(some_of(paths, cache_plan.SAMPLE))
    odd = next(path for path in paths if path not in sampled)
    picture(odd, (20, 20, 3), seed=0)  # one coloured image, where nobody looked
    cached = open_cache(paths, FIXED)
    assert cached.layout.channels == 3
    assert_right(cached, paths, 3, (32, 32))
    assert len(decoded) == 200
    assert len(list(entry(root).glob("pixels-*.bin"))) == 1


def test_a_right_guess_decodes_once(tmp_path: Path, decoded: list[str]) -> None:
    paths = write(tmp_path / "images", 100, (20, 30))
    cached = open_cache(paths, InputRecipe(settings(aspect="keep")))
    assert cached.layout.size == (24, 40)
    assert sorted(decoded) == [path.name for path in paths]


def test_what_is_kept_is_not_decoded_again(tmp_path: Path, decoded: list[str]) -> None:
    paths = write(tmp_path / "images", 5, (40, 60))
    open_cache(paths, FIXED)
    assert len(decoded) == 5
    calls: list[tuple[int, int]] = []
    open_cache(paths, FIXED, lambda done, total: calls.append((done, total)))
    assert len(decoded) == 5
    assert calls == []
    open_cache(paths, OWN)  # another preparation is another entry
    assert len(decoded) == 10
    open_cache(paths[:4], FIXED)  # and so is another list
    assert len(decoded) == 14


def test_progress_ends_with_all(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    paths = write(tmp_path / "images", 70, (20, 20))
    open_cache(paths, FIXED, lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (70, 70)
    assert len(calls) > 3


def test_files_that_cannot_be_read_leave_the_others_in_place(
    tmp_path: Path, decoded: list[str]
) -> None:
    paths = write(tmp_path / "images", 9, (40, 60))
    for recipe in (FIXED, OWN):
        paths[1].write_text("no image")
        whole = paths[3].read_bytes()
        paths[3].write_bytes(whole[: len(whole) // 2])  # only decoding shows it
        paths[4].unlink()
        paths[5].unlink()
        os.mkfifo(paths[5])  # whoever opens it waits for ever
        cached = open_cache(paths, recipe)
        errors = {i: record.error for i, record in enumerate(cached.records) if record.error}
        assert list(errors) == [1, 3, 4, 5]
        assert errors[1] == f"{paths[1]} is not an image (PNG, JPEG, BMP, TIFF, WEBP are read)"
        assert str(paths[3]) in errors[3]
        assert errors[4] == f"no such file: {paths[4]}"
        assert errors[5] == f"{paths[5]} is a device or a pipe, not an image file"
        for i in {0, 2, 6, 7, 8}:
            image = read_image(paths[i])
            height, width = (32, 32) if recipe is FIXED else image.shape
            assert np.array_equal(cached.image(i), prepare(image, 1, height, width))
        decoded.clear()
        open_cache(paths, recipe)
        assert decoded == []  # what cannot be read is known, too
        paths[3].write_bytes(whole)  # repaired
        paths[5].unlink()
        for i in (1, 4, 5):
            picture(paths[i], (40, 60), seed=i)
        assert_right(open_cache(paths, recipe), paths, 1, (32, 32) if recipe is FIXED else None)
        assert set(decoded) == {paths[i].name for i in (1, 3, 4, 5)}


def test_only_files_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "a.png"
    bad.write_text("no image")
    for recipe in (FIXED, OWN):
        for _ in range(2):
            (record,) = open_cache([bad], recipe).records
            assert "is not an image" in record.error


# --- files that change ----------------------------------------------------------------------------


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("recipe", [FIXED, OWN], ids=["fixed", "own"])
def test_a_changed_file_is_noticed(
    tmp_path: Path, decoded: list[str], recipe: InputRecipe, settled: bool
) -> None:
    paths = write(tmp_path / "images", 10, (40, 60))
    for path in paths:
        Image.open(path).save(path.with_suffix(".bmp"))  # of which all have the same size
    paths = [path.with_suffix(".bmp") for path in paths]
    if settled:
        age(*paths)
    open_cache(paths, recipe)
    decoded.clear()
    before = paths[4].stat()
    picture(paths[4], (40, 60), seed=99)
    os.utime(paths[4], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = paths[4].stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    cached = open_cache(paths, recipe)
    assert decoded == ["004.bmp"]  # the others are copied
    assert_right(cached, paths, 1, (32, 32) if recipe is FIXED else None)


def test_a_change_within_one_tick_of_the_clock_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the clock had stood still: the stamp stays, only the content is another."""
    paths = write(tmp_path / "images", 3, (16, 16))
    open_cache(paths, FIXED)
    stamps = {str(path): path.stat() for path in paths}
    picture(paths[1], (16, 16), seed=99)
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda p, **k: stamps.get(str(p)) or real(p, **k))
    cached = open_cache(paths, FIXED)
    monkeypatch.undo()
    assert np.array_equal(cached.image(1), prepare(read_image(paths[1]), 1, 32, 32))


def test_a_touched_file_is_hashed_not_decoded(
    tmp_path: Path, root: Path, decoded: list[str]
) -> None:
    paths = write(tmp_path / "images", 10, (40, 60))
    age(*paths)
    open_cache(paths, FIXED)
    decoded.clear()
    os.utime(paths[4], (1, 1))
    paths[5].write_bytes(paths[5].read_bytes())
    open_cache(paths, FIXED)
    assert decoded == []
    index = read_index(entry(root))
    assert index is not None
    assert index.records[4].stamp.mtime_ns == 1_000_000_000
    assert_right(open_cache(paths, FIXED), paths, 1, (32, 32))


def test_a_file_that_turns_coloured_changes_all(tmp_path: Path) -> None:
    paths = write(tmp_path / "images", 5, (40, 60))
    assert open_cache(paths, FIXED).layout.channels == 1
    picture(paths[2], (40, 60, 3), seed=7)
    cached = open_cache(paths, FIXED)
    assert cached.layout.channels == 3
    assert_right(cached, paths, 3, (32, 32))


def test_who_reads_keeps_the_pixels_it_opened(tmp_path: Path) -> None:
    paths = write(tmp_path / "images", 5, (40, 60))
    first = open_cache(paths, FIXED)
    before = first.image(2).copy()
    picture(paths[2], (40, 60), seed=99)
    second = open_cache(paths, FIXED)
    assert np.array_equal(first.image(2), before)
    assert not np.array_equal(second.image(2), before)


# --- an entry that was damaged --------------------------------------------------------------------


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("pixels-*.bin", _cut),
        ("pixels-*.bin", Path.unlink),
        (INDEX, _cut),
        (INDEX, _flip),
        (INDEX, lambda path: path.write_text("")),
        (INDEX, lambda path: path.write_bytes(b"\xff\n\xff\n\xff\n")),
        (INDEX, Path.unlink),
    ],
)
def test_a_damaged_entry_is_made_again(
    tmp_path: Path, root: Path, decoded: list[str], name: str, damage
) -> None:
    paths = write(tmp_path / "images", 6, (40, 60))
    open_cache(paths, FIXED)
    (file,) = entry(root).glob(name)
    damage(file)
    decoded.clear()
    assert_right(open_cache(paths, FIXED), paths, 1, (32, 32))
    assert len(decoded) == 6
    assert len(list(entry(root).glob("pixels-*.bin"))) == 1


# --- builds that are killed, and builders that meet -----------------------------------------------

BUILDER = """
import sys, time
from pathlib import Path
from burnish.images.cache import build as cache_build
from burnish.images.cache import plan as cache_plan
from burnish.images.cache.cache import open_cache
from burnish.images.store import InputRecipe
from burnish.configuration import make_settings
folder, tile, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
small = {"image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (4,)}
if tile == "own":
    small |= {"tile": 16, "overlap": 4}
cache_build.FLUSH_SECONDS = 0.0
decoded = 0
real = cache_build.read_once
def counting(path, before):
    global decoded
    decoded += 1
    return real(path, before)
cache_build.read_once = counting
paths = sorted(folder.iterdir())
print("ready", flush=True)
cached = open_cache(paths, InputRecipe(make_settings("tiny", small)), lambda *a: time.sleep(pause))
import hashlib
whole = b"".join(cached.image(i).tobytes() for i in range(len(paths)))
print(decoded, hashlib.sha256(whole).hexdigest())
"""


def builder(folder: Path, kind: str, pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder), kind, str(pause)],
        stdout=subprocess.PIPE,
        text=True,
    )


def all_bytes(cached: CachedImages) -> str:
    digest = hashlib.sha256()
    for index in range(len(cached.records)):
        digest.update(cached.image(index).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("kind", ["fixed", "own"])
@pytest.mark.parametrize("lines", [1, 150])
def test_a_killed_build_goes_on_where_it_was(
    tmp_path: Path, root: Path, decoded: list[str], kind: str, lines: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    paths = write(tmp_path / "images", 300, (24, 20), (16, 30))
    recipe = FIXED if kind == "fixed" else OWN
    process = builder(tmp_path / "images", kind, pause=0.02)
    journal: list[Path] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        journal = list(root.glob(f"*/{JOURNAL}"))
        if journal and journal[0].read_bytes().count(b"\n") > lines:
            break
        assert process.poll() is None, "the build ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_index(journal[0].parent) is None  # half an entry is none
    (unfinished,) = entries(root)
    assert unfinished.files is None
    finished = {json.loads(line)[0] for line in journal[0].read_text().splitlines()[1:]}
    assert len(finished) >= lines
    with open(journal[0], "a") as file:
        file.write('[299, ["torn')  # as the line that was being written would be

    cached = open_cache(paths, recipe)
    assert sorted(decoded) == [p.name for i, p in enumerate(paths) if i not in finished]
    resumed = all_bytes(cached)
    assert not journal[0].exists()
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "other"))
    assert resumed == all_bytes(open_cache(paths, recipe))


def test_a_file_that_changed_after_the_kill_is_decoded_again(
    tmp_path: Path, root: Path, decoded: list[str]
) -> None:
    paths = write(tmp_path / "images", 40, (24, 20))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_cache(paths, FIXED, stop)
    finished = [
        json.loads(line)[0] for line in (entry(root) / JOURNAL).read_text().splitlines()[1:]
    ]
    assert finished
    picture(paths[finished[0]], (24, 20), seed=77)
    decoded.clear()
    assert_right(open_cache(paths, FIXED), paths, 1, (32, 32))
    assert paths[finished[0]].name in decoded
    assert len(decoded) == 40 - len(finished) + 1


def test_a_journal_of_another_plan_is_not_gone_on_with(tmp_path: Path, root: Path) -> None:
    paths = write(tmp_path / "images", 40, (24, 20))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_cache(paths, OWN, stop)
    picture(paths[0], (70, 50), seed=0)  # moves all that follow
    assert_right(open_cache(paths, OWN), paths, 1)
    assert len(list(entry(root).glob("pixels-*.bin"))) == 1


def test_a_kill_at_the_very_end_leaves_readers_alone(tmp_path: Path, root: Path) -> None:
    """The index counts already, the journal is still there: it must not be gone on with."""
    paths = write(tmp_path / "images", 5, (24, 20))
    first = open_cache(paths, FIXED)
    (pixels,) = entry(root).glob("pixels-*.bin")
    digest = cache_plan.make_plan([str(path) for path in paths], FIXED, False).digest
    (entry(root) / JOURNAL).write_text(json.dumps([digest, pixels.name]) + "\n")
    before = first.image(2).copy()
    picture(paths[2], (24, 20), seed=99)
    assert_right(open_cache(paths, FIXED), paths, 1, (32, 32))
    assert np.array_equal(first.image(2), before)
    assert not (entry(root) / JOURNAL).exists()


def test_two_builders_decode_once(tmp_path: Path) -> None:
    paths = write(tmp_path / "images", 200, (24, 20))
    processes = [builder(tmp_path / "images", "fixed", pause=0.05) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(int(words[1]) for words in outputs) == [0, 200]
    expected = hashlib.sha256()
    for path in paths:
        expected.update(prepare(read_image(path), 1, 32, 32).tobytes())
    assert {words[2] for words in outputs} == {expected.hexdigest()}


# --- room -----------------------------------------------------------------------------------------


def test_root_and_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("BURNISH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_root() == Path("/somewhere/burnish")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_root() == Path.home() / ".cache" / "burnish"
    assert cache_limit() == 20_000_000_000
    monkeypatch.setenv("BURNISH_CACHE_GB", "0.5")
    assert cache_limit() == 500_000_000
    for wrong in ("0", "-1", "many", "nan", "inf"):
        monkeypatch.setenv("BURNISH_CACHE_GB", wrong)
        with pytest.raises(BurnishError, match=f"BURNISH_CACHE_GB is '{wrong}'"):
            cache_limit()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_home() -> None:
    code = (
        "import os\nfrom burnish.images.cache.room import cache_root\n"
        "from burnish.errors import BurnishError\n"
        "for name in ('HOME', 'BURNISH_CACHE', 'XDG_CACHE_HOME'):\n    os.environ.pop(name, 0)\n"
        "os.setuid(54321)\n"
        "try:\n    cache_root()\nexcept BurnishError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no home folder for decoded images: set BURNISH_CACHE" in done.stdout


def test_the_cache_is_for_its_owner_alone(tmp_path: Path, root: Path) -> None:
    open_cache(write(tmp_path / "images", 1, (8, 8)), FIXED)
    assert root.stat().st_mode & 0o077 == 0


def test_a_root_that_is_a_file(tmp_path: Path, root: Path) -> None:
    root.write_text("")
    with pytest.raises(BurnishError, match=r"cannot keep decoded images in .*set BURNISH_CACHE"):
        open_cache(write(tmp_path / "images", 1, (8, 8)), FIXED)


def sets(tmp_path: Path, count: int) -> list[list[Path]]:
    """Sets whose pixels take 102,400 bytes each, their indices about a third of that."""
    return [write(tmp_path / f"set{i}", 100, (16, 16)) for i in range(count)]


def kept(root: Path) -> set[str]:
    return {Path(entry.data).name for entry in entries(root)}


def test_the_least_recently_used_goes(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURNISH_CACHE_GB", "0.0004")  # room for two, not for three
    one, two, three = sets(tmp_path, 3)
    open_cache(one, FIXED)
    open_cache(two, FIXED)
    time.sleep(0.01)
    open_cache(one, FIXED)  # used once more, after the other
    open_cache(three, FIXED)
    assert kept(root) == {"set0", "set2"}
    assert sum(entry.size for entry in entries(root)) <= 400_000


def test_what_is_in_use_stays(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_CACHE_GB", "0.0004")
    one, two, three = sets(tmp_path, 3)
    first = open_cache(one, FIXED)
    open_cache(two, FIXED)
    third = open_cache(three, FIXED)
    assert kept(root) == {"set0", "set2"}
    assert_right(first, one, 1, (32, 32))
    with pytest.raises(BurnishError, match=r"0\.2 MB in the cache.*in use: set BURNISH_CACHE_GB"):
        open_cache(two, FIXED)
    assert not remove(root, next(entry.folder for entry in entries(root)))
    del first
    open_cache(two, FIXED)
    assert kept(root) == {"set1", "set2"}
    assert_right(third, three, 1, (32, 32))


def test_a_set_above_the_limit(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    monkeypatch.setenv("BURNISH_CACHE_GB", "0.0001")
    (paths,) = sets(tmp_path, 1)
    message = (
        r"100 grey images of 32 x 32 px take 0\.2 MB in the cache, which may take 0\.1 MB: "
        r"set BURNISH_CACHE_GB to 0\.000(\d+) or more, or make them fewer or smaller"
    )
    with pytest.raises(BurnishError, match=message) as caught:
        open_cache(paths, FIXED)
    assert decoded == []
    # What the message says helps.
    monkeypatch.setenv("BURNISH_CACHE_GB", str(caught.value).split("_GB to ")[1].split()[0])
    open_cache(paths, FIXED)


def test_no_room_for_old_and_new_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    monkeypatch.setenv("BURNISH_CACHE_GB", "0.00025")
    (paths,) = sets(tmp_path, 1)
    open_cache(paths, FIXED)
    picture(paths[3], (16, 16), seed=999)
    decoded.clear()
    assert_right(open_cache(paths, FIXED), paths, 1, (32, 32))
    assert len(decoded) == 100  # there was nowhere to copy from


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache on a disk of 2 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no tmpfs can be mounted here: {error}")
    monkeypatch.setenv("BURNISH_CACHE", str(folder / "cache"))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_too_small_is_known_before_decoding(
    tmp_path: Path, small_disk: Path, decoded: list[str]
) -> None:
    paths = write(tmp_path / "images", 4, (900, 900))
    with pytest.raises(
        BurnishError, match=r"take 3\.2 MB .* has 2\.\d MB left: make room, or set BURNISH_CACHE "
    ):
        open_cache(paths, OWN)
    assert decoded == []
    assert not list(small_disk.rglob("pixels-*"))


def test_a_disk_that_fills_while_building(tmp_path: Path, small_disk: Path) -> None:
    paths = write(tmp_path / "images", 12, (400, 400))  # 1.9 MB
    filler = small_disk / "filler"

    def fill(done: int, total: int) -> None:
        with open(filler, "ab") as file:
            file.write(bytes(300_000))

    with pytest.raises(BurnishError, match=r"cannot keep .*No space left on device.*BURNISH_CACHE"):
        open_cache(paths, OWN, fill)
    assert [p for p in small_disk.rglob("*") if p.is_file() and p.suffix != ".lock"] == [filler]
    filler.unlink()
    assert_right(open_cache(paths, OWN), paths, 1)


def test_a_disk_that_is_full_when_the_entry_is_opened(tmp_path: Path, small_disk: Path) -> None:
    paths = write(tmp_path / "images", 4, (100, 100))
    open_cache(paths, OWN)
    age(*paths)
    open_cache(paths, OWN)  # writes the index: the stamps are settled now
    with pytest.raises(OSError), open(small_disk / "filler", "wb") as file:  # noqa: PT011
        file.write(bytes(4 << 20))
    assert_right(open_cache(paths, OWN), paths, 1)


# --- memory ---------------------------------------------------------------------------------------

LEAN = """
import resource, sys
from pathlib import Path
import numpy as np
from burnish.images.cache.cache import open_cache
from burnish.images.store import InputRecipe
from burnish.configuration import make_settings
small = {"image_size": 32, "patch": 8, "disc_patch": 8, "mask_blocks": (4,), "colour": "rgb"}
recipe = InputRecipe(make_settings("tiny", small | {"tile": 16, "overlap": 4}))
def held(field):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split(field + ":")[1].split()[0])
limit = held("VmData") + (120 << 20)  # data and threads' stacks: all that is not a mapped file
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.ones(200 << 20, np.uint8)
    sys.exit("the limit does not hold")
except MemoryError:
    pass
paths = sorted(Path(sys.argv[1]).iterdir())
before = held("RssAnon")
for _ in range(2):  # built, then read
    cached = open_cache(paths, recipe)
    order = np.random.default_rng(0).permutation(len(paths))
    total = sum(int(cached.image(i).sum()) for i in order)
print(len(paths), total, held("RssAnon") - before)
"""


@pytest.mark.slow
def test_a_set_larger_than_memory(tmp_path: Path, root: Path) -> None:
    """315 MB of pixels, with room for 120 MiB."""
    folder = tmp_path / "images"
    folder.mkdir()
    for level in range(100):
        Image.new("L", (1024, 1024), level).save(folder / f"{level:03d}.png", compress_level=1)
    done = subprocess.run(
        [sys.executable, "-c", LEAN, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, total, growth = map(int, done.stdout.split())
    assert (count, total) == (100, 3 * 1024 * 1024 * sum(range(100)))
    assert usage_of_pixels(root) == 100 * 3 * 1024 * 1024
    assert growth < 80e6
    shutil.rmtree(root)


def test_the_gate_bounds_what_is_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_build, "DECODING", 100 * cache_build.PER_PIXEL)
    gate, lock = _Gate(), threading.Lock()
    now = most = 0

    def decode(pixels: int) -> None:
        nonlocal now, most
        with gate.room() as ask:
            ask(Header("PNG", "L", 8, pixels, 1, 1))
            with lock:
                now += pixels
                most = max(most, now)
            time.sleep(0.005)
            with lock:
                now -= pixels

    threads = [threading.Thread(target=decode, args=(40,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 80
    decode(1000)  # larger than all there is: alone, but not never
    assert most == 1000


def test_a_file_larger_than_any_that_is_read_is_not_hashed(
    tmp_path: Path, decoded: list[str]
) -> None:
    paths = write(tmp_path / "in", 3, (20, 30))
    paths[1].write_bytes(b"")
    os.truncate(paths[1], (1 << 30) + 1)  # takes no room on the disk
    for _ in range(2):
        cache = open_cache(paths, FIXED)
        assert [record.content == "" for record in cache.records] == [False, True, False]
        assert "has 1,073,741,825 bytes" in cache.records[1].error
    assert len(decoded) == 2  # once each
