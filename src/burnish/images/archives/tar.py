"""Reading a tar, compressed or not, that may be hostile.

tarfile only makes the index, behind a file that bounds what it reads; the members' bytes are read
here. A compressed tar cannot be read at random: it is unpacked once into an unnamed temporary file,
which vanishes even when the process is killed.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from burnish.errors import BurnishError
from burnish.images.archives.rules import (
    CHUNK,
    MAX_RATIO,
    MAX_TOTAL,
    SMALL,
    UNPACK,
    BoundedFile,
    ListedSource,
)

MAX_HEADER = 1 << 20  # bytes of one header of a tar
MAX_COMMON = 1000  # entries of headers that are for all members; a usual tar has one or none
MAX_XZ_MEMORY = 256 << 20  # bytes; `xz -9` asks for 65 MiB
ROOM = 64 << 20  # bytes left free on the disk for temporary files
LABELS = {".csv", ".json", ".txt", ".xlsx", ".xml", ".yaml", ".yml"}
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}


class TarSource(ListedSource):
    """A tar file as a source; see `burnish.images.archives.archive.Source`."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Index the tar, which has been opened and is not compressed.

        Raises:
            BurnishError: damaged or cut off, or a member that is refused.
        """
        super().__init__(path, UNPACK)
        self._file = file
        self._lock = threading.Lock()
        self._offsets: dict[str, int] = {}
        try:
            self._index()
        except BurnishError:
            raise
        except Exception as error:  # tarfile meets garbage with Value, Recursion, struct errors
            reason = str(error) or type(error).__name__
            labels = path.suffix.lower() in LABELS
            raise BurnishError(
                f"{path} is neither a zip nor a tar that is whole: {reason}"
                + ("; for a file of labels give the folder that it lies in" if labels else "")
            ) from error

    def _index(self) -> None:
        at = -1
        self._file.seek(0)
        headers = cast("IO[bytes]", _Headers(self._file, MAX_HEADER))
        with tarfile.open(fileobj=headers, mode="r:") as tar:
            while (member := tar.next()) is not None:
                # With a negative size tarfile would go backwards, and round in circles.
                if member.size < 0 or member.offset <= at:
                    self._listing.refuse(member.name, "has a negative size")
                at = member.offset
                self._admit(member)
                # It would keep all headers, of up to 1 MiB each.
                tar.members.clear()  # type: ignore[attr-defined]
                common = tar.pax_headers
                if len(common) > MAX_COMMON or sum(map(len, common.values())) > MAX_HEADER:
                    self._listing.refuse(member.name, "follows too many headers for all files")
            end = tar.offset
        self._file.seek(end)  # tarfile takes any header it cannot parse for the end
        if self._file.read(tarfile.BLOCKSIZE) != b"\0" * tarfile.BLOCKSIZE:
            raise BurnishError(f"{self.path} is cut off or damaged at byte {end:,}")

    def _admit(self, member: tarfile.TarInfo) -> None:
        listing, raw = self._listing, member.name
        if member.isdir():
            listing.admit_folder(raw)
            return
        if member.issym() or member.islnk():
            listing.refuse(raw, "is a link")
        if member.isdev():
            listing.refuse(raw, "is a device or a pipe")
        if not member.isreg() or member.issparse():
            listing.refuse(raw, "is no plain file")
        name = listing.admit(raw, member.size)
        if name is not None:
            self._offsets[name] = member.offset_data

    def read(self, name: str) -> bytes:
        size = self.size(name)
        with self._lock:
            self._file.seek(self._offsets[name])
            data = self._file.read(size)
        if len(data) != size:
            raise BurnishError(f"{self.path} became shorter while it was read, at {name!r}")
        return data

    def close(self) -> None:
        self._file.close()


class _Headers(BoundedFile):
    def inspected(self, data: bytes) -> bytes:
        # tarfile's patterns take quadratic time over long runs of digits (CVE-2024-6232).
        if re.search(rb"\d{200}", data):
            raise ValueError("a header with a number of more than 200 digits")
        return data


def compression_of(head: bytes) -> str | None:
    """ "gzip", "bzip2" or "xz" by a file's first bytes, None where it is none of them."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


def unpacked(path: Path, file: BinaryIO, length: int, compression: str) -> BinaryIO:
    """The content of a compressed file in an unnamed temporary file, which the caller closes.

    Args:
        length: bytes of `file`.
        compression: as `compression_of` says.

    Raises:
        BurnishError: damaged, a decompression bomb, or no room for it.
    """
    folder = tempfile.gettempdir()
    _check_room(path, folder, length)
    most = min(MAX_TOTAL, max(SMALL, MAX_RATIO * length))
    # Closed by the caller, or below after an error.
    spool = cast("BinaryIO", tempfile.TemporaryFile(prefix="burnish-"))  # noqa: SIM115
    try:
        _spool(path, _pieces(file, compression), spool, most, folder)
    except BaseException:
        spool.close()
        raise
    return spool


def _spool(path: Path, pieces: Iterable[bytes], spool: BinaryIO, most: int, folder: str) -> None:
    written = checked = 0
    iterator = iter(pieces)
    while True:
        try:
            piece = next(iterator, None)
        except Exception as error:  # EOF, zlib, bz2, lzma: each library has errors of its own
            raise BurnishError(
                f"{path} is cut off or damaged: {str(error) or type(error).__name__}"
            ) from error
        if piece is None:
            break
        written += len(piece)
        if written > most:
            raise BurnishError(
                f"{path} unpacks to more than {most:,} bytes, {MAX_RATIO} times its size or the "
                "most that is read (a decompression bomb?): unpack it yourself if you trust it"
            )
        if written - checked > ROOM // 2:
            checked = written
            _check_room(path, folder, ROOM)
        try:
            spool.write(piece)
        except OSError as error:
            raise _no_room(path, folder) from error
    try:
        spool.flush()
    except OSError as error:
        raise _no_room(path, folder) from error


def _check_room(path: Path, folder: str, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise _no_room(path, folder)


def _no_room(path: Path, folder: str) -> BurnishError:
    return BurnishError(
        f"{path} must be unpacked into a temporary file, and {folder} has no room for it: set "
        "TMPDIR to a folder with room, or unpack it yourself and give the folder"
    )


def _pieces(file: BinaryIO, compression: str) -> Iterator[bytes]:
    if compression == "xz":
        yield from _unxz(file)
        return
    opener = {"gzip": lambda: gzip.GzipFile(fileobj=file), "bzip2": lambda: bz2.BZ2File(file)}
    with opener[compression]() as stream:
        while piece := stream.read(CHUNK):
            yield piece


def _unxz(file: BinaryIO) -> Iterator[bytes]:
    """Decompress by hand: `lzma.open` sets no limit on the memory that a stream may ask for."""
    data = file.read(CHUNK)
    while data:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)
        while not decoder.eof:
            if decoder.needs_input and not data and not (data := file.read(CHUNK)):
                raise EOFError("the compressed data ends early")
            yield decoder.decompress(data, CHUNK)
            data = b""
        data = decoder.unused_data.lstrip(b"\0")  # streams may follow each other, padded
        while not data and (more := file.read(CHUNK)):
            data = more.lstrip(b"\0")
