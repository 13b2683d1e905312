"""A study of seconds: the method's smallest settings on one small synthetic data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

MICRO = (
    "{ steps = 40, image_size = 32, patch = 8, disc_patch = 8, mask_blocks = [8, 16], width = 32, "
    "heads = 2, depth_encoder = 1, depth_decoder = 1, disc_width = 32, disc_heads = 2, "
    "disc_depth = 2, batch = 4, checkpoint_minutes = 0, schedule = 'constant' }"
)
HEAD = f"""
title = "A study of seconds"
question = "Does it run?"
paper_says = "It does."

[scale.micro]
about = "for tests"
preset = "tiny"
changes = {MICRO}
datasets = {{ metal = "Metal" }}
seeds = [0]
threads = 1
"""
ROWS = """
[[row]]
label = "R = 0"
settings = { tome_r = 0 }
against = "R = 2"
paper = { Metal = [0.99, 0.98], mean = [0.97, 0.96] }

[[row]]
label = "R = 2"
settings = { tome_r = 2 }
paper = { Metal = [0.98, 0.97], mean = [0.98, 0.97] }

[[row]]
label = "R = 2, absolute"
settings = { error = "absolute" }
against = "R = 2"
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the study, with texts replaced: `study_file(("seeds = [0]", "seeds = [0, 1]"))`."""

    def write(*changes: tuple[str, str], rows: str = ROWS) -> Path:
        text = HEAD + rows
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "mini.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def studies_data(metal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A --data folder that holds the data set `metal`."""
    folder = tmp_path_factory.mktemp("studies-data")
    (folder / "metal").symlink_to(metal, target_is_directory=True)
    return folder
