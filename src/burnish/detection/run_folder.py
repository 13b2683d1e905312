"""Run folders: whether one is free, belongs to the run that is resumed, or to another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from burnish.detection.model_file import MODEL
from burnish.errors import BurnishError
from burnish.files import atomic_write, check_writable
from burnish.setting_groups import GROUPS
from burnish.settings import Settings
from burnish.system import folder_lock
from burnish.training.hardware import resolve_precision
from burnish.training.log import forget_losses
from burnish.training.state import CHECKPOINT

# Settings that a resumed run may change: how long it trains and how it scores, not what it learns.
# If only scoring has changed, a finished run is calibrated anew without training.
MAY_CHANGE = frozenset(
    {"epochs", "steps", "minutes", "checkpoint_minutes", "false_alarms", "overlap",
     *GROUPS["scoring"]}
)  # fmt: skip
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
EXPORTED = (".onnx", ".xml", ".pt2")  # suffixes of what `burnish export` writes
SETTINGS = "settings.json"  # of a run folder, written when its training begins
FOLDS = "folds"  # folder in a run folder; each of its folders is the run folder of a fold
TOLD = 5  # most differing settings named when a run cannot be resumed


def fold_folder(out: Path, fold: int) -> Path:
    """The run folder of a fold's network; `fold` counts from 0."""
    return out / FOLDS / str(fold + 1)


def _fold_folders(out: Path) -> list[Path]:
    """The run folders of folds in a run folder; `FOLDS` may be a folder of the user's, too."""
    found = (out / FOLDS).glob("*")
    return [path for path in found if path.name.isdigit() and (path / SETTINGS).is_file()]


def remove_folds(out: Path) -> None:
    """Remove the run folders of folds, and `FOLDS` if nothing else is in it."""
    for folder in _fold_folders(out):
        shutil.rmtree(folder)
    if (out / FOLDS).is_dir() and not any((out / FOLDS).iterdir()):
        (out / FOLDS).rmdir()


@contextmanager
def locked_run_folder(out: Path, resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold the lock of a run folder that can be written to and is not another run's.

    Raises:
        BurnishError: the folder is another run's, or cannot be written to.
    """
    check_writable(out / MODEL)
    with folder_lock(out) as ours:
        if not ours:
            raise BurnishError(
                f"another run is at work in {out}: wait for its end, or choose another --out"
            )
        _refuse_other_runs(out, resume, overwrite)
        yield


def _refuse_other_runs(out: Path, resume: bool, overwrite: bool) -> None:
    kept = [name for name in (MODEL, CHECKPOINT) if (out / name).exists()]
    kept += [FOLDS] if _fold_folders(out) else []
    if kept and not (resume or overwrite):
        raise BurnishError(
            f"{out} already holds {', '.join(kept)}: --resume goes on with that run, "
            "--overwrite replaces it (in Python resume=True and overwrite=True), or choose another "
            "--out"
        )
    if resume and not overwrite and kept == [MODEL]:
        raise BurnishError(
            f"{out} holds {MODEL}, but no {CHECKPOINT} to go on from: --overwrite trains anew and "
            "replaces it, or choose another --out"
        )


def start_run(out: Path, identity: Mapping[str, Any], resume: bool) -> None:
    """Make the folder this run's, as the last step before training.

    An old model stays until the new one is complete. Its checkpoint and its logged losses are
    removed, so that `--resume` resumes the new run.
    """
    if not (resume and (out / CHECKPOINT).exists()):
        (out / CHECKPOINT).unlink(missing_ok=True)
        forget_losses(out)
    atomic_write(out / SETTINGS, json.dumps(identity, indent=1))


def settle_precision(settings: Settings, before: Mapping[str, Any] | None) -> Settings:
    """Keep the precision that a resumed run began with, whatever this machine would choose now."""
    kept = None if before is None else before.get("settings", {}).get("precision")
    if settings.precision == "auto" and kept is not None:  # "auto" in older checkpoints
        return settings.model_copy(update={"precision": kept})
    return resolve_precision(settings)


def check_same_run(
    header: Mapping[str, Any], identity: Mapping[str, Any], checkpoint: Path
) -> None:
    """Refuse to resume from a checkpoint of another run.

    Raises:
        BurnishError: it has other settings, images, region or hold-out.
    """
    before, now = header.get("settings", {}), identity["settings"]
    changed = [
        f"{key} was {before.get(key, DEFAULTS[key])}, is {now[key]}"
        for key in now
        if key not in MAY_CHANGE and before.get(key, DEFAULTS[key]) != now[key]
    ]
    if len(changed) > TOLD:
        changed[TOLD:] = [f"and {len(changed) - TOLD} more settings, as of another preset"]
    if header.get("roi") != identity["roi"]:
        changed.append("the region of interest is not the same")
    if header.get("fingerprint") != identity["fingerprint"]:
        changed.append("the training images are not the same")
    elif header.get("held_out", identity["held_out"]) != identity["held_out"] and all(
        before.get(key, DEFAULTS[key]) == now[key] for key in ("seed", "holdout", "part_pattern")
    ):  # if a setting differs, it has been named
        changed.append("other images are held out, as they show other parts than before")
    if changed:
        raise BurnishError(
            f"{checkpoint} is of another run ({'; '.join(changed)}): resume with the same settings "
            "and data, or start anew with --overwrite in place of --resume"
        )


def check_length(
    header: Mapping[str, Any], steps: int, minutes: float | None, checkpoint: Path
) -> None:
    """Refuse to resume from a checkpoint that is already past the length asked for.

    Args:
        steps, minutes: that length.

    Raises:
        BurnishError: it is.
    """
    done, seconds = header["progress"]["step"], header["progress"]["seconds"]
    told = f"{done} steps, more than the {steps}" if done > steps else ""
    # A run by minutes ends a little late, and the same length may be asked for again.
    asked_before = header.get("settings", {}).get("minutes") == minutes
    if minutes is not None and seconds > 60 * minutes and not asked_before:
        told = f"{seconds / 60:.3g} minutes, more than the {minutes:g}"
    if told:
        raise BurnishError(
            f"{checkpoint} has gone {told} asked for: ask for as many "
            "at least, or train anew: --overwrite in place of --resume, or another --out"
        )


def stale_files_note(out: Path) -> str:
    """A sentence on files in the folder that were made with the model to be replaced, or ""."""
    if not (out / MODEL).exists():
        return ""
    exported = [path.name for path in sorted(out.glob("*")) if path.suffix in EXPORTED]
    left = [*exported, *(["evaluation/"] if (out / "evaluation").is_dir() else [])]
    if not left:
        return ""
    return f"{', '.join(left)} in {out} came from the model before this one: make them anew"


def model_bytes(path: Path) -> int:
    """Size of a model: of a run folder its model file, of OpenVINO's .xml the weights beside too.

    Raises:
        OSError: there is none.
    """
    file = path / MODEL if path.is_dir() else path
    beside = file.with_suffix(".bin")
    has_more = file.suffix.lower() == ".xml" and beside.exists()
    return file.stat().st_size + (beside.stat().st_size if has_more else 0)
