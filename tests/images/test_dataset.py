"""Layouts on disk, masks and globs."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from burnish.errors import BurnishError
from burnish.images.dataset import (
    MIN_GOOD,
    expand_paths,
    find_test_images,
    find_training_images,
    images_in,
    left_out_of_test,
    unused_below,
)


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def numbered(count: int, suffix: str = "png") -> list[str]:
    return [f"{index:02d}.{suffix}" for index in range(count)]


# --- training images ------------------------------------------------------------------------------


def test_mvtec_layout_gives_train_good_alone(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "good", *numbered(9))
    touch(tmp_path / "test" / "good", *numbered(5))
    touch(tmp_path / "test" / "scratch", *numbered(5))
    touch(tmp_path, "overview.png")
    found = find_training_images(tmp_path)
    assert found == [tmp_path / "train" / "good" / name for name in numbered(9)]
    assert find_training_images(str(tmp_path)) == found


def test_plain_folder(tmp_path: Path) -> None:
    names = [f"{i}.{s}" for i, s in enumerate(["png", "JPG", "jpeg", "bmp", "tif", "TIFF", "webp"])]
    touch(tmp_path, *names, "8.PNG", ".hidden.png", "notes.txt", "x.gif", "Thumbs.db")
    (tmp_path / "folder.png").mkdir()
    touch(tmp_path / "rejects", *numbered(3))
    assert {p.name for p in find_training_images(tmp_path)} == {*names, "8.PNG"}


def test_order_does_not_depend_on_creation(tmp_path: Path) -> None:
    touch(tmp_path, *reversed(numbered(12)))
    assert [p.name for p in images_in(tmp_path)] == numbered(12)


@pytest.mark.parametrize(
    ("count", "told"), [(0, "holds 0 images"), (1, "holds 1 image "), (7, "holds 7 images")]
)
def test_too_few(tmp_path: Path, count: int, told: str) -> None:
    touch(tmp_path / "train" / "good", *numbered(count))
    with pytest.raises(BurnishError, match=f"{told}.*at least {MIN_GOOD}"):
        find_training_images(tmp_path)
    touch(tmp_path / "train" / "good", *numbered(MIN_GOOD))
    assert len(find_training_images(tmp_path)) == MIN_GOOD


def test_no_such_folder_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match=r"no such folder.*nowhere"):
        find_training_images(tmp_path / "nowhere")
    touch(tmp_path, "a.png")
    with pytest.raises(BurnishError, match=r"a\.png is a file"):
        find_training_images(tmp_path / "a.png")


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="holds 0 images"):
        find_training_images(tmp_path)


def test_images_in_subfolders_only(tmp_path: Path) -> None:
    touch(tmp_path / "monday", *numbered(20))
    with pytest.raises(BurnishError, match="only its subfolders do"):
        find_training_images(tmp_path)


def test_a_folder_of_data_sets_names_one(tmp_path: Path) -> None:
    for name in ("bolt", "nut"):
        touch(tmp_path / name / "train" / "good", *numbered(MIN_GOOD))
        touch(tmp_path / name / "test" / "good", "a.png")
    with pytest.raises(BurnishError, match=r"data sets: give one, as .*bolt"):
        find_training_images(tmp_path)
    with pytest.raises(BurnishError, match=r"no 'test' folder.* give one of its data sets.*bolt"):
        find_test_images(tmp_path)
    with pytest.raises(BurnishError, match=r"give the folder it lies in, .*bolt$"):
        find_test_images(tmp_path / "bolt" / "test")


@pytest.mark.parametrize("kind", ["train", "test", "ground_truth"])
def test_half_an_mvtec_layout_is_not_taken_for_a_plain_folder(tmp_path: Path, kind: str) -> None:
    touch(tmp_path, *numbered(20))
    touch(tmp_path / kind / "bad", "a.png")
    with pytest.raises(BurnishError, match=f"'{kind}' but no train/good"):
        find_training_images(tmp_path)


# --- test images ----------------------------------------------------------------------------------


def test_test_images_with_kinds_and_masks(tmp_path: Path) -> None:
    touch(tmp_path / "test" / "good", "a.png", "b.png")
    touch(tmp_path / "test" / "scratch", "a.png", "b.jpg", "c.png", "notes.txt")
    touch(tmp_path / "test" / "dent", "a.png")
    masks = tmp_path / "ground_truth"
    touch(masks / "scratch", "a_mask.png", "a.png", "b.bmp")
    touch(masks / "good", "a_mask.png")  # a mask of nothing is not a defect
    found = {(i.kind, i.path.name): (i.mask, i.is_defect) for i in find_test_images(tmp_path)}
    assert found == {
        ("good", "a.png"): (None, False),
        ("good", "b.png"): (None, False),
        ("scratch", "a.png"): (masks / "scratch" / "a_mask.png", True),
        ("scratch", "b.jpg"): (masks / "scratch" / "b.bmp", True),
        ("scratch", "c.png"): (None, True),
        ("dent", "a.png"): (None, True),
    }


@pytest.mark.parametrize("name", ["Good", "ok", "OK", "normal"])
def test_good_images_under_another_name_are_no_defects(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "test" / name, "a.png")
    touch(tmp_path / "test" / "dent", "a.png")
    with pytest.raises(BurnishError, match=f"test/{name} would count as a kind of defect"):
        find_test_images(tmp_path)
    (tmp_path / "test" / name / "a.png").unlink()
    assert len(find_test_images(tmp_path)) == 1


def test_images_that_no_test_reads_are_found(tmp_path: Path) -> None:
    used = ["good/a.png", "scratch/b.png"]
    unused = ["c.png", "good/more/d.png", "scratch/left/right/e.png"]
    for name in [*used, *unused, "scratch/.hidden/f.png", "scratch/notes.txt"]:
        path = tmp_path / "test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert {str(p.relative_to(tmp_path / "test")) for p in left_out_of_test(tmp_path)} == {*unused}
    assert {p.path.name for p in find_test_images(tmp_path)} == {"a.png", "b.png"}


def test_no_test_images(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="no such folder"):
        find_test_images(tmp_path / "nowhere")
    with pytest.raises(BurnishError, match="no 'test' folder"):
        find_test_images(tmp_path)
    touch(tmp_path / "test", "a.png")  # lies in no kind
    (tmp_path / "test" / "good").mkdir()
    with pytest.raises(BurnishError, match="no image in any"):
        find_test_images(tmp_path)


# --- files, folders and globs ---------------------------------------------------------------------


def test_expand_paths(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.jpg", "c.txt", "[1].png")
    touch(tmp_path / "deep" / "er", "d.png", ".e.png")
    paths, problems = expand_paths([tmp_path / "b.jpg", str(tmp_path), f"{tmp_path}/*.png"])
    assert [p.name for p in paths] == ["b.jpg", "[1].png", "a.png", "d.png"]  # no repeats
    assert problems == {}
    paths, problems = expand_paths([f"{tmp_path}/**/*.png"])
    assert sorted(p.name for p in paths) == ["[1].png", "a.png", "d.png"]
    paths, problems = expand_paths([f"{tmp_path}/[1].png"])  # a file's real name comes first
    assert [p.name for p in paths] == ["[1].png"]
    paths, problems = expand_paths([f"{tmp_path}/[ab].*"])
    assert [p.name for p in paths] == ["a.png", "b.jpg"]


def test_expand_paths_tells_what_gave_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "c.txt")
    missing = tmp_path / "missing.png"
    paths, problems = expand_paths([tmp_path / "empty", f"{tmp_path}/*.bmp", missing, "c.txt"])
    assert paths == [missing, Path("c.txt")]  # reported where they are read
    assert len(problems) == 2
    assert "empty holds no image" in problems[str(tmp_path / "empty")]
    assert "nothing matches" in problems[f"{tmp_path}/*.bmp"]


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder one that cannot be listed; root, whom tests may run as, could list any."""

    def lock(folder: Path) -> None:
        listed = os.scandir

        def scandir(path: str | Path = ".") -> Iterator[os.DirEntry[str]]:
            if os.fspath(path) == str(folder):
                raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
            return listed(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return lock


def test_folders_that_cannot_be_listed_are_told(
    tmp_path: Path, locked: Callable[[Path], None]
) -> None:
    touch(tmp_path, "a.png")
    touch(tmp_path / "deep" / "er", "b.png")
    touch(tmp_path / "deep" / "shut", "c.png")
    shut = tmp_path / "deep" / "shut"
    locked(shut)
    paths, problems = expand_paths([f"{tmp_path}/"])
    assert paths == [tmp_path / "a.png", tmp_path / "deep" / "er" / "b.png"]
    assert problems == {str(shut): f"{shut} cannot be listed: Permission denied"}
    assert expand_paths([shut]) == ([], problems)  # and not that it holds no image
    assert unused_below([tmp_path / "a.png"]) == (1, [str(shut)])
    for folder, deep in ((shut, False), (tmp_path, True)):
        with pytest.raises(BurnishError, match="shut cannot be listed: Permission denied"):
            images_in(folder, recursive=deep)
    assert images_in(tmp_path / "nowhere") == images_in(tmp_path / "a.png") == []


def test_a_loop_of_links_repeats_no_image(tmp_path: Path) -> None:
    touch(tmp_path / "parts", "a.png", "z.png")
    (tmp_path / "parts" / "loop").symlink_to(tmp_path / "parts")
    (tmp_path / "same").symlink_to(tmp_path / "parts")
    (tmp_path / "parts" / "copy.png").symlink_to(tmp_path / "parts" / "a.png")  # a name of its own
    wanted = [tmp_path / "parts" / name for name in ("a.png", "copy.png", "z.png")]
    assert expand_paths([f"{tmp_path}/parts/**/*.png"]) == (wanted, {})
    assert expand_paths([tmp_path / "parts", tmp_path / "same"]) == (wanted, {})


def test_masks_of_data_sets_below_a_folder_are_no_parts(tmp_path: Path) -> None:
    for name in ("metal", "rail"):
        touch(tmp_path / name / "test" / "dent", "a.png")
        touch(tmp_path / name / "ground_truth" / "dent", "a_mask.png")
    touch(tmp_path / "other" / "ground_truth", "b.png")  # somebody's name for a folder
    found, problems = expand_paths([tmp_path])
    assert [path.name for path in found] == ["a.png", "b.png", "a.png"]
    assert not problems
