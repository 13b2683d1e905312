"""`burnish bench` as a user runs it: figures that agree with each other, and mistakes."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import burnish as package
from burnish import Detector
from burnish.bench.flops import count_step
from burnish.bench.parts import PARTS
from burnish.bench.record import Products, TrainingFigures
from burnish.cli.bench_tables import _parts
from burnish.configuration import make_settings
from burnish.method.generator import InputShape

Call = Callable[..., tuple[int, str, str]]
VERB = ("bench",)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def short(micro: dict) -> list[str]:
    """Options of a bench that takes seconds."""
    options = ["--preset", "tiny", "--seconds", "0.2"]
    for name, value in micro.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        options += ["--set", f"{name}={text}"]
    return options


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "apart"), [("float32", 1e-4), ("bfloat16", 1e-2)])
def test_everything_is_measured_and_agrees(
    burnish: Call, short: list[str], micro: dict, tmp_path: Path, precision: str, apart: float
) -> None:
    """The plain version always trains in float32."""
    path = tmp_path / "out" / "bench.json"
    options = [*short, "--set", f"precision={precision}", "--against", "naive", "--threads", 1]
    code, out, _ = burnish(*options, "--json", path)
    assert code == 0
    found: dict[str, Any] = json.loads(path.read_text())
    assert (found["preset"], found["data"]) == ("tiny", "made by burnish")
    assert found["machine"]["threads"] == 1

    training = found["training"]
    assert tuple(training["parts_ms"]) == PARTS
    assert sum(training["parts_ms"].values()) == pytest.approx(training["step_ms"])
    assert training["images_per_second"] == pytest.approx(4000 / training["step_ms"])
    assert training["input"] == [1, 32, 32]
    settings = make_settings("tiny", micro)
    products = training["products"]
    assert products["flops"] == count_step(settings, InputShape(1, 32, 32), 4).flops
    assert products["reached"] == pytest.approx(products["flops"] / training["step_ms"] * 1000)

    naive = found["naive"]
    assert naive["train_speedup"] == pytest.approx(naive["train_naive_ms"] / naive["train_ms"])
    assert naive["inspect_speedup"] == pytest.approx(
        naive["inspect_naive_ms"] / naive["inspect_ms"]
    )
    assert naive["train_difference"] < apart
    assert found["machine"]["precision"] == precision
    assert naive["inspect_difference"] < 1e-3
    assert naive["verdicts_differ"] == 0

    for words in ("G and E backward", "postprocess", "best batch", "speedup", "GFLOP"):
        assert words in out
    assert f"{training['step_ms']:.1f}" in out


@pytest.mark.slow
def test_own_images_and_json_on_stdout(
    burnish: Call, short: list[str], metal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code, out, _ = burnish(*short, "--data", metal, "--json", "-")
    assert code == 0
    assert not [record for record in caplog.records if record.name == "burnish"]
    found = json.loads(out)
    assert found["data"] == str(metal)
    assert found["inspection"]["source_size"] == [64, 64]
    assert found["naive"] is None


def test_models_are_shown_side_by_side(burnish: Call, run_folder: Path, metal: Path) -> None:
    detector = Detector.load(run_folder)
    other = detector.with_false_alarms(0.9).save(run_folder.parent / "other.safetensors")
    code, out, _ = burnish("--model", run_folder, "--model", other, "--data", metal)
    assert code == 0
    assert "models side by side, 16 images" in out
    assert "other.safetensors" in out
    assert "AUROC" in out


def test_an_image_that_cannot_be_read_is_left_out(
    burnish: Call, run_folder: Path, metal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(metal, data)
    broken = min((data / "test").rglob("*.png"))
    broken.write_bytes(broken.read_bytes()[:300])
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = burnish("--model", run_folder, "--model", run_folder, "--data", data)
    assert code == 0
    assert f"not used: {broken}" in err
    assert "models side by side, 15 images" in out
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert lines[-1][-2:] == ["0", "0"]  # the last columns are whole at 80 characters


def test_parts_that_are_turned_are_not_raced(burnish: Call, short: list[str], bolts: Path) -> None:
    options = [*short, "--data", bolts, "--set", "align=auto"]
    code, _, err = burnish(*options, "--against", "naive")
    assert code == 2
    assert "--set align=none" in err


def test_parts_are_told_by_the_users_own_names(
    burnish: Call, short: list[str], metal: Path
) -> None:
    first = min((metal / "train/good").iterdir()).stem
    pattern = f"part_pattern=^{first[:-1]}"  # fits the first ten names alone
    code, _, err = burnish(*short, "--data", metal, "--set", pattern)
    assert code == 0, err


def test_models_need_images(burnish: Call, run_folder: Path) -> None:
    code, _, err = burnish("--model", run_folder)
    assert code == 2
    assert "--data" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--against", "torch"), "there is only 'naive'"),
        (("--preset", "smal"), "Did you mean 'small'?"),
        (("--set", "batch"), "key=value"),
        (("--data", "/no/such/folder"), "there is no /no/such/folder"),
        (("--json", "/proc/none/bench.json"), "cannot write /proc/none"),
        (("--model", "/no/model", "--data", "/"), "there is no /no/model"),
        (("--model", "x", "--against", "naive"), "leave --against out"),
        (
            ("--model", "x", "--preset", "tiny", "--set", "batch=4", "--seconds", "1"),
            "leave --preset, --seconds, --set out",
        ),
        (("--set", "mask_channel=true", "--against", "naive"), "knows no mask_channel=True"),
        (("--set", "tile=128", "--against", "naive"), "knows no tile=128"),
        (
            ("--set", "features=efficientnet-lite0", "--set", "fusion=max", "--against", "naive"),
            "knows no features=efficientnet-lite0",
        ),
    ],
)
def test_mistakes_are_told(burnish: Call, arguments: tuple[str, ...], words: str) -> None:
    code, _, err = burnish(*arguments)
    assert code == 2
    assert words in err


@pytest.mark.parametrize("option", [("--threads", "0"), ("--seconds", "0"), ("--threads", "two")])
def test_numbers_out_of_range_are_usage_errors(burnish: Call, option: tuple[str, str]) -> None:
    assert burnish(*option)[0] == 2


def test_an_empty_folder_and_broken_images_are_told(burnish: Call, tmp_path: Path) -> None:
    code, _, err = burnish("--data", tmp_path)
    assert code == 2
    assert str(tmp_path) in err
    for index in range(10):
        (tmp_path / f"{index}.png").write_bytes(b"no picture")
    code, _, err = burnish("--data", tmp_path)
    assert code == 2
    assert "0 of 10 images can be read" in err


def test_a_broken_model_is_told(burnish: Call, metal: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nothing")
    code, _, err = burnish("--model", path, "--data", metal)
    assert code == 2
    assert str(path) in err


def test_the_plain_version_is_missed_in_an_installed_package(
    burnish: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "lib" / "site-packages" / "burnish" / "__init__.py"
    monkeypatch.setattr(package, "__file__", str(installed))
    code, _, err = burnish("--against", "naive")
    assert code == 2
    assert "part of the source" in err
    assert str(tmp_path / "lib" / "benchmarks" / "naive") in err


def test_a_replayed_step_stands_below_its_launched_parts() -> None:
    record = json.loads((ROOT / "benchmarks" / "gpu_paper_8.json").read_text("utf-8"))["training"]
    figures = TrainingFigures(**{**record, "products": Products(**record["products"])})
    console = Console(width=100, file=io.StringIO())
    console.print(_parts(figures))
    said = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert f"step {sum(figures.parts_ms.values()):.1f}" in said
    assert f"replayed as a CUDA graph {figures.step_ms:.1f}" in said
    shares = [int(share) for share in re.findall(r"(\d+) %", said)]
    assert len(shares) == len(figures.parts_ms)
    assert 96 <= sum(shares) <= 104
