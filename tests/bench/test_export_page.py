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


def test_the_memory_of_tiles_is_of_the_committed_file(script: ModuleType) -> None:
    sizes = json.loads((ROOT / "benchmarks" / "tile_memory.json").read_text())["sizes"]
    page = " ".join(script.PAGE.read_text().split())

    def beside(size: str, kind: str) -> int:
        return sizes[size][kind]["peak_mib"] - sizes[size][kind]["before_mib"]

    kinds = ("onnx", "openvino", "torch-export", "burnish")
    mib = " | ".join(f"{beside('12 MP', kind)} MiB" for kind in kinds)
    gib = " | ".join(
        f"{beside('48 MP', kind) / 1024:.1f} GiB".removeprefix("0") for kind in kinds
    )  # fmt: skip
    head = (
        "| image | ONNX Runtime | OpenVINO | torch.export | burnish itself | |---|---|---|---|---|"
    )
    assert f"{head} | 12 megapixels | {mib} | | 48 megapixels | {gib} | Times" in page
    times = [
        sizes[size][kind]["seconds"] / sizes[size]["burnish"]["seconds"]
        for size in sizes for kind in kinds[:3]
    ]  # fmt: skip
    least, most = (f"{time:.1f}".removeprefix("0") for time in (min(times), max(times)))
    assert f"Times are alike: {least} to {most} of burnish's" in page
    data = " ".join((ROOT / "docs" / "data.md").read_text().split())
    large, model = beside("48 MP", "burnish"), sizes["48 MP"]["burnish"]["before_mib"]
    assert f"48 megapixels of pure noise: {large} MiB above the model's own {model}" in data
