"""Images to measure on, made here or copied from the user's, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from burnish.images.cache.room import ROOT_VARIABLE
from burnish.images.dataset import find_training_images
from burnish.images.synthetic.synth import write_dataset
from burnish.sampling import some_of
from burnish.settings import MOST_HELD_OUT, Settings

MADE, MADE_SIZE = 32, (256, 256)  # images, and their height and width, px
TAKEN = 64  # of the user's, drawn at random


@contextmanager
def pictures(data: Path | None, settings: Settings) -> Iterator[Path]:
    """Yield a temporary folder of good images only, with the image cache moved beside it.

    Raises:
        BurnishError: `data` is no folder of images.
    """
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as name:
        work = Path(name)
        # There must be a whole batch left after some images are held out.
        most = MOST_HELD_OUT if settings.holdout == "auto" else settings.holdout
        least = round(settings.batch / (1 - most)) + 2
        good = work / "good"
        if data is None:
            made = write_dataset(
                work / "made", train=max(MADE, least), good=1, defects=1, size=MADE_SIZE
            )
            (made / "train" / "good").rename(good)
        else:
            paths = find_training_images(data)
            good.mkdir()
            for path in some_of(paths, max(TAKEN, least)):
                shutil.copyfile(path, good / path.name)  # same name: `part_pattern` reads it
        before = os.environ.get(ROOT_VARIABLE)
        os.environ[ROOT_VARIABLE] = str(work / "cache")
        try:
            yield good
        finally:
            if before is None:
                del os.environ[ROOT_VARIABLE]
            else:
                os.environ[ROOT_VARIABLE] = before
