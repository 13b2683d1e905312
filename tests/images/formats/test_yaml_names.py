"""The names of YOLO's classes, in the ways in which data sets write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from burnish.errors import BurnishError
from burnish.images.formats.yaml_names import yaml_names


@pytest.mark.parametrize(
    "text",
    ["names: [pit, 'dent']", "nc: 2\nnames:\n- pit\n- dent\n", "names: {0: pit, 1: dent}\n",
     "names:\n  0: pit  # small\n  1: \"dent\"\ntrain: x\n", "names: [pit,\n  dent]\nnc: 2\n"],
)  # fmt: skip
def test_the_ways_to_write_names(text: str) -> None:
    assert yaml_names(text) == ["pit", "dent"]
    assert yaml_names("nc: 2\n") == []


@pytest.mark.parametrize(
    ("text", "names"),
    [("names:\n- pit\n# round ones\n- dent  # deep\n\n  # end\n", ["pit", "dent"]),
     ("names: ['a, b', \"c # d\"]", ["a, b", "c # d"]),
     ("names: [pit, # small\n  dent,\n]\r\nnc: 2\r\n", ["pit", "dent"]),
     ("names:\n  '0': worker's\n  2: 'it''s # x'\n---\n- y\n", ["worker's", "class1", "it's # x"]),
     ("names: {0: 'a, b', 1: C#}", ["a, b", "C#"]), ("names: []\n", []), ("names:\nnc: 0\n", [])],
)  # fmt: skip
def test_names_with_comments_commas_and_quotes(text: str, names: list[str]) -> None:
    assert yaml_names(text) == names


@pytest.mark.parametrize(
    "names",
    ["[a, b", "[[a], b]", "[a,, b]", "coco.names", "&x [a]", "\n- a\n-\n- b", "\n- 'a\n- b'",
     "\n- {0: a}", "\n  pit: 0\n  dent: 1", "\n- a\n  b"],
)  # fmt: skip
def test_names_that_would_shift_the_classes_are_refused(
    tree: Callable, items: Callable, picture: Callable, names: str
) -> None:
    root = tree({"images/a.png": picture(1), "labels/a.txt": "0 .5 .5 .5 .5",
                 "data.yaml": f"names: {names}\n"})  # fmt: skip
    with pytest.raises(BurnishError, match=r"data\.yaml: its names cannot be read at '"):
        items(root, "yolo")
