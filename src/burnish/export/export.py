"""Export a model file; the result is only written if it judges real images as the model does."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata as packages
from pathlib import Path
from typing import Literal

import torch

import burnish
from burnish.detection.detector import Detector
from burnish.detection.model_file import MODEL
from burnish.errors import BurnishError
from burnish.export.exported import load_exported
from burnish.export.graph import tolerance_of
from burnish.export.metadata import Metadata, describe
from burnish.export.parity import Parity, compare, gate_images
from burnish.export.quantise import quantise, raise_threshold
from burnish.export.runtimes import need
from burnish.export.write import to_onnx, trace, write_onnx, write_openvino, write_torch
from burnish.system import sync_file
from burnish.training.process import float32_by_default

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch-export": ".pt2"}
PACKAGES = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "torch-export": (),
}
INT8_TOLERANCE = 0.05  # share of the threshold
ADVICE = (
    "\n  Where scores alone differ, by little, attention may have become so sharp that rounding "
    "shows: train with --set qk_norm=true (see docs/export.md)"
)


@dataclass(frozen=True)
class Export:
    """An export that was written.

    Attributes:
        files: the model, and for OpenVINO its weights.
        parity: the comparison with the original.
    """

    files: tuple[Path, ...]
    parity: Parity

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)


@float32_by_default()
def export_model(
    path: str | Path,
    to: Literal["onnx", "openvino", "torch-export"],
    out: str | Path | None = None,
    data: str | Path | None = None,
    int8: bool = False,
    tell: Callable[[str], None] = lambda message: None,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Export a model, and compare it with the original on real images.

    Args:
        path: model file or run folder.
        to: "onnx", "openvino" or "torch-export".
        out: the file to write; by default beside the model. Its suffix must be the format's.
        data: images to compare on, in MVTec AD layout or a folder of them; by default the model's
            own held-out and test images. With `int8`, good ones among them also set the ranges of
            the quantised products (half of them if there are no others).
        int8: round linear layers to 8 bits, for smaller files.
        tell: called with the name of each stage.
        on_image: called with (done, all) during the comparison.

    Raises:
        BurnishError: the model cannot be read or exported, a package is missing, there is no image
            to compare on, or a verdict or score differs; then no file is written.
    """
    path = Path(path)
    out, data = (None if given is None else Path(given) for given in (out, data))
    _check_request(to, out, int8)
    file, files = _files(path, to, out, int8)
    detector = Detector.load(file, "cpu")
    if int8 and detector.card.settings.tile != "full":
        raise BurnishError(
            f"{file} inspects tiles, one after another in a loop, and --int8 does not reach into "
            "loops: export in float32"
        )
    images = gate_images(detector.card, data)
    if int8 and not images.for_ranges:
        what = "only test images" if images.tested else "a single one"
        raise BurnishError(
            f"--int8 sets its ranges on good images and is tried on others, and there is {what}: "
            "give more with --data FOLDER"
        )
    tolerance = INT8_TOLERANCE if int8 else tolerance_of(detector.card)
    record = describe(detector.model, file, "int8" if int8 else "float32", tolerance, _versions(to))
    with _staged(files[0]) as beside:
        _write(detector, to, record, beside, files[0], images.for_ranges if int8 else None, tell)
        instead = "; none of the held-out ones is there, so good ones it learnt from stand in"
        tell(f"comparing on {len(images.all)} images{instead if images.stand_in else ''}")
        if not images.tested:
            tell("all of them are good: --data DATA with a test folder tries defective ones too")
        parity = compare(detector, load_exported(beside), images.all, tolerance, on_image)
        if not parity.passed:
            kind = f"{to} in int8" if int8 else to
            said = f"not exported: {kind} does not judge as the model does. {parity.summary()}"
            advice = "" if int8 or detector.card.settings.qk_norm else ADVICE
            raise BurnishError(f"{said}\n{parity.complaint()}{advice}")
    return Export(files, parity)


def _check_request(to: str, out: Path | None, int8: bool) -> None:
    """Refuse what no model could be exported to, and a format whose packages are missing."""
    if to not in SUFFIXES:
        raise BurnishError(f"no format '{to}': choose one of {', '.join(SUFFIXES)}")
    if int8 and to == "torch-export":
        raise BurnishError("--int8 goes with --to onnx or openvino; torch-export stays in float32")
    if out is not None and out.suffix.lower() != SUFFIXES[to]:
        raise BurnishError(f"{out}: the name of an {to} file must end in {SUFFIXES[to]}")
    if out is not None and to == "openvino" and out.suffix != ".xml":
        raise BurnishError(f"{out}: OpenVINO wants the ending in small letters, .xml")
    for package in (*PACKAGES[to], *(("onnxruntime",) if int8 else ())):
        need(package)


def _files(path: Path, to: str, out: Path | None, int8: bool) -> tuple[Path, tuple[Path, ...]]:
    """The model file to read, and the files to write: the exported model first."""
    file = path / MODEL if path.is_dir() else path
    if file.suffix.lower() in SUFFIXES.values():
        raise BurnishError(f"{file} is an exported model already; export from model.safetensors")
    name = f"model.int8{SUFFIXES[to]}" if int8 else f"model{SUFFIXES[to]}"
    target = file.parent / name if out is None else out
    files = (target, target.with_suffix(".bin")) if to == "openvino" else (target,)
    for taken in filter(os.path.isdir, files):
        raise BurnishError(f"cannot write {taken}: a folder has that name. Give another with --out")
    return file, files


def _versions(to: str) -> dict[str, str]:
    """Versions of all packages that the file depends on."""
    versions = {"burnish": burnish.__version__, "torch": torch.__version__}
    versions |= {package: packages.version(package) for package in PACKAGES[to]}
    return versions | {"pillow": packages.version("pillow"), "platform": platform.platform()}


def _write(
    detector: Detector,
    to: str,
    record: Metadata,
    beside: Path,
    target: Path,
    for_ranges: Sequence[Path] | None,
    tell: Callable[[str], None],
) -> None:
    """Write the exported model to `beside`, before it is compared.

    Args:
        target: where it will end, named in errors.
        for_ranges: good images that set the ranges of int8; None: float32.
    """
    tell("tracing")
    program = trace(detector.model)
    if to == "torch-export":
        with _writing(target):
            write_torch(program, record, beside)
        return
    tell("writing ONNX")
    proto = to_onnx(program)
    if for_ranges is not None:
        tell(f"calibrating int8 on {len(for_ranges)} good images")
        proto = quantise(proto, detector.model.generator, for_ranges)
        threshold = raise_threshold(proto, detector, for_ranges)
        record = record.model_copy(update={"threshold": threshold})
    with _writing(target):
        (write_onnx if to == "onnx" else write_openvino)(proto, record, beside)


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Give a path of the same name in a new folder beside `target`.

    On leaving without error all files there are moved into place, the model itself last; after an
    error none is.
    """
    # Not named by the process: in containers another one may have the same number. Named before
    # it is made, so that it goes even if a signal to end comes while it is made.
    folder = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
    try:
        with _writing(target):
            folder.mkdir(parents=True)
        yield folder / target.name
        with _writing(target):
            for file in sorted(folder.iterdir(), key=lambda file: file.name == target.name):
                sync_file(file)
                os.replace(file, target.parent / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn an `OSError` into one about `target`; to be put round writing alone, as reading other
    files fails with the same exceptions."""
    try:
        yield
    except OSError as error:
        raise BurnishError(
            f"cannot write {target}: {error.strerror or error}. "
            "Choose a folder that exists, can be written to and has room."
        ) from error
