"""The provenance of a figure: the code and the data."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import burnish
from burnish.images.manifest import MANIFEST

PARTS = ("train", "test", "ground_truth")  # what a data set's figures depend on


def commit() -> str:
    """The checkout's short commit, with "+" if the package has changed since; else the version."""
    package = Path(burnish.__file__).resolve().parent
    git = ["git", "-C", str(package)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=60
        )
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "."], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return f"burnish {burnish.__version__}"
    if head.returncode or not head.stdout.strip():
        return f"burnish {burnish.__version__}"
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def fingerprint_of(data: Path) -> str:
    """SHA-256 over names and bytes of every file that training and test could read, those in
    linked folders too."""
    digest = hashlib.sha256()
    files = [data / MANIFEST] if (data / MANIFEST).is_file() else []
    for name in PARTS:
        files += _files_below(data / name)
    for path in sorted(files):
        digest.update(path.relative_to(data).as_posix().encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, followlinks=True):
        here = Path(root).resolve()
        # A link to a folder above itself would be followed until the system refuses.
        folders[:] = [n for n in folders if not here.is_relative_to((here / n).resolve())]
        yield from (path for name in names if (path := Path(root, name)).is_file())
