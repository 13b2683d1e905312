"""Label files with damage at random: every frame is used or left out, nothing else is raised.

And many marks, which fill no memory.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from burnish.errors import BurnishError
from burnish.images.archives.archive import open_source
from burnish.images.formats import format_named
from burnish.images.formats.base import Options
from burnish.images.formats.masks import box_patch
from burnish.images.formats.shapes import Shape, paint
from burnish.images.preparing.survey import survey

COCO = json.dumps({
    "images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 32}],
    "categories": [{"id": 1, "name": "pit"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 9]},
        {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]},
        {"id": 3, "image_id": 1, "category_id": 1,
         "segmentation": {"size": [32, 32], "counts": [5, 9, 1010]}},
    ],
})  # fmt: skip
LABELS = {
    "coco": ("c.json", COCO),
    "yolo": ("a.txt", "0 .5 .5 .2 .2\n1 .1 .1 .9 .1 .9 .9\n"),
    "csv": ("t.csv", "path,label,kind,split\na.png,bad,pit,test\ngood/b.png,ok,,train\n"),
    "severstal": ("train.csv", "ImageId,ClassId,EncodedPixels\na.png,1,1 5 90 9\na.png,2,700 8\n"),
}
SPLICES = [b"-1", b"1e999", b"nan", b"null", b"{}", b"[[]]", b"99999999999999999999", b"\xff\xfe",
           b"\0", b'"', b"true", b"../../x", b",", b"\n", b""]  # fmt: skip


@pytest.mark.parametrize("name", list(LABELS))
def test_damaged_labels(tree: Callable, picture: Callable, name: str) -> None:
    path, text = LABELS[name]
    root = tree({"a.png": picture(1), "good/b.png": picture(2), "train_images/a.png": picture(3)})
    rng = np.random.default_rng(0)
    said: list[str] = []
    left_out = 0
    for _ in range(80):
        data = bytearray(text.encode())
        for _ in range(int(rng.integers(1, 4))):
            start = int(rng.integers(0, len(data)))
            end = start + int(rng.integers(0, 6))
            data[start:end] = SPLICES[int(rng.integers(len(SPLICES)))]
        (root / path).write_bytes(bytes(data))
        with open_source(root) as source:
            try:
                found = survey(
                    lambda note, source=source: format_named(name).items(
                        source, Options(window=16), note
                    ),
                    None,
                )
            except BurnishError as error:
                said.append(str(error))
            else:
                assert found.found or found.left_out or found.notes
                left_out += bool(found.left_out)
    assert all(path in text or "this is not" in text for text in said)
    assert len(said) + left_out > 10  # the damage was met


def test_many_large_marks_are_drawn_one_at_a_time() -> None:
    """All at once, 60 boxes of COCO on one picture of 178 megapixels took 11 GB."""
    marks = [partial(box_patch, 0, 0, 1000, 1000), partial(box_patch, 5, 5, 2, 3)]
    shapes = [Shape(0, [marks[0]], "large")] * 100 + [Shape(1, [marks[1]], "small")]
    tracemalloc.start()
    try:
        labels = paint(shapes, ["a", "b"], 1000, 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (np.bincount(labels.ravel()) == [0, 1_000_000 - 6, 6]).all()
    assert peak < 10_000_000
