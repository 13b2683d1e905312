"""What a training draws from follows from what its images show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from burnish.configuration import make_settings
from burnish.detection.training_data import gather
from burnish.images.dataset import find_training_images


@pytest.mark.parametrize(("folder", "mirrored"), [("flanges", False), ("bolts", True)])
def test_turned_round_parts_are_not_mirrored(
    folder: str, mirrored: bool, turning: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """A mirrored flange has its holes where no flange has any."""
    data: Path = request.getfixturevalue(folder)
    settings = make_settings("tiny", turning | {"flips": "auto"})
    found = gather(data, find_training_images(data), settings, lambda done, total: None)
    assert found.samples.mirrored == mirrored
    as_they_lie = settings.model_copy(update={"align": "none"})
    found = gather(data, find_training_images(data), as_they_lie, lambda done, total: None)
    assert found.samples.mirrored
