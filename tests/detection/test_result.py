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
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    result = detector.inspect(np.zeros((40, 40), np.uint8))
    assert named == set(result.to_dict()) | set(COLUMNS)
    of_python = {name for row in rows for name in re.findall(r"`(\w+)[`.]", row.split("|")[2])}
    assert not {name for name in of_python - {"Result"} if not hasattr(result, name)}


@pytest.mark.parametrize(("kind", "notes"), [(np.uint8, 0), (np.uint16, 1)])
def test_an_array_of_16_bits_is_read_with_a_note(
    detector: Detector, kind: type, notes: int
) -> None:
    found = detector.inspect(np.zeros((40, 40), kind))
    assert sum("upper 8" in note for note in found.notes) == notes
