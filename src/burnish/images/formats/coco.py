"""COCO: all images and objects in one JSON file, boxes, polygons or run lengths."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from burnish.errors import BurnishError
from burnish.images.archives.archive import Source
from burnish.images.formats.base import Item, Options
from burnish.images.formats.masks import Patch, box_patch, mask_of_counts, polygon_patch
from burnish.images.formats.names import is_image, not_this, some, without_suffix
from burnish.images.formats.shapes import Shape, note_good, paint, side_of, split_of
from burnish.images.formats.windows import Frame, Labels, cut

FARTHEST = 1e9  # px; what lies beyond is no place near an image, and sums of it may overflow


class Coco:
    """JSON files with images, annotations and categories; their images anywhere in the source.

    Frames are cut into windows; the part is the frame. An image without annotations shows no
    object; the annotations of an image that is listed several times are merged. A split is taken
    from the JSON's path (instances_train2017.json, valid/_annotations.coco.json).
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
        kinds: dict[str, int] = {}
        known, missing = _labelled(source, jsons, images, kinds)
        note_good(kinds, note)
        if missing:
            note(f"{len(missing)} images named in the JSON are not there: {some(missing)}")
        if twice := [path for path, one in known.items() if len(one.entries) > 1]:
            note(
                f"{len(twice)} images stand in the JSON more than once; they show what any entry "
                f"says: {some(twice)}"
            )
        unused = [name for name in images if name not in known]
        if unused:
            note(f"{len(unused)} images stand in no JSON file and are not used: {some(unused)}")
        frames = (
            Frame(
                path,
                without_suffix(PurePosixPath(path).name),
                partial(source.read, path),
                partial(one.labels, tuple(kinds)),
                tuple(kinds),
                one.side,
            )
            for path, one in known.items()
        )
        yield from cut(frames, options.window, note)


@dataclass(frozen=True)
class _Entry:
    """An image as one entry of a JSON file describes it.

    Attributes:
        json_name: that file.
        size: width and height, px; None if not given.
        marks: index of the kind, and annotation.
    """

    json_name: str
    file_name: str
    size: tuple[Any, Any]
    marks: list[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class _Labelled:
    """An image file and all its entries."""

    side: str
    entries: list[_Entry]

    def labels(self, kinds: Sequence[str], height: int, width: int) -> Labels:
        shapes = []
        for entry in self.entries:
            if entry.marks and None not in entry.size and tuple(entry.size) != (width, height):
                raise BurnishError(
                    f"the JSON says it has {entry.size[0]} x {entry.size[1]} px; it has {width} x "
                    f"{height}"
                )
            shapes += [_shape(mark, kind, entry.json_name) for kind, mark in entry.marks]
        return paint(shapes, kinds, height, width)


def _labelled(
    source: Source, jsons: Sequence[str], images: list[str], kinds: dict[str, int]
) -> tuple[dict[str, _Labelled], list[str]]:
    """The images that the JSON files name, by path, training first; and the names that are not
    there.

    Args:
        kinds: see `_entries`.
    """
    known: dict[str, _Labelled] = {}
    missing: list[str] = []
    sides = split_of(jsons)
    for name in sorted(jsons, key=lambda n: (sides[n] != "train", n)):
        find = _Finder(images, name)
        for entry in _entries(source, name, kinds):
            path = find(entry.file_name)
            if path is None:
                missing.append(entry.file_name)
            elif path in known:
                known[path].entries.append(entry)
            else:
                known[path] = _Labelled(sides[name], [entry])
    return known, missing


def _entries(source: Source, name: str, kinds: dict[str, int]) -> list[_Entry]:
    """The images of one JSON file.

    Args:
        kinds: indices of the kinds by name; those of this file join them.

    Raises:
        BurnishError: the file is damaged or no COCO file; its coordinates are not in px; or an
            annotation belongs to no image.
    """
    try:
        content = json.loads(source.read(name))
        categories = {_key(c["id"]): str(c["name"]) for c in content["categories"]}
        marks: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for kind in categories.values():
            kinds.setdefault(kind, len(kinds))
        for mark in content.get("annotations", []):
            if _key(mark["category_id"]) not in categories:
                raise ValueError(f"an annotation has category {mark['category_id']}")
            kind = categories[_key(mark["category_id"])]
            marks[_key(mark["image_id"])].append((kinds[kind], mark))
        images = [
            (str(e["file_name"]), _key(e["id"]), (e.get("width"), e.get("height")))
            for e in content["images"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BurnishError(f"{name} is not a COCO file that can be read: {error!r}") from error
    if _in_fractions(mark for of_image in marks.values() for _, mark in of_image):
        raise BurnishError(
            f"{name}: all its boxes and polygons lie in 0 ... 1, as fractions of an image do; COCO "
            "counts in px: multiply x and width by the image's width, y and height by its height"
        )
    owners: dict[str, str] = {}
    for file_name, key, _ in images:
        if owners.setdefault(key, file_name) != file_name:
            raise BurnishError(
                f"{name}: {owners[key]} and {file_name} have the same id, {key}: whose annotations "
                "are whose cannot be told; give every image an id of its own"
            )
    if strange := [key for key in marks if key not in owners]:
        count = sum(len(marks[key]) for key in strange)
        raise BurnishError(
            f"{name}: {count} annotations have an image_id that no image has ({some(strange)}): "
            "without them, their images would count as good; mend the ids, or remove them"
        )
    return [_Entry(name, file_name, size, marks.get(key, [])) for file_name, key, size in images]


def _key(value: Any) -> str:
    """An id in a form that can be compared: 7, "7" and 7.0 are the same."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _shape(mark: dict[str, Any], kind: int, json_name: str) -> Shape:
    """One annotation: run lengths, polygons (several for one object), or else the box.

    Raises:
        BurnishError: it is none of these.
    """
    shape, name = mark.get("segmentation"), f"its annotation {mark.get('id')} in {json_name}"
    try:
        if isinstance(shape, dict):
            rows, columns = (int(value) for value in shape["size"])
            return Shape(kind, [partial(_runs, shape["counts"], (rows, columns))], name)
        if shape:
            return Shape(kind, [partial(polygon_patch, _points(ring)) for ring in shape], name)
        x, y, w, h = _coordinates(mark["bbox"])
        return Shape(kind, [partial(box_patch, x, y, w, h)], name)
    except KeyError as error:
        raise BurnishError(f"{name} has no {error}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise BurnishError(f"{name} cannot be read: {error}") from error


def _in_fractions(marks: Iterable[dict[str, Any]]) -> bool:
    """Whether the boxes and polygons, if there are any, all lie in [0, 1]: then they are not px."""
    found = False
    for mark in marks:
        shape = mark.get("segmentation")
        try:
            if isinstance(shape, dict):
                continue
            rings = shape if shape else [mark["bbox"]]
            values = [value for ring in rings for value in _coordinates(ring)]
        except (ValueError, KeyError, TypeError, OverflowError):
            continue  # said of its image
        if not all(0 <= value <= 1 for value in values):
            return False
        found = found or bool(values)
    return found


def _runs(counts: Any, size: tuple[int, int], height: int, width: int) -> Patch:
    if size != (height, width):
        raise BurnishError(f"run lengths for {size[1]} x {size[0]} px, it has {width} x {height}")
    return Patch(0, 0, mask_of_counts(counts, height, width))


def _points(ring: Any) -> list[tuple[float, float]]:
    values = _coordinates(ring)
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"a polygon of {len(values)} values")
    return list(zip(values[::2], values[1::2], strict=True))


def _coordinates(values: Any) -> list[float]:
    """Numbers that may be px of an image.

    Raises:
        ValueError, TypeError, OverflowError: they are none.
    """
    numbers = [float(value) for value in values]
    for number in numbers:
        if not abs(number) <= FARTHEST:  # refuses NaN, too
            raise ValueError(f"{number:g} is no coordinate in px")
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
        """Whether a JSON file may mean this image: a file of val means none below train."""
        sides = {side_of(self._hint), side_of(str(PurePosixPath(name).parent))} - {""}
        return len(sides) < 2


def _jsons(source: Source) -> list[str]:
    return [name for name in source.names() if name.lower().endswith(".json")]


def _looks_like(data: bytes) -> bool:
    return b'"annotations"' in data and b'"images"' in data and b'"categories"' in data
