"""Open exported files in their runtimes: ONNX Runtime, OpenVINO, torch.

Each checks the file's checksum, reads its metadata, and uses as many threads as torch does.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.errors import BurnishError
from burnish.export.graph import Outputs
from burnish.export.metadata import KEY, Metadata, changed, digest, foreign, outdated, read_metadata
from burnish.export.pt2_guard import EXTRA, check_members, pack, read_members

OUTSIDE = "session.model_external_initializers_file_folder_path"
SHA_COMMENT = b"\n<!-- sha256:%s -->\n"


class Runtime(Protocol):
    """An exported model, ready to run."""

    metadata: Metadata

    def run(self, pixels: NDArray[np.uint8]) -> Sequence[NDArray[Any]]:
        """uint8 (H, W, 1 or 3) -> arrays in the order of `graph.Outputs`."""
        ...


def open_runtime(path: Path) -> Runtime:
    """Open an exported file by its suffix.

    Raises:
        BurnishError: missing, damaged, foreign or newer file, wrong suffix, or the runtime is not
            installed.
    """
    kinds: dict[str, Callable[[Path], Runtime]] = {
        ".onnx": OnnxRuntime,
        ".xml": OpenVinoRuntime,
        ".pt2": TorchRuntime,
    }
    if path.suffix.lower() not in kinds:
        raise BurnishError(f"{path} is no exported model: its name must end in .onnx, .xml or .pt2")
    return kinds[path.suffix.lower()](path)


def need(module: str) -> Any:
    """Import a package of the extra "export"; none tells its maker of it.

    Raises:
        BurnishError: it is not installed.
    """
    try:
        with _no_telemetry():
            return import_module(module)
    except ImportError as error:
        raise BurnishError(
            f"{module.partition('.')[0]} is not installed: pip install 'burnish[export]'"
        ) from error


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """ONNX Runtime (1.32, in any case) and OpenVINO report their use as soon as they are imported.
    A line's computer talks to nobody unasked."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    reporter = "openvino_telemetry"
    if reporter in sys.modules:
        yield
        return
    sys.modules[reporter] = None  # type: ignore[assignment]  # not to be had: OpenVINO does without
    try:
        yield
    finally:
        del sys.modules[reporter]


def onnx_tail(sha256: str) -> bytes:
    """The metadata entry "sha256" as the last bytes of an ONNX file (protobuf: fields may be
    appended)."""
    entry = b"\x0a\x06sha256\x12\x40" + sha256.encode()
    return b"\x72" + bytes([len(entry)]) + entry


class OnnxRuntime:
    """An .onnx file in ONNX Runtime, on the processor."""

    def __init__(self, path: Path) -> None:
        ort = need("onnxruntime")
        data = _read(path)
        length = len(onnx_tail("0" * 64))
        body, tail = data[:-length], data[-length:]
        whole = tail == onnx_tail(digest([body]))
        if not whole and KEY.encode() in data:
            raise changed(path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # errors are raised anyway
        # Weights in other files, which no checksum is over, would be taken from the current
        # folder; below a file there are none.
        options.add_session_config_entry(OUTSIDE, str(path))
        try:
            self._session = ort.InferenceSession(data, options, ["CPUExecutionProvider"])
        except Exception as error:  # it has a dozen classes without a common base
            raise BurnishError(
                f"{path} is damaged, or no ONNX file: {first_line(error)}"
            ) from error
        found = self._session.get_modelmeta().custom_metadata_map
        self.metadata = read_metadata(path, found.get(KEY))
        if not whole:
            raise changed(path)

    def run(self, pixels: NDArray[np.uint8]) -> Sequence[NDArray[Any]]:
        found: Sequence[NDArray[Any]] = self._session.run(list(Outputs._fields), {"pixels": pixels})
        return found


class OpenVinoRuntime:
    """An OpenVINO .xml file with its .bin, on the processor, computed in float32."""

    def __init__(self, path: Path) -> None:
        openvino = need("openvino")
        text, weights = _read(path), _read(path.with_suffix(".bin"))
        body, mark, tail = text.rpartition(SHA_COMMENT.partition(b"%")[0])
        if not mark or tail != (digest([body, weights]).encode() + b" -->\n"):
            raise changed(path) if KEY.encode() in text else foreign(path)
        # By default it computes in bfloat16 on processors that have it, which changes verdicts; and
        # it keeps code for 5000 products: images of many sizes took 3 MiB each, up to gigabytes.
        plain = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "CPU_RUNTIME_CACHE_CAPACITY": 100,
        }
        try:
            core = openvino.Core()
            model = core.read_model(body, weights)
            text_of = model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None
        except RuntimeError as error:
            raise BurnishError(
                f"{path} is damaged, or no OpenVINO file: {first_line(error)}"
            ) from error
        try:
            self._compiled = core.compile_model(model, "CPU", plain)
        except RuntimeError as error:
            raise BurnishError(
                f"this OpenVINO cannot run {path.name} on the processor: {first_line(error)}"
            ) from error
        self.metadata = read_metadata(path, text_of)

    def run(self, pixels: NDArray[np.uint8]) -> Sequence[NDArray[Any]]:
        # A call of the compiled model would use one request for all threads, and mix their results.
        request = self._compiled.create_infer_request()
        found = request.infer(np.ascontiguousarray(pixels), share_inputs=True)
        return [found[index] for index in range(len(Outputs._fields))]


class TorchRuntime:
    """A .pt2 file (torch.export), on the processor; see `pt2_guard` for what is let in."""

    def __init__(self, path: Path) -> None:
        members = read_members(path)
        check_members(path, members)
        extra = members.pop(EXTRA, None)
        if extra is None:
            raise foreign(path)
        try:
            record = json.loads(extra)
            sha, text = record["sha256"], record[KEY]
            whole = members | {EXTRA: text.encode()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BurnishError(f"{path}: its burnish metadata cannot be read") from error
        if sha != members_digest(whole):
            # They must be refused, or an edited file could pass as one of them.
            raise outdated(path) if sha == members_digest(members) else changed(path)
        self.metadata = read_metadata(path, text)
        log = logging.getLogger("torch.export")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            program = torch.export.load(io.BytesIO(pack(members)))
            self._module = program.module()
        except Exception as error:  # torch may raise anything
            raise BurnishError(
                f"{path} cannot be loaded by torch {torch.__version__}: {first_line(error)}"
            ) from error
        finally:
            log.setLevel(level)

    def run(self, pixels: NDArray[np.uint8]) -> Sequence[NDArray[Any]]:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):  # whatever the caller does
            found = self._module(torch.from_numpy(np.ascontiguousarray(pixels)))
        return [tensor.numpy() for tensor in found]


def members_digest(members: dict[str, bytes]) -> str:
    """SHA-256 over names and contents of a .pt2 file's members, of `EXTRA` the metadata alone."""
    return digest(part for name in sorted(members) for part in (name.encode(), members[name]))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BurnishError(f"no such model: {path}") from error
    except OSError as error:
        raise BurnishError(f"{path} cannot be read: {error.strerror or error}") from error


def first_line(error: Exception) -> str:
    """The first meaningful line of an error, without addresses of the runtime's sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    plain = [line for line in lines if not re.match(r"(Check|Exception) .*(failed|from) ", line)]
    first = (plain or lines or [type(error).__name__])[0]
    return first.rpartition("Status Message: ")[2][:200]  # behind the node's name, of ONNX Runtime
