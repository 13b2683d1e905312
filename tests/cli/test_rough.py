"""The command line under rough handling: signals, links in circles, odd names, odd places."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from burnish import Detector
from burnish.detection.pictures import _colours, outline

BURNISH = [sys.executable, "-m", "burnish.cli.main"]


@pytest.fixture
def part(metal: Path) -> Path:
    return metal / "test" / "good" / "000.png"


def test_a_link_to_itself_costs_no_verdict(
    burnish: Callable, run_folder: Path, part: Path, tmp_path: Path
) -> None:
    shutil.copy(part, tmp_path / "a.png")
    (tmp_path / "l.png").symlink_to("l.png")
    code, out, err = burnish("inspect", run_folder, tmp_path)
    assert code == 2
    assert "a.png" in out
    assert "l.png" in err
    assert "1 not read" in err


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict", "latin-1:strict"])
def test_names_that_the_terminal_cannot_show(
    run_folder: Path, part: Path, tmp_path: Path, encoding: str
) -> None:
    for name in (b"lat\xe9n.png", "中文.png".encode(), b"zz.png"):
        shutil.copy(part, os.path.join(os.fsencode(tmp_path), name))
    done = subprocess.run(
        [*BURNISH, "inspect", run_folder, tmp_path], capture_output=True, check=False,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    assert len(done.stdout.splitlines()) == 3
    assert b"zz.png" in done.stdout


def test_no_name_commands_the_terminal(
    burnish: Callable, run_folder: Path, part: Path, tmp_path: Path
) -> None:
    """Neither a line of its own nor what clears one, in verdicts, notes and errors."""
    for name in ("a\x1b[2K.png", "b\nGOOD  all.png", "c\u202e.png"):
        shutil.copy(part, tmp_path / name)
    (tmp_path / "d\x1b[2K\nburnish: none.png").write_text("junk")
    code, out, err = burnish("inspect", run_folder, tmp_path)
    assert code == 2
    assert len(out.splitlines()) == 3
    assert "a\\x1b[2K.png" in out
    assert "c\\u202e.png: every pixel" in err
    assert "d\\x1b[2K\\nburnish: none.png" in err
    missing = burnish("info", tmp_path / "no\x1b[2K\nburnish: model.onnx")[2]
    assert "no\\x1b[2K\n  burnish: model.onnx" in missing
    assert not set("\x1b\u202e") & set(out + err + missing)


def test_heat_maps_of_the_last_run_are_no_parts(
    burnish: Callable, run_folder: Path, part: Path, tmp_path: Path
) -> None:
    shutil.copy(part, tmp_path / "a.png")
    command = ("inspect", run_folder, tmp_path, "--heatmaps", tmp_path / "heat")
    first = burnish(*command)
    code, out, err = burnish(*command)
    assert (code, out) == (first[0], first[1])
    assert "1 heat map in" in err
    assert "1 image:" in err
    assert [path.name for path in (tmp_path / "heat").iterdir()] == ["a.png.heatmap.png"]
    (tmp_path / "again").symlink_to(tmp_path)
    code, out, err = burnish(*command[:-1], tmp_path / "again" / "heat")
    assert (code, out) == (first[0], first[1])
    assert "1 heat map in" in err
    code, _, err = burnish("inspect", run_folder, tmp_path / "heat", "--heatmaps", tmp_path)
    assert code == 2
    assert "nothing to inspect but heat maps" in err
    (tmp_path / "heat" / "a.png.heatmap.png").unlink()
    code, out, _ = burnish("inspect", run_folder, tmp_path / "a.png", "--heatmaps", tmp_path)
    assert "a.png" in out  # though it lies in that folder


def test_heat_maps_at_full_size_are_the_map_over_the_part(
    burnish: Callable, run_folder: Path, part: Path, tmp_path: Path
) -> None:
    code, _, err = burnish("inspect", run_folder, part, "--full-size")
    assert (code, "--heatmaps DIR" in err) == (2, True)
    burnish("inspect", run_folder, part, "--heatmaps", tmp_path, "--full-size")
    result = Detector.load(run_folder).inspect(part)
    expected = outline(result.heatmap(), result)
    with Image.open(tmp_path / f"{part.name}.heatmap.png") as picture:
        assert picture.size == (64, 64)
        assert picture.tobytes() == expected.tobytes()


def test_heat_maps_that_cannot_be_drawn_cost_no_verdict(
    burnish: Callable, run_folder: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nowhere:  # as matplotlib where all disks are read-only
        def find_spec(self, name: str, *_: object) -> None:
            if name == "matplotlib":
                raise OSError("Matplotlib requires access to a writable cache directory")

    _colours.cache_clear()
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Nowhere(), *sys.meta_path])
    shutil.copy(part, tmp_path / "other.png")
    parts = part, tmp_path / "other.png"
    code, out, err = burnish("inspect", run_folder, *parts, "--heatmaps", tmp_path / "heat")
    assert (code, len(out.splitlines())) == (2, 2)
    assert err.count("heat maps cannot be drawn: Matplotlib requires access") == 2


def test_heat_maps_of_links_are_named_after_the_links(
    burnish: Callable, run_folder: Path, part: Path, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / "links" / folder).mkdir(parents=True)
        (tmp_path / "links" / folder / "p.png").symlink_to(part)
    burnish("inspect", run_folder, tmp_path / "links", "--heatmaps", tmp_path / "heat")
    found = sorted(p.relative_to(tmp_path / "heat") for p in (tmp_path / "heat").rglob("*.png"))
    assert list(map(str, found)) == ["a/p.png.heatmap.png", "b/p.png.heatmap.png"]


def test_an_out_folder_may_have_any_name(burnish: Callable, metal: Path, tmp_path: Path) -> None:
    out = tmp_path / "my [/x] [red]run"
    code, _, err = burnish(
        "train", metal, "--out", out, "--preset", "tiny", "--set", "steps=2",
        "--set", "image_size=32", "--set", "mask_blocks=8,16",
    )  # fmt: skip
    assert code == 0, err
    assert f"next: burnish inspect '{out}' IMAGES" in err
    code, text, _ = burnish("info", out)
    assert code == 0
    assert "my [/x] [red]run/model.safetensors" in text.replace("\n", "")


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [(signal.SIGINT, 130, "burnish: interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM"),
     (signal.SIGHUP, 129, "ended by SIGHUP")],
)  # fmt: skip
def test_what_was_judged_before_a_signal_is_told(
    run_folder: Path, part: Path, tmp_path: Path, kind: signal.Signals, code: int, said: str
) -> None:
    for number in range(3000):
        (tmp_path / f"{number:04}.png").symlink_to(part)
    heat = tmp_path / "heat"
    process = subprocess.Popen(
        [*BURNISH, "inspect", run_folder, tmp_path, "--json", "--heatmaps", heat],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Whoever runs the tests in the background may have had them ignored, for children too.
        preexec_fn=lambda: signal.signal(kind, signal.SIG_DFL),
    )  # fmt: skip
    while not (heat.exists() and len(list(heat.iterdir())) > 2):  # the first ones are told by then
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(kind)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert 0 < len(json.loads(out)) < 3000
    assert said in err
    assert [path.name for path in heat.iterdir() if path.suffix == ".part"] == []


SHORT_OF_MEMORY = """
import re, resource, sys
from pathlib import Path
from burnish import Detector
from burnish.cli.inspect import Inspection
from burnish.cli.printing import Objects
inspection = Inspection(Detector.load(sys.argv[1]), Objects())
large, part = map(Path, sys.argv[2:])
inspection.judge(part)
taken = int(re.search(r"VmSize:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (taken + (500 << 20),) * 2)
inspection.judge(large)
inspection.judge(part)
sys.exit(inspection.exit_code)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_an_image_too_large_for_the_memory_costs_no_other_verdict(
    run_folder: Path, part: Path, tmp_path: Path
) -> None:
    Image.new("L", (13_000, 13_000), 150).save(tmp_path / "large.png")  # its map: 676 MB
    command = [sys.executable, "-c", SHORT_OF_MEMORY, run_folder, tmp_path / "large.png", part]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    first, large, second = map(json.loads, done.stdout.splitlines())
    assert first["score"] == second["score"]
    assert large["verdict"] == "error"
    assert "large.png cannot be inspected: not enough memory" in done.stderr


def buffered() -> dict[str, str]:
    """As a user's shell has it: what is written to a pipe or file is kept until it is much."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [("info", "--json"), ("info",), ("inspect", "--csv")])
def test_a_full_disk_behind_stdout_is_told(
    run_folder: Path, part: Path, arguments: tuple[str, ...]
) -> None:
    verb, *options = arguments
    command = [*BURNISH, verb, run_folder, *([part] if verb == "inspect" else []), *options]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=buffered()
        )
    assert done.returncode == 2
    assert done.stderr.startswith("burnish: ")
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("source", ["part", "missing.png", "--no-such-option"])
def test_a_full_disk_behind_stderr_is_no_defect(run_folder: Path, part: Path, source: str) -> None:
    command = [*BURNISH, "inspect", run_folder, part if source == "part" else source]
    with open("/dev/full", "w") as full:
        for stdout in (subprocess.PIPE, full):
            done = subprocess.run(command, stdout=stdout, stderr=full, env=buffered())
            assert done.returncode == 2


def test_without_stdout_and_stderr_the_exit_code_is_told(run_folder: Path, part: Path) -> None:
    words = " ".join(f"'{word}'" for word in [*map(str, BURNISH), "inspect", run_folder, part])
    code = subprocess.run(["sh", "-c", words], capture_output=True).returncode
    assert code in (0, 1)
    assert subprocess.run(["sh", "-c", f"{words} >&- 2>&-"]).returncode == code


def test_rows_come_as_soon_as_they_are_judged(run_folder: Path, part: Path, tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number:04}.png").symlink_to(part)
    process = subprocess.Popen(
        [*BURNISH, "inspect", run_folder, tmp_path, "--csv"],
        stdout=subprocess.PIPE, text=True, env=buffered(),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("path,verdict,")
    assert "0000.png" in process.stdout.readline()
    assert process.poll() is None
    process.kill()
    rest = process.stdout.read().splitlines()
    process.wait()
    assert len(rest) < 2000  # it had not judged them all


def test_an_export_asked_to_end_leaves_nothing(run_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    out = tmp_path / "out" / "m.onnx"
    process = subprocess.Popen([*BURNISH, "export", run_folder, "--to", "onnx", "--out", out])
    while not (out.parent.exists() and any(out.parent.iterdir())):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 143
    assert list(out.parent.iterdir()) == []


def test_an_end_that_a_library_swallows_comes_at_the_next_stage(
    run_folder: Path, metal: Path, tmp_path: Path, burnish: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from burnish.export import export

    trace = export.trace

    def swallowing(detector: object) -> object:
        with suppress(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
        return trace(detector)  # type: ignore[arg-type]

    monkeypatch.setattr(export, "trace", swallowing)
    before = signal.getsignal(signal.SIGTERM)
    code, _, _ = burnish(
        "export", run_folder, "--to", "torch-export", "--out", tmp_path / "o/m.pt2"
    )
    assert code == 143
    assert list((tmp_path / "o").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_seed_given_twice_is_refused(burnish: Callable, metal: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, err = burnish("train", metal, "--out", out, "--seed", 1, "--set", "seed=2")
    assert (code, "seed is given twice" in err, out.exists()) == (2, True, False)
    code, _, err = burnish("demo", "--out", out, "--set", "seed=2")
    assert (code, "with --seed, not with --set" in err, out.exists()) == (2, True, False)


@pytest.mark.slow
def test_the_demo_ends_with_where_its_files_lie(burnish: Callable, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, err = burnish("demo", "--out", out, "--set", "steps=4", "--set", "warmup=0")
    lines = (said + err).splitlines()
    assert code == 0
    assert f"report:  {out / 'report.html'}" in lines
    assert f"results: {out / 'results.json'}" in lines


def test_a_wrong_value_has_one_complaint(burnish: Callable, metal: Path, tmp_path: Path) -> None:
    code, _, err = burnish("train", metal, "--out", tmp_path, "--tile", 10)
    assert code == 2
    assert "tile: Input should be 'full' or greater than or equal to 16 (given: 10)" in err
