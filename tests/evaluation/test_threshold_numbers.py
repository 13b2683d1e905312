"""The page's script writes shares as the page itself does, digit for digit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import burnish.evaluation
from burnish.evaluation.pages import number
from burnish.evaluation.summary import percent

SCRIPT = Path(burnish.evaluation.__file__).parent / "templates" / "threshold.js"
MOST = 200  # images


def test_shares_of_up_to_200_images_are_rounded_as_in_python() -> None:
    """5 of 16 is exactly between 31.2 and 31.3 %."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here (Debian: nodejs)")
    text = SCRIPT.read_text("utf-8")
    functions = text[text.index("  function fixed") : text.index("  function counted")]
    program = f"""{functions}
    var all = [];
    for (var whole = 0; whole <= {MOST}; whole++)
      for (var part = 0; part <= whole; part++)
        all.push([part, whole, percent(part, whole), ratio(part, whole)]);
    console.log(JSON.stringify(all));"""
    done = subprocess.run([node, "-e", program], check=True, capture_output=True, text=True)
    shares = json.loads(done.stdout)
    assert [5, 16, "31.2 %", "0.312"] in shares
    for part, whole, *shown in shares:
        rate = part / whole if whole else None
        assert shown == [percent(rate), number(rate)], (part, whole)
