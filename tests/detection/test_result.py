"""The page that explains a verdict names every field there is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from burnish import Detector
from burnish.cli.printing import COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"


def test_docs_name_every_field(detector: Detector) -> None:
    _, fields, pictures, *_ = re.split("^## ", PAGE.read_text("utf-8"), flags=re.M)
    rows = [line.split("|")[1:] for line in fields.splitlines() if line.startswith(("| `", "| -"))]
    in_csv, in_json, in_python = (
        {name for row in rows for name in re.findall(r"`(\w+)[`.]", row[column])}
        for column in range(3)
    )
    result = detector.inspect(np.zeros((40, 40), np.uint8))
    assert in_csv == set(COLUMNS)
    assert in_json == set(result.to_dict()) | {"error"}
    shown = {name for line in pictures.splitlines() if line.startswith("| `")
             for name in re.findall(r"`(\w+)[`(]", line.split("|")[1])}  # fmt: skip
    assert len(in_python) > 15
    assert len(shown) == 7
    assert not {name for name in in_python | shown if not hasattr(result, name)}


@pytest.mark.parametrize(("kind", "notes"), [(np.uint8, 0), (np.uint16, 1)])
def test_an_array_of_16_bits_is_read_with_a_note(
    detector: Detector, kind: type, notes: int
) -> None:
    found = detector.inspect(np.zeros((40, 40), kind))
    assert sum("upper 8" in note for note in found.notes) == notes
