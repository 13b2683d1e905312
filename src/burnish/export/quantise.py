"""Quantise the generator's linear layers to 8 bits (weights to 7), ranges from good images.

Static quantisation by ONNX Runtime (QDQ: the graph says where values are rounded, and ONNX Runtime
and OpenVINO both run such products in integers). Everything else stays in float32: the resize,
attention, norms, error maps and score.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from burnish.detection.calibration import above
from burnish.detection.detector import Detector
from burnish.errors import BurnishError
from burnish.export.runtimes import need
from burnish.images.reader import read_image
from burnish.sampling import some_of

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


def _readable(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """Leaves out files that cannot be read, as training does."""
    for path in paths:
        with suppress(BurnishError):
            yield read_image(path)


class _Reader:
    """Feeds good images to onnxruntime's calibration, one at a time."""

    def __init__(self, images: Sequence[Path]) -> None:
        self._images = _readable(some_of(images, CALIBRATION_IMAGES))

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._images, None)
        return None if image is None else {"pixels": image.reshape(*image.shape[:2], -1)}


def quantise(proto: Any, generator: nn.Module, images: Sequence[Path]) -> Any:
    """An `onnx.ModelProto` with 8-bit linear layers.

    Args:
        proto: of the inspection graph, in float32.
        images: good images; at most `CALIBRATION_IMAGES` of them, drawn at random, are looked at.

    Raises:
        BurnishError: onnxruntime is not installed, or the temporary folder cannot be written to.
    """
    quantization = need("onnxruntime.quantization")
    onnx = need("onnx")
    nodes = linear_nodes(proto, generator)
    assert nodes, "no product of the graph carries a weight of the generator"
    with _temporary_folder() as folder:
        before, after = folder / "float32.onnx", folder / "int8.onnx"
        onnx.save(proto, before)
        logging.disable(logging.WARNING)  # it advises a preparation that open sizes do not allow
        try:
            quantization.quantize_static(
                before,
                after,
                _Reader(images),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["MatMul"],
                nodes_to_quantize=nodes,
                per_channel=True,
                reduce_range=True,  # 7 bits: with 8, processors without VNNI overflow silently
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
        finally:
            logging.disable(logging.NOTSET)
        return _in_order(onnx.load(after))


def _in_order(proto: Any) -> Any:
    """The same graph, each node behind those that it uses, as ONNX asks: onnxruntime's quantisation
    forgets what branches of an If use, and other programs than its own refuse the file."""
    onnx_ir = need("onnx_ir")
    model = onnx_ir.from_proto(proto)
    model.graph.sort()
    return onnx_ir.to_proto(model)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    cut_short = need("google.protobuf.message").DecodeError  # all that onnx raises for a full disk
    try:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
    except (OSError, cut_short) as error:
        place = tempfile.tempdir or "(none is usable)"
        told = getattr(error, "strerror", None) or f"a file there is cut short ({error})"
        raise BurnishError(
            f"cannot write to the temporary folder {place}: {told}. --int8 needs one with room: "
            "make some there, or set TMPDIR to another folder"
        ) from error


def raise_threshold(proto: Any, model: Detector, images: Sequence[Path]) -> float:
    """Raise the threshold in a quantised graph until good images that pass the model pass it too.

    Scores in 8 bits are a little off, and the threshold is close to the score of a good image. Only
    images known to be good raise it, by the usual margin of thresholds; the gate then tests it on
    others. P-values still use the model's own held-out scores, so they are as far off as scores.

    Returns:
        The threshold now in the graph.
    """
    onnx, ort = need("onnx"), need("onnxruntime")
    held = next(value for value in proto.graph.initializer if value.name == "threshold")
    threshold = float(onnx.numpy_helper.to_array(held))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for image in _readable(images):
        if model.inspect(image).is_defect:
            continue
        pixels = {"pixels": image.reshape(*image.shape[:2], -1)}
        threshold = max(threshold, above(float(session.run(["score"], pixels)[0])))
    raised = onnx.numpy_helper.from_array(np.array(threshold, np.float32), "threshold")
    held.CopyFrom(raised)
    return threshold
