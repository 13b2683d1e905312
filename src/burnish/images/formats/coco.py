"""COCO: all images and objects in one JSON file, boxes, polygons or run lengths."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.formats.base import Item, Options
from burnish.images.formats.masks import Patch, box_patch, mask_of_counts, polygon_patch
from burnish.images.formats.names import is_image, not_this, some, without_suffix
from burnish.images.formats.shapes import Shape, paint, side_of, split_of
from burnish.images.formats.windows import Frame, Labels, cut


class Coco:
    """JSON files with images, annotations and categories; their images anywhere in the source.

    Frames are cut into windows; the part is the frame. An image without annotation shows no object.
    A split is taken from the JSON's path (instances_train2017.json, valid/_annotations.coco.json).
    """

    name = "coco"
    summary = "COCO JSON (boxes, polygons, run lengths) and its images; windows of large frames"

    def fits(self, source: Source) -> bool:
        return any(_looks_like(source.read(name)) for name in _jsons(source))

    def items(
        self, source: Source, options: Options, note: Callable[[str], None]
    ) -> Iterator[Item]:
        names = source.names()
        jsons = [name for name in _jsons(source) if _looks_like(source.read(name))]
        if options.table:
            jsons = [n for n in jsons if n == options.table or n.endswith(f"/{options.table}")]
        if not jsons:
            raise not_this("a COCO set", "JSON with images, annotations, categories", names)
        images = [name for name in names if is_image(name)]
        frames: dict[str, Frame] = {}
        missing: list[str] = []
        twice: list[str] = []
        sides = split_of(jsons)
        for name in sorted(jsons, key=lambda n: (sides[n] != "train", n)):
            for frame in _frames(source, name, images, sides[name], missing):
                if frame.source in frames:
                    twice.append(frame.source)
                frames.setdefault(frame.source, frame)
        if missing:
            note(f"{len(missing)} images named in the JSON are not there: {some(missing)}")
        if twice:
            note(
                f"{len(twice)} images stand in several JSON files; the first counts: {some(twice)}"
            )
        unused = [name for name in images if name not in frames]
        if unused:
            note(f"{len(unused)} images stand in no JSON file and are not used: {some(unused)}")
        yield from cut(iter(frames.values()), options.window, note)


def _frames(
    source: Source, name: str, images: list[str], side: str, missing: list[str]
) -> Iterator[Frame]:
    """The images of one JSON file.

    Raises:
        BurnishError: the file is damaged, or no COCO file after all.
    """
    try:
        content = json.loads(source.read(name))
        categories = {c["id"]: str(c["name"]) for c in content["categories"]}
        marks: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for mark in content.get("annotations", []):
            if mark["category_id"] not in categories:
                raise ValueError(f"an annotation has category {mark['category_id']}")
            marks[mark["image_id"]].append(mark)
        entries = [(str(e["file_name"]), e["id"], e.get("width"), e.get("height"))
                   for e in content["images"]]  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BurnishError(f"{name} is not a COCO file that can be read: {error!r}") from error
    order = {key: index for index, key in enumerate(categories)}
    kinds = tuple(categories.values())
    find = _Finder(images, name)
    for file_name, key, width, height in entries:
        path = find(file_name)
        if path is None:
            missing.append(file_name)
            continue
        labels = partial(_labels, marks.get(key, []), order, (width, height))
        stem = without_suffix(PurePosixPath(file_name).name)
        yield Frame(path, stem, partial(source.read, path), labels, kinds, side)


def _labels(
    marks: list[dict[str, Any]], order: dict[Any, int], declared: tuple[Any, Any], height: int,
    width: int,
) -> Labels:  # fmt: skip
    if marks and None not in declared and tuple(declared) != (width, height):
        raise BurnishError(
            f"the JSON says it has {declared[0]} x {declared[1]} px; it has {width} x {height}"
        )
    shapes = [_shape(mark, order[mark["category_id"]]) for mark in marks]
    return paint(shapes, height, width)


def _shape(mark: dict[str, Any], kind: int) -> Shape:
    """One annotation: run lengths, polygons (several for one object), or else the box.

    Raises:
        BurnishError: it is none of these.
    """
    shape, name = mark.get("segmentation"), f"its annotation {mark.get('id')}"
    try:
        if isinstance(shape, dict):
            rows, columns = (int(value) for value in shape["size"])
            return Shape(kind, [partial(_runs, shape["counts"], (rows, columns))], name)
        if shape:
            return Shape(kind, [partial(polygon_patch, _points(ring)) for ring in shape], name)
        x, y, w, h = _finite(mark["bbox"])
        return Shape(kind, [partial(box_patch, x, y, w, h)], name)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise BurnishError(f"{name} cannot be read: {error!r}") from error


def _runs(counts: Any, size: tuple[int, int], height: int, width: int) -> Patch:
    if size != (height, width):
        raise BurnishError(f"run lengths for {size[1]} x {size[0]} px, it has {width} x {height}")
    return Patch(0, 0, mask_of_counts(counts, height, width))


def _points(ring: Any) -> list[tuple[float, float]]:
    values = _finite(ring)
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"a polygon of {len(values)} values")
    return list(zip(values[::2], values[1::2], strict=True))


def _finite(values: Any) -> list[float]:
    numbers = [float(value) for value in values]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a coordinate that is not finite")
    return numbers


class _Finder:
    """Finds the image that a JSON file means: COCO gives file names, not paths."""

    def __init__(self, images: list[str], json_name: str) -> None:
        self._known = set(images)
        self._folder = PurePosixPath(json_name).parent
        self._hint = PurePosixPath(json_name).stem.lower().removeprefix("instances_")
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for name in images:
            self._by_base[PurePosixPath(name).name].append(name)

    def __call__(self, file_name: str) -> str | None:
        path = file_name.replace("\\", "/")
        for folder in (self._folder, self._folder / "images", self._folder.parent / "images"):
            if (name := str(folder / path)) in self._known:
                return name
        same = [n for n in self._by_base[PurePosixPath(path).name] if self._may_be(n)]
        fitting = [name for name in same if name.endswith(f"/{path}") or name == path] or same
        if len(fitting) > 1:  # train2017/1.jpg and more/1.jpg
            fitting = [n for n in fitting if PurePosixPath(n).parent.name.lower() == self._hint]
        return fitting[0] if len(fitting) == 1 else None

    def _may_be(self, name: str) -> bool:
        """An image below train is not meant by a JSON file of val, though it has the name."""
        sides = {side_of(self._hint), side_of(str(PurePosixPath(name).parent))} - {""}
        return len(sides) < 2


def _jsons(source: Source) -> list[str]:
    return [name for name in source.names() if name.lower().endswith(".json")]


def _looks_like(data: bytes) -> bool:
    return b'"annotations"' in data and b'"images"' in data and b'"categories"' in data
