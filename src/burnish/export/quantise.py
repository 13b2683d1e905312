"""The generator's linear layers in 8 bits, their ranges measured on good images.

Static quantisation by ONNX Runtime (QDQ: the graph says where values are rounded, and ONNX Runtime
and OpenVINO both run such products in integers). Everything else stays in float32: the resize,
attention, norms, error maps and score.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from burnish.export.runtimes import need
from burnish.images.reader import read_image

CALIBRATION_IMAGES = 64


def linear_nodes(proto: Any, generator: nn.Module) -> list[str]:
    """Names of the products with a weight of one of the generator's linear layers."""
    onnx = need("onnx")
    weights = {
        module.weight.detach().cpu().float().numpy().T.tobytes()
        for module in generator.modules()
        if isinstance(module, nn.Linear)
    }
    constants = {
        value.name: onnx.numpy_helper.to_array(value).tobytes() for value in proto.graph.initializer
    }
    return [
        node.name
        for node in proto.graph.node
        if node.op_type == "MatMul" and constants.get(node.input[1]) in weights
    ]


class _Reader:
    """Good images, one at a time, as onnxruntime's calibration wants them."""

    def __init__(self, images: Sequence[Path]) -> None:
        step = max(1, len(images) // CALIBRATION_IMAGES)
        self._images = iter(images[::step][:CALIBRATION_IMAGES])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        path = next(self._images, None)
        if path is None:
            return None
        image = read_image(path)
        return {"pixels": image.reshape(*image.shape[:2], -1)}

    def __iter__(self) -> Iterator[dict[str, NDArray[np.uint8]]]:
        while (one := self.get_next()) is not None:
            yield one


def quantise(proto: Any, generator: nn.Module, images: Sequence[Path]) -> Any:
    """An `onnx.ModelProto` with 8-bit linear layers.

    Args:
        proto: of the inspection graph, in float32.
        images: good images; at most `CALIBRATION_IMAGES` of them, spread evenly, are looked at.

    Raises:
        BurnishError: onnxruntime is not installed, or an image cannot be read.
    """
    quantization = need("onnxruntime.quantization")
    onnx = need("onnx")
    nodes = linear_nodes(proto, generator)
    assert nodes, "no product of the graph carries a weight of the generator"
    with tempfile.TemporaryDirectory() as name:
        before, after = Path(name) / "float32.onnx", Path(name) / "int8.onnx"
        onnx.save(proto, before)
        quantization.quantize_static(
            before,
            after,
            _Reader(images),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=nodes,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return onnx.load(after)
