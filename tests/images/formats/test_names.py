"""Names in a source."""

from __future__ import annotations

from burnish.images.formats.names import by_stem, find_sibling


def test_a_sibling_of_the_same_case_goes_first() -> None:
    known = by_stem(["gt/A.png", "gt/a.png", "gt/a.bmp", "gt/B.png", "gt/c.txt"])
    wanted = {"gt/A": "gt/A.png", "gt/a": "gt/a.png", "gt/b": "gt/B.png", "gt/B": "gt/B.png",
              "GT/B": "gt/B.png", "gt/c": None}  # fmt: skip
    assert {stem: find_sibling(stem, known) for stem in wanted} == wanted
