"""The split: no part on both sides, whatever the data; the rule; the draw."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from burnish.errors import BurnishError
from burnish.images.preparing.split import TEST, TRAIN, as_given, by_part, crossing, draw


def random_set(rng: np.random.Generator) -> tuple[list[str], list[bool]]:
    images = int(rng.integers(2, 80))
    parts = [f"p{n}" for n in rng.integers(0, rng.integers(2, 30), images)]
    defective = (rng.random(images) < rng.choice([0, 0.05, 0.3, 0.7, 1])).tolist()
    return parts, defective


def test_guarantees_on_random_sets() -> None:
    rng = np.random.default_rng(0)
    drawn_from_all = 0
    for trial in range(600):
        parts, defective = random_set(rng)
        if len(set(parts)) < 2:
            continue
        share, seed = float(rng.uniform(0.05, 0.95)), int(rng.integers(1000))
        split = by_part(parts, defective, share, seed)
        by_name: dict[str, set[str]] = {}
        for part, bad, side in zip(parts, defective, split.sides, strict=True):
            by_name.setdefault(part, set()).add(side)
            assert not (side == TRAIN and bad)
            assert side or bad, "a good image is never left out"
        assert not any({TRAIN, TEST} <= sides for sides in by_name.values()), f"trial {trial}"
        assert not crossing(parts, split.sides)
        if not all(defective):
            assert TRAIN in split.sides or all(
                any(b for p, b in zip(parts, defective, strict=True) if p == q)
                for q, s in by_name.items() if s == {""}
            )  # fmt: skip
        # the same for any order of the images
        order = rng.permutation(len(parts))
        again = by_part([parts[i] for i in order], [defective[i] for i in order], share, seed)
        assert again.sides == tuple(split.sides[i] for i in order)
        assert again.notes == split.notes
        drawn_from_all += "" in split.sides
    assert drawn_from_all > 50  # both halves of the rule were tried


def test_clean_parts_go_to_training_first() -> None:
    # ten clean parts of 3, five flawed parts of 2: clean ones hold 30 of 35 good images
    parts = [f"clean{n}" for n in range(10) for _ in range(3)]
    parts += [f"flawed{n}" for n in range(5) for _ in range(2)]
    defective = [False] * 30 + [True, False] * 5
    split = by_part(parts, defective, 0.7, 0)
    assert Counter(split.sides) == {TRAIN: 21, TEST: 19}
    assert all(side == TEST for side in split.sides[30:])
    assert "7 of 10 parts without a defect" in split.notes[0]
    assert "5 good images of parts that also show a defect" in split.notes[1]


def test_where_nearly_every_part_has_a_defect_all_parts_are_drawn_from() -> None:
    # twenty parts of eight, one defect in each but the last
    parts = [f"kos{n:02d}" for n in range(20) for _ in range(8)]
    defective = [n < 19 and i == 0 for n in range(20) for i in range(8)]
    split = by_part(parts, defective, 0.7, 0)
    trained = {p for p, s in zip(parts, split.sides, strict=True) if s == TRAIN}
    left_out = split.sides.count("")
    assert len(trained) == 14
    assert left_out == 14 - ("kos19" in trained)
    assert split.sides.count(TRAIN) == 14 * 8 - left_out
    assert "14 of 20 parts go to train, drawn from all" in split.notes[0]
    assert f"{left_out} defective images of training parts are left out" in split.notes[1]


@pytest.mark.parametrize(("clean", "from_all"), [(5, False), (4, True)])
def test_the_rule_turns_at_half_of_the_good_images(clean: int, from_all: bool) -> None:
    """`clean` good images in clean parts, 5 in flawed ones."""
    parts = [f"c{n}" for n in range(clean)] + [f"f{n}" for n in range(5) for _ in range(2)]
    defective = [False] * clean + [True, False] * 5
    split = by_part(parts, defective, 0.5, 1)
    assert ("drawn from all" in split.notes[0]) == from_all


def test_small_sets_keep_something_on_both_sides() -> None:
    assert sorted(by_part(["a", "b"], [False, False], 0.99, 0).sides) == [TEST, TRAIN]
    assert sorted(by_part(["a", "b"], [False, False], 0.01, 0).sides) == [TEST, TRAIN]
    assert by_part(["a", "b"], [False, True], 0.01, 0).sides == (TRAIN, TEST)
    with pytest.raises(BurnishError, match=r"all 3 images are of one part, 'a'.*--part"):
        by_part(["a"] * 3, [False] * 3, 0.7, 0)


def test_without_good_images_all_is_tested() -> None:
    split = by_part(["a", "b"], [True, True], 0.7, 0)
    assert split.sides == (TEST, TEST)
    assert "no image is good" in split.notes[0]


def test_the_draw_is_fair_and_depends_on_the_seed() -> None:
    parts = [f"part{n}" for n in range(10)]
    counts = Counter(part for seed in range(2000) for part in draw(parts, 0.3, seed))
    assert sum(counts.values()) == 2000 * 3
    # 600 +- 20.5 (binomial) for each part: 5 sigma
    assert all(abs(counts[part] - 600) < 103 for part in parts), counts
    assert len({frozenset(draw(parts, 0.5, seed)) for seed in range(100)}) > 60


def test_the_draw_stays_as_it_is() -> None:
    """A prepared set must come out the same with the next version: these were drawn once."""
    assert sorted(draw([f"part{n}" for n in range(10)], 0.3, 0)) == ["part0", "part6", "part8"]


def test_the_sources_split_is_kept_and_what_crosses_it_is_said() -> None:
    parts = ["a", "a", "b", "c", "c"]
    split = as_given(parts, [False, False, False, False, True],
                     [TRAIN, TEST, TRAIN, TEST, TRAIN])  # fmt: skip
    assert split.sides == (TRAIN, TEST, TRAIN, TEST, "")
    assert "1 of 3 parts lie on BOTH sides (1 images in train, 1 in test): a" in split.notes[1]
    assert "1 defective images in the source's train side" in split.notes[2]
    clean = as_given(["a", "b"], [False, True], [TRAIN, TEST])
    assert clean.notes == ("the source's own split is kept",)
