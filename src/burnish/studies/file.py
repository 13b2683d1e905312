"""Study files: the rows of a table as settings, and the scales to run them at.

See `studies/table05.toml` for an example.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from burnish.configuration import make_settings
from burnish.errors import BurnishError, nearest
from burnish.settings import Settings

Kind = Literal["quality", "cost", "curve"]
Share = Annotated[float, Field(ge=0, le=1)]
LENGTHS = ("epochs", "steps", "minutes")  # of training
MEAN = "mean"  # the paper's column of means in a row's figures


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scale(Strict):
    """The size of a study: data sets, seeds, preset, threads.

    Attributes:
        about: its purpose and what it leaves out, for people.
        preset, changes: settings that all rows share.
        datasets: folder under --data -> the paper's name of its set of that kind, or "".
        seeds: one run of every row and data set each.
        threads: processor threads of every run. Fixed, as rounding depends on it; so results do not
            depend on the number of runs at a time.
        points: epochs at which a curve is measured; the last ends the training.
        turns, turn_steps: of a study of cost: number of turns, and steps in each.
    """

    about: str
    preset: str
    changes: dict[str, Any] = Field(default_factory=dict)
    datasets: dict[str, str] = Field(min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    threads: int = Field(1, ge=1, le=256)
    points: tuple[int, ...] = ()
    turns: int | None = Field(None, ge=4, le=1000)
    turn_steps: int | None = Field(None, ge=1, le=1000)


class Row(Strict):
    """One line of the table.

    Attributes:
        settings: those in which it differs.
        mask_scales: which of the shared `mask_blocks` it keeps, by number from 0.
        against: label of the row that it is compared with, in place of the study's.
        paper: AUROC and F1 in the paper, by its name of the set; "mean": over its sets.
        paper_minutes: training time in the paper, by its name of the set.
    """

    label: str = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    mask_scales: tuple[int, ...] = ()
    against: str = ""
    paper: dict[str, tuple[Share, Share]] = Field(default_factory=dict)
    paper_minutes: dict[str, float] = Field(default_factory=dict)


class Study(Strict):
    """A whole study file.

    Attributes:
        kind: quality: a table of AUROC and F1; cost: training time, tokens and FLOPs; curve: AUROC
            against epoch.
        paper_says: the paper's own conclusion, in short.
        remarks: what a reader must know to understand the figures.
        against: label of the row that the others are compared with.
    """

    title: str
    question: str
    kind: Kind = "quality"
    paper_says: str = ""
    remarks: tuple[str, ...] = ()
    against: str = ""
    scales: dict[str, Scale] = Field(alias="scale", min_length=1)
    rows: tuple[Row, ...] = Field(alias="row", min_length=1)
    name: str = ""

    @model_validator(mode="after")
    def _fits_together(self) -> Study:
        self._check_labels()
        for row in self.rows:
            _own_keys(row.settings, f"row '{row.label}'", curve=self.kind == "curve")
            if row.mask_scales and "mask_blocks" in row.settings:
                raise ValueError(f"row '{row.label}': give mask_scales or mask_blocks, not both")
        for name, scale in self.scales.items():
            self._check_scale(name, scale)
        self._check_names_of_sets()
        if self.kind == "cost" and len(self.rows) != 2:
            raise ValueError("a study of kind cost compares two rows")
        if self.kind == "curve" and len(self.rows) != 1:
            raise ValueError("a study of kind curve has one row: write a study for each setting")
        return self

    def _check_labels(self) -> None:
        labels = [row.label for row in self.rows]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two rows are labelled '{twice[0]}'")
        for name in [self.against, *(row.against for row in self.rows)]:
            if name and name not in labels:
                raise ValueError(f"against '{name}': no row has this label.{nearest(name, labels)}")

    def _check_scale(self, name: str, scale: Scale) -> None:
        _own_keys(scale.changes, f"scale {name}", curve=self.kind == "curve")
        if len(set(scale.seeds)) < len(scale.seeds):
            raise ValueError(f"scale {name}: a seed is named twice")
        if self.kind == "cost" and len(scale.seeds) > 1:
            raise ValueError(f"scale {name}: a study of kind cost takes one seed")
        if (self.kind == "curve") != bool(scale.points):
            raise ValueError(f"scale {name}: `points` go with kind curve, and only with it")
        if list(scale.points) != sorted(set(scale.points)) or min(scale.points, default=1) < 1:
            raise ValueError(f"scale {name}: points must be growing epochs from 1 on")
        cost = scale.turns is not None and scale.turn_steps is not None
        if (self.kind == "cost") != cost:
            raise ValueError(f"scale {name}: `turns` and `turn_steps` go with kind cost only")

    def _check_names_of_sets(self) -> None:
        """Refuse a row's name of a paper's set that looks like a misspelt one of a scale's."""
        sets = {of_paper for scale in self.scales.values() for of_paper in scale.datasets.values()}
        for row in self.rows:
            for of_paper in (*row.paper, *row.paper_minutes):
                close = nearest(of_paper, [name for name in sets if name])
                if close and of_paper not in {*sets, MEAN}:
                    raise ValueError(
                        f"row '{row.label}': no scale has the paper's set '{of_paper}'.{close}"
                    )

    def row(self, label: str) -> Row:
        """The row with this label.

        Raises:
            BurnishError: there is none; names the nearest.
        """
        labels = [row.label for row in self.rows]
        if label not in labels:
            raise BurnishError(
                f"{self.name} has no row '{label}'.{nearest(label, labels)} "
                f"Its rows: {', '.join(labels)}"
            )
        return self.rows[labels.index(label)]

    def reference_of(self, row: Row) -> Row | None:
        """The row that `row` is compared with, if any."""
        label = row.against or self.against
        return None if label in ("", row.label) else self.row(label)

    def scale(self, name: str) -> Scale:
        """The scale of this name.

        Raises:
            BurnishError: there is none; names the nearest.
        """
        if name not in self.scales:
            raise BurnishError(
                f"{self.name} has no scale '{name}'.{nearest(name, self.scales)} "
                f"Its scales: {', '.join(self.scales)}"
            )
        return self.scales[name]


def _own_keys(changes: Mapping[str, Any], where: str, curve: bool) -> None:
    """Refuse settings that the study itself decides, as they would be ignored."""
    decided = {"seed": "the scale's `seeds` are used"}
    if curve:
        decided |= dict.fromkeys(LENGTHS, "`points` say when a curve ends")
    for key, why in decided.items():
        if key in changes:
            raise ValueError(f"{where}: {key} cannot be set here, {why}")


def changes_of(scale: Scale, row: Row, seed: int) -> dict[str, Any]:
    """All settings in which a run differs from the scale's preset.

    A row's length of training, in epochs or steps, replaces the scale's.

    Raises:
        BurnishError: an unknown setting or preset, or settings that do not fit together.
    """
    own_length = any(row.settings.get(name) is not None for name in LENGTHS)
    replaced = LENGTHS if own_length else ()
    shared = {name: value for name, value in scale.changes.items() if name not in replaced}
    changes = shared | row.settings | {"seed": seed}
    if scale.points:
        changes |= {"epochs": scale.points[-1], "steps": None, "minutes": None}
    if row.mask_scales:
        blocks = make_settings(scale.preset, scale.changes).mask_blocks
        if not set(row.mask_scales) <= set(range(len(blocks))):
            raise BurnishError(
                f"row '{row.label}': mask_scales {list(row.mask_scales)} of {len(blocks)} mask "
                f"scales; they are numbered from 0 to {len(blocks) - 1}"
            )
        changes["mask_blocks"] = [blocks[number] for number in row.mask_scales]
    return changes


def settings_of(scale: Scale, row: Row, seed: int) -> Settings:
    """The settings of one run.

    Raises:
        BurnishError: as `changes_of`.
    """
    return make_settings(scale.preset, changes_of(scale, row, seed))


def load_study(path: str | Path) -> Study:
    """Read and check a study file: every row at every scale must make valid settings.

    Raises:
        BurnishError: no such file, no TOML, an unknown key (the nearest right one is named), a
            value out of range, or settings that do not fit.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BurnishError(f"no study file {path}{_beside(path)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BurnishError(f"{path} cannot be read as text: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise BurnishError(f"{path} is not valid TOML: {error}") from error
    try:
        study = Study.model_validate(values | {"name": path.stem})
    except ValidationError as error:
        raise BurnishError(f"{path}: {'; '.join(_sentences(error))}") from error
    for name, scale in study.scales.items():
        for row in study.rows:
            for seed in scale.seeds:
                try:
                    settings = settings_of(scale, row, seed)
                except BurnishError as error:
                    raise BurnishError(
                        f"{path}, scale {name}, row '{row.label}': {error}"
                    ) from error
                _can_be_studied(settings, study.kind, f"{path}, scale {name}, row '{row.label}'")
    return study


def _can_be_studied(settings: Settings, kind: Kind, where: str) -> None:
    if settings.minutes is not None:
        raise BurnishError(
            f"{where}: a length in minutes does not repeat exactly; give epochs or steps"
        )
    if kind == "curve" and settings.schedule != "constant":
        raise BurnishError(
            f"{where}: a curve over one run needs schedule = 'constant': the learning rate of "
            f"'{settings.schedule}' ends with the run, wherever that is"
        )


def _beside(path: Path) -> str:
    others = sorted(p.name for p in path.parent.glob("*.toml")) if path.parent.is_dir() else []
    close = nearest(path.name, others)
    return f".{close}" if close else f"; {path.parent} holds: {', '.join(others)}" if others else ""


def _sentences(error: ValidationError) -> list[str]:
    models: Mapping[Any, type[Strict]] = {"scale": Scale, "row": Row}
    sentences, problems = [], error.errors()
    for problem in problems:
        if (
            problem["type"] == "too_short"
            and problem["ctx"]["actual_length"] == 0
            and any(
                other["loc"][: len(problem["loc"])] == problem["loc"] and other is not problem
                for other in problems
            )
        ):
            continue  # this problem only follows from the other: pydantic has dropped that value
        place = [str(p + 1) if isinstance(p, int) else str(p) for p in problem["loc"]]
        where, message = " ".join(place), problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            model = models.get(problem["loc"][0], Study) if len(place) > 1 else Study
            known = [field.alias or name for name, field in model.model_fields.items()]
            message = f"no such key.{nearest(place[-1], [k for k in known if k != 'name'])}"
        sentences.append(f"{where}: {message}" if where else message)
    return sentences
