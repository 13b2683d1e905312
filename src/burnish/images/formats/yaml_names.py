"""Read the class names from a data.yaml: a single key, without a YAML library."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from burnish.errors import BurnishError

KEY = re.compile(r"^names[ \t]*:(?!\S)(.*(?:\n(?:[ \t#\]}].*|-(?!--).*|))*)", re.MULTILINE)
QUOTED = r"""(?<![^\s\[{,:])(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*")"""  # not the one in worker's
COMMENT = re.compile(rf"({QUOTED})|(?:^|\s)#.*")
BETWEEN_COMMAS = re.compile(rf"((?:{QUOTED}|[^,])*)(?:,|$)")
WORD = re.compile(r"(?P<name>.*)")
BULLET = re.compile(r"-\s+(?P<name>.*)")
PAIR = re.compile(r"""(["']?)(?P<number>\d{1,5})\1\s*:\s*(?P<name>.*)""")
NO_WORD = re.compile(r"$|[\[\]{}&*!|>%@`'\"]|.*:(?:\s|$)")  # as YAML begins other things


def yaml_names(text: str, where: str = "data.yaml") -> list[str]:
    """The key `names` of a data.yaml: `[a, b]`, `{0: a, 1: b}`, or the same line by line.

    Returns:
        Names in the order of their numbers, `classN` for those left out; empty without the key.

    Raises:
        BurnishError: they are written in another of YAML's many forms.
    """
    found = KEY.search("\n".join(text.splitlines()))
    if not found:
        return []
    lines = [COMMENT.sub(lambda m: m[1] or "", line).strip() for line in found[1].split("\n")]
    pattern, entries = _split([line for line in lines if line])
    numbered: dict[int, str] = {}
    for entry in entries:
        parts = pattern.fullmatch(entry)
        name = _word(parts["name"]) if parts else None
        if parts is None or name is None:
            raise BurnishError(
                f"{where}: its names cannot be read at '{entry[:40]}': write them as [a, b], or "
                "one a line, as '- a' or '0: a'"
            )
        numbered[int(parts.groupdict().get("number", len(numbered)))] = name
    return [numbered.get(n) or f"class{n}" for n in range(max(numbered, default=-1) + 1)]


def _split(lines: Sequence[str]) -> tuple[re.Pattern[str], Sequence[str]]:
    """The entries, without comments, and how each must look."""
    whole = " ".join(lines)
    for opening, closing, pattern in (("[", "]", WORD), ("{", "}", PAIR)):
        if whole.startswith(opening):
            if not whole.endswith(closing):
                return BULLET, [whole]
            # the last entry is empty: the text ends with a comma, or with the last entry's end
            return pattern, [e.strip() for e in BETWEEN_COMMAS.findall(whole[1:-1].strip())[:-1]]
    return BULLET if whole.startswith("-") else PAIR, lines


def _word(text: str) -> str | None:
    """A plain or quoted word; None for anything else."""
    if re.fullmatch(QUOTED, text) is None:
        return None if NO_WORD.match(text) else text
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    try:
        return str(json.loads(text))  # the escapes of YAML that matter are those of JSON
    except ValueError:
        return None
