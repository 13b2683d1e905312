"""YOLO labels: a text file an image, a line an object, in fractions of the image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.formats.base import Item, Options
from burnish.images.formats.masks import Patch, box_patch, polygon_patch
from burnish.images.formats.names import is_image, not_this, some, text_in, without_suffix
from burnish.images.formats.shapes import Shape, note_good, paint, side_of, split_of
from burnish.images.formats.windows import Frame, Labels, cut
from burnish.images.formats.yaml_names import yaml_names

CLASS_FILES = ("classes.txt", "obj.names", "labels.txt")
MOST = 65_000  # classes
SLACK = 1.01  # coordinates rounded to just above 1 are cut off; larger ones are no fractions


class Yolo:
    """`images/**/x.jpg` with `labels/**/x.txt`: `class x y w h`, or `class x1 y1 x2 y2 x3 y3 ...`.

    Frames are cut into windows; the part is the frame. Names of the classes come from data.yaml,
    classes.txt or obj.names. A frame without a label file shows no object.
    """

    name = "yolo"
    summary = "YOLO: images/ and labels/*.txt (boxes or polygons); windows of large frames"

    def fits(self, source: Source) -> bool:
        names = source.names()
        known = set(names)
        return any(_label_of(name, known) for name in names if is_image(name))

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        known = set(names)
        every = [n for n in names if is_image(n)]
        images = [n for n in every if "images" in n.split("/")[:-1]] or every
        if not any(_label_of(name, known) for name in images):
            raise not_this("a YOLO set", "images/*.jpg with labels/*.txt", names)
        classes = _classes(source, names)
        if not classes:
            note(
                "no data.yaml or classes.txt names the classes: they are called class0, class1, ..."
            )
        note_good(classes, note)
        bare = [name for name in images if _label_of(name, known) is None]
        if bare:
            note(
                f"{len(bare)} frames have no label file and count as free of objects: {some(bare)}"
            )
        if outside := sorted(set(every) - set(images)):
            note(f"{len(outside)} images lie outside images and are not used: {some(outside)}")
        labels = {n for n in names if n.endswith(".txt") and "labels" in n.split("/")[:-1]}
        labels -= {n for n in labels if PurePosixPath(n).name.lower() in CLASS_FILES}
        if lone := sorted(labels - {_label_of(name, known) for name in images}):
            note(f"{len(lone)} label files have no image and are not used: {some(lone)}")
        sides = split_of(str(PurePosixPath(name).parent) for name in images)
        sided = [(name, sides[str(PurePosixPath(name).parent)]) for name in images]
        frames = (
            _frame(source, name, _label_of(name, known), classes, side)
            for name, side in sorted(sided, key=lambda pair: (pair[1] != "train", pair[0]))
        )
        yield from cut(frames, options.window, note)


def _frame(source: Source, name: str, label: str | None, classes: list[str], side: str) -> Frame:
    def labels(height: int, width: int) -> Labels:
        shapes = _shapes(source, label, len(kinds)) if label else []
        return paint(shapes, kinds, height, width)

    kinds = tuple(classes) or tuple(f"class{number}" for number in range(_most(source, label) + 1))
    below = name.split("images/", 1)[-1]
    stem = without_suffix(below if not side_of(below) else PurePosixPath(below).name)
    return Frame(name, stem.replace("/", "_"), partial(source.read, name), labels, kinds, side)


def _most(source: Source, label: str | None) -> int:
    """The highest class number in a label file."""
    text = text_in(source, label) if label else ""
    numbers = re.findall(r"^\s*(\d{1,9})(?:\.0*)?\s", text, re.MULTILINE)
    return min(max(map(int, numbers), default=0), MOST)


def _shapes(source: Source, name: str, classes: int) -> list[Shape]:
    """The objects of one label file.

    Raises:
        BurnishError: a line that is not `class` and fractions.
    """
    shapes = []
    for number, line in enumerate(text_in(source, name).splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        where = f"its label {name}, line {number}"
        try:
            kind, *values = (float(field) for field in fields)
        except ValueError:
            raise BurnishError(f"{where}, holds no numbers: {line[:40]!r}") from None
        if not (kind.is_integer() and 0 <= kind < classes):
            raise BurnishError(f"{where}, names class {kind:g}; there are {classes}")
        if not all(-SLACK + 1 <= value <= SLACK for value in values):  # refuses NaN, too
            raise BurnishError(f"{where}, has values outside 0 ... 1: not fractions of the image?")
        if len(values) in (4, 5):  # a fifth is a detector's confidence
            shapes.append(Shape(int(kind), [partial(_box, values[:4])], where))
        elif len(values) >= 6 and len(values) % 2 == 0:
            shapes.append(Shape(int(kind), [partial(_polygon, values)], where))
        else:
            raise BurnishError(f"{where}, has {len(values)} values: neither box nor polygon")
    return shapes


def _box(values: list[float], height: int, width: int) -> Patch:
    x, y, w, h = values
    box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
    return box_patch(*box, height, width)


def _polygon(values: list[float], height: int, width: int) -> Patch:
    points = [(x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True)]
    return polygon_patch(points, height, width)


def _label_of(name: str, known: set[str]) -> str | None:
    """The label file of an image: `labels` for the last `images` in its path, or beside it."""
    folders = name.split("/")
    stem = without_suffix(name)
    if "images" in folders[:-1]:
        last = len(folders) - 2 - folders[-2::-1].index("images")
        stem = without_suffix("/".join([*folders[:last], "labels", *folders[last + 1 :]]))
    label = f"{stem}.txt"
    return label if label in known else None


def _classes(source: Source, names: list[str]) -> list[str]:
    """Names of the classes in their order; empty where no file gives them.

    Raises:
        BurnishError: a YAML file gives them in a way that is not read.
    """
    for name in names:
        base = PurePosixPath(name).name.lower()
        if base.endswith((".yaml", ".yml")) and (found := yaml_names(text_in(source, name), name)):
            return found
        if base in CLASS_FILES:
            return [line.strip() for line in text_in(source, name).splitlines() if line.strip()]
    return []
