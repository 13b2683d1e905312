"""burnish finds surface defects on metal parts after seeing only good ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "BurnishError",
    "Check",
    "Detector",
    "Evaluation",
    "Export",
    "Result",
    "__version__",
    "check_data",
    "evaluate",
    "export_model",
    "write_report",
]

if TYPE_CHECKING:
    from burnish.checks.check import Check, check_data
    from burnish.detection.detector import Detector
    from burnish.detection.result import Result
    from burnish.errors import BurnishError
    from burnish.evaluation.evaluate import evaluate
    from burnish.evaluation.record import Evaluation
    from burnish.evaluation.report import write_report
    from burnish.export.export import Export, export_model

_HOME = {
    "BurnishError": "burnish.errors",
    "Check": "burnish.checks.check",
    "Detector": "burnish.detection.detector",
    "Evaluation": "burnish.evaluation.record",
    "Export": "burnish.export.export",
    "Result": "burnish.detection.result",
    "check_data": "burnish.checks.check",
    "evaluate": "burnish.evaluation.evaluate",
    "export_model": "burnish.export.export",
    "write_report": "burnish.evaluation.report",
}


def __getattr__(name: str) -> Any:
    """Load the public names on first use: `import burnish` must not load torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'burnish' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
