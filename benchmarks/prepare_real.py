"""Bring the real data sets into MVTec AD layout, split by part.

    python benchmarks/prepare_real.py ../shared/data /tmp/real

writes `OUT/<name>/{train/good,test/<kind>,ground_truth/<kind>}` for kolektor, magnetic_tile, rail
and screw. All pictures of one part lie on one side of the split, except where the source's own
split is kept (rail, screw); what that costs is printed, and `--only rail_by_frame` writes a rail
set without it. Names begin with the part, see `PART_PATTERN`.
Image bytes are copied as they are; masks are PNG, 0 or 255, named `<stem>_mask.png`.
A second run with the same archive and settings does nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import shutil
import stat
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

VERSION = 1  # raise it when the same archive should come out differently
STAMP = "prepared.json"
GOOD = "good"
MAX_MEMBER_BYTES = 64 * 2**20

# burnish's `part_pattern` for each set, for the file stem; every screw picture is its own part.
PART_PATTERN = {
    "kolektor": r"^kos\d+",
    "magnetic_tile": r"^series\d+",
    "rail": r"^\d+",
    "rail_by_frame": r"^\d+",
    "screw": None,
}

# Magnetic Tile numbers its pictures with one running counter, so a number names a picture, not a
# part: one tile is taken at six exposures in a row (exp1 ... exp6). Pictures up to 200 apart
# correlate as one tile, a few up to 520 do. So 550 keeps tiles whole; a series may hold two tiles,
# which only makes the split coarser.
SERIES_GAP = 550


class PrepareError(Exception):
    """Something about the archive or the output folder that the user can mend."""


@dataclass(frozen=True)
class Picture:
    """One image of a source, with what is known about it."""

    source: str  # path inside the archive
    part: str
    stem: str  # file name in OUT, without suffix; begins with the part where there is one
    data: bytes  # the image file as it is
    kind: str  # "good" or the kind of defect
    mask: bytes | None = None  # PNG file, or None when there is none to trust
    side: str = ""  # "train", "test", or "" while undecided

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.source).suffix.lower()


Read = Callable[[zipfile.ZipFile, list[str]], list[Picture]]
Split = Callable[[list[Picture], float, int, list[str]], list[Picture]]


def members(archive: zipfile.ZipFile) -> Iterator[str]:
    """File names in `archive`, sorted. Nothing is ever unpacked to a path the archive chooses.

    Raises:
        PrepareError: a member leaves the archive's folder, is a link, or is unreasonably large.
    """
    for info in sorted(archive.infolist(), key=lambda i: i.filename):
        name = info.filename
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise PrepareError(f"{archive.filename}: the member '{name}' leads outside the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise PrepareError(f"{archive.filename}: the member '{name}' is a link")
        if info.file_size > MAX_MEMBER_BYTES:
            raise PrepareError(f"{archive.filename}: '{name}' holds {info.file_size} bytes")
        if not info.is_dir():
            yield name


def mask_png(data: bytes, image: bytes, source: str) -> bytes | None:
    """The mask file `data` as a 0/255 PNG of one channel; None when nothing is marked in it.

    Raises:
        PrepareError: one of the two cannot be read, or they differ in size.
    """
    try:
        with Image.open(io.BytesIO(data)) as handle:
            marked = np.asarray(handle.convert("L")) > 0
        with Image.open(io.BytesIO(image)) as handle:
            size = handle.size
    except OSError as error:
        raise PrepareError(f"{source}: the image or its mask cannot be read: {error}") from error
    if size != marked.shape[::-1]:
        raise PrepareError(f"{source}: image {size}, mask {marked.shape[::-1]}")
    if not marked.any():
        return None
    out = io.BytesIO()
    Image.fromarray(marked.astype(np.uint8) * 255).save(out, "PNG")
    return out.getvalue()


def read_kolektor(archive: zipfile.ZipFile, notes: list[str]) -> list[Picture]:
    """`kosNN/PartM.jpg` with `PartM_label.bmp`; any marked pixel makes the surface defective."""
    pictures = []
    for name in members(archive):
        found = re.fullmatch(r"KolektorSDD/(kos\d+)/(Part\d+)\.jpg", name)
        if not found:
            continue
        part, surface = found.groups()
        data = archive.read(name)
        mask = mask_png(archive.read(name.removesuffix(".jpg") + "_label.bmp"), data, name)
        kind = "crack" if mask else GOOD
        pictures.append(Picture(name, part, f"{part}_{surface}", data, kind, mask))
    return pictures


def read_magnetic_tile(archive: zipfile.ZipFile, notes: list[str]) -> list[Picture]:
    """`MT_<Kind>/Imgs/expE_num_N.jpg` with a PNG mask beside; part = exposure series."""
    numbered = []
    for name in members(archive):
        pattern = r"MagneticTile/MT_(\w+)/Imgs/(exp\d+_num_(\d+))\.jpg"
        if found := re.fullmatch(pattern, name):
            numbered.append((int(found[3]), name, found[1].lower(), found[2]))
    numbered.sort()

    pictures = []
    last, part = -SERIES_GAP - 1, ""
    for number, name, kind, stem in numbered:
        if number - last > SERIES_GAP:
            part = f"series{number:06d}"
        last = number
        data = archive.read(name)
        mask = None
        if kind == "free":
            kind = GOOD
        else:
            mask = mask_png(archive.read(name.removesuffix(".jpg") + ".png"), data, name)
            if mask is None:
                notes.append(f"{name}: filed as {kind}, empty mask: kept as {kind} without a mask")
        pictures.append(Picture(name, part, f"{part}_{stem}", data, kind, mask))
    notes.append(
        f"{len({p.part for p in pictures})} exposure series from {len(pictures)} picture numbers: "
        f"numbers at most {SERIES_GAP} apart belong together"
    )
    return pictures


def read_mvtec(
    folder: str, part_of: Callable[[str], str]
) -> Callable[[zipfile.ZipFile, list[str]], list[Picture]]:
    """A reader of `<folder>/{train,test}/<kind>/<stem>.*`, keeping side, names and mask files."""

    def read(archive: zipfile.ZipFile, notes: list[str]) -> list[Picture]:
        names = set(members(archive))
        pictures = []
        for name in sorted(names):
            found = re.fullmatch(rf"{folder}/(train|test)/(\w+)/([\w-]+)\.(?:png|jpg)", name)
            if not found:
                continue
            side, kind, stem = found.groups()
            mask_name = f"{folder}/ground_truth/{kind}/{stem}_mask.png"
            data = archive.read(name)
            mask = mask_png(archive.read(mask_name), data, name) if mask_name in names else None
            pictures.append(Picture(name, part_of(name), stem, data, kind, mask, side))
        absent = sum(p.kind != GOOD and p.mask is None for p in pictures)
        if absent:
            notes.append(f"{absent} defective pictures have no mask in the source; none is written")
        return pictures

    return read


def drop_duplicates(pictures: list[Picture], notes: list[str]) -> list[Picture]:
    """Keep the first of each set of byte-identical images, and make parts that share one into one.

    When the copies disagree about good or defective, none of them can be trusted and all go.
    """
    groups: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        groups[hashlib.sha256(picture.data).hexdigest()].append(picture)

    one_part: dict[str, str] = {}

    def root(part: str) -> str:
        while part in one_part:
            part = one_part[part]
        return part

    kept, copies, contradicting, redrawn = [], 0, [], []
    for group in groups.values():
        first = group[0]
        for other in group[1:]:
            low, high = sorted((root(first.part), root(other.part)))
            if low != high:
                one_part[high] = low
        if len({p.kind for p in group}) > 1:
            contradicting += group
            continue
        copies += len(group) - 1
        if len({p.mask for p in group}) > 1:
            redrawn.append(first)
        kept.append(first)
    if copies:
        notes.append(f"{copies} exact copies of another image dropped")
    for picture in contradicting:
        notes.append(f"{picture.source}: dropped, its copies disagree on good or defective")
    for picture in redrawn:
        notes.append(f"{picture.source}: the copies' masks differ; the mask of this one is kept")
    for part in sorted(one_part):
        notes.append(f"{part} repeats {root(part)}: one part")

    def renamed(picture: Picture) -> Picture:
        part = root(picture.part)
        if part == picture.part:
            return picture
        return replace(picture, part=part, stem=f"{part}_{picture.stem}")

    return [renamed(p) for p in kept]


def draw(parts: Iterable[str], share: float, seed: int) -> set[str]:
    """`share` of `parts` (rounded), drawn with `seed`; the same for any order of `parts`."""
    ordered = sorted(parts)
    chosen = np.random.default_rng(seed).permutation(len(ordered))[: round(share * len(ordered))]
    return {ordered[i] for i in chosen}


def split_by_part(
    pictures: list[Picture], share: float, seed: int, notes: list[str]
) -> list[Picture]:
    """Parts without any defect: `share` of them to train. All other parts to test."""
    defective = {p.part for p in pictures if p.kind != GOOD}
    train = draw({p.part for p in pictures} - defective, share, seed)
    mixed = sum(p.kind == GOOD and p.part in defective for p in pictures)
    notes.append(f"{mixed} good pictures of parts that also show a defect lie in test/good")
    return [replace(p, side="train" if p.part in train else "test") for p in pictures]


def split_all_defective(
    pictures: list[Picture], share: float, seed: int, notes: list[str]
) -> list[Picture]:
    """For a set in which (nearly) every part has a defect: `share` of all parts to train.

    A training part gives its good surfaces only. Its defective ones are left out: in test they
    would be pictures of a part that was trained on.
    """
    parts = {p.part for p in pictures}
    clean = parts - {p.part for p in pictures if p.kind != GOOD}
    train = draw(parts, share, seed)
    left_out = [p for p in pictures if p.part in train and p.kind != GOOD]
    notes.append(
        f"{len(clean)} of {len(parts)} parts are free of defects: training parts are drawn from all"
    )
    notes.append(f"{len(left_out)} defective surfaces of training parts left out")
    return [
        replace(p, side="train" if p.part in train else "test")
        for p in pictures
        if not (p.part in train and p.kind != GOOD)
    ]


def keep_split(pictures: list[Picture], share: float, seed: int, notes: list[str]) -> list[Picture]:
    """The source's own split, with a word on the parts that lie on both sides."""
    both = crossing(pictures)
    parts = len({p.part for p in pictures})
    if both:
        counts = Counter((p.side, p.kind != GOOD) for p in pictures if p.part in both)
        notes.append(
            f"the source's split is kept; {len(both)} of {parts} parts lie on BOTH sides: "
            f"{counts['train', False]} train good, {counts['test', False]} test good, "
            f"{counts['test', True]} test defective"
        )
    else:
        notes.append("the source's split is kept; no part is known to lie on both sides")
    return pictures


def keep_split_by_part(
    pictures: list[Picture], share: float, seed: int, notes: list[str]
) -> list[Picture]:
    """The source's own split, less the test pictures of parts that are trained on."""
    both = crossing(pictures)
    kept = [p for p in pictures if not (p.side == "test" and p.part in both)]
    dropped = Counter(p.kind for p in pictures) - Counter(p.kind for p in kept)
    notes.append(
        f"{dropped.total()} test pictures of {len(both)} parts that are trained on left out: "
        + ", ".join(f"{n} {kind}" for kind, n in sorted(dropped.items()))
    )
    return kept


def crossing(pictures: list[Picture]) -> set[str]:
    """Parts with pictures on both sides."""
    return {p.part for p in pictures if p.side == "train"} & {
        p.part for p in pictures if p.side == "test"
    }


def frame(name: str) -> str:
    """The frame of a rail window: `1456470100002` of `.../1456470100002_0250.jpg`."""
    return PurePosixPath(name).stem.split("_")[0]


def itself(name: str) -> str:
    """Every picture is a part of its own."""
    return name


SETS: dict[str, tuple[str, Read, Split]] = {
    "kolektor": ("KolektorSDD.zip", read_kolektor, split_all_defective),
    "magnetic_tile": ("MagneticTile.zip", read_magnetic_tile, split_by_part),
    "rail": ("RailHead.zip", read_mvtec("RailHead", frame), keep_split),
    "rail_by_frame": ("RailHead.zip", read_mvtec("RailHead", frame), keep_split_by_part),
    "screw": ("screw.zip", read_mvtec("screw", itself), keep_split),
}
DEFAULT = ("kolektor", "magnetic_tile", "rail", "screw")


def write(pictures: list[Picture], target: Path) -> None:
    """Write the pictures of one set below `target`, which must not exist yet."""
    written: set[Path] = set()
    for picture in pictures:
        path = target / picture.side / picture.kind / f"{picture.stem}{picture.suffix}"
        if path in written:
            raise PrepareError(f"two pictures would be written to {path}")
        written.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.data)
        if picture.mask is not None:
            mask = target / "ground_truth" / picture.kind / f"{picture.stem}_mask.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            mask.write_bytes(picture.mask)


def summary(pictures: list[Picture]) -> dict[str, Any]:
    """Counts of one set: pictures per side and kind, masks, parts per side and on both."""
    tested = Counter(p.kind for p in pictures if p.side == "test")
    return {
        "train": sum(p.side == "train" for p in pictures),
        "test": dict(sorted(tested.items())),
        "masks": sum(p.mask is not None for p in pictures),
        "parts_train": len({p.part for p in pictures if p.side == "train"}),
        "parts_test": len({p.part for p in pictures if p.side == "test"}),
        "parts_both": len(crossing(pictures)),
    }


def prepare(name: str, source: Path, out: Path, share: float, seed: int) -> dict[str, Any]:
    """Prepare one set, or find that it is there already; gives what its stamp says.

    Raises:
        PrepareError: the archive is missing, broken or holds nothing known; OUT/<name> is not ours.
    """
    file_name, read, split = SETS[name]
    archive_path = source / file_name
    if not archive_path.is_file():
        raise PrepareError(f"{archive_path} is not there; choose the others with --only")
    recipe = {
        "version": VERSION,
        "archive": file_name,
        "sha256": hashlib.sha256(archive_path.read_bytes()).hexdigest(),
        "train_share": share,
        "seed": seed,
    }
    target = out / name
    if target.exists():
        try:
            stamp: dict[str, Any] = json.loads((target / STAMP).read_text())
        except (OSError, ValueError):
            raise PrepareError(
                f"{target} is there, but not made by this script; remove it or choose another OUT"
            ) from None
        if stamp.get("recipe") == recipe:
            return stamp | {"fresh": False}

    notes: list[str] = []
    try:
        with zipfile.ZipFile(archive_path) as archive:
            pictures = read(archive, notes)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PrepareError(f"{archive_path} cannot be read: {error}") from error
    if not pictures:
        raise PrepareError(f"{archive_path} holds none of the files expected in it")
    if not pictures[0].side:  # where the source has its own split, its pictures stay as they are
        pictures = drop_duplicates(pictures, notes)
    pictures = split(pictures, share, seed, notes)

    stamp = {
        "recipe": recipe,
        "part_pattern": PART_PATTERN[name],
        "counts": summary(pictures),
        "notes": notes,
    }
    partial = out / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    write(pictures, partial)
    (partial / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)
    return stamp | {"fresh": True}


def report(stamps: dict[str, dict[str, Any]]) -> str:
    """The table of all sets, then what was done to each and why."""
    head = ("dataset", "train", "test good", "test defect", "masks", "parts train/test/both")
    rows: list[tuple[str, ...]] = [head]
    for name, stamp in stamps.items():
        counts = stamp["counts"]
        defects = sum(n for kind, n in counts["test"].items() if kind != GOOD)
        parts = f"{counts['parts_train']} / {counts['parts_test']} / {counts['parts_both']}"
        good = counts["test"].get(GOOD, 0)
        cells = (counts["train"], good, defects, counts["masks"])
        rows.append((name, *map(str, cells), parts))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    for name, stamp in stamps.items():
        lines += [
            "",
            f"{name}: " + ("prepared" if stamp["fresh"] else "already there, left as it is"),
        ]
        kinds = stamp["counts"]["test"].items()
        lines.append("  defects: " + ", ".join(f"{kind} {n}" for kind, n in kinds if kind != GOOD))
        lines.append(f"  part_pattern: {stamp['part_pattern'] or 'none, every picture is a part'}")
        lines += [f"  - {note}" for note in stamp["notes"]]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Bring the real data sets into MVTec AD layout, split by part."
    )
    parser.add_argument("source", type=Path, help="folder with the archives")
    parser.add_argument("out", type=Path, help="folder to write the data sets to")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SETS,
        default=DEFAULT,
        metavar="NAME",
        help=f"which of {', '.join(SETS)} (default: {' '.join(DEFAULT)})",
    )
    parser.add_argument(
        "--train-share",
        type=float,
        default=0.7,
        help="share of the parts that go to train, where the split is ours",
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if not 0 < given.train_share < 1:
        parser.error("--train-share lies between 0 and 1")

    stamps = {}
    try:
        for name in given.only:
            stamps[name] = prepare(name, given.source, given.out, given.train_share, given.seed)
    except (PrepareError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report(stamps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
