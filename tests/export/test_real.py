"""Parity of every format on all four real sets, through the gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from burnish import Detector
from burnish.export.exported import load_exported
from burnish.export.graph import tolerance_of
from burnish.export.parity import compare, gate_images
from burnish.images.preparing.prepare import prepare

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SETS = {
    "KolektorSDD.zip": {"aspect": "keep"},
    "MagneticTile.zip": {"fusion": "mean", "error": "absolute"},
    "RailHead.zip": {
        "reduction": "top",
        "top_share": 0.01,
        "standardise": "none",
        "error": "relative",
        "texture": ["residual:1", "image:2"],
        "texture_factors": 4,
        "lines": [1],
        "whole": True,
        "extremes": True,
        "fusion": "highest",
    },
    "screw.zip": {
        "fusion": "paper",
        "reduction": "mean",
        "hidden_tokens": "drop",
        "align": "part",
        "aspect": "keep",
    },
}
TILES = {
    "tile": 192, "overlap": 16, "patch": 16, "disc_patch": 16, "mask_blocks": [16, 32],
    "texture": ["image:2"], "fusion": "highest",
}  # fmt: skip
CASES = [*SETS.items(), ("KolektorSDD.zip", TILES)]
EACH = 12  # images of each side of the gate


@pytest.mark.slow
@pytest.mark.parametrize(("archive", "own"), CASES)
def test_every_format_judges_alike(
    archive: str,
    own: dict,
    micro: dict,
    tmp_path: Path,
    write_formats: Callable[[Path, Path], Path],
) -> None:
    if not (SHARED / archive).exists():
        pytest.skip(f"{SHARED / archive} is not here")
    prepare(SHARED / archive, tmp_path / "data")
    run = tmp_path / "run"
    settings = micro | {"image_size": 48, "steps": 10, **own}
    detector = Detector.train(tmp_path / "data", "tiny", run, **settings)
    images = gate_images(detector.card, None)
    each = EACH if "tile" not in own else EACH // 4  # every image of tiles is many
    good, tested = images.good[:each], images.tested[:: max(1, len(images.tested) // each)]
    folder = write_formats(run, tmp_path / "exports")
    for suffix in (".onnx", ".xml", ".pt2"):
        exported = load_exported(folder / f"model{suffix}")
        parity = compare(detector, exported, good + tested, tolerance_of(detector.card))
        assert parity.passed, parity.complaint()
        assert len(parity.images) == len(good) + len(tested)
        assert parity.worst.by < 0.1 * parity.tolerance
        highest = max(abs(value) for value in detector.card.calibration.peaks)
        share = 1e-3 if detector.card.alignment is None else 1e-2
        assert parity.map_difference < share * highest
