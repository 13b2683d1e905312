"""The plan of `stain`, made before anything is written: which images train, which get defects.

An image is left out if it cannot be read, is too small to draw on, or is a byte-identical copy,
which could fall on the other side of the split.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.errors import BurnishError, nearest
from burnish.images.background import find_part
from burnish.images.dataset import GOOD, MIN_GOOD, find_training_images
from burnish.images.parts import compiled_pattern, parts_of, split_by_part
from burnish.images.preparing.naming import Names, safe_name
from burnish.images.preparing.record import sha256_of
from burnish.images.preparing.split import TEST, TRAIN
from burnish.images.reader import read_image
from burnish.images.statistics import has_colour
from burnish.images.synthetic.defects import DISCOLOURATION, KINDS, STAINS
from burnish.images.synthetic.surfaces import MIN_SIDE
from burnish.settings import Holdout

MOST_VERSIONS = 100


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        part: regular expression that finds the part's name in a file name; empty: the part column
            of the data's manifest, else every image is a part of its own.
        holdout: share of the images that is held out, in (0, 1), whole parts at a time; "auto":
            as training does by default.
        kinds: of defects, of `defects.KINDS`, taken in turn.
        per_image: defective versions of each held-out image.
        strength: factor on the defects' contrast, above 0.
        roi: where defects may lie: path of a mask image, or a polygon "x,y x,y x,y"; empty:
            anywhere.
        on_part: whether defects keep off a plain background, found in each image
            (`background.find_part`); held-out images where none is found are left out.
        edges: share of the defects that lie across the edge of image, region or part, in [0, 1].
        seed: of split and defects, 0 or more.
    """

    part: str = ""
    holdout: Holdout = "auto"
    kinds: tuple[str, ...] = STAINS
    per_image: int = 1
    strength: float = 1.0
    roi: str = ""
    on_part: bool = False
    edges: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        compiled_pattern(self.part)  # refuses what is none
        if self.holdout != "auto" and not 0.0 < self.holdout < 1.0:
            raise BurnishError(f"--holdout {self.holdout:g}: a share between 0 and 1 is wanted")
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise BurnishError(
                f"--kinds '{','.join(self.kinds)}': give each kind once, of {', '.join(KINDS)}"
            )
        for kind in self.kinds:
            if kind not in KINDS:
                raise BurnishError(
                    f"--kinds: no defect '{kind}'; known: {', '.join(KINDS)}."
                    + nearest(kind, KINDS)
                )
        if not 1 <= self.per_image <= MOST_VERSIONS:
            raise BurnishError(f"--per-image {self.per_image}: 1 to {MOST_VERSIONS} are possible")
        if not (math.isfinite(self.strength) and self.strength > 0.0):
            raise BurnishError(f"--strength {self.strength:g}: a number above 0 is wanted")
        if not 0.0 <= self.edges <= 1.0:
            raise BurnishError(f"--edges {self.edges:g}: a share from 0 to 1 is wanted")
        if self.seed < 0:
            raise BurnishError(f"--seed {self.seed}: 0 or more is wanted")


@dataclass(frozen=True)
class Source:
    """A good image.

    Attributes:
        path: of the file.
        name: path relative to the data's folder, with slashes.
        sha256: of the file, empty when it cannot be opened.
        part: the one it shows.
        size: (height, width) in px; (0, 0) until it has been read.
        plain: whether defects can be kept off its background, where that is asked for.
        coloured: whether it has any colour, where that is needed.
    """

    path: Path
    name: str
    sha256: str
    part: str
    size: tuple[int, int] = (0, 0)
    plain: bool = True
    coloured: bool = True


@dataclass(frozen=True)
class Version:
    """A defect on an image: its kind, its number within that kind, and where it is written."""

    kind: str
    repeat: int
    image: str
    mask: str


@dataclass(frozen=True)
class Plan:
    """Everything that will be written.

    Attributes:
        train: images to learn from.
        held_out: images to draw on.
        stems: to write an image under, by file name.
        versions: defects of a held-out image, by file name.
        notes: what the user should know, as sentences.
        left_out: images that are left out: the reason, by file name.
    """

    train: tuple[Source, ...]
    held_out: tuple[Source, ...]
    stems: dict[str, str]
    versions: dict[str, tuple[Version, ...]]
    notes: tuple[str, ...]
    left_out: dict[str, str]

    def place(self, source: Source) -> str:
        """Where the good image goes, relative, with slashes."""
        stem = self.stems[source.path.name]
        if source.path.name in self.versions:
            return f"{TEST}/{GOOD}/{stem}.png"
        return f"{TRAIN}/{GOOD}/{stem}{source.path.suffix.lower()}"


def find_sources(
    root: Path, part: str, on_progress: Callable[[str, int, int], None]
) -> list[Source]:
    """The good images of a folder, with their parts; none is decoded.

    Raises:
        BurnishError: no such folder, or too few images in it.
    """
    paths = find_training_images(root)
    parts = parts_of(paths, part, root)
    found = []
    for done, (path, name) in enumerate(zip(paths, parts, strict=True), 1):
        inside = path.relative_to(root).as_posix()
        found.append(Source(path, _written(inside), sha256_of(path), _written(name)))
        on_progress("hash", done, len(paths))
    return found


def _written(name: str) -> str:
    """A file name made valid UTF-8, which names on a disk need not be."""
    return os.fsencode(name).decode("utf-8", "replace")


def make_plan(
    sources: Sequence[Source], request: Request, on_progress: Callable[[str, int, int], None]
) -> Plan:
    """Read every image once, leave out what cannot be used, split by part, and give names.

    Raises:
        BurnishError: nothing can be used, or all of it is one part.
    """
    usable, left_out = _read(sources, request, on_progress)
    if not usable:
        raise BurnishError(
            f"none of the {len(sources)} images in {sources[0].path.parent} can be used: "
            + "; ".join(f"{name}: {why}" for name, why in list(left_out.items())[:3])
        )
    parts = [source.part for source in usable]
    learn, hold = split_by_part(parts, request.holdout, request.seed)
    names = Names()
    stems = {source.path.name: names.unique(safe_name(source.path.stem)) for source in usable}
    held_out = tuple(usable[i] for i in hold if usable[i].plain)
    left_out |= {
        usable[i].path.name: "no plain background is found in it, and --on-part needs one"
        for i in hold
        if not usable[i].plain
    }
    if not held_out:
        raise BurnishError(
            f"no plain background is found in any of the {len(hold)} images held out: leave "
            "--on-part out, or mark the part with --roi"
        )
    if grey := [source for source in held_out if not source.coloured]:
        raise BurnishError(
            f"--kinds {DISCOLOURATION}: it differs in colour alone, and {grey[0].path} is grey: "
            "leave it out"
        )
    notes = []
    if len(set(parts)) == len(parts):
        notes.append(
            "every image counts as a part of its own; if several images show one part, "
            "say how its name is found in the file name with --part REGEX"
        )
    if len(learn) < MIN_GOOD:
        notes.append(
            f"train/good holds {len(learn)} images; burnish train needs at least {MIN_GOOD}: "
            "choose a smaller --holdout"
        )
    return Plan(
        tuple(usable[i] for i in learn),
        held_out,
        stems,
        _versions(held_out, stems, request),
        tuple(notes),
        left_out,
    )


def _read(
    sources: Sequence[Source], request: Request, on_progress: Callable[[str, int, int], None]
) -> tuple[list[Source], dict[str, str]]:
    usable: list[Source] = []
    left_out: dict[str, str] = {}
    first: dict[str, str] = {}
    for done, source in enumerate(sources, 1):
        name = source.path.name
        if source.sha256 and source.sha256 in first:
            left_out[name] = f"the same, byte for byte, as {first[source.sha256]}"
        else:
            try:
                image = read_image(source.path)
                height, width = image.shape[:2]
                if min(height, width) < MIN_SIDE:
                    raise BurnishError(
                        f"{width}x{height} px; at least {MIN_SIDE} px a side are needed"
                    )
                plain = not request.on_part or find_part(image) is not None
                coloured = DISCOLOURATION not in request.kinds or has_colour(image)
                size = height, width
                usable.append(replace(source, size=size, plain=plain, coloured=coloured))
                first[source.sha256] = name
            except BurnishError as error:
                left_out[name] = str(error).removeprefix(str(source.path)).lstrip(": ")
        on_progress("read", done, len(sources))
    return usable, left_out


def _versions(
    held_out: Sequence[Source], stems: dict[str, str], request: Request
) -> dict[str, tuple[Version, ...]]:
    """The kinds in turn, each image starting one kind later than the previous one."""
    names = {kind: Names() for kind in request.kinds}
    count = len(request.kinds)
    versions = {}
    for turn, source in enumerate(held_out):
        drawn = []
        for number in range(request.per_image):
            kind, repeat = request.kinds[(turn + number) % count], number // count
            stem = stems[source.path.name] + (f"-{repeat + 1}" if repeat else "")
            stem = names[kind].unique(stem)
            drawn.append(
                Version(
                    kind,
                    repeat,
                    f"{TEST}/{kind}/{stem}.png",
                    f"ground_truth/{kind}/{stem}_mask.png",
                )
            )
        versions[source.path.name] = tuple(drawn)
    return versions
