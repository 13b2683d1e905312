"""Atomic writes: a file is either complete or unchanged (write beside it, fsync, rename)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.errors import BurnishError
from burnish.system import sync_file, sync_folder

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def atomic_path(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving without error, fsync it and rename it.

    A crash at any moment leaves the old file (or none), never half a new one.

    Args:
        durable: whether to fsync. Without it only a crash of the process is safe, not of the
            system: for callers that write many files, sync once and can detect a damaged file.

    Raises:
        BurnishError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    # In a folder that others may write to, a link of a name that can be guessed would be followed.
    beside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)  # some writers make their files private
        if durable:
            sync_file(beside)
        os.replace(beside, path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise BurnishError(
            f"cannot write {path}: {error.strerror or error}. "
            "Choose a folder that exists, can be written to and has room."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink()


def atomic_write(path: str | Path, content: str | bytes, durable: bool = True) -> None:
    """Write `content` (text as UTF-8) to `path` in one step; see `atomic_path`."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path, durable) as beside:
        beside.write_bytes(data)


def check_writable(path: str | Path) -> None:
    """Check that `path` can be written, to fail before long work and not after it.

    Raises:
        BurnishError: as `atomic_path`.
    """
    path = Path(path)
    if path.is_dir():
        raise BurnishError(f"cannot write {path}: it is a folder")
    beside = path.with_name(f".{path.name}.writable")
    try:
        atomic_write(beside, "")
    except BurnishError as error:
        raise BurnishError(str(error).replace(str(beside), str(path))) from error
    beside.unlink(missing_ok=True)  # another process may be checking the same path


def save_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file in one step; see `atomic_path`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic_path(path) as beside:
        try:
            save_file(tensors, beside, metadata=metadata)
        except SafetensorError as error:  # raised for a full disk, in place of an OSError
            raise OSError(str(error)) from error


def printable(text: str) -> str:
    """Escape what UTF-8 cannot encode: file names on Linux are arbitrary bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def visible(text: str) -> str:
    """Escape control characters, ends of lines and what turns the direction of writing.

    A terminal would obey them: a file name could clear a verdict, or write one. Bytes that are no
    UTF-8 stay, as Python holds them in names.
    """
    return "".join(
        c if c.isprintable() or "\udc80" <= c <= "\udcff" else c.encode("unicode_escape").decode()
        for c in text
    )
