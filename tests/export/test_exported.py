"""Exported models give the results of the model they were made from, whatever the image."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from burnish import BurnishError, Detector
from burnish.bench.models import compare_models
from burnish.export.exported import ExportedDetector, load_exported
from burnish.export.metadata import EXPORT_FORMAT, KEY, read_metadata
from burnish.export.pt2_guard import EXTRA, pack, read_members
from burnish.export.runtimes import members_digest
from burnish.export.write import write_onnx

EVERY = pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])


loaded = lru_cache(maxsize=None)(load_exported)


def assert_same(model: Detector, exported: Detector, source: object) -> None:
    one, two = model.inspect(source), exported.inspect(source)  # type: ignore[arg-type]
    assert two.score == pytest.approx(one.score, rel=2e-5)
    assert two.is_defect == one.is_defect
    assert two.threshold == one.threshold
    assert two.scale_scores == pytest.approx(one.scale_scores, rel=1e-4, abs=1e-4)
    assert two.block == one.block
    assert two.peak == one.peak
    assert len(two.regions) == len(one.regions)
    assert two.anomaly_map.dtype == np.float32
    height = float(np.abs(one.anomaly_map).max())
    np.testing.assert_allclose(two.anomaly_map, one.anomaly_map, atol=1e-4 * height)
    assert two.reconstruction.shape == one.reconstruction.shape
    levels = np.abs(two.reconstruction.astype(int) - one.reconstruction.astype(int))
    assert levels.max() <= 1
    if one.image.shape[0] >= 32:  # see resize_levels: lower than the model's input
        assert (levels > 0).mean() < 0.02
    assert [str(u) for u in two.out_of_range] == [str(u) for u in one.out_of_range]
    assert (one.inside is None) == (two.inside is None)
    if one.inside is not None:
        assert np.array_equal(one.inside, two.inside)


@EVERY
def test_every_image_of_a_set(exports: Path, detector: Detector, metal: Path, suffix: str) -> None:
    exported = Detector.load(exports / f"model{suffix}")
    assert isinstance(exported, ExportedDetector)
    for path in sorted((metal / "test").rglob("*.png")):
        assert_same(detector, exported, path)


@EVERY
def test_threads_get_the_results_of_their_own_images(exports: Path, suffix: str) -> None:
    exported = loaded(exports / f"model{suffix}")
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (40, 48, 48), dtype=np.uint8))
    alone = [exported.run(image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(exported.run, images))
    for one, two in zip(alone, together, strict=True):
        assert all(np.array_equal(one[name], two[name]) for name in one)


MANY_SIZES = """
import sys
from pathlib import Path
import numpy as np
from burnish.export.exported import load_exported

def mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) / 256

exported, rng = load_exported(sys.argv[1]), np.random.default_rng(0)
for number in range(250):
    if number == 100:
        before = mib()
    exported.run(rng.integers(0, 256, rng.integers(20, 200, 2), dtype=np.uint8))
print(mib() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@EVERY
def test_images_of_many_sizes_do_not_fill_the_memory(exports: Path, suffix: str) -> None:
    command = [sys.executable, "-c", MANY_SIZES, str(exports / f"model{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100  # MiB


@pytest.mark.parametrize(
    "state", [torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
@EVERY
def test_what_the_caller_has_switched_on_changes_nothing(
    exports: Path, suffix: str, state: Callable[[], AbstractContextManager[None]]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    before = loaded(exports / f"model{suffix}").inspect(image)
    with state():
        within = load_exported(exports / f"model{suffix}").inspect(image)
    assert within.score == before.score
    assert np.array_equal(within.anomaly_map, before.anomaly_map)


def test_the_processor_may_be_named_as_torch_does(exports: Path) -> None:
    assert load_exported(exports / "model.onnx", torch.device("cpu")).device == "cpu"  # type: ignore[arg-type]
    with pytest.raises(BurnishError, match="not on 'cuda'"):
        load_exported(exports / "model.onnx", "cuda")


def test_a_bench_says_where_exports_run(exports: Path, run_folder: Path, metal: Path) -> None:
    files = sorted((metal / "test" / "good").iterdir())[:1]
    _, exported = compare_models([run_folder, exports / "model.onnx"], files, None)
    assert exported.device == "cpu"


def test_a_bench_counts_the_weights_beside_an_xml(
    exports: Path, metal: Path, tmp_path: Path
) -> None:
    shutil.copy(exports / "model.xml", tmp_path / "m.XML")
    shutil.copy(exports / "model.bin", tmp_path / "m.bin")
    files = sorted((metal / "test" / "good").iterdir())[:1]
    small, capital = compare_models([exports / "model.xml", tmp_path / "m.XML"], files, None)
    both = (exports / "model.xml").stat().st_size + (exports / "model.bin").stat().st_size
    assert small.size_mib == capital.size_mib == both / 2**20


@EVERY
@pytest.mark.parametrize("size", [(64, 64), (32, 32), (97, 61), (211, 40), (9, 333), (500, 700)])
@pytest.mark.parametrize("colours", [1, 3])
def test_any_size_and_colour(
    exports: Path, detector: Detector, suffix: str, size: tuple[int, int], colours: int
) -> None:
    rng = np.random.default_rng(sum(size) + 1)  # where no two scales tie to the last digit
    image = rng.integers(0, 256, (*size, colours), dtype=np.uint8)
    exported = loaded(exports / f"model{suffix}")
    assert_same(detector, exported, image[..., 0] if colours == 1 else image)


@EVERY
@pytest.mark.parametrize("size", [(64, 48), (131, 97), (400, 300)])
def test_colour_with_a_region_of_interest(
    coloured: Path, coloured_exports: Path, suffix: str, size: tuple[int, int]
) -> None:
    model = Detector.load(coloured)
    exported = loaded(coloured_exports / f"model{suffix}")
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert_same(model, exported, image)
    assert_same(model, exported, image[..., 1])  # a grey camera before a colour model


@EVERY
@pytest.mark.parametrize("shape", [(3, 40, 48), (1, 40, 48), (40, 48, 4)])
@pytest.mark.parametrize("kind", ["exports", "coloured_exports"])
def test_pixels_in_another_order_are_refused(
    request: pytest.FixtureRequest, kind: str, suffix: str, shape: tuple[int, int, int]
) -> None:
    exported = loaded(request.getfixturevalue(kind) / f"model{suffix}")
    exported.inspect(np.full((40, 48, 3), 99, np.uint8))  # whose results could be given again
    with pytest.raises(BurnishError, match=r"is no image: height x width"):
        exported.run(np.zeros(shape, np.uint8))
    with pytest.raises(Exception, match=r"channels|broadcast|shape"):  # as another program does
        exported._runtime.run(np.zeros(shape, np.uint8))


def test_a_failing_runtime_is_told(exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = load_exported(exports / "model.onnx")
    run = exported._runtime.run
    shape = (3, 40, 48)  # fails inside, as a lack of memory does
    monkeypatch.setattr(exported._runtime, "run", lambda pixels: run(np.zeros(shape, np.uint8)))
    with pytest.raises(BurnishError, match=r"model\.onnx failed on an image of 48 x 40 px: "):
        exported.inspect(np.zeros((40, 48), np.uint8))


def test_sixteen_bits(exports: Path, detector: Detector, metal: Path, tmp_path: Path) -> None:
    grey = np.asarray(Image.open(metal / "test" / "good" / "000.png")).astype(np.uint16)
    Image.fromarray(grey * 256 + 77).save(tmp_path / "deep.png")
    exported = load_exported(exports / "model.onnx")
    assert_same(detector, exported, tmp_path / "deep.png")
    assert exported.inspect(tmp_path / "deep.png").notes


def test_the_graph_itself_gives_verdict_and_p_value(exports: Path, detector: Detector) -> None:
    exported = load_exported(exports / "model.onnx")
    rng = np.random.default_rng(0)
    for top in (2, 90, 256):
        image = rng.integers(0, top, (64, 64), dtype=np.uint8)
        found, expected = exported.run(image), detector.inspect(image)
        assert bool(found["is_defect"]) == expected.is_defect
        assert float(found["p_value"]) == pytest.approx(expected.p_value)


@EVERY
def test_the_p_value_of_a_graph_counts_parts(
    coloured: Path, coloured_exports: Path, suffix: str
) -> None:
    model = Detector.load(coloured)
    assert set(model.card.calibration.score_weights or ()) == {1 / 3}
    exported = loaded(coloured_exports / f"model{suffix}")
    seen = set()
    for image in sorted((coloured.parent / "good").iterdir()):
        pixels = np.array(Image.open(image))
        expected = model.inspect(pixels)
        scores = np.array(model.card.calibration.scores)
        if abs(scores - expected.score).min() > 1e-4 * expected.score:  # no held-out image
            assert float(exported.run(pixels)["p_value"]) == pytest.approx(expected.p_value)
            seen.add(expected.p_value)
    assert len(seen) > 1


def test_another_false_alarm_rate(exports: Path, detector: Detector) -> None:
    exported = load_exported(exports / "model.onnx")
    for rate in (0.3, 0.9):
        one, two = detector.with_false_alarms(rate), exported.with_false_alarms(rate)
        assert two.threshold == one.threshold
    assert exported.threshold == detector.threshold
    with pytest.raises(BurnishError, match="between 0 and 1"):
        exported.with_false_alarms(1.5)


def test_metadata_tells_the_whole_story(exports: Path, detector: Detector) -> None:
    metadata = load_exported(exports / "model.xml").metadata
    assert metadata.card == detector.card
    assert metadata.pixel_threshold == detector.card.calibration.pixel_threshold
    assert len(metadata.model_sha256) == 64


@EVERY
@pytest.mark.parametrize("where", [0.2, 0.5, 0.8, 0.999])
def test_a_flipped_byte_is_found(exports: Path, tmp_path: Path, suffix: str, where: float) -> None:
    for file in exports.iterdir():
        shutil.copy(file, tmp_path)
    broken = tmp_path / f"model{suffix}"
    if suffix == ".xml" and where > 0.5:
        broken = tmp_path / "model.bin"
    if suffix == ".pt2":  # a zip archive ends with dates and the like, which nothing reads
        where = min(where, 0.9)
    data = bytearray(broken.read_bytes())
    data[int(where * (len(data) - 1))] ^= 0x15
    broken.write_bytes(data)
    with pytest.raises(BurnishError, match=r"damaged|changed|not loaded|metadata"):
        load_exported(tmp_path / f"model{suffix}")


def test_bytes_put_behind_an_onnx_file_are_found(exports: Path, tmp_path: Path) -> None:
    """Protobuf takes the last of two entries: a threshold could be replaced by appending one."""
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto()
    entry = model.metadata_props.add()
    entry.key, entry.value = "burnish", "{}"
    for more in (b"\x00", model.SerializeToString()):
        (tmp_path / "model.onnx").write_bytes((exports / "model.onnx").read_bytes() + more)
        with pytest.raises(BurnishError, match=r"damaged or was changed"):
            load_exported(tmp_path / "model.onnx")


def test_weights_of_another_file_are_not_read(
    exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the current folder would be: the checksum is over the .onnx alone."""
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    model = onnx.load(exports / "model.onnx")
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    length, largest.data_location = len(largest.raw_data), onnx.TensorProto.EXTERNAL
    Path("weights.bin").write_bytes(largest.raw_data)
    largest.ClearField("raw_data")
    for key, value in (("location", "weights.bin"), ("length", str(length))):
        entry = largest.external_data.add()
        entry.key, entry.value = key, value
    write_onnx(model, load_exported(exports / "model.onnx").metadata, Path("m.onnx"))
    with pytest.raises(BurnishError, match=r"m\.onnx is damaged"):
        load_exported(Path("m.onnx"))


def test_an_edited_threshold_of_a_pt2_file_is_found(exports: Path, tmp_path: Path) -> None:
    members, path = read_members(exports / "model.pt2"), tmp_path / "m.pt2"
    record = json.loads(members[EXTRA])
    rest = {name: content for name, content in members.items() if name != EXTRA}

    def write(**changes: object) -> None:
        path.write_bytes(pack(rest | {EXTRA: json.dumps(record | changes).encode()}))

    write()
    threshold = load_exported(path).threshold
    about = json.loads(record[KEY])
    assert about["threshold"] == threshold
    edited = json.dumps(about | {"threshold": 2 * threshold})
    write(**{KEY: edited})
    with pytest.raises(BurnishError, match="damaged or was changed"):
        load_exported(path)
    # The checksum of older files knew nothing of it, edited or not.
    for text in (record[KEY], edited):
        write(**{KEY: text, "sha256": members_digest(rest)})
        with pytest.raises(BurnishError, match=r"by an older burnish.*export the model again"):
            load_exported(path)
    for text in (3, "\ud800"):
        write(**{KEY: text})
        with pytest.raises(BurnishError, match="metadata cannot be read"):
            load_exported(path)


def test_the_metadata_of_a_newer_burnish_says_update(exports: Path) -> None:
    path = exports / "model.onnx"
    about = load_exported(path).metadata.model_dump(mode="json")
    assert read_metadata(path, json.dumps(about)).model_dump(mode="json") == about
    for newer in (
        {"export_format": EXPORT_FORMAT + 1},
        {"export_format": EXPORT_FORMAT + 1, "unheard_of": 1},
        {"card": about["card"] | {"settings": about["card"]["settings"] | {"unheard_of": 1}}},
    ):
        with pytest.raises(BurnishError, match="written by a newer burnish: update burnish"):
            read_metadata(path, json.dumps(about | newer))


def test_no_runtime_tells_its_maker(tmp_path: Path) -> None:
    """They keep an identity in the user's folder for what they send as they are imported."""
    asked = {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}  # they go by these too
    code = "from burnish.export.runtimes import need; need('onnxruntime'); need('openvino')"
    subprocess.run(
        [sys.executable, "-c", code], check=True,
        env={k: v for k, v in os.environ.items() if k not in asked} | {"HOME": str(tmp_path)},
    )  # fmt: skip
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@EVERY
@pytest.mark.parametrize("content", [b"", b"nonsense" * 50, None])
def test_files_that_are_no_exports(
    exports: Path, tmp_path: Path, suffix: str, content: bytes | None
) -> None:
    whole = (exports / f"model{suffix}").read_bytes()
    (tmp_path / "model.bin").write_bytes(b"")
    (tmp_path / f"model{suffix}").write_bytes(
        whole[: len(whole) // 2] if content is None else content
    )
    with pytest.raises(BurnishError):
        load_exported(tmp_path / f"model{suffix}")


def test_missing_files_and_devices(exports: Path, tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="no such model"):
        load_exported(tmp_path / "none.onnx")
    with pytest.raises(BurnishError, match="no such model"):
        load_exported(tmp_path / "none.pt2")
    shutil.copy(exports / "model.xml", tmp_path)
    with pytest.raises(BurnishError, match=r"no such model: .*model\.bin"):
        load_exported(tmp_path / "model.xml")
    with pytest.raises(BurnishError, match="on the processor"):
        load_exported(exports / "model.onnx", "cuda")
    with pytest.raises(BurnishError, match=r"must end in \.onnx"):
        load_exported(exports / "model.bin")
    with pytest.raises(BurnishError, match="copy the file"):
        load_exported(exports / "model.onnx").save(tmp_path / "x")
    with pytest.raises(BurnishError, match="calibrate the model that it came from"):
        load_exported(exports / "model.onnx").calibrate(tmp_path)


@pytest.mark.parametrize(("suffix", "package"), [(".onnx", "onnxruntime"), (".xml", "openvino")])
def test_a_missing_runtime_is_told(
    exports: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BurnishError, match=rf"{package} .*pip install 'burnish\[export\]'"):
        load_exported(exports / f"model{suffix}")


def test_a_foreign_onnx_file(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [value], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(BurnishError, match="not written by `burnish export`"):
        load_exported(tmp_path / "other.onnx")


def test_it_travels_to_other_processes(exports: Path, metal: Path) -> None:
    exported = load_exported(exports / "model.onnx").with_false_alarms(0.3)
    part = metal / "test" / "good" / "000.png"
    assert_same(exported, pickle.loads(pickle.dumps(exported)), part)
