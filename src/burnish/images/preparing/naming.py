"""File names that are safe everywhere, whatever the source calls its files."""

from __future__ import annotations

import re

from burnish.images.dataset import GOOD_NAMES

LONGEST = 100  # characters; masks, manifests and temporary files add to it
RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}


def safe_name(raw: str, otherwise: str = "image") -> str:
    """`raw` with letters, digits, "_", "-", "." only; never hidden, never empty, never a path."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", raw)[:LONGEST].lstrip(".-").rstrip(".")
    if not name.strip("_"):
        name = otherwise
    # Windows reads "con.png" as a device, with any suffix
    return f"_{name}" if name.split(".")[0].lower() in RESERVED else name


class Names:
    """Gives every image of a folder a unique stem, in the order of the calls."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, stem: str) -> str:
        """`stem`, or `stem-2`, `stem-3`, ...

        Upper and lower case count as the same, as on some file systems. Names of masks,
        `<stem>_mask`, are taken too, as masks are found by name.
        """
        name, number = stem, 1
        while {name.lower(), f"{name.lower()}_mask"} & self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken |= {name.lower(), f"{name.lower()}_mask"}
        return name


def safe_kind(raw: str) -> str:
    """The folder of a kind of defect; never a name that means good, however it is spelt."""
    name = safe_name(raw, "defect")
    return f"{name}_defect" if name.lower() in GOOD_NAMES else name
