"""The tables of docs/export.md against the committed measurements."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "export_formats.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("export_formats", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(script: ModuleType) -> dict:
    return json.loads(script.OUT.read_text())


def test_the_tables_are_of_the_committed_file(script: ModuleType, found: dict) -> None:
    page = script.PAGE.read_text()
    for name, lines in (
        ("parity", script.parity_table(found)),
        ("times", script.time_table(found)),
    ):
        between = page.split(f"<!-- {name}: benchmarks/export_formats.py -->\n")[1]
        assert between.split(f"\n<!-- end of {name} -->")[0].strip() == "\n".join(lines)


def test_what_was_written_judged_alike(found: dict) -> None:
    for name, model in found["models"].items():
        for label, row in model["formats"].items():
            if label == "torch" or "refused" in row:
                continue
            parity = row["parity"]
            assert parity["verdicts_that_differ"] == 0, (name, label)
            assert parity["largest_score_difference"] <= parity["score_tolerance"], (name, label)
            if "int8" not in label:
                assert row["auroc"] == pytest.approx(model["formats"]["torch"]["auroc"], abs=5e-4)
