"""Bring a source into MVTec AD layout with a manifest.

    OUT/train/good/<stem>.<suffix>          good images to learn from
    OUT/test/<kind>/<stem>.<suffix>         good and defective images to test on
    OUT/ground_truth/<kind>/<stem>_mask.png masks, 0 or 255
    OUT/manifest.csv                        one line an image

Image files are copied byte for byte. A second run changes nothing, an interrupted one is resumed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from burnish.errors import BurnishError
from burnish.files import atomic_write
from burnish.images.archives.archive import Source, open_source
from burnish.images.formats import format_named, guess
from burnish.images.formats.base import Format, Options
from burnish.images.formats.names import some
from burnish.images.manifest import MANIFEST, ManifestRow, read_manifest, write_manifest
from burnish.images.png import png_bytes
from burnish.images.preparing.placing import Placed, place
from burnish.images.preparing.record import (
    Record,
    check_recipe,
    content_of_source,
    damage,
    digest_of_masks,
    digest_of_source,
    locked,
    read_record,
    sha256_of,
    strangers,
    summary_of,
    untouched,
)
from burnish.images.preparing.survey import digest_of, not_read, survey

VERSION = 1  # raise it when the same source should come out differently
SPLITS = ("auto", "source", "part")

Progress = Callable[[str, int, int | None], None]
"""Told the stage ("read", "write"), how many images are done, and of how many (if known)."""


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        format: name of the format; empty: `folder` where patterns are given, else guess.
        options: for the format.
        split: "auto" (the source's own if it has one, else by part), "source" or "part".
        train: share of the parts that go to training where the split is ours, in (0, 1).
        seed: of that split.
    """

    format: str = ""
    options: Options = field(default_factory=Options)
    split: str = "auto"
    train: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise BurnishError(f"--split {self.split}: choose one of {', '.join(SPLITS)}")
        if not 0 < self.train < 1:
            raise BurnishError(f"--train {self.train:g}: a share between 0 and 1 is wanted")
        if self.options.window and self.options.window < 16:
            raise BurnishError(
                f"--window {self.options.window}: at least 16 px, or 0 for no cutting"
            )


@dataclass(frozen=True)
class Prepared:
    """A prepared folder.

    Attributes:
        out: the folder.
        status: "prepared", "resumed", "mended" or "already there".
        format: the format that was read.
        train: good training images.
        test: test images by kind, "good" among them.
        masks: mask files.
        parts: distinct parts: "train", "test", and on "both" sides.
        notes: what the user should know, as sentences.
        left_out: images that could not be used, and why, by name in the source.
    """

    out: Path
    status: str
    format: str
    train: int
    test: dict[str, int]
    masks: int
    parts: dict[str, int]
    notes: list[str]
    left_out: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"out": str(self.out)}


def prepare(
    source: str | Path,
    out: str | Path,
    request: Request | None = None,
    on_progress: Progress = lambda stage, done, total: None,
) -> Prepared:
    """Bring a folder or archive into MVTec AD layout.

    Args:
        source: folder, zip or tar.
        out: new or empty folder, or one that an earlier run with the same request has begun.

    Raises:
        BurnishError: the source cannot be read or is of another format, nothing in it can be used,
            `out` holds something else or was prepared otherwise, or cannot be written to.
    """
    request, out = request or Request(), Path(out)
    with open_source(source) as files:
        _check_apart(files.path, out)
        with locked(out):
            return _prepare(files, out, request, on_progress)


def _prepare(files: Source, out: Path, request: Request, on_progress: Progress) -> Prepared:
    record = read_record(out)
    named = request.format or ("folder" if request.options.good or request.options.bad else "")
    format = format_named(named) if named else guess(files)
    recipe = _recipe(files, format, request)
    if record is not None:
        record = untouched(record, recipe, files)
        check_recipe(out, record, recipe)
    status = "prepared" if record is None else "mended" if record.finished else "resumed"
    wrong: list[str] = []
    if record is not None and record.finished:
        wrong = damage(out, record)
        if not wrong:
            prepared = Prepared(out, "already there", format.name, **record.summary)
            return _with_strangers(prepared, read_manifest(out) or [])

    def items(note: Callable[[str], None]) -> Any:
        return format.items(files, request.options, note)

    looked = survey(items, request.options.part, lambda done: on_progress("read", done, None))
    if other := not_read(files.names()):
        looked.note(other)
    if not looked.found:
        why = [f"{name}: {reason}" for name, reason in looked.left_out.items()] or looked.notes
        raise BurnishError(f"{files.path} holds no image that can be used. {'; '.join(why[:3])}")
    placed, notes = place(looked.found, request.split, request.train, request.seed)
    notes = looked.notes + notes
    content = record.content if record and record.content else content_of_source(files)
    if record is None:
        Record(recipe, content=content).write(out)
    rows, masks = _write(out, placed, on_progress)
    if hasattr(os, "sync"):
        os.sync()  # once, not per file: until the record is finished, all files are checked again
    write_manifest(out, rows)
    summary = summary_of(rows, notes, looked.left_out)
    digests = sha256_of(out / MANIFEST), digest_of_masks(masks)
    Record(recipe, True, *digests, summary, content).write(out)
    prepared = Prepared(out, status, format.name, **summary)
    if wrong:
        prepared.notes.append(f"{len(wrong)} missing or altered files are mended: {some(wrong)}")
    return _with_strangers(prepared, rows)


def _check_apart(source: Path, out: Path) -> None:
    inside, outside = out.resolve(), source.resolve()
    if source.is_dir() and (inside == outside or inside.is_relative_to(outside)):
        raise BurnishError(
            f"{out} lies in {source}: what is written must not become its own source"
        )


def _recipe(files: Source, format: Format, request: Request) -> dict[str, Any]:
    """Everything that decides the output, as plain values that can be compared with JSON's."""
    options = request.options
    return {
        "version": VERSION,
        "format": format.name,
        "digest": digest_of_source(files),
        "part": options.part.pattern if options.part else "",
        "good": list(options.good),
        "bad": list(options.bad),
        "window": options.window,
        "table": options.table,
        "class": options.category,
        "split": request.split,
        "train": request.train,
        "seed": request.seed,
    }


def _write(
    out: Path, placed: list[Placed], on_progress: Progress
) -> tuple[list[ManifestRow], dict[str, str]]:
    """Write missing files; returns the manifest's rows, and SHA-256 of the masks by path."""
    rows, masks = [], {}
    for done, one in enumerate(placed, 1):
        image, item = one.found, one.found.item
        if sha256_of(out / one.path) != image.sha256:
            data = item.data()
            if hashlib.sha256(data).hexdigest() != image.sha256:
                raise BurnishError(f"{item.source} has changed while it was read: run again")
            atomic_write(out / one.path, data, durable=False)
        if one.mask:
            mask = item.mask()
            if mask is None or digest_of(mask) != image.mask:
                raise BurnishError(f"the mask of {item.source} has changed: run again")
            png = png_bytes(Image.fromarray(mask.astype(np.uint8) * 255))
            if not (out / one.mask).is_file() or (out / one.mask).read_bytes() != png:
                atomic_write(out / one.mask, png, durable=False)
            masks[one.mask] = hashlib.sha256(png).hexdigest()
        label, kind = "defect" if image.is_defect else "good", one.path.split("/")[1]
        rows.append(
            ManifestRow(
                one.path,
                image.sha256,
                one.split,
                label,
                kind,
                one.mask,
                image.part,
                item.source,
                image.width,
                image.height,
            )
        )
        on_progress("write", done, len(placed))
    return rows, masks


def _with_strangers(prepared: Prepared, rows: list[ManifestRow]) -> Prepared:
    if other := strangers(prepared.out, rows):
        prepared.notes.append(
            f"{len(other)} files in {prepared.out} do not come from the source, and would be used "
            f"by training or test: {some(other)}"
        )
    return prepared
