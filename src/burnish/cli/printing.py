"""What `burnish inspect` prints: lines for people, CSV, a JSON array, or JSON line by line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from burnish.files import visible
from burnish.tables import csv_table

if TYPE_CHECKING:
    from burnish.detection.result import Result

COLUMNS = (
    "path", "verdict", "score", "threshold", "p_value", "where", "out_of_range", "ms", "error",
    "notes",
)  # fmt: skip


class Lines:
    """For people, each line as soon as its image is judged. What failed is on stderr already."""

    def result(self, result: Result) -> None:
        print(visible(_line(result)), flush=True)

    def failed(self, source: str, problem: str) -> None:
        """An image that could not be judged."""

    def close(self) -> None:
        """Nothing more comes; called after an error too."""


class Table(Lines):
    """CSV, each row as soon as its image is judged."""

    def __init__(self) -> None:
        self._table = csv_table(sys.stdout, COLUMNS)
        self._table.writeheader()

    def result(self, result: Result) -> None:
        self._write(_row(result))

    def failed(self, source: str, problem: str) -> None:
        self._write(_error(source, problem))

    def _write(self, row: dict[str, Any]) -> None:
        self._table.writerow(row)
        sys.stdout.flush()


class Array(Lines):
    """One JSON array at the end; at an early one, by Ctrl-C say, what was judged so far."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def result(self, result: Result) -> None:
        self._rows.append(result.to_dict())

    def failed(self, source: str, problem: str) -> None:
        self._rows.append(_error(source, problem))

    def close(self) -> None:
        print(json.dumps(self._rows, indent=1))


class Objects(Lines):
    """JSON, an object a line as soon as its image is judged: for what has no end."""

    def result(self, result: Result) -> None:
        print(json.dumps(result.to_dict()), flush=True)

    def failed(self, source: str, problem: str) -> None:
        print(json.dumps(_error(source, problem)), flush=True)


def _error(source: str, problem: str) -> dict[str, Any]:
    return {"path": source, "verdict": "error", "error": problem}


def _line(result: Result) -> str:
    sign = ">" if result.is_defect else "<="
    at = "at " if result.regions else ""
    where = f"  {at}{result.where}" if result.where else ""
    if result.out_of_range:
        more = f" (+{len(result.out_of_range) - 1})" if len(result.out_of_range) > 1 else ""
        where += f"  UNLIKE TRAINING: {result.out_of_range[0]}{more}"
    return (
        f"{result.headline:<6}  score {result.score:.4g} {sign} {result.threshold:.4g}  "
        f"p {result.p_value:.3g}  {result.path}{where}"
    )


def _row(result: Result) -> dict[str, Any]:
    return {
        "path": result.path,
        "verdict": result.verdict,
        "score": result.score,
        "threshold": result.threshold,
        "p_value": result.p_value,
        "where": result.where,
        "out_of_range": "; ".join(map(str, result.out_of_range)),
        "ms": round(result.speed.total, 2),
        "error": "",
        "notes": "; ".join(result.notes),
    }
