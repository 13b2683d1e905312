"""The metadata of an exported file, JSON inside the file, and its checksum."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from burnish.detection.model_file import FORMAT, Model, ModelCard
from burnish.errors import BurnishError
from burnish.export.graph import least_size
from burnish.images.roi import Region, pack_roi, unpack_roi

KEY = "burnish"
EXPORT_FORMAT = 1


class Metadata(BaseModel):
    """Everything a program needs to know beside the graph's outputs.

    Attributes:
        export_format: of this record; this burnish reads up to `EXPORT_FORMAT`.
        card: settings, calibration, data and versions of the model it was made from.
        model_sha256: of that model's file.
        precision: of the products: "float32" or "int8".
        tolerance: share of the threshold by which scores may differ from the model's, as checked at
            the export.
        threshold: image scores above it are called defective.
        pixel_threshold: anomaly-map values above it are marked.
        heat_range: anomaly-map values to be shown as cold and hot.
        input: the form of the input, for people; see also `graph.least_size`.
        roi: the region of interest as base64 PNG; empty: every pixel counts.
        versions: of the programs that wrote the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    export_format: int = EXPORT_FORMAT
    card: ModelCard
    model_sha256: str
    precision: Literal["float32", "int8"]
    tolerance: float
    threshold: float
    pixel_threshold: float
    heat_range: tuple[float, float]
    input: str
    roi: str = ""
    versions: dict[str, str]

    @property
    def region(self) -> Region | None:
        if not self.roi:
            return None
        return unpack_roi(np.frombuffer(base64.b64decode(self.roi), np.uint8))


def describe(
    model: Model,
    path: Path,
    precision: Literal["float32", "int8"],
    tolerance: float,
    versions: dict[str, str],
) -> Metadata:
    """The metadata of an export of `model`, read from the file `path`."""
    calibration = model.card.calibration
    least = least_size(model.card)
    size = "any size" if least == 1 else f"{least} px a side or more"
    roi = "" if model.roi is None else base64.b64encode(pack_roi(model.roi).tobytes()).decode()
    return Metadata(
        card=model.card,
        model_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        precision=precision,
        tolerance=tolerance,
        threshold=model.card.calibration.threshold,
        pixel_threshold=calibration.pixel_threshold,
        heat_range=calibration.heat_range,
        input=f"pixels: uint8 (height, width, channels), 1 grey or 3 RGB, {size}",
        roi=roi,
        versions=versions,
    )


def read_metadata(path: Path, text: str | None) -> Metadata:
    """Metadata from the JSON found in a file.

    Raises:
        BurnishError: none, of a newer burnish, or damaged.
    """
    if text is None:
        raise foreign(path)
    newer = f"{path} was written by a newer burnish: update burnish (pip install -U burnish)"
    try:
        found = Metadata.model_validate_json(text)
    except (ValidationError, RecursionError) as error:
        where = ""
        if isinstance(error, ValidationError):
            wrong = error.errors()
            if any(one["type"] == "extra_forbidden" for one in wrong):
                raise BurnishError(newer) from error
            where = f" at {'.'.join(map(str, wrong[0]['loc']))}: {wrong[0]['msg']}"
        raise BurnishError(
            f"{path}: its burnish metadata cannot be read{where}; export the model again"
        ) from error
    if found.export_format > EXPORT_FORMAT or found.card.format > FORMAT:
        raise BurnishError(newer)
    return found


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 over several pieces of bytes, in hex."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "little") + part)
    return sha.hexdigest()


def foreign(path: Path) -> BurnishError:
    """The error for a file that burnish did not write."""
    return BurnishError(f"{path} was not written by `burnish export`: it has no burnish metadata")


def outdated(path: Path) -> BurnishError:
    """The error for a .pt2 file whose checksum leaves its metadata out."""
    return BurnishError(
        f"{path} was exported by an older burnish, whose checksum left out the threshold and the "
        "calibration: export the model again"
    )


def changed(path: Path) -> BurnishError:
    """The error for a file whose checksum does not match."""
    return BurnishError(
        f"{path} is damaged or was changed after it was written: its checksum does not match; "
        "export the model again"
    )
