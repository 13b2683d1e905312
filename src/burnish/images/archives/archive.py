"""One way to read what users bring: a folder, a zip or a tar (plain, gzip, bzip2, xz).

Files are read into memory one by one. Nothing is ever written to a path that an archive chooses.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from burnish.errors import BurnishError
from burnish.images.archives.rules import MAX_MEMBER, ListedSource, is_hidden
from burnish.images.archives.tar import TarSource, compression_of, unpacked
from burnish.images.archives.zip import ZipSource

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # with members, without


class Source(Protocol):
    """Files under one root, wherever they lie. `read` may be called from several threads.

    Attributes:
        path: the folder or archive that was opened.
    """

    @property
    def path(self) -> Path: ...

    def names(self) -> list[str]:
        """Every file, sorted, relative to the root, with slashes; hidden files are left out."""
        ...

    def read(self, name: str) -> bytes:
        """Content of a file.

        Raises:
            BurnishError: no such file, or it is damaged.
        """
        ...

    def size(self, name: str) -> int:
        """Bytes of a file, without reading it.

        Raises:
            BurnishError: no such file.
        """
        ...


@contextmanager
def open_source(path: str | Path) -> Iterator[Source]:
    """Open a folder, zip or tar; an archive's kind is told by its content, not by its suffix.

    These are refused: absolute names, "..", drive letters, backslashes and NUL in names; links,
    devices, pipes; names that occur twice; encrypted members; more than 200,000 files, 1 GiB in one
    or 100 GiB in all; members that unpack to over 1000 times their size, or to more than they
    declare. In a folder, links to files within it are followed, links to folders within it are
    skipped (their files are found where they lie), and links that lead outside are refused.

    Raises:
        BurnishError: missing, of an unknown kind, damaged, or refused; names the file and why.
    """
    path = Path(path)
    source = _open(path)
    try:
        yield source
    finally:
        source.close()


class FolderSource(ListedSource):
    """A folder as a source; see `Source`."""

    def __init__(self, path: Path) -> None:
        """List the folder.

        Raises:
            BurnishError: it cannot be listed, or holds something that is refused.
        """
        super().__init__(path, "move it elsewhere")
        self._files: dict[str, Path] = {}
        self._root = path.resolve()
        for folder, below, files in os.walk(path, onerror=self._unlisted):
            inside = Path(folder).relative_to(path)
            below[:] = sorted(name for name in below if not is_hidden(name))
            for name in below + files:
                if not is_hidden(name):
                    self._admit(inside / name)

    def _unlisted(self, error: OSError) -> None:
        raise BurnishError(f"{error.filename} cannot be listed: {error.strerror}") from error

    def _admit(self, inside: Path) -> None:
        path, raw = self.path / inside, inside.as_posix()
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(self._root):
            self._listing.refuse(raw, "is a link that leads out of the folder")
        try:
            found = path.stat()
        except OSError as error:  # a link to nothing, or a file that has just gone
            raise BurnishError(f"{path} cannot be read: {error.strerror}") from error
        if stat.S_ISDIR(found.st_mode):
            return
        if not stat.S_ISREG(found.st_mode):
            self._listing.refuse(raw, "is a device or a pipe")
        name = self._listing.admit(raw, found.st_size)
        if name is not None:
            self._files[name] = path

    def read(self, name: str) -> bytes:
        self.size(name)
        path = self._files[name]
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size > MAX_MEMBER:
                    raise BurnishError(f"{path} has grown over {MAX_MEMBER:,} bytes")
                return file.read(size)
        except OSError as error:
            raise BurnishError(f"{path} cannot be read: {error.strerror or error}") from error

    def close(self) -> None:
        pass


def _open(path: Path) -> FolderSource | ZipSource | TarSource:
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            return FolderSource(path)
        if not stat.S_ISREG(kind):
            raise BurnishError(f"{path} is a device or a pipe, not a folder, zip or tar")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise BurnishError(f"no such file or folder: {path}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BurnishError(f"{path} cannot be read: {reason}") from error
    try:
        return _open_archive(path, file)
    except BaseException:
        file.close()
        raise


def _open_archive(path: Path, file: BinaryIO) -> ZipSource | TarSource:
    length = file.seek(0, io.SEEK_END)
    if length == 0:
        raise BurnishError(f"{path} is empty (0 bytes)")
    file.seek(0)
    head = file.read(512)
    file.seek(0)
    # By the first bytes: `is_zipfile` looks at the end, where a tar may hold a whole zip.
    if head.startswith(ZIP_MAGIC):
        return ZipSource(path, file, length)
    if compression := compression_of(head):
        spool = unpacked(path, file, length, compression)
        file.close()
        try:
            return TarSource(path, spool)
        except BaseException:
            spool.close()
            raise
    if head[257:262] != b"ustar" and zipfile.is_zipfile(file):  # behind a self-extracting program
        return ZipSource(path, file, length)
    return TarSource(path, file)
