"""File names that are safe everywhere."""

from __future__ import annotations

import string

import numpy as np
import pytest

from burnish.images.preparing.naming import Names, safe_kind, safe_name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Part0", "Part0"), ("a b/c", "a_b_c"), ("../../etc/passwd", "_.._etc_passwd"),
        (".hidden", "hidden"), ("-rf", "rf"), ("..", "image"), ("", "image"), ("///", "image"),
        ("é", "image"), ("naïve", "na_ve"), ("con", "_con"), ("NUL.x", "_NUL.x"), ("dot.", "dot"),
        ("\x1b[31mred", "_31mred"), ("x" * 500, "x" * 100),
    ],
)  # fmt: skip
def test_safe_names(raw: str, name: str) -> None:
    assert safe_name(raw) == name


def test_kinds_are_never_good() -> None:
    assert safe_kind("scratch neck") == "scratch_neck"
    assert safe_kind("good") == "good_defect"
    assert safe_kind("Good") == "Good_defect"
    assert safe_kind("OK") == "OK_defect"
    assert safe_kind("") == "defect"


def test_any_name_becomes_safe_and_stays_so() -> None:
    rng = np.random.default_rng(0)
    alphabet = string.printable + "éß漢\0\x7f\u202e"
    allowed = set(string.ascii_letters + string.digits + "._-")
    for _ in range(2000):
        raw = "".join(rng.choice(list(alphabet), rng.integers(0, 130)))
        name = safe_name(raw)
        assert name
        assert set(name) <= allowed
        assert name[0] not in ".-"
        assert name[-1] != "."
        assert safe_name(name) == name


def test_names_of_one_folder_are_unique_also_without_case_and_with_masks() -> None:
    names = Names()
    given = [names.unique(stem) for stem in ("a", "A", "a", "a-2", "b_mask", "b", "c", "c_mask")]
    assert given == ["a", "A-2", "a-3", "a-2-2", "b_mask", "b-2", "c", "c_mask-2"]
    assert len({name.lower() for name in given}) == len(given)
    masks = {f"{name}_mask".lower() for name in given}
    assert not masks & {name.lower() for name in given}
