"""burnish finds surface defects on metal parts after seeing only good ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["BurnishError", "Detector", "Result", "__version__"]

if TYPE_CHECKING:
    from burnish.detection.detector import Detector
    from burnish.detection.result import Result
    from burnish.errors import BurnishError

_HOME = {
    "Detector": "burnish.detection.detector",
    "Result": "burnish.detection.result",
    "BurnishError": "burnish.errors",
}


def __getattr__(name: str) -> Any:
    """Load the public names on first use: `import burnish` must not load torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'burnish' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
