"""The cells of a study: one training and its test each, in a folder of its own.

A folder is named after all that determines its result: settings, data, threads. So a cell that two
tables share is run once, and a finished one is never run again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.configuration import make_settings
from burnish.errors import BurnishError, nearest
from burnish.images.dataset import find_test_images, find_training_images
from burnish.setting_groups import GROUPS
from burnish.settings import Settings
from burnish.studies.file import Row, Scale, Study, changes_of, settings_of
from burnish.studies.place import fingerprint_of

FORMAT = 1
NAME_LENGTH = 100  # a file name has room for 255 bytes
RESULT = "cell.json"  # written last: marks a finished folder
NO_RESULT = frozenset({"checkpoint_minutes"})  # settings that change no figure
SCORING = frozenset({"false_alarms", "overlap", *GROUPS["scoring"]})  # do not affect weights


@dataclass(frozen=True)
class Cell:
    """One run: a row at one scale, on one data set, with one seed.

    Attributes:
        folder: where its model and results are, or will be.
        training_key: the same for cells whose weights are the same.
        points: epochs of a curve; empty otherwise.
    """

    label: str
    dataset: str
    seed: int
    data: Path
    preset: str
    changes: Mapping[str, Any]
    settings: Settings
    threads: int
    folder: Path
    training_key: str
    points: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.dataset}, {self.label}, seed {self.seed}"

    @property
    def is_finished(self) -> bool:
        return (self.folder / RESULT).is_file()

    @property
    def is_begun(self) -> bool:
        return (self.folder / "checkpoint.safetensors").is_file()

    def result(self) -> dict[str, Any] | None:
        """The content of `cell.json`; None if the cell is not finished.

        Raises:
            BurnishError: the file is damaged, of another format, or of other settings.
        """
        path = self.folder / RESULT
        result = read_result(path, "settings")
        if result is None:
            return None
        now, stored = self.settings.model_dump(mode="json"), result["settings"]
        if now["precision"] == "auto":  # the run has resolved it, and recorded the result
            now["precision"] = stored.get("precision")
        for key in now.keys() & stored.keys() - NO_RESULT:
            if now[key] != stored[key]:
                raise BurnishError(
                    f"{path} is of another {key}: remove {path.parent} to run it again"
                )
        return result


def read_result(path: Path, *needed: str) -> dict[str, Any] | None:
    """A result that a study has written; None if there is none.

    Raises:
        BurnishError: it is damaged, as where a key that is needed is missing, or of another format.
    """
    if not path.is_file():
        return None
    try:
        result = json.loads(path.read_text("utf-8"))
        known, *_ = (result[key] for key in ("format", *needed))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BurnishError(f"{path} is damaged ({error}): remove {path.parent}") from error
    if known != FORMAT:
        raise BurnishError(f"{path} is of format {known}: remove {path.parent} to run it again")
    return dict(result)


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    Attributes:
        paper_name: the paper's set of the same kind, or "".
        fingerprint: see `fingerprint_of`.
    """

    name: str
    paper_name: str
    path: Path
    fingerprint: str


def find_datasets(scale: Scale, data: Path, only: Sequence[str] = ()) -> list[Dataset]:
    """The scale's data sets under `data`, after checking that they are there and usable.

    Raises:
        BurnishError: an unknown name in `only`, a folder missing, or not in MVTec AD layout.
    """
    for name in only:
        if name not in scale.datasets:
            raise BurnishError(
                f"the study has no data set '{name}'.{nearest(name, scale.datasets)} "
                f"Its data sets: {', '.join(scale.datasets)}"
            )
    found = []
    for name, paper_name in scale.datasets.items():
        if only and name not in only:
            continue
        path = data / name
        if not path.is_dir():
            raise BurnishError(
                f"{data} has no folder '{name}', a data set of this study: "
                f"`burnish data prepare SOURCE {path}` makes it (wanted: "
                f"{', '.join(scale.datasets)})"
            )
        find_training_images(path)
        kinds = {image.is_defect for image in find_test_images(path)}
        if kinds != {False, True}:
            raise BurnishError(f"{path / 'test'} needs both good and defective images for an AUROC")
        found.append(Dataset(name, paper_name, path, fingerprint_of(path)))
    return found


def plan(
    study: Study, scale: Scale, datasets: Sequence[Dataset], seeds: Sequence[int], out: Path
) -> list[Cell]:
    """Every cell of the study, data set by data set, then row by row, then by seed."""
    return [
        make_cell(study, scale, row, dataset, seed, out)
        for dataset in datasets
        for row in study.rows
        for seed in seeds
    ]


def make_cell(study: Study, scale: Scale, row: Row, dataset: Dataset, seed: int, out: Path) -> Cell:
    """One cell and the folder that its settings, data and threads call for."""
    settings = settings_of(scale, row, seed)
    values = {
        name: value
        # Defaults are left out, so that the names stay the same when a setting is added.
        for name, value in settings.model_dump(mode="json", exclude_defaults=True).items()
        if name not in NO_RESULT
    }
    shared: dict[str, Any] = {"data": dataset.fingerprint, "threads": scale.threads}
    shared |= {  # by content: another mask or network under the same name is another cell
        name: hashlib.sha256(Path(values[name]).read_bytes()).hexdigest()
        for name in ("roi", "features")
        if values.get(name) and os.path.isfile(values[name])
    }
    if study.kind == "curve":
        shared |= {"curve": list(scale.points)}
    learnt = {name: value for name, value in values.items() if name not in SCORING}
    scored = {name: value for name, value in values.items() if name in SCORING}
    training_key = _short(shared | {"settings": learnt})
    key = f"{training_key}-{_short(scored)[:4]}"
    readable = "-".join([dataset.name, scale.preset, *_differences(scale, settings)])
    readable = readable.replace("/", "_")[:NAME_LENGTH]
    name = f"{readable}-seed{seed}-{key}"
    folder = next(iter(sorted((out / "cells").glob(f"*-{key}"))), out / "cells" / name)
    return Cell(
        label=row.label,
        dataset=dataset.name,
        seed=seed,
        data=dataset.path,
        preset=scale.preset,
        changes=changes_of(scale, row, seed),
        settings=settings,
        threads=scale.threads,
        folder=folder,
        training_key=training_key,
        points=scale.points,
    )


def distinct(cells: Sequence[Cell]) -> list[Cell]:
    """The cells to run, one per folder. Those that train come first, then those that only copy
    their weights: side by side they would wait for each other."""
    first = {cell.folder: cell for cell in reversed(cells)}
    trains = {cell.training_key: cell for cell in reversed(cells)}
    kept = [cell for cell in cells if first[cell.folder] is cell]
    return sorted(kept, key=lambda cell: trains[cell.training_key] is not cell)


def _differences(scale: Scale, settings: Settings) -> list[str]:
    """The settings that differ from the preset, for people who look into `cells/`."""
    if scale.points:
        return ["curve"]
    plain = make_settings(scale.preset).model_dump(mode="json")
    texts = []
    for name, value in settings.model_dump(mode="json").items():
        if value != plain[name] and name != "seed" and name not in NO_RESULT:
            text = "_".join(map(str, value)) if isinstance(value, list) else str(value)
            texts.append(f"{name}={text}")
    return texts


def _short(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
