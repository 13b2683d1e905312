"""Data sets on disk: the MVTec AD layout or a plain folder of good images."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from burnish.errors import BurnishError
from burnish.images.reader import SUFFIXES

GOOD = "good"
GOOD_NAMES = {"good", "ok", "normal", "free", "pass", "defect-free", "defect_free", "io"}
MASKS = "ground_truth"
MIN_GOOD = 8
MASK_NAMING = (
    "A mask is ground_truth/<kind>/<stem>_mask.<suffix> or <stem>.<suffix> for the image "
    "test/<kind>/<stem>.<suffix>."
)


@dataclass(frozen=True)
class TestImage:
    """One image of the test set: its kind ("good" or a defect's name) and its mask, if any."""

    __test__ = False  # not a pytest class

    path: Path
    kind: str
    mask: Path | None

    @property
    def is_defect(self) -> bool:
        return self.kind != GOOD


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # what is not there is empty
        raise BurnishError(f"{error.filename} cannot be listed: {error.strerror}") from error


def images_in(
    folder: Path, recursive: bool = False, unlisted: Callable[[OSError], None] = _refuse
) -> list[Path]:
    """Image files of a folder by suffix, sorted, without hidden files.

    Broken links are included: reading them reports the loss. Links to folders are not followed.

    Args:
        recursive: whether to search subfolders too.
        unlisted: called with the error of each folder that cannot be listed.

    Raises:
        BurnishError: a folder cannot be listed, and `unlisted` was not given.
    """
    found = []
    for place, below, names in os.walk(folder, onerror=unlisted):
        if not recursive:
            below.clear()
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(
        p for p in found
        if p.suffix.lower() in SUFFIXES and (os.path.isfile(p) or not os.path.exists(p))
    )  # fmt: skip


def find_training_images(data: str | Path) -> list[Path]:
    """Good images to learn from: `data/train/good` if there is one, else `data` itself.

    Raises:
        BurnishError: no such folder, or fewer than 8 images in it.
    """
    root = Path(data)
    if not root.exists():
        raise BurnishError(f"no such folder: {root}")
    if not root.is_dir():
        raise BurnishError(f"{root} is a file; a folder of good images is needed")
    folder = root / "train" / GOOD
    if not folder.is_dir():
        for kind in ("train", "test", MASKS):
            if (root / kind).is_dir():
                raise BurnishError(
                    f"{root} holds '{kind}' but no train/good: MVTec AD layout wants the good "
                    "training images there"
                )
        folder = root
    paths = images_in(folder)
    if not paths and folder == root and images_in(folder, recursive=True):
        if sets := [path for path in sets_below(root) if (path / "train" / GOOD).is_dir()]:
            raise BurnishError(
                f"{root} holds no image itself, but data sets: give one, as {sets[0]}"
            )
        raise BurnishError(
            f"{root} holds no image itself, only its subfolders do: give the folder of good ones, "
            "or arrange them as train/good and test/<kind>"
        )
    if len(paths) < MIN_GOOD:
        raise BurnishError(
            f"{folder} holds {len(paths)} image{'' if len(paths) == 1 else 's'} "
            f"({', '.join(SUFFIXES)}); at least {MIN_GOOD} good ones are needed"
        )
    return paths


def unused_below(paths: Sequence[Path]) -> tuple[int, list[str]]:
    """Number of images in subfolders, which training does not read, and unlistable subfolders."""
    unlisted: list[str] = []
    with os.scandir(paths[0].parent) as entries:
        below = [Path(entry.path) for entry in entries if entry.is_dir()]
    images = [
        images_in(folder, True, lambda error: unlisted.append(str(error.filename)))
        for folder in below
    ]
    return sum(map(len, images)), unlisted


def find_test_images(data: str | Path) -> list[TestImage]:
    """Everything under `data/test/<kind>` with its mask under `data/ground_truth/<kind>`.

    Raises:
        BurnishError: no such folder, no test folder, no image in it, or good ones under a name
            that would make them defects.
    """
    root = Path(data)
    test = root / "test"
    if not root.is_dir():
        raise BurnishError(f"no such folder: {root}")
    if not test.is_dir():
        raise BurnishError(
            f"{root} has no 'test' folder; evaluate wants test/good and test/<kind>{_instead(root)}"
        )
    found = []
    for folder in sorted(p for p in test.iterdir() if p.is_dir()):
        if is_misnamed_good(folder.name) and images_in(folder):
            raise BurnishError(
                f"{folder} would count as a kind of defect: the good test images belong in "
                f"test/{GOOD}. Rename it, or let `burnish data prepare` make a copy in this layout"
            )
        mask_of = masks_of(root, folder.name)
        for path in images_in(folder):
            mask = None if folder.name == GOOD else mask_of(path)
            found.append(TestImage(path, folder.name, mask))
    if not found:
        raise BurnishError(f"{test} holds no image in any test/<kind> folder")
    return found


def left_out_of_test(data: str | Path) -> list[Path]:
    """Images under `data/test` that `find_test_images` leaves out: in no folder of a kind, or in a
    subfolder of one. Hidden folders do not count."""
    test = Path(data) / "test"
    below = [path.relative_to(test) for path in images_in(test, True, lambda error: None)]
    return [
        test / path for path in below
        if len(path.parts) != 2 and not any(name.startswith(".") for name in path.parts)
    ]  # fmt: skip


def masks_of(root: Path, kind: str) -> Callable[[Path], Path | None]:
    """A function that finds the mask of an image of this kind, if it has one: see `MASK_NAMING`."""
    masks = {path.stem: path for path in images_in(root / MASKS / kind)}
    return lambda image: masks.get(f"{image.stem}_mask", masks.get(image.stem))


def is_misnamed_good(kind: str) -> bool:
    """Whether a folder below `test` has a name for good parts that would count as a defect."""
    return kind != GOOD and kind.lower() in GOOD_NAMES


def sets_below(root: Path) -> list[Path]:
    """Subfolders that are data sets of their own, as the categories of MVTec AD are."""
    return sorted(path for path in root.iterdir() if (path / "test").is_dir())


def _instead(root: Path) -> str:
    if root.name == "test":
        return f": give the folder it lies in, {root.parent}"
    if swapped := _holds_a_model(root):
        return swapped
    below = sets_below(root)
    return f": give one of its data sets, as {below[0]}" if below else ""


def _holds_a_model(folder: Path) -> str:
    """What to say of a run folder that stands where images should, as the rest of a sentence."""
    if not os.path.isfile(folder / "model.safetensors"):  # False too where it is not allowed
        return ""
    return "; it holds a model: the model comes first, then the images"


def expand_paths(
    sources: Sequence[str | Path], unlisted: Callable[[OSError], None] | None = None
) -> tuple[list[Path], dict[str, str]]:
    """Files, folders (searched through) and globs -> image paths in order, without repeats.

    The masks of a data set (`ground_truth` beside `test`), at the top of a folder or below, are
    left out. A file that links to folders make reachable by several paths comes once.

    Args:
        unlisted: called with the error of each folder that cannot be listed; None: it is a problem.

    Returns:
        The paths; and a message by each source without images or folder that cannot be listed.
    """
    paths: dict[str, Path] = {}
    problems: dict[str, str] = {}
    folder_of = lru_cache(maxsize=None)(os.path.realpath)

    def told_of(error: OSError) -> None:
        problems[str(error.filename)] = f"{error.filename} cannot be listed: {error.strerror}"

    for source in sources:
        path, told = Path(source), len(problems)
        if path.is_dir():
            inside = images_in(path, True, unlisted or told_of)
            # By folder: a watched one may hold very many images, and is listed all the time.
            one_each = {image.parent: image for image in inside}.values()
            folders = {folder for image in one_each for folder in image.relative_to(path).parents}
            masks = {
                path / folder for folder in folders
                if folder.name == MASKS and os.path.isdir(path / folder.parent / "test")
            }  # fmt: skip
            if masks:
                inside = [image for image in inside if masks.isdisjoint(image.parents)]
            if not inside and len(problems) == told:
                problems[str(source)] = (
                    f"{path} holds no image ({', '.join(SUFFIXES)}){_holds_a_model(path)}"
                )
        elif path.exists() or not glob.has_magic(str(source)):
            inside = [path]  # a missing file is reported where it is read
        else:
            matches = [Path(m) for m in glob.glob(str(source), recursive=True)]
            inside = [m for m in matches if m.is_file() and m.suffix.lower() in SUFFIXES]
            if not inside:
                problems[str(source)] = f"nothing matches {source}"
        shortest: dict[str, Path] = {}
        for image in sorted(inside, key=lambda image: (len(image.parts), image)):
            shortest.setdefault(os.path.join(folder_of(image.parent), image.name), image)
        for place, image in sorted(shortest.items(), key=lambda item: item[1]):
            paths.setdefault(place, image)
    return list(paths.values()), problems
