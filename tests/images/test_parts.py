"""Which part an image shows, and splits that leave parts whole."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from burnish.errors import BurnishError
from burnish.images.manifest import ManifestRow, write_manifest
from burnish.images.parts import folds_by_part, part_in, parts_of, split_by_part, unmatched
from burnish.settings import Holdout


@pytest.mark.parametrize(
    ("stem", "pattern", "part"),
    [
        ("kos01_Part3", r"^kos\d+", "kos01"),
        ("kos01_Part3", r"^(kos\d+)_", "kos01"),
        ("kos01_Part3", r"Part(\d)", "3"),
        ("kos01_Part3", "", None),
        ("other", r"^kos\d+", None),
        ("b7", r"(a)?b", "b"),  # a group that took no part in the match
    ],
)
def test_part_in_a_name(stem: str, pattern: str, part: str | None) -> None:
    assert part_in(stem, pattern) == part
    assert part_in(stem, re.compile(pattern) if pattern else None) == part


def eight_sides(parts: int = 30) -> list[Path]:
    return [Path(f"kos{p:02d}_{side}.jpg") for p in range(parts) for side in range(8)]


def commutators(paths: list[Path]) -> list[str]:
    return parts_of(paths, r"^kos\d+", ".")


def test_parts_come_from_the_pattern_then_the_manifest_then_the_name(tmp_path: Path) -> None:
    paths = [tmp_path / "train" / "good" / f"{name}.png" for name in ("a1", "a2", "b1")]
    own = ["train/good/a1", "train/good/a2", "train/good/b1"]
    assert parts_of(paths, "", tmp_path) == own
    row = ManifestRow("", "", "train", "good", "good", "", "", "", 1, 1)
    write_manifest(
        tmp_path,
        [
            replace(row, path="train/good/a1.png", part="first"),
            replace(row, path="train/good/a2.png", part="first"),
        ],
    )
    assert parts_of(paths, "", tmp_path) == ["first", "first", own[2]]  # b1 came later
    assert parts_of(paths, r"\d", tmp_path) == ["1", "2", "1"]
    assert parts_of(paths, r"b\d", tmp_path) == ["first", "first", "b1"]  # where it fits
    folder = tmp_path / "train" / "good"
    assert parts_of(paths, "", folder) == ["first", "first", own[2]]  # the manifest lies above
    (tmp_path / "link").symlink_to(tmp_path)
    linked = [tmp_path / "link" / path.relative_to(tmp_path) for path in paths]
    assert parts_of(linked, "", tmp_path / "link") == ["first", "first", own[2]]


def test_a_pattern_that_fits_no_name_is_a_slip() -> None:
    paths = [Path("a1.png"), Path("a2.png"), Path("b.png")]
    assert unmatched(paths, r"\d") == [paths[2]]
    assert unmatched(paths, "") == []
    with pytest.raises(BurnishError, match=r"'kos\\d' is found in none of the 3 file names .*'a1'"):
        unmatched(paths, r"kos\d")


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_part_lies_on_both_sides(share: float, seed: int) -> None:
    paths = eight_sides()
    training, held = split_by_part(commutators(paths), share, seed)
    assert sorted(training + held) == list(range(len(paths)))
    assert not {paths[i].name[:5] for i in training} & {paths[i].name[:5] for i in held}
    assert share * 240 <= len(held) < share * 240 + 8  # the last part drawn is taken whole
    assert training == sorted(training)
    assert held == sorted(held)


def test_split_repeats_with_its_seed_and_differs_with_another() -> None:
    splits = [split_by_part(commutators(eight_sides()), 0.2, seed) for seed in (4, 4, 5)]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]


def test_split_belongs_to_the_images_not_to_their_order() -> None:
    paths = eight_sides(10)
    backwards = paths[::-1]
    _, held = split_by_part(commutators(paths), 0.3, 0)
    _, again = split_by_part(commutators(backwards), 0.3, 0)
    assert {paths[i] for i in held} == {backwards[i] for i in again}


def test_every_part_is_held_out_by_some_seed() -> None:
    paths = eight_sides(10)
    seen = set()
    for seed in range(40):
        seen |= {paths[i].name[:5] for i in split_by_part(commutators(paths), 0.2, seed)[1]}
    assert len(seen) == 10


@pytest.mark.parametrize(
    ("sides", "held_out"),
    [(100, 20), (50, 10), (40, 10), (25, 10), (20, 8), (10, 4), (2, 1)],
)
def test_auto_holds_out_a_fifth_and_more_of_few_parts(sides: int, held_out: int) -> None:
    paths = eight_sides(sides)
    training, held = split_by_part(commutators(paths), "auto", 3)
    assert len({paths[i].name[:5] for i in held}) == held_out
    assert len(training) + len(held) == len(paths)
    if held_out == sides / 5:  # where a fifth is enough, it is the very one
        assert (training, held) == split_by_part(commutators(paths), 0.2, 3)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("share", "most"), [("auto", 0.4), (0.2, 0.2)])
def test_a_large_part_does_not_swallow_the_training_images(
    share: Holdout, most: float, seed: int
) -> None:
    """One part of 60 images, twenty of 2."""
    parts = ["large"] * 60 + [f"part {number // 2}" for number in range(40)]
    training, held = split_by_part(parts, share, seed)
    assert "large" not in {parts[index] for index in held}
    assert 0.2 * 100 <= len(held) <= most * 100 + 100 / 21
    assert sorted(training + held) == list(range(100))


def test_of_large_parts_the_smallest_is_held_out() -> None:
    parts = ["a"] * 90 + ["b"] * 10 + ["c"] * 80
    assert split_by_part(parts, 0.01, 0)[1] == list(range(90, 100))


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_both_sides_keep_at_least_one_part(share: float) -> None:
    training, held = split_by_part(["a", "b"], share, 0)
    assert len(training) == len(held) == 1


def test_images_of_one_part_cannot_be_split() -> None:
    with pytest.raises(BurnishError, match="all 8 images are of one part, 'kos00'"):
        split_by_part(commutators(eight_sides(1)), 0.2, 0)


@pytest.mark.parametrize("folds", [2, 3, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_part_is_of_one_fold_and_folds_are_even(folds: int, seed: int) -> None:
    parts = [str(part) for part in range(30) for _ in range(part % 4 + 1)]
    found = folds_by_part(parts, folds, seed)
    assert len({(part, fold) for part, fold in zip(parts, found, strict=True)}) == 30
    sizes = np.bincount(found, minlength=folds)
    assert sizes.max() - sizes.min() <= 4  # the largest part
    assert found == folds_by_part(parts, folds, seed)
    assert found != folds_by_part(parts, folds, seed + 2)
    backwards = folds_by_part(parts[::-1], folds, seed)
    assert backwards[::-1] == found


def test_of_single_images_folds_differ_by_one_at_most() -> None:
    sizes = np.bincount(folds_by_part([str(i) for i in range(23)], 5, 0))
    assert sorted(sizes) == [4, 4, 5, 5, 5]


def test_fewer_parts_than_folds_are_refused() -> None:
    assert sorted(folds_by_part(["a", "b", "c"], 3, 0)) == [0, 1, 2]
    with pytest.raises(BurnishError, match=r"3 folds need as many parts.*the 4 images show 2"):
        folds_by_part(["a", "b", "a", "b"], 3, 0)
