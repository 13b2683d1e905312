"""CSV that any reader takes apart as it was put together."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO


def csv_table(file: TextIO, columns: Sequence[str]) -> csv.DictWriter[str]:
    """A writer of CSV whose lines end with a newline, and whose fields may hold anything.

    For that line end Python's own writes a carriage return, which a file name may hold, without
    quotes: readers take it for the end of a line.

    Names that begin with =, +, - or @ stay as they are too, though a spreadsheet may take them for
    formulas: rows are matched with files by them, and numbers begin with - as well.
    """
    return csv.DictWriter(_Newlines(file), columns, lineterminator="\r\n")


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A whole table as `csv_table` writes it, its head first; None becomes an empty cell."""
    text = io.StringIO()
    table = csv_table(text, list(columns))
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


class _Newlines:
    """Takes whole lines of CSV, one at a time."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n") + "\n")
