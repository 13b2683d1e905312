"""Rewrite the Scans of an ONNX graph as Loops, which OpenVINO can read.

OpenVINO reads a Scan only if its body uses nothing from the outer graph; a Loop's body may. Both
run once for each row of the scanned tensors, with the states of the previous round.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from burnish.export.runtimes import need


def scans_to_loops(proto: Any) -> None:
    """Rewrite each Scan of an `onnx.ModelProto`, in place. Tensors must be scanned forwards along
    their first axis, as torch's exporter does."""
    graph = proto.graph
    for at, node in enumerate(graph.node):
        if node.op_type == "Scan":
            before, loop, constants = _loop(node)
            graph.initializer.extend(constants)
            node.CopyFrom(loop)
            for number, added in enumerate(before):
                graph.node.insert(at + number, added)
            return scans_to_loops(proto)  # indices in the list have changed


def _loop(scan: Any) -> tuple[list[Any], Any, list[Any]]:
    """The nodes before the loop, the loop, and its constants."""
    onnx = need("onnx")
    make, integer, truth = onnx.helper, onnx.TensorProto.INT64, onnx.TensorProto.BOOL
    given = {attribute.name: attribute for attribute in scan.attribute}
    assert not any(given["scan_input_directions"].ints), "a scan from the end"
    body, states = given["body"].g, len(scan.input) - given["num_scan_inputs"].i
    scanned = scan.input[states:]
    name = scan.name

    def own(text: str) -> str:
        return f"{name}.{text}"

    rows = [
        make.make_node("Gather", [row, own("round")], [inner.name], name=own(f"row{n}"), axis=0)
        for n, (row, inner) in enumerate(zip(scanned, body.input[states:], strict=True))
    ]
    going_on = make.make_node("Identity", [own("on")], [own("on_again")], name=own("going_on"))
    inside = make.make_graph(
        [*rows, going_on, *body.node],
        body.name,
        [
            make.make_tensor_value_info(own("round"), integer, []),
            make.make_tensor_value_info(own("on"), truth, []),
            *body.input[:states],
        ],
        [make.make_tensor_value_info(own("on_again"), truth, []), *body.output],
        initializer=list(body.initializer),
        value_info=list(body.value_info),
    )
    shape = make.make_node("Shape", [scanned[0]], [own("shape")], name=own("shape"), start=0, end=1)
    count = make.make_node("Squeeze", [own("shape")], [own("count")], name=own("count"))
    always = onnx.numpy_helper.from_array(np.array(True), own("always"))
    inputs = [own("count"), own("always"), *scan.input[:states]]
    return (
        [shape, count],
        make.make_node("Loop", inputs, list(scan.output), name=name, body=inside),
        [always],
    )
