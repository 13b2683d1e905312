"""A full disk ends a write with OSError, not with the runtimes' own errors or an abort."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from burnish import Detector
from burnish.export.graph import TOLERANCE
from burnish.export.metadata import Metadata, describe
from burnish.export.write import write_onnx, write_openvino


@pytest.fixture(scope="module")
def record(run_folder: Path) -> Metadata:
    file = run_folder / "model.safetensors"
    return describe(Detector.load(file).model, file, "float32", TOLERANCE, {})


@pytest.mark.parametrize("full", ["m.xml", "m.bin"])
def test_openvino_on_a_full_disk(record: Metadata, tmp_path: Path, full: str) -> None:
    from onnx import TensorProto, helper, numpy_helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["height", "width", "channels"])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1 << 20, "width", "channels"])
    weight = numpy_helper.from_array(np.arange(1 << 20, dtype=np.float32)[:, None, None], "w")
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [value], [out], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (tmp_path / full).symlink_to("/dev/full")
    with pytest.raises(OSError, match="OpenVINO failed"):
        write_openvino(proto, record, tmp_path / "m.xml")
    (tmp_path / "m.onnx").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_onnx(proto, record, tmp_path / "m.onnx")


# In a process of its own: torch itself would end it.
TORCH = """
import sys, torch
from pathlib import Path
from burnish.export.metadata import Metadata
from burnish.export.write import write_torch
program = torch.export.export(torch.nn.Linear(300, 300), (torch.zeros(1, 300),))
try:
    write_torch(program, Metadata.model_validate_json(sys.argv[2]), Path(sys.argv[1]))
except OSError as error:
    assert "No space left" in str(error), error
else:
    raise SystemExit("nothing was raised")
"""


def test_torch_on_a_full_disk(record: Metadata, tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    path.symlink_to("/dev/full")
    done = subprocess.run(
        [sys.executable, "-c", TORCH, path, record.model_dump_json()],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
