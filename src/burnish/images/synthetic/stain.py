"""Defects drawn on held-out good images: how settings are chosen without touching test labels.

    OUT/train/good/<stem>.<suffix>           good images to learn from, as they are
    OUT/test/good/<stem>.png                 held-out good images
    OUT/test/<kind>/<stem>.png               the same images with a defect
    OUT/ground_truth/<kind>/<stem>_mask.png  its mask, 0 or 255
    OUT/manifest.csv                         one line an image

Parts are never split. Every held-out image is in the test set once as good and at least once as
defective. Such a pair differs in nothing but the defect, which makes comparisons of settings
sharper than different parts would. The manifest's part column links the pair.

A defect depends on seed, file name, kind and repeat alone, not on what else the folder holds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.files import atomic_path
from burnish.images.dataset import GOOD
from burnish.images.formats.names import some
from burnish.images.manifest import MANIFEST, ManifestRow, read_manifest, write_manifest
from burnish.images.preparing.prepare import Prepared
from burnish.images.preparing.record import (
    Record,
    check_recipe,
    damage,
    digest_of_masks,
    locked,
    read_record,
    sha256_of,
    strangers,
    summary_of,
)
from burnish.images.preparing.split import TEST, TRAIN
from burnish.images.roi import load_roi, regions_at, roi_file
from burnish.images.synthetic.stain_draw import draw_versions
from burnish.images.synthetic.stain_plan import Plan, Request, Source, find_sources, make_plan

FORMAT = "stain"
VERSION = 3
"""Raised whenever the same settings would give other images."""

Progress = Callable[[str, int, int], None]
"""Told the stage ("read", "draw"), how many images are done, and of how many."""


def stain(
    data: str | Path,
    out: str | Path,
    request: Request | None = None,
    on_progress: Progress = lambda stage, done, total: None,
) -> Prepared:
    """Draw defects on good images that training does not see.

    Called again with the same settings it writes what is missing, and nothing when all is there.

    Args:
        data: MVTec AD layout, of which only train/good is read, or a folder of good images.
        out: new or empty folder, or one that an earlier run with the same settings has begun.

    Returns:
        What was done; `status` is "written", "resumed", "mended" or "already there".

    Raises:
        BurnishError: too few good images, all of one part, a region that fits no image, or `out`
            holds something else, was made with other settings or cannot be written to.
    """
    request, root, out = request or Request(), Path(data), Path(out)
    if out.resolve().is_relative_to(root.resolve()):
        raise BurnishError(f"{out} lies in {root}: what is written must not become its own source")
    with locked(out):
        return _stain(root, out, request, on_progress)


def _stain(root: Path, out: Path, request: Request, on_progress: Progress) -> Prepared:
    record = read_record(out)
    sources = find_sources(root, request.part, on_progress)
    recipe = _recipe(sources, request)
    status, wrong = "written", []
    if record is not None:
        record.recipe.setdefault("edges", 0.0)  # records of before had no such setting
        check_recipe(out, record, recipe)
        status = "mended" if record.finished else "resumed"
    if record is not None and record.finished:
        wrong = damage(out, record)
        if not wrong:
            done = Prepared(out, "already there", FORMAT, **record.summary)
            return _with_strangers(done, read_manifest(out) or [])
    plan = make_plan(sources, request, on_progress)
    sizes = [source.size for source in plan.held_out]
    regions = regions_at(load_roi(request.roi, sizes) if request.roi else None)
    if record is None or record.finished:
        _remove(out, wrong)  # before the record says unfinished: files there are then trusted
        Record(recipe).write(out)
    for source in plan.train:
        _link(source.path, out / plan.place(source), source.sha256)
    for done_so_far, source in enumerate(plan.held_out, 1):
        draw_versions(source, plan, out, request, regions)
        on_progress("draw", done_so_far, len(plan.held_out))
    rows = _rows(plan, out)
    write_manifest(out, rows)
    masks = {row.mask: sha256_of(out / row.mask) for row in rows if row.mask}
    summary = summary_of(rows, list(plan.notes), plan.left_out)
    Record(recipe, True, sha256_of(out / MANIFEST), digest_of_masks(masks), summary).write(out)
    done = Prepared(out, status, FORMAT, **summary)
    if wrong:
        done.notes.append(f"{len(wrong)} missing or altered files are mended: {some(wrong)}")
    return _with_strangers(done, rows)


def _recipe(sources: list[Source], request: Request) -> dict[str, Any]:
    """Everything that decides the output, as plain values that can be compared with JSON's."""
    lines = "".join(f"{one.path.name}\0{one.sha256}\0{one.part}\n" for one in sources)
    roi = request.roi
    if (mask := roi_file(roi)) is not None:
        roi = f"{mask.name} {sha256_of(mask)}"
    return {
        "version": VERSION,
        "format": FORMAT,
        "digest": hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(),
        "part": request.part,
        "holdout": request.holdout,
        "kinds": list(request.kinds),
        "per_image": request.per_image,
        "strength": request.strength,
        "roi": roi,
        "on_part": request.on_part,
        "edges": request.edges,
        "seed": request.seed,
    }


def _link(source: Path, target: Path, sha256: str) -> None:
    """A hard link to the file if the disk allows it, else a copy."""
    if sha256_of(target) == sha256:
        return
    with suppress(OSError):  # another disk, or no hard links: copied below
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        os.link(source.resolve(), target)
    if not target.exists():
        with atomic_path(target) as beside:
            shutil.copyfile(source, beside)
    if sha256_of(target) != sha256:
        target.unlink()
        raise BurnishError(f"{source} has changed while it was read: run again")


def _remove(out: Path, wrong: list[str]) -> None:
    """Remove damaged files, so that they are made again."""
    rows = {row.path: row for row in read_manifest(out) or ()} if MANIFEST not in wrong else {}
    if set(wrong) <= set(rows) | {row.mask for row in rows.values()}:
        for name in wrong:
            (out / name).unlink(missing_ok=True)
        return
    # A mask or the manifest itself was altered: no file can be trusted.
    for folder in (TEST, "ground_truth"):
        for path in (out / folder).glob("*/*.png"):
            path.unlink()


def _rows(plan: Plan, out: Path) -> list[ManifestRow]:
    def row(source: Source, path: str, split: str, kind: str, mask: str) -> ManifestRow:
        height, width = source.size
        return ManifestRow(
            path,
            sha256_of(out / path),
            split,
            GOOD if kind == GOOD else "defect",
            kind,
            mask,
            source.part,
            source.name,
            width,
            height,
        )

    rows = [row(source, plan.place(source), TRAIN, GOOD, "") for source in plan.train]
    for source in plan.held_out:
        rows.append(row(source, plan.place(source), TEST, GOOD, ""))
        rows += [
            row(source, version.image, TEST, version.kind, version.mask)
            for version in plan.versions[source.path.name]
        ]
    return rows


def _with_strangers(done: Prepared, rows: list[ManifestRow]) -> Prepared:
    if other := strangers(done.out, rows):
        done.notes.append(
            f"{len(other)} files in {done.out} are not of this command, and would be used by "
            f"training or test: {some(other)}"
        )
    return done
