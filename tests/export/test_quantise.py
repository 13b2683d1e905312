"""A temporary folder that cannot be written to, or is full, is named."""

from __future__ import annotations

import re
import resource
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish import BurnishError
from burnish.export.quantise import quantise


@pytest.fixture
def linear() -> torch.nn.Linear:
    return torch.nn.Linear(30, 30)


@pytest.fixture
def proto(linear: torch.nn.Linear) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    value, out = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 30]) for n in "xy")
    weight = numpy_helper.from_array(linear.weight.detach().numpy().T.copy(), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"], "product")]
    nodes.append(helper.make_node("Neg", ["m"], ["y"]))
    graph = helper.make_graph(nodes, "g", [value], [out], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_a_temporary_folder_that_is_gone(
    proto: Any, linear: torch.nn.Linear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    named = re.escape(f"temporary folder {tmp_path / 'gone'}: No such file or directory. ")
    with pytest.raises(BurnishError, match=named + ".*TMPDIR"):
        quantise(proto, linear, [])


@pytest.mark.parametrize("missing", [1, 0])
def test_a_temporary_folder_that_is_full(
    proto: Any, linear: torch.nn.Linear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    missing: int,
) -> None:  # fmt: skip
    """One byte short for the first file, which Python writes; or only for onnx's larger one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (proto.ByteSize() - missing, before[1]))
    try:
        with pytest.raises(BurnishError) as caught:
            quantise(proto, linear, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"the temporary folder {tmp_path}: " in str(caught.value)
    assert ("cut short" in str(caught.value)) == (missing == 0)
    assert not list(tmp_path.iterdir())
