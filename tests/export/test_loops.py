"""A Scan written as a Loop says the same."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.export.loops import scans_to_loops

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
make, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def model() -> object:
    """A running sum of rows times a factor from outside the body, and each row's part of it; once
    from nought, and once from where that ended."""

    def value(name: str, *shape: object) -> object:
        return make.make_tensor_value_info(name, FLOAT, list(shape))

    def scan(name: str, start: str, ends: str, parts: str) -> object:
        body = make.make_graph(
            [
                make.make_node("Mul", [f"{name}_row", "factor"], [f"{name}_part"]),
                make.make_node("Add", [f"{name}_sum", f"{name}_part"], [f"{name}_new"]),
            ],
            f"{name}_body",
            [value(f"{name}_sum", 2), value(f"{name}_row", 2)],
            [value(f"{name}_new", 2), value(f"{name}_part", 2)],
        )
        return make.make_node(
            "Scan", [start, "rows"], [ends, parts], name=name, body=body, num_scan_inputs=1,
            scan_input_directions=[0], scan_output_directions=[0],
        )  # fmt: skip

    graph = make.make_graph(
        [
            make.make_node("Neg", ["given"], ["factor"]),
            scan("one", "nought", "middle", "parts"),
            scan("two", "middle", "end", "more"),
        ],
        "sums",
        [value("rows", "n", 2), value("given", 2)],
        [value("end", 2), value("parts", "n", 2), value("more", "n", 2)],
        initializer=[onnx.numpy_helper.from_array(np.zeros(2, np.float32), "nought")],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_loops_give_the_numbers_of_scans(rows: int) -> None:
    proto = model()
    scans_to_loops(proto)
    onnx.checker.check_model(proto)
    assert [node.op_type for node in proto.graph.node].count("Loop") == 2
    assert not any(node.op_type == "Scan" for node in proto.graph.node)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    values = np.random.default_rng(rows).random((rows, 2), dtype=np.float32)
    factor = np.array([2, 3], np.float32)
    end, parts, more = session.run(None, {"rows": values, "given": factor})
    np.testing.assert_allclose(parts, -values * factor, rtol=1e-6)
    np.testing.assert_allclose(more, parts, rtol=1e-6)
    np.testing.assert_allclose(end, 2 * parts.sum(axis=0), rtol=1e-5)


def test_from_the_end_is_not_known() -> None:
    proto = model()
    directions = next(a for a in proto.graph.node[1].attribute if a.name == "scan_input_directions")
    directions.ints[0] = 1
    with pytest.raises(AssertionError, match="from the end"):
        scans_to_loops(proto)
