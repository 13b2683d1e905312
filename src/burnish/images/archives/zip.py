"""Reading a zip that may be hostile."""

from __future__ import annotations

import copy
import stat
import threading
import zipfile
from pathlib import Path
from typing import IO, BinaryIO, cast

from burnish.errors import BurnishError
from burnish.images.archives.rules import CHUNK, MAX_RATIO, SMALL, UNPACK, BoundedFile, ListedSource

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
MAX_DIRECTORY = 32 << 20  # bytes of zip directory, 160 for each of 200,000 members
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags: classic, strong, masked directory


class ZipSource(ListedSource):
    """A zip file as a source; see `burnish.images.archives.archive.Source`."""

    def __init__(self, path: Path, file: BinaryIO, length: int) -> None:
        """Index the zip; nothing is unpacked.

        Args:
            length: bytes of the file.

        Raises:
            BurnishError: damaged, or a member that is refused.
        """
        super().__init__(path, UNPACK)
        self._file = file
        self._lock = threading.Lock()
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            self._index(file, length)
        except BurnishError:
            raise
        except Exception as error:  # zipfile meets garbage with struct, Index, Unicode errors, ...
            raise BurnishError(f"{path} cannot be read as a zip: {_reason(error)}") from error

    def _index(self, file: BinaryIO, length: int) -> None:
        self._zip = zipfile.ZipFile(cast("IO[bytes]", BoundedFile(file, MAX_DIRECTORY)))
        infos = self._zip.infolist()
        for info in infos:
            self._admit(info)
        if sum(info.compress_size for info in infos) > length:
            raise BurnishError(
                f"{self.path} is refused: its members overlap, which only a decompression bomb "
                "needs"
            )

    def _admit(self, info: zipfile.ZipInfo) -> None:
        listing, raw = self._listing, info.orig_filename
        listing.admit_folder(raw)  # zipfile cuts `filename` at a NUL
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind == stat.S_IFLNK:
            listing.refuse(raw, "is a link")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            listing.refuse(raw, "is a device or a pipe")
        if info.filename.endswith("/"):  # is_dir() stumbles over an empty name
            return
        if info.flag_bits & ENCRYPTED:
            listing.refuse(raw, "is encrypted")
        if info.compress_type not in METHODS:
            listing.refuse(raw, f"is packed by method {info.compress_type}, which is not read")
        if info.file_size > SMALL and info.file_size > MAX_RATIO * info.compress_size:
            listing.refuse(
                raw, f"unpacks to more than {MAX_RATIO} times its size (a decompression bomb?)"
            )
        name = listing.admit(info.filename, info.file_size)
        if name is not None:
            self._members[name] = info

    def read(self, name: str) -> bytes:
        declared = self.size(name)
        # One byte more than declared is asked for, so that a member which holds more is seen.
        info = copy.copy(self._members[name])
        info.file_size = declared + 1
        data = bytearray()
        try:
            with self._lock, self._zip.open(info) as member:
                while len(data) <= declared and (piece := member.read(CHUNK)):
                    data += piece
        except Exception as error:
            raise BurnishError(f"{self.path}: {name!r} is damaged: {_reason(error)}") from error
        if len(data) != declared:
            what = "more" if len(data) > declared else "less"
            raise BurnishError(
                f"{self.path}: {name!r} is damaged: it holds {what} than the {declared:,} bytes "
                "it declares"
            )
        return bytes(data)

    def close(self) -> None:
        self._zip.close()
        self._file.close()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
