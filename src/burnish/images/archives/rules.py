"""What a folder or archive may hold: limits on sizes and names, and the errors for the rest."""

from __future__ import annotations

import io
import re
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NoReturn

from burnish.errors import BurnishError

MAX_MEMBER = 1 << 30  # bytes
MAX_MEMBERS = 200_000
MAX_TOTAL = 100 << 30  # bytes, unpacked
MAX_RATIO = 1000  # unpacked to packed bytes; photographs reach 2, empty masks about 300
SMALL = 1 << 20  # bytes; what is smaller may have any ratio
UNPACK = "pack it again without that, or unpack what you trust and give the folder"
CHUNK = 1 << 20  # bytes unpacked at a time


class Listing:
    """The files of one source, each checked as it is admitted.

    Attributes:
        path: the folder or archive.
        sizes: bytes of every file that is not hidden, by name.
    """

    def __init__(self, path: Path, advice: str) -> None:
        """`advice`: what the user can do about a file that is refused."""
        self.path = path
        self._advice = advice
        self.sizes: dict[str, int] = {}
        self._seen: set[str] = set()
        self._total = 0

    def refuse(self, name: str, why: str) -> NoReturn:
        # repr: a hostile name may hold control characters, which the terminal would obey
        raise BurnishError(f"{self.path} is refused: {name!r} {why}; {self._advice}")

    def admit(self, raw: str, size: int) -> str | None:
        """Check a file's name and size; returns the name to list it by, None for a hidden file.

        Raises:
            BurnishError: the name leads out of the source or occurs twice, or a limit is exceeded.
        """
        name = self.admit_folder(raw)
        if name == ".":
            self.refuse(raw, "is no file name")
        if name in self._seen:
            self.refuse(raw, "occurs twice")
        self._seen.add(name)
        if size > MAX_MEMBER:
            self.refuse(raw, f"has {size:,} bytes; at most {MAX_MEMBER:,} are read")
        self._total += size
        if len(self._seen) > MAX_MEMBERS:
            self.too_much(f"more than {MAX_MEMBERS:,} files")
        if self._total > MAX_TOTAL:
            self.too_much(f"more than {MAX_TOTAL:,} bytes")
        if is_hidden(name):
            return None
        self.sizes[name] = size
        return name

    def admit_folder(self, raw: str) -> str:
        """Check a name; returns it with slashes, without "./", and valid as UTF-8."""
        for sign, what in (("\0", "a NUL"), ("\\", "a backslash")):
            if sign in raw:
                self.refuse(raw, f"has {what} in its name")
        if raw.startswith("/") or re.match("[A-Za-z]:", raw):
            self.refuse(raw, "has an absolute path")
        path = PurePosixPath(raw)
        if ".." in path.parts:
            self.refuse(raw, "leads out of the archive")
        return readable(str(path))

    def too_much(self, what: str) -> NoReturn:
        raise BurnishError(f"{self.path} holds {what}: split it, or give the part you need")

    def names(self) -> list[str]:
        return sorted(self.sizes)

    def size(self, name: str) -> int:
        """Bytes of a file.

        Raises:
            BurnishError: no such file in the source.
        """
        if name not in self.sizes:
            raise BurnishError(f"{self.path} holds no file {name!r}")
        return self.sizes[name]


class ListedSource:
    """What all kinds of source share: a `Listing` of their files."""

    def __init__(self, path: Path, advice: str) -> None:
        self.path = path
        self._listing = Listing(path, advice)

    def names(self) -> list[str]:
        return self._listing.names()

    def size(self, name: str) -> int:
        return self._listing.size(name)


def is_hidden(name: str) -> bool:
    """Hidden files and what macOS leaves behind (`__MACOSX/`, `.DS_Store`, `._*`)."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def readable(name: str) -> str:
    """A file name that is not UTF-8 decoded as Latin-1, so that it can be printed and stored."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("latin-1")
    return name


class BoundedFile:
    """A file that limits the size of a single read: `zipfile` and `tarfile` read as many bytes as
    a header claims, straight into memory."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = self._most + 1
        data = self._file.read(min(size, self._most + 1))
        if len(data) > self._most:
            raise ValueError(f"a header of more than {self._most:,} bytes")
        return self.inspected(data)

    def inspected(self, data: bytes) -> bytes:
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True
