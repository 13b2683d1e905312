"""Models exported once a session: one plain and grey, one in colour with a region of interest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish import Detector
from burnish.export.graph import TOLERANCE
from burnish.export.metadata import describe
from burnish.export.write import to_onnx, trace, write_onnx, write_openvino, write_torch

SUFFIXES = (".onnx", ".xml", ".pt2")


def write_all(run: Path, folder: Path) -> Path:
    """The model of a run folder in every format, as folder/model.*, traced once."""
    file = run / "model.safetensors"
    model = Detector.load(file).model
    record = describe(model, file, "float32", TOLERANCE, {})
    program = trace(model)
    proto = to_onnx(program)
    folder.mkdir()
    write_onnx(proto, record, folder / "model.onnx")
    write_openvino(proto, record, folder / "model.xml")
    write_torch(program, record, folder / "model.pt2")
    return folder


@pytest.fixture(scope="session")
def write_formats() -> Callable[[Path, Path], Path]:
    return write_all


@pytest.fixture(scope="session")
def exports(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(run_folder, tmp_path_factory.mktemp("exports") / "plain")


@pytest.fixture(scope="session")
def coloured(metal: Path, micro: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: RGB, a region of interest, an input that is no square, level light, the paper's
    fusion, three images of each part."""
    folder = tmp_path_factory.mktemp("coloured")
    (folder / "good").mkdir()
    rng = np.random.default_rng(0)
    for number, path in enumerate(sorted((metal / "train" / "good").iterdir())[:12]):
        grey = np.asarray(Image.open(path)).astype(int)[:, :48]
        tinted = np.stack([grey, grey - 20, grey + rng.integers(0, 9, grey.shape)], axis=2)
        name = f"part{number // 3}_{path.name}"
        Image.fromarray(tinted.clip(0, 255).astype(np.uint8)).save(folder / "good" / name)
    changes = {
        **micro, "steps": 6, "roi": "6,5 41,8 41,58 6,49", "aspect": "keep", "error": "absolute",
        "fusion": "paper", "reduction": "mean", "standardise": "none", "mask_channel": True,
        "qk_norm": True, "part_pattern": r"part\d", "level_light": True,
    }  # fmt: skip
    Detector.train(folder / "good", "tiny", folder / "run", **changes)
    return folder / "run"


@pytest.fixture(scope="session")
def coloured_exports(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(coloured, tmp_path_factory.mktemp("exports") / "coloured")
