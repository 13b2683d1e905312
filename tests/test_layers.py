"""Imports go down: no module imports one of a layer above its own (CONTRIBUTING)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import burnish

ROOT = Path(burnish.__file__).parent
LAYERS = (
    ("errors", "system", "files", "tables", "sampling", "setting_values", "setting_checks",
     "setting_groups", "settings", "configuration"),
    ("images",),
    ("method",),
    ("training",),
    ("detection",),
    ("export", "evaluation", "checks"),
    ("bench",),
    ("studies",),
    ("cli",),
)  # fmt: skip
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
# `Detector.load` opens exported models too, by an import inside the function.
UPWARDS = {("detection/detector.py", "export")}


def imports_of(file: Path) -> Iterator[str]:
    """The first name below `burnish` of every import, wherever it stands in the file."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *rest = name.split(".")
            if package == "burnish" and rest and rest[0] != "__version__":
                yield rest[0]


def test_no_module_imports_a_higher_layer() -> None:
    upwards = set()
    for file in ROOT.rglob("*.py"):
        own = file.relative_to(ROOT)
        layer = own.parts[0].removesuffix(".py")
        if layer == "__init__":  # the public names
            continue
        upwards |= {
            (own.as_posix(), name) for name in imports_of(file) if HEIGHT[name] > HEIGHT[layer]
        }
    assert upwards == UPWARDS


def test_every_module_has_a_layer() -> None:
    found = {file.relative_to(ROOT).parts[0].removesuffix(".py") for file in ROOT.rglob("*.py")}
    assert found - {"__init__"} == set(HEIGHT)
