"""Trace a model's inspection graph, and write it to a file of each format."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from burnish.detection.model_file import Model
from burnish.errors import BurnishError
from burnish.export.graph import InspectionGraph, Outputs, least_size
from burnish.export.loops import scans_to_loops
from burnish.export.metadata import KEY, Metadata, digest
from burnish.export.pt2_guard import EXTRA, check_members, pack, read_members, strip
from burnish.export.runtimes import SHA_COMMENT, first_line, members_digest, need, onnx_tail

MAX_SIDE = 1 << 15  # px; beyond it the 32-bit sums of the resize would overflow
OPSET = 20  # the first with Gelu
NOISY = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
DIMENSIONS = ("height", "width", "channels")


def trace(model: Model) -> torch.export.ExportedProgram:
    """The inspection graph of a model, with height, width and channels left open."""
    graph = _graph_of(model).eval()
    for parameter in graph.parameters():
        parameter.requires_grad_(False)
    example = torch.zeros(3 * graph.shape.height // 2, 2 * graph.shape.width, 3, dtype=torch.uint8)
    least = least_size(model.card)
    limits = zip(DIMENSIONS, ((least, MAX_SIDE), (least, MAX_SIDE), (1, 3)), strict=True)
    dims = {i: torch.export.Dim(n, min=lo, max=hi) for i, (n, (lo, hi)) in enumerate(limits)}
    with torch.no_grad(), _quiet():
        graph(example)  # fills the caches of filters, which must not hold traced tensors
        return torch.export.export(graph, (example,), dynamic_shapes=(dims,), strict=False)


def _graph_of(model: Model) -> InspectionGraph:
    """The graph for models of whole images, or of tiles."""
    if model.card.settings.tile == "full":
        return InspectionGraph(model)
    try:  # only tiles need this part of torch, which older versions lack
        from burnish.export.tiled import TiledGraph
    except ImportError as error:
        raise BurnishError(
            f"torch {torch.__version__} cannot export models that inspect tiles: update torch"
        ) from error
    return TiledGraph(model)


def to_onnx(program: torch.export.ExportedProgram) -> Any:
    """The program as an `onnx.ModelProto`, without metadata.

    Raises:
        BurnishError: onnx or onnxscript is not installed.
    """
    need("onnxscript")
    need("onnx")
    with _quiet(), redirect_stdout(io.StringIO()):
        made = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=["pixels"],
            output_names=list(Outputs._fields),
            verbose=False,
            optimize=False,
        )
        assert made is not None
        _tidy(made.model)
        proto = made.model_proto
        scans_to_loops(proto)
    found = [d.dim_param for d in proto.graph.input[0].type.tensor_type.shape.dim]
    names = dict(zip(found, DIMENSIONS, strict=True))
    for value in proto.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_param = names.get(dim.dim_param, dim.dim_param)
    for dim in proto.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_param = names[dim.dim_param]
    for node in proto.graph.node:
        node.ClearField("metadata_props")  # file names and lines of this machine
        node.ClearField("doc_string")
    return proto


def _tidy(model: Any) -> None:
    """Fold all that does not depend on the image, in place.

    As `torch.onnx.export` does, but without its rewrite rules: these take minutes (300 s of 390 on
    a busy machine), and runtimes apply their own when they load the file.

    Args:
        model: an `onnx_ir.Model`.
    """
    from onnx_ir.passes import Sequential, common
    from onnxscript.optimizer import fold_constants

    common.InlinePass()(model)
    fold_constants(model)
    Sequential(
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedFunctionsPass(),
        common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    )(model)


def write_onnx(proto: Any, metadata: Metadata, path: Path) -> None:
    """Write an ONNX model with its metadata and checksum."""
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = KEY, metadata.model_dump_json()
    body = proto.SerializeToString()
    path.write_bytes(body + onnx_tail(digest([body])))


def write_openvino(proto: Any, metadata: Metadata, path: Path) -> None:
    """Convert an ONNX model to OpenVINO's .xml and .bin.

    Raises:
        BurnishError: openvino is not installed.
    """
    openvino = need("openvino")
    raw = path.with_name(f".{path.stem}.raw.onnx")
    raw.write_bytes(proto.SerializeToString())
    try:
        model = openvino.Core().read_model(raw)  # convert_model sends telemetry
        # Refused here, as inside of the graph OpenVINO takes shapes that do not fit without an
        # error, and then gives the results of the image before.
        side, channels = openvino.Dimension(least_size(metadata.card), -1), openvino.Dimension(1, 3)
        model.reshape(openvino.PartialShape([side, side, channels]))
        model.set_rt_info(metadata.model_dump_json(), [KEY])
        # The default, weights in 16 bits, changes scores.
        try:
            openvino.save_model(model, path, compress_to_fp16=False)
        except RuntimeError as error:  # raised for a full disk, in place of an OSError
            raise OSError(f"OpenVINO failed ({first_line(error)})") from error
    finally:
        raw.unlink()
    body = path.read_bytes()
    sha = digest([body, path.with_suffix(".bin").read_bytes()])
    path.write_bytes(body + SHA_COMMENT % sha.encode())


def write_torch(program: torch.export.ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Write the program as a .pt2 that `torch.export.load` reads, without pickled parts."""
    stream = io.BytesIO()  # torch aborts the process if the disk is full
    with _quiet():
        torch.export.save(program, stream)
    members = strip(read_members(path, stream.getvalue()))
    members.pop(EXTRA, None)
    check_members(path, members)  # never write what could not be loaded again
    text = metadata.model_dump_json()
    record = {KEY: text, "sha256": members_digest(members | {EXTRA: text.encode()})}
    path.write_bytes(pack(members | {EXTRA: json.dumps(record).encode()}))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters, and turn exceptions of any kind into a `BurnishError`."""
    loggers = [logging.getLogger(name) for name in NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise BurnishError(
            f"torch {torch.__version__} could not export this model "
            f"({type(error).__name__}: {first[:200]}): try another --to, and please report it"
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
