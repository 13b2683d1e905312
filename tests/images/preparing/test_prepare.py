"""`prepare`: what is written, what is left out, and that nothing is lost when it is cut short."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.errors import BurnishError
from burnish.images.dataset import find_test_images
from burnish.images.formats.base import Options
from burnish.images.manifest import ManifestRow, read_manifest
from burnish.images.parts import parts_of
from burnish.images.preparing.prepare import Request, prepare
from burnish.images.preparing.record import locked

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def encoded(pixels: np.ndarray, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def grey(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def sorted_set(root: Path, good: int = 20, bad: int = 6) -> Path:
    """Folders good and scratch; every picture differs."""
    files = {f"good/{n:03d}.png": encoded(grey(n)) for n in range(good)}
    files |= {f"scratch/{n:03d}.png": encoded(grey(1000 + n)) for n in range(bad)}
    mark = np.zeros((16, 16), np.uint8)
    mark[2:4, 5:9] = 1
    files |= {f"masks/scratch/{n:03d}.png": encoded(mark) for n in range(bad)}
    return put(root, files)


def state(root: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of change of every file."""
    return {p.relative_to(root).as_posix(): (p.read_bytes(), p.stat().st_mtime_ns)
            for p in sorted(root.rglob("*")) if p.is_file()}  # fmt: skip


def contents(root: Path) -> dict[str, bytes]:
    return {name: content for name, (content, _) in state(root).items()}


def manifest(out: Path) -> list[ManifestRow]:
    rows = read_manifest(out)
    assert rows is not None
    return rows


def test_the_layout_the_bytes_and_the_manifest(tmp_path: Path) -> None:
    source, out = sorted_set(tmp_path / "in"), tmp_path / "out"
    prepared = prepare(source, out)
    assert (prepared.status, prepared.format, prepared.left_out) == ("prepared", "folder", {})
    assert (prepared.train, prepared.test) == (14, {"good": 6, "scratch": 6})
    assert (prepared.masks, prepared.parts) == (6, {"train": 14, "test": 12, "both": 0})
    rows = manifest(out)
    assert len(rows) == 26
    for row in rows:
        data = (out / row.path).read_bytes()
        assert data == (source / row.source).read_bytes()
        assert row.sha256 == hashlib.sha256(data).hexdigest()
        assert row.path.startswith(f"{row.split}/{row.kind}/")
        assert (row.label, row.width, row.height) == (
            "good" if row.kind == "good" else "defect", 16, 16,
        )  # fmt: skip
    written = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    known = {row.path for row in rows} | {row.mask for row in rows if row.mask}
    assert written == known | {"manifest.csv", ".prepare.json"}
    tests = find_test_images(out)  # as training and evaluation see it
    assert Counter(test.kind for test in tests) == {"good": 6, "scratch": 6}
    for test in tests:
        if test.is_defect:
            assert test.mask is not None
            with Image.open(test.mask) as mask:
                pixels = np.asarray(mask)
            assert set(np.unique(pixels)) == {0, 255}
            assert pixels.sum() == 8 * 255


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_gives_what_its_folder_gives(tmp_path: Path, kind: str) -> None:
    source = sorted_set(tmp_path / "in")
    archive = tmp_path / f"set.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(source.rglob("*.png")):
                file.write(path, path.relative_to(source))
    else:
        with tarfile.open(archive, "w:gz" if kind.endswith("gz") else "w") as file:
            file.add(source, ".")
    prepare(source, tmp_path / "a")
    prepare(archive, tmp_path / "b")
    one, other = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert one.pop(".prepare.json") != other.pop(".prepare.json")  # the digest differs
    assert one == other


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    source, out = sorted_set(tmp_path / "in"), tmp_path / "out"
    first = prepare(source, out)
    before = state(out)
    second = prepare(source, out)
    assert second.status == "already there"
    assert state(out) == before
    assert second.to_dict() | {"status": "prepared"} == first.to_dict()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(seed=1), "seed was 0 and is now 1"),
        (Request(train=0.5), "train was 0.7 and is now 0.5"),
        (Request("folder", Options(good=("good/*",))), r"good was \[\] and is now \['good/\*'\]"),
    ],
)
def test_another_request_is_refused(tmp_path: Path, request_: Request, said: str) -> None:
    source, out = sorted_set(tmp_path / "in"), tmp_path / "out"
    prepare(source, out)
    before = state(out)
    with pytest.raises(BurnishError, match=f"was prepared otherwise: {said}"):
        prepare(source, out, request_)
    assert state(out) == before


def test_a_changed_source_is_refused(tmp_path: Path) -> None:
    source, out = sorted_set(tmp_path / "in"), tmp_path / "out"
    prepare(source, out)
    put(source, {"good/new.png": encoded(grey(5000))})
    with pytest.raises(BurnishError, match="the source's content has changed"):
        prepare(source, out)


def test_a_source_that_was_only_touched_is_the_same(tmp_path: Path) -> None:
    source, out = sorted_set(tmp_path / "in"), tmp_path / "out"
    prepare(source, out)
    before = state(out)
    touched = source / "masks/scratch/000.png"
    os.utime(touched, (1, 1))
    assert prepare(source, out).status == "already there"
    assert state(out) == before
    with pytest.raises(BurnishError, match=r"otherwise: seed was 0 and is now 1\. Choose"):
        prepare(source, out, Request(seed=1))
    (out / "manifest.csv").unlink()
    assert prepare(source, out).status == "mended"
    touched.write_bytes(touched.read_bytes()[:-1] + b"x")  # of the same size
    with pytest.raises(BurnishError, match="the source's content has changed"):
        prepare(source, out)


def test_altered_and_deleted_files_are_mended(tmp_path: Path) -> None:
    source, out = sorted_set(tmp_path / "in"), tmp_path / "out"
    prepare(source, out)
    whole = state(out)
    rows = manifest(out)
    image = next(row for row in rows if row.split == "train")
    defect = next(row for row in rows if row.mask)
    for spoil in (
        lambda: (out / image.path).unlink(),
        lambda: (out / image.path).write_bytes(encoded(grey(77))),
        lambda: (out / defect.mask).unlink(),
        lambda: (out / defect.mask).write_bytes(encoded(grey(78))),
        lambda: (out / "manifest.csv").unlink(),
        lambda: (out / "manifest.csv").write_text("rubbish"),
        lambda: shutil.rmtree(out / "test"),
    ):
        spoil()
        prepared = prepare(source, out)
        assert prepared.status == "mended"
        assert contents(out) == {name: content for name, (content, _) in whole.items()}
        assert prepare(source, out).status == "already there"
    untouched = next(row for row in rows if row.split == "train" and row != image)
    assert (out / untouched.path).stat().st_mtime_ns == whole[untouched.path][1]


def test_files_that_were_added_are_named_and_left_alone(tmp_path: Path) -> None:
    source, out = sorted_set(tmp_path / "in"), tmp_path / "out"
    prepare(source, out)
    put(out, {"train/good/mine.png": encoded(grey(9)), "notes.txt": b"words"})
    prepared = prepare(source, out)
    assert prepared.status == "already there"
    assert "1 files in" in prepared.notes[-1]
    assert prepared.notes[-1].endswith("train/good/mine.png")
    assert (out / "train/good/mine.png").exists()


def test_folders_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    source = sorted_set(tmp_path / "in")
    other = put(tmp_path / "other", {"precious.txt": b"x"})
    with pytest.raises(BurnishError, match=r"holds other files \(precious.txt, \.\.\.\)"):
        prepare(source, other)
    assert contents(other) == {"precious.txt": b"x"}
    with pytest.raises(BurnishError, match="is a file"):
        prepare(source, other / "precious.txt")
    for inside in (source, source / "out", source / "good"):
        with pytest.raises(BurnishError, match="must not become its own source"):
            prepare(source, inside)
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(BurnishError, match="must not become its own source"):
        prepare(source, tmp_path / "link" / "out")
    for text in (b'{"recipe": ', b"[]", b'{"recipe": 3}', b'{"recipe": {}, "finished": true}',
                 b'{"recipe": {}, "finished": true, "summary": 3}', b"\xff",
                 b"[" * 100_000):  # fmt: skip
        damaged = put(tmp_path / "damaged", {".prepare.json": text})
        with pytest.raises(BurnishError, match=r"\.prepare\.json is damaged"):
            prepare(source, damaged)
    (tmp_path / "empty").mkdir()
    assert prepare(source, tmp_path / "empty").status == "prepared"


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    source = sorted_set(tmp_path / "in")
    whole = encoded(grey(3, 64))
    put(source, {
        "good/empty.png": b"", "good/cut.png": whole[:-200], "good/text.png": b"not an image",
        "good/picture.gif": b"GIF89a", "good/gif.png": encoded(grey(4), "GIF"),
    })  # fmt: skip
    prepared = prepare(source, tmp_path / "out")
    assert prepared.train + prepared.test["good"] == 20
    assert set(prepared.left_out) == {
        "good/empty.png", "good/cut.png", "good/text.png", "good/gif.png",
    }  # fmt: skip
    assert "empty (0 bytes)" in prepared.left_out["good/empty.png"]
    assert any("1 files are of a format that is not read" in n and "picture.gif" in n
               for n in prepared.notes)  # fmt: skip
    record = json.loads((tmp_path / "out" / ".prepare.json").read_text())
    assert record["summary"]["left_out"] == prepared.left_out


def test_nothing_usable_is_an_error_and_leaves_no_trace(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"good/a.png": b"junk", "good/b.png": b""})
    with pytest.raises(BurnishError, match=r"holds no image that can be used\. good/a\.png: "):
        prepare(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(BurnishError, match="no such file or folder"):
        prepare(tmp_path / "gone", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_suffixes_follow_the_content(tmp_path: Path) -> None:
    source = sorted_set(tmp_path / "in")
    put(source, {"good/jpeg.png": encoded(grey(50), "JPEG"), "good/UP.PNG": encoded(grey(51))})
    prepared = prepare(source, tmp_path / "out")
    paths = {row.source: row.path for row in manifest(tmp_path / "out")}
    assert paths["good/jpeg.png"].endswith("/jpeg.jpg")
    assert paths["good/UP.PNG"].endswith("/UP.png")
    assert [n for n in prepared.notes if "contradicts" in n] == [
        "1 images have a suffix that contradicts their content; it is corrected: good/jpeg.png"
    ]


def test_hostile_names_stay_inside(tmp_path: Path) -> None:
    rows = ["path,label,kind"]
    kinds = ["../../evil", "/etc", "..", "good", "GOOD", "a/b", "x\x1b[31m", "CON", "", "é", "a:b",
             "x" * 300]  # fmt: skip
    files = {}
    for n, kind in enumerate(kinds):
        rows.append(f"i{n}.png,bad,{kind}")
        files[f"i{n}.png"] = encoded(grey(n))
    names = ["-rf.png", "a b.png", "a_b.png", "A_B.png", "a;b.png", ".x/..y.png", "nul.png",
             "q_mask.png", "q.png", "ü.png", "y" * 200 + ".png"]  # fmt: skip
    for n, name in enumerate(names):
        rows.append(f"n/{name},ok,")
        files[f"n/{name}"] = encoded(grey(100 + n))
    files["t.csv"] = "\n".join(rows).encode()
    out = tmp_path / "deep" / "out"
    prepared = prepare(put(tmp_path / "in", files), out, Request("csv"))
    assert {p.name for p in tmp_path.iterdir()} == {"in", "deep"}
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"out"}
    assert len(prepared.left_out) == 3
    assert "it is not there" in prepared.left_out["n/.x/..y.png"]  # hidden: no file of a source
    assert "the label bad and the kind good" in prepared.left_out["i3.png"]
    assert "the label bad and the kind GOOD" in prepared.left_out["i4.png"]
    found = manifest(out)
    assert len(found) == len(kinds) + len(names) - 3
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")
    lowered = [row.path.lower() for row in found]
    assert len(set(lowered)) == len(lowered)  # also where a and A are one
    for row in found:
        assert set(row.path) <= allowed
        assert all(part[0] not in ".-" and len(part) < 120 for part in row.path.split("/"))
        assert (out / row.path).resolve().is_relative_to(out.resolve())
        assert (row.kind == "good") == (row.label == "good")
    assert "_CON" in {row.kind for row in found}


def test_the_mask_of_another_image_is_never_taken(tmp_path: Path) -> None:
    """`a_mask.png` beside `a.png`: masks are found by name, and this one must not be."""
    mark = np.zeros((16, 16), np.uint8)
    mark[1, 1] = 1
    source = sorted_set(tmp_path / "in", bad=0)
    put(source, {"dent/a.png": encoded(grey(1000)), "dent/a_mask.png": encoded(grey(1001)),
                 "masks/dent/a.png": encoded(mark)})  # fmt: skip
    prepare(source, tmp_path / "out")
    masks = {test.path.stem: test.mask for test in find_test_images(tmp_path / "out")
             if test.is_defect}  # fmt: skip
    assert masks["a"] is not None
    assert [mask for stem, mask in masks.items() if stem != "a"] == [None]


def test_duplicates(tmp_path: Path) -> None:
    files = {f"good/p{n}_0.png": encoded(grey(n)) for n in range(12)}
    files |= {f"scratch/p{n}_1.png": encoded(grey(100 + n)) for n in range(12, 15)}
    files["good/p3_1.png"] = files["good/p2_0.png"]  # p2 and p3 become one part
    files["good/p4_1.png"] = files["good/p3_0.png"]  # and p4 with them
    files["scratch/p12_2.png"] = files["good/p5_0.png"]  # good here, defective there
    files["dent/p13_2.png"] = files["scratch/p13_1.png"]  # two kinds
    mark = np.zeros((16, 16), np.uint8)
    mark[0, 0] = 1
    files["masks/scratch/p14_1.png"] = encoded(mark)
    files["scratch/p14_2.png"] = files["scratch/p14_1.png"]  # a mask here, none there
    request = Request("folder", Options(part=re.compile(r"p\d+")))
    prepared = prepare(put(tmp_path / "in", files), tmp_path / "out", request)
    rows = {row.source: row for row in manifest(tmp_path / "out")}
    assert not {"good/p3_1.png", "good/p4_1.png", "scratch/p14_2.png"} & rows.keys()
    assert not {"good/p5_0.png", "scratch/p12_2.png"} & rows.keys()
    assert [rows[f"good/p{n}_0.png"].part for n in (2, 3, 4)] == ["p2", "p2", "p2"]
    assert len({rows[f"good/p{n}_0.png"].split for n in (2, 3, 4)}) == 1
    assert rows["dent/p13_2.png"].kind == "dent"
    assert "scratch/p13_1.png" not in rows
    assert rows["scratch/p14_1.png"].mask
    text = "\n".join(prepared.notes)
    for said in (
        "4 exact copies of another image are dropped",
        "2 images are dropped because byte-identical copies disagree on good or defective: "
        "good/p5_0.png, scratch/p12_2.png",
        "copies name different kinds of defect; the first counts: dent/p13_2.png (dent)",
        "the masks of copies differ; that of the first is kept: scratch/p14_1.png",
        "p3 and p2 share an image",
        "p4 and p2 share an image",
    ):
        assert said in text, said


def test_blank_windows_do_not_join_parts(tmp_path: Path) -> None:
    """Black windows of two frames are the same bytes; their frames are not the same part."""
    files = {}
    for n in range(6):
        frame = np.vstack([grey(n, 32), np.zeros((32, 32), np.uint8)])
        files |= {f"images/f{n}.png": encoded(frame), f"labels/f{n}.txt": b""}
    request = Request("yolo", Options(window=32))
    prepared = prepare(put(tmp_path / "in", files), tmp_path / "out", request)
    rows = manifest(tmp_path / "out")
    assert len(rows) == 7  # one of the six black ones stays
    assert len({row.part for row in rows}) == 6
    assert prepared.parts["both"] == 0


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    source = sorted_set(tmp_path / "in")
    with open(os.fsencode(source / "good") + b"/caf\xe9.png", "wb") as file:
        file.write(encoded(grey(70)))
    prepared = prepare(source, tmp_path / "out")
    assert (prepared.left_out, prepared.train + prepared.test["good"]) == ({}, 21)
    assert prepare(source, tmp_path / "out").status == "already there"


def test_a_test_copy_of_a_training_image_is_dropped(tmp_path: Path) -> None:
    files = {f"train/good/{n}.png": encoded(grey(n)) for n in range(9)}
    files |= {f"test/good/{n}.png": encoded(grey(n)) for n in range(7, 12)}
    files["test/dent/0.png"] = encoded(grey(99))
    prepared = prepare(put(tmp_path / "in", files), tmp_path / "out")
    assert (prepared.train, prepared.test) == (9, {"dent": 1, "good": 3})
    assert any("2 of them were test images that are also trained on: test/good/7.png, test/good/8"
               in note for note in prepared.notes)  # fmt: skip


def test_a_defect_stays_on_the_side_that_is_tested(tmp_path: Path) -> None:
    """Its copy among the training images is left out anyway: both would be lost."""
    files = {f"train/good/{n}.png": encoded(grey(n)) for n in range(9)}
    files |= {f"train/dent/{n}.png": encoded(grey(90 + n)) for n in range(3)}
    files["test/dent/0.png"] = files["train/dent/0.png"]
    files["test/dent/1.png"] = files["train/dent/1.png"]
    prepared = prepare(put(tmp_path / "in", files), tmp_path / "out")
    assert (prepared.train, prepared.test) == (9, {"dent": 2})
    rows = [row.source for row in manifest(tmp_path / "out") if row.split == "test"]
    assert rows == ["test/dent/0.png", "test/dent/1.png"]
    assert not any("also trained on" in note for note in prepared.notes)
    assert not any("shows a defect" in note for note in prepared.notes)
    for n in range(2):
        (tmp_path / f"in/test/dent/{n}.png").unlink()
    prepared = prepare(tmp_path / "in", tmp_path / "without")
    assert any("no test image shows a defect" in note for note in prepared.notes)


def test_split_options(tmp_path: Path) -> None:
    files = {f"train/good/f{n}_{i}.png": encoded(grey(9 * n + i)) for n in range(10)
             for i in range(3)}  # fmt: skip
    files |= {f"test/good/f{n}_3.png": encoded(grey(500 + n)) for n in range(5, 12)}
    files |= {f"test/dent/f{n}_4.png": encoded(grey(600 + n)) for n in (3, 30, 31)}
    source = put(tmp_path / "in", files)
    part = Options(part=re.compile(r"f\d+"))
    kept = prepare(source, tmp_path / "kept", Request(options=part))
    assert (kept.train, kept.test) == (30, {"dent": 3, "good": 7})
    assert kept.parts["both"] == 6
    assert any("6 of 14 parts lie on BOTH sides (18 images in train, 6 in test)" in n
               for n in kept.notes)  # fmt: skip
    anew = prepare(source, tmp_path / "anew", Request(options=part, split="part"))
    assert anew.parts["both"] == 0
    assert sum(anew.test.values()) + anew.train == 40
    rows = manifest(tmp_path / "anew")
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(row.part, set()).add(row.split)
    assert all(len(side) == 1 for side in sides.values())
    trained = [tmp_path / "anew" / row.path for row in rows if row.split == "train"]
    assert parts_of(trained, "", tmp_path / "anew") == [
        row.part for row in rows if row.split == "train"
    ]
    other = prepare(source, tmp_path / "other", Request(options=part, split="part", seed=1))
    assert other.parts["both"] == 0
    assert {row.part for row in manifest(tmp_path / "other") if row.split == "train"} != {
        row.part for row in rows if row.split == "train"
    }
    with pytest.raises(BurnishError, match="has no split of its own"):
        prepare(sorted_set(tmp_path / "in2"), tmp_path / "x", Request(split="source"))


def test_part_patterns(tmp_path: Path) -> None:
    compiled = re.compile
    source = sorted_set(tmp_path / "in")
    with pytest.raises(BurnishError, match=r"--part 'kos\\d\+' matches no image; .*good/000\.png"):
        prepare(source, tmp_path / "out", Request(options=Options(part=compiled(r"kos\d+"))))
    assert not (tmp_path / "out").exists()
    request = Request(options=Options(part=compiled("good/(.)0")))
    prepared = prepare(source, tmp_path / "out", request)
    parts = {row.source: row.part for row in manifest(tmp_path / "out")}
    assert parts["good/003.png"] == "0"
    assert parts["good/013.png"] == "good/013"
    assert parts["scratch/003.png"] == "scratch/003"
    assert any("does not match 16 images" in note for note in prepared.notes)


def test_wrong_requests() -> None:
    for wrong in ({"train": 0}, {"train": 1.5}, {"split": "parts"}, {"options": Options(window=3)}):
        with pytest.raises(BurnishError, match="--"):
            Request(**wrong)  # type: ignore[arg-type]


def test_masks_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    source = sorted_set(tmp_path / "in", bad=4)
    put(source, {"masks/scratch/000.png": encoded(np.ones((9, 9), np.uint8)),
                 "masks/scratch/001.png": encoded(np.zeros((16, 16), np.uint8)),
                 "masks/scratch/002.png": b"junk"})  # fmt: skip
    prepared = prepare(source, tmp_path / "out")
    assert (prepared.test["scratch"], prepared.masks) == (4, 1)
    text = "\n".join(prepared.notes)
    assert "3 masks are not used: scratch/000.png (9 x 9 px, the image 16 x 16)" in text
    assert "scratch/001.png (nothing is marked in it)" in text
    assert "scratch/002.png (masks/scratch/002.png is not an image" in text


def test_a_good_image_with_a_marked_mask_is_left_out(tmp_path: Path) -> None:
    mark = encoded(np.ones((16, 16), np.uint8))
    lines = [f"good/{n:03d}.png,ok,{'m.png' if n == 4 else ''}" for n in range(20)]
    table = "\n".join(["path,label,mask", *lines]).encode()
    source = put(sorted_set(tmp_path / "in", bad=0), {"m.png": mark, "t.csv": table})
    prepared = prepare(source, tmp_path / "out", Request("csv"))
    assert prepared.left_out == {"good/004.png": "it is labelled good, but its mask marks a defect"}


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    source, out = sorted_set(tmp_path / "in"), tmp_path / "out"
    with locked(out), pytest.raises(BurnishError, match="another run is preparing"):
        prepare(source, out)
    assert prepare(source, out).status == "prepared"


RUN = "from burnish.images.preparing.prepare import prepare; import sys; prepare(*sys.argv[1:])"


@pytest.mark.parametrize("after", [1, 60])
def test_a_killed_run_is_resumed(tmp_path: Path, after: int) -> None:
    source = sorted_set(tmp_path / "in", good=120, bad=10)
    whole, out = tmp_path / "whole", tmp_path / "out"
    prepare(source, whole)
    run = subprocess.Popen([sys.executable, "-c", RUN, str(source), str(out)])
    while sum(1 for _ in out.rglob("*.png")) < after:
        assert run.poll() is None, "it ended before it could be killed"
        time.sleep(0.001)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not (out / "manifest.csv").exists()
    cut = {name: times for name, (_, times) in state(out).items() if not name.startswith(".")}
    put(out, {"train/good/.000.png.1.part": b"half"})  # what a kill within a write leaves
    prepared = prepare(source, out)
    assert prepared.status == "resumed"
    now = state(out)
    assert contents(out) == contents(whole)
    kept = [name for name in cut if name in now]
    assert len(kept) >= after
    assert all(now[name][1] == cut[name] for name in kept)  # nothing was written twice
    assert prepare(source, out).status == "already there"


def test_a_run_that_was_killed_at_once_is_begun_again(tmp_path: Path) -> None:
    """Killed while the record itself was written: only its temporary file is there."""
    source = sorted_set(tmp_path / "in")
    out = put(tmp_path / "out", {"..prepare.json.123.part": b'{"rec'})
    assert prepare(source, out).status == "prepared"


def test_a_full_disk_is_said_and_resumed(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(disk)]).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        source = sorted_set(tmp_path / "in", good=150)  # each takes a page of 4 KiB
        with pytest.raises(BurnishError, match=r"cannot write .*: No space left on device"):
            prepare(source, disk / "out")
        assert not (disk / "out" / "manifest.csv").exists()
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert prepare(source, disk / "out").status == "resumed"
        prepare(source, tmp_path / "whole")
        assert contents(disk / "out") == contents(tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


MEMORY = """
import sys
from burnish.images.preparing.prepare import prepare
prepare(sys.argv[1], sys.argv[2])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_source(tmp_path: Path) -> None:
    """60 MB of images more, less than 15 MB of memory more."""
    peaks = []
    for name, count in (("small", 10), ("large", 70)):
        files = {f"good/{n}.bmp": encoded(grey(n, 1000), "BMP") for n in range(count)}
        source = put(tmp_path / name, files)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(source), str(tmp_path / f"{name}-out")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout) * 1024)
        shutil.rmtree(source)
        shutil.rmtree(tmp_path / f"{name}-out")
    assert peaks[1] - peaks[0] < 15e6, peaks


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def leak_free(out: Path) -> None:
    """By the manifest and by the files: no part and no image on both sides."""
    sides: dict[str, set[str]] = {}
    hashes: dict[str, set[str]] = {}
    for row in manifest(out):
        sides.setdefault(row.part, set()).add(row.split)
        digest = hashlib.sha256((out / row.path).read_bytes()).hexdigest()
        assert digest == row.sha256
        hashes.setdefault(digest, set()).add(row.split)
    assert all(len(side) == 1 for side in sides.values())
    assert all(len(side) == 1 for side in hashes.values())


def counted(source: Path, pattern: str) -> int:
    with zipfile.ZipFile(source) as archive:
        return sum(Path(name).match(pattern) for name in archive.namelist())


def test_kolektor(tmp_path: Path) -> None:
    """348 / 52 in the README; kos26 repeats kos01, kos34 repeats kos27, kos21/Part6 its Part7."""
    source, out = real("KolektorSDD.zip"), tmp_path / "out"
    assert counted(source, "kos*/Part*.jpg") == 348 + 52
    prepared = prepare(source, out)
    leak_free(out)
    rows = manifest(out)
    text = "\n".join(prepared.notes)
    assert "17 exact copies of another image are dropped" in text
    assert "kos26 and kos01 share an image" in text
    assert "kos34 and kos27 share an image" in text
    assert prepared.parts == {"train": 34, "test": 14, "both": 0}  # 70 % of 48
    assert not {"kos26", "kos34"} & {row.part for row in rows}
    assert "KolektorSDD/kos21/Part7.jpg" not in {row.source for row in rows}
    assert "36 defective images of training parts are left out" in text
    # 400 - 17 copies - 36
    assert prepared.train + sum(prepared.test.values()) == 347
    assert prepared.masks == prepared.test["crack"] == 14
    assert {row.part for row in rows} == {row.source.split("/")[1].replace("kos26", "kos01")
                                          for row in rows}  # fmt: skip


@pytest.mark.slow
def test_magnetic_tile(tmp_path: Path) -> None:
    source, out = real("MagneticTile.zip"), tmp_path / "out"
    prepared = prepare(source, out)
    leak_free(out)
    assert prepared.train + prepared.test["good"] == 952
    assert sum(prepared.test.values()) - prepared.test["good"] == 392
    assert prepared.test.keys() == {"good", "blowhole", "break", "crack", "fray", "uneven"}
    assert prepared.parts["train"] + prepared.parts["test"] == 140
    assert prepared.masks == 387
    assert any("5 masks are not used" in note for note in prepared.notes)
    flawed = {row.part for row in manifest(out) if row.label == "defect"}
    assert not flawed & {row.part for row in manifest(out) if row.split == "train"}


@pytest.mark.slow
def test_magnetic_tile_by_picture_tests_series_that_were_learnt_from(tmp_path: Path) -> None:
    """docs/accuracy.md: why a split by the picture's number says nothing of new tiles."""
    source = real("MagneticTile.zip")
    prepare(source, tmp_path / "series")
    series = {Path(row.path).name: row.part for row in manifest(tmp_path / "series")}
    request = Request(options=Options(part=re.compile(r"num_(\d+)")))
    prepared = prepare(source, tmp_path / "picture", request)
    assert (prepared.train, prepared.test["good"]) == (666, 286)
    rows = manifest(tmp_path / "picture")
    learnt = {series[Path(row.path).name] for row in rows if row.split == "train"}
    tested = {
        series[Path(row.path).name] for row in rows if (row.split, row.label) == ("test", "good")
    }
    assert tested <= learnt


@pytest.mark.slow
def test_rail_and_screw_keep_their_split(tmp_path: Path) -> None:
    prepared = prepare(real("RailHead.zip"), tmp_path / "rail")
    assert (prepared.train, prepared.test.pop("good")) == (450, 211)
    assert (sum(prepared.test.values()), prepared.masks) == (318, 318)
    prepared = prepare(real("screw.zip"), tmp_path / "screw")
    assert (prepared.train, prepared.test.pop("good")) == (320, 41)
    assert (sum(prepared.test.values()), prepared.masks) == (119, 84)
    assert any("35 defective images have no mask" in note for note in prepared.notes)


@pytest.mark.slow
def test_rail_by_frame(tmp_path: Path) -> None:
    """450 + 211 + 318 windows; those of one frame go together."""
    request = Request(split="part", options=Options(part=re.compile(r"\d{6,}")))
    prepared = prepare(real("RailHead.zip"), tmp_path / "out", request)
    leak_free(tmp_path / "out")
    assert prepared.parts["both"] == 0
    for row in manifest(tmp_path / "out"):
        assert row.part == Path(row.source).stem.split("_")[0]
    left_out = sum(int(n.split()[0]) for n in prepared.notes if "training parts are left out" in n)
    assert prepared.train + sum(prepared.test.values()) + left_out == 450 + 211 + 318


def test_good_by_another_spelling_is_still_a_defect(tmp_path: Path) -> None:
    """A format may call a defect "Good": on some file systems that is the folder of good images."""
    files = {f"ok/{n}.png": encoded(grey(n)) for n in range(9)} | {"Good/x.png": encoded(grey(99))}
    request = Request("folder", Options(good=("ok/*",)))
    prepare(put(tmp_path / "in", files), tmp_path / "out", request)
    (row,) = [row for row in manifest(tmp_path / "out") if row.label == "defect"]
    assert row.kind == "defect"
