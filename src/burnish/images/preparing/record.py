"""The record of a prepared folder, `.prepare.json`: written first, marked finished last."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.files import atomic_write
from burnish.images.archives.archive import Source
from burnish.images.manifest import MANIFEST, ManifestRow, read_manifest
from burnish.images.preparing.split import TEST, TRAIN
from burnish.system import folder_lock

RECORD = ".prepare.json"
FOLDERS = ("train", "test", "ground_truth")
SUMMARY = {"train", "test", "masks", "parts", "notes", "left_out"}


@dataclass(frozen=True)
class Record:
    """State of a prepared folder.

    Attributes:
        recipe: everything that decides what comes out, the source's digest included.
        finished: whether all files have been written.
        manifest, masks: SHA-256 of the manifest, and over all mask files; empty until finished.
        summary: what was reported then.
        content: SHA-256 over names and contents of the source's files; empty where it is not kept.
    """

    recipe: dict[str, Any]
    finished: bool = False
    manifest: str = ""
    masks: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    content: str = ""

    def write(self, out: Path) -> None:
        atomic_write(out / RECORD, json.dumps(vars(self), indent=1) + "\n")


def read_record(out: Path) -> Record | None:
    """The record of a folder that exists; None where there is nothing in it yet.

    Raises:
        BurnishError: the folder holds something that `prepare` did not write.
    """
    path = out / RECORD
    if not path.exists():
        # a killed atomic write leaves a temporary file of the record behind
        there = [entry.name for entry in out.iterdir() if not entry.name.startswith(f".{RECORD}.")]
        if there:
            raise BurnishError(
                f"{out} holds other files ({sorted(there)[0]}, ...): choose an empty or new folder"
            )
        return None
    try:
        record = Record(**json.loads(path.read_text(encoding="utf-8")))
        if not isinstance(record.recipe, dict):
            raise ValueError("its recipe is no table")
        if record.finished and record.summary.keys() != SUMMARY:
            raise ValueError(f"its summary is not {', '.join(sorted(SUMMARY))}")
        return record
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BurnishError(
            f"{path} is damaged ({error}): remove {out} and prepare again"
        ) from error


def check_recipe(out: Path, record: Record, recipe: dict[str, Any]) -> None:
    """Check that a folder was begun with this recipe.

    Raises:
        BurnishError: it was not; names what differs.
    """
    if record.recipe == recipe:
        return
    differing = [
        f"{key} was {record.recipe.get(key)!r} and is now {recipe.get(key)!r}"
        for key in sorted(record.recipe.keys() | recipe.keys())
        if record.recipe.get(key) != recipe.get(key) and key != "digest"
    ]
    if record.recipe.get("digest") != recipe.get("digest"):
        differing.append("the source's content has changed")
    raise BurnishError(
        f"{out} was prepared otherwise: {'; '.join(differing)}. Choose another folder, or remove it"
    )


def digest_of_source(source: Source) -> str:
    """SHA-256 of an archive's bytes; of a folder's names, sizes and mtimes."""
    if source.path.is_file():
        return sha256_of(source.path)
    digest = hashlib.sha256()
    for name in source.names():
        try:
            changed = str((source.path / name).stat().st_mtime_ns)
        except OSError:  # the name on disk is not UTF-8, and is listed under another
            changed = hashlib.sha256(source.read(name)).hexdigest()
        digest.update(f"{name}\0{source.size(name)}\0{changed}\n".encode())
    return digest.hexdigest()


def content_of_source(source: Source) -> str:
    """SHA-256 of an archive's bytes; of a folder's names and contents."""
    if source.path.is_file():
        return sha256_of(source.path)
    digest = hashlib.sha256()
    for name in source.names():
        digest.update(f"{name}\0{hashlib.sha256(source.read(name)).hexdigest()}\n".encode())
    return digest.hexdigest()


def untouched(record: Record, recipe: dict[str, Any], source: Source) -> Record:
    """The record, with the recipe's digest if only mtimes of the source have changed."""
    digest = recipe["digest"]
    if record.recipe.get("digest") != digest and record.content == content_of_source(source):
        return replace(record, recipe=record.recipe | {"digest": digest})
    return record


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def digest_of_masks(masks: dict[str, str]) -> str:
    """SHA-256 over paths and contents of all mask files.

    Args:
        masks: SHA-256 by path, relative to the prepared folder.
    """
    lines = "".join(f"{path} {masks[path]}\n" for path in sorted(masks))
    return hashlib.sha256(lines.encode()).hexdigest()


def damage(out: Path, record: Record) -> list[str]:
    """Files of a finished folder that are missing or altered."""
    if sha256_of(out / MANIFEST) != record.manifest:
        return [MANIFEST]
    rows = read_manifest(out) or []
    wrong = [row.path for row in rows if sha256_of(out / row.path) != row.sha256]
    masks = {row.mask: sha256_of(out / row.mask) for row in rows if row.mask}
    if digest_of_masks(masks) != record.masks:
        wrong += [path for path, digest in masks.items() if not digest] or ["a mask"]
    return wrong


def summary_of(
    rows: Sequence[ManifestRow], notes: list[str], left_out: dict[str, str]
) -> dict[str, Any]:
    """`Record.summary` of a folder with these rows in its manifest."""
    parts = {side: {row.part for row in rows if row.split == side} for side in (TRAIN, TEST)}
    return {
        "train": sum(row.split == TRAIN for row in rows),
        "test": dict(sorted(Counter(row.kind for row in rows if row.split == TEST).items())),
        "masks": sum(bool(row.mask) for row in rows),
        "parts": {
            "train": len(parts[TRAIN]),
            "test": len(parts[TEST]),
            "both": len(parts[TRAIN] & parts[TEST]),
        },
        "notes": notes,
        "left_out": left_out,
    }


def strangers(out: Path, rows: Sequence[ManifestRow]) -> list[str]:
    """Files in the layout's folders that no row names; removes leftovers of a killed run."""
    found, known = [], {name for row in rows for name in (row.path, row.mask)}
    for cut in out.glob(".*.part"):
        cut.unlink(missing_ok=True)
    for top in FOLDERS:
        for path in sorted((out / top).rglob("*")):
            if path.name.startswith(".") and path.suffix == ".part":
                path.unlink(missing_ok=True)  # left by a killed run: this one holds the lock
            elif not path.is_dir() and path.relative_to(out).as_posix() not in known:
                found.append(path.relative_to(out).as_posix())
    return found


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Make the folder and lock it against a second run; the lock ends with the process.

    After an error before anything was written, a folder made here is removed again.

    Raises:
        BurnishError: another run holds it, or it cannot be made.
    """
    created = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise BurnishError(f"{out} is a file: choose a folder that is empty or new") from error
    except OSError as error:
        raise BurnishError(f"{out} cannot be written to: {error.strerror}") from error
    with folder_lock(out) as ours:
        if not ours:
            raise BurnishError(f"another run is preparing {out} right now")
        try:
            yield
        except BurnishError:
            if created and not any(out.iterdir()):
                out.rmdir()
            raise
