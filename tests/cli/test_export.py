"""`burnish export`, `burnish inspect` with what it wrote, and the example without burnish."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from burnish import Detector

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx_runtime.py"

# Nothing but the three packages the example names may be imported.
BLOCKED = """
import runpy, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("burnish", "torch", "onnx", "scipy", "openvino"):
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Block())
try:
    import burnish
except ImportError:
    pass
else:
    sys.exit("burnish could be imported")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def onnx_file(run_folder: Path) -> Path:
    from burnish.export.export import export_model

    made = export_model(run_folder, "onnx", run_folder.parent / "cli.onnx")
    return made.files[0]


def test_export_writes_beside_the_model_and_tells_the_parity(
    burnish: Callable, run_folder: Path
) -> None:
    code, out, err = burnish("export", run_folder, "--to", "torch-export", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["files"] == [str(run_folder / "model.pt2")]
    assert found["parity"]["verdicts_that_differ"] == 0
    assert found["parity"]["largest_score_difference"] <= found["parity"]["score_tolerance"]
    assert "comparing on" in err


def test_inspect_takes_the_export(
    burnish: Callable, run_folder: Path, onnx_file: Path, metal: Path
) -> None:
    first = burnish("inspect", run_folder, metal / "test", "--json")
    second = burnish("inspect", onnx_file, metal / "test", "--json")
    assert first[0] == second[0]
    for one, two in zip(json.loads(first[1]), json.loads(second[1]), strict=True):
        assert one["path"] == two["path"]
        assert one["verdict"] == two["verdict"]
        assert two["score"] == pytest.approx(one["score"], rel=2e-5)


def test_errors_are_one_line(burnish: Callable, run_folder: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("export", tmp_path / "none", "--to", "onnx"), "no such model"),
        (("export", run_folder, "--to", "onnx", "--data", tmp_path / "none"), "no folder"),
        (("export", run_folder, "--to", "onnx", "--out", tmp_path / "m.bin"), "must end in .onnx"),
        (("inspect", tmp_path / "none.onnx", tmp_path), "holds no image"),
    ):
        code, out, err = burnish(*arguments)
        assert code == 2
        assert out == ""
        assert message in err
        assert err.startswith("burnish: ")
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    code, _, err = burnish("inspect", tmp_path / "bad.onnx", tmp_path / "a.png")
    assert code == 2
    assert "is damaged, or no ONNX file" in err


def run_example(model: Path, part: Path, heat: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, str(EXAMPLE), str(model), str(part), str(heat)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("kind", ["grey", "rgb", "16 bits", "turned"])
def test_the_example_judges_as_burnish_does(
    run_folder: Path, onnx_file: Path, metal: Path, tmp_path: Path, kind: str
) -> None:
    grey = np.asarray(Image.open(next(iter(sorted((metal / "test").rglob("*.png"))))))
    image = {
        "grey": grey,
        "rgb": np.stack([grey, grey // 2, 255 - grey], axis=2),
        "16 bits": grey.astype(np.uint16) * 256 + 9,
        "turned": grey[:, :50],
    }[kind]
    part, heat = tmp_path / "part.png", tmp_path / "heat.png"
    held = Image.Exif()
    held[ExifTags.Base.Orientation] = 6 if kind == "turned" else 1
    Image.fromarray(image).save(part, exif=held)
    done = run_example(onnx_file, part, heat)
    expected = Detector.load(run_folder).inspect(part)
    assert done.returncode == int(expected.is_defect), done.stderr
    verdict, score = done.stdout.split()[:2]
    assert verdict == expected.verdict
    assert float(score.removeprefix("score=")) == pytest.approx(expected.score, rel=3e-5)
    with Image.open(heat) as picture:
        assert picture.size == expected.image.shape[1::-1]
        assert (picture.size[1] == 50) == (kind == "turned")
        assert picture.mode == "RGB"


@pytest.mark.parametrize("content", [b"", b"no picture", "half", "half, then zeros"])
def test_the_example_tells_of_pictures_that_it_cannot_read(
    onnx_file: Path, metal: Path, tmp_path: Path, content: bytes | str
) -> None:
    part = tmp_path / "part.png"
    if content == "half":
        whole = (metal / "test" / "good" / "000.png").read_bytes()
        content = whole[: len(whole) // 2]
    elif content == "half, then zeros":
        Image.linear_gradient("L").rotate(30).save(part)
        whole = part.read_bytes()
        content = whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)
        part.write_bytes(content)
        Image.open(part).load()  # no fault that decoding would show
    assert isinstance(content, bytes)
    part.write_bytes(content)
    done = run_example(onnx_file, part, tmp_path / "heat.png")
    assert done.returncode == 2
    assert "part.png could not be inspected" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_does_not_write_over_a_second_picture(
    onnx_file: Path, metal: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.png"
    data = (metal / "test" / "good" / "001.png").read_bytes()
    second.write_bytes(data)
    done = run_example(onnx_file, metal / "test" / "good" / "000.png", second)
    assert done.returncode == 2
    assert "One picture at a time" in done.stderr
    assert second.read_bytes() == data


def test_the_example_ends_with_1_for_a_defect_alone(
    onnx_file: Path, metal: Path, tmp_path: Path
) -> None:
    part, heat = metal / "test" / "good" / "000.png", tmp_path / "heat.png"
    copied = tmp_path / "copied.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(copied)
    data = copied.read_bytes()
    assert run_example(onnx_file, copied, heat).returncode in (0, 1)
    copied.write_bytes(data[:-1000] + bytes(1000))
    Image.open(copied).load()  # no fault that decoding would show
    for model, picture, out, said in (
        (tmp_path / "none.onnx", part, heat, "File doesn't exist"),
        (onnx_file, part, tmp_path / "none" / "heat.png", "No such file"),
        (onnx_file, copied, heat, "the end of the JPEG is missing"),
    ):
        done = run_example(model, picture, out)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def broken_model(onnx_file: Path) -> Any:
    """An ONNX model whose scores are no numbers."""
    import onnx

    proto = onnx.load(onnx_file)
    held = next(value for value in proto.graph.initializer if value.name.endswith("embed.position"))
    held.CopyFrom(onnx.numpy_helper.from_array(np.full(held.dims, np.nan, np.float32), held.name))
    return proto


def test_the_example_calls_no_part_good_if_the_score_is_no_number(
    onnx_file: Path, metal: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(broken_model(onnx_file).SerializeToString())
    part = metal / "test" / "good" / "000.png"
    done = run_example(tmp_path / "m.onnx", part, tmp_path / "heat.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the score is nan: the model or this machine is broken" in done.stderr


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_the_example_refuses_32_bits(onnx_file: Path, tmp_path: Path, kind: type) -> None:
    part = tmp_path / "part.tif"
    Image.fromarray(np.zeros((64, 64), kind)).save(part)
    done = run_example(onnx_file, part, tmp_path / "heat.png")
    assert done.returncode == 2
    assert "it has 32 or 12 bits" in done.stderr


@pytest.mark.parametrize(
    ("tag", "value", "refused"), [(258, 12, True), (262, 0, True), (262, 1, False)]
)
def test_the_example_refuses_tiffs_that_it_would_misread(
    onnx_file: Path, tmp_path: Path, tag: int, value: int, refused: bool
) -> None:
    """Of 12 bits, and of 16 where 0 is white; not all of 16."""
    part = tmp_path / "part.tif"
    Image.fromarray(np.full((64, 64), 30000, np.uint16)).save(part)
    content, usual = part.read_bytes(), {258: 16, 262: 1}[tag]
    before, after = (struct.pack("<HHIHH", tag, 3, 1, v, 0) for v in (usual, value))
    assert content.count(before) == 1
    part.write_bytes(content.replace(before, after))
    done = run_example(onnx_file, part, tmp_path / "heat.png")
    assert (done.returncode == 2) == refused, done.stderr
    assert ("12 bits, or 16 of which 0 is white" in done.stderr) == refused
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_cpp_example_judges_as_burnish_does(
    run_folder: Path, onnx_file: Path, metal: Path, tmp_path: Path
) -> None:
    import openvino

    from burnish.export.export import export_model
    from burnish.export.exported import load_exported
    from burnish.export.write import write_openvino

    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ here")
    package = Path(openvino.__file__).parent
    library = next((package / "libs").glob("libopenvino.so.*"))
    program, part = tmp_path / "inspect", tmp_path / "part.pgm"
    subprocess.run(
        [compiler, "-std=c++17", str(EXAMPLE.with_name("openvino_runtime.cpp")),
         f"-I{package / 'include'}", str(library), f"-Wl,-rpath,{library.parent}",
         "-o", str(program)],
        check=True, timeout=300,
    )  # fmt: skip
    model = export_model(run_folder, "openvino", tmp_path / "m.xml").files[0]
    for source in (metal / "test" / "good" / "000.png", metal / "train" / "good" / "003.png"):
        Image.open(source).save(part)
        head, pixels = part.read_bytes().split(b"\n", 1)
        part.write_bytes(head + b"\n# made by hand\n" + pixels)
        done = subprocess.run(
            [program, model, part, tmp_path / "heat.pgm"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        expected = Detector.load(run_folder).inspect(source)
        assert done.returncode == int(expected.is_defect), done.stderr
        verdict, score = done.stdout.split()
        assert verdict == expected.verdict
        assert float(score.removeprefix("score=")) == pytest.approx(expected.score, rel=3e-5)
        heat = np.asarray(Image.open(tmp_path / "heat.pgm")) / 255
        low, high = expected.heat_range
        wanted = ((expected.anomaly_map - low) / (high - low)).clip(0, 1)
        np.testing.assert_allclose(heat, wanted, atol=1 / 254)
    unwritten = subprocess.run(
        [program, model, part, tmp_path / "none" / "heat.pgm"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (unwritten.returncode, unwritten.stderr) == (
        2, f"{tmp_path / 'none' / 'heat.pgm'} cannot be written\n",
    )  # fmt: skip
    write_openvino(broken_model(onnx_file), load_exported(model).metadata, tmp_path / "nan.xml")
    broken = subprocess.run(
        [program, tmp_path / "nan.xml", part, tmp_path / "heat.pgm"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (broken.returncode, broken.stdout) == (2, "")
    assert broken.stderr == "the score is nan: the model or this machine is broken\n"
