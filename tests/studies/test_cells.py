"""Which cells are one and the same, and which are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.errors import BurnishError
from burnish.studies.cells import Cell, Dataset, distinct, find_datasets, make_cell, plan
from burnish.studies.file import load_study
from burnish.studies.place import fingerprint_of

STUDIES = Path(__file__).resolve().parents[2] / "studies"
RAIL = Dataset("rail", "Rail", Path("rail"), "f" * 64)


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_tables_share_the_cells_that_are_equal(scale: str, tmp_path: Path) -> None:
    """21 rows in Tables 5 to 9; the method itself stands in all five and is one cell."""
    cells: list[Cell] = []
    for number in range(5, 10):
        study = load_study(STUDIES / f"table{number:02d}.toml")
        cells += plan(study, study.scale(scale), [RAIL], [0], tmp_path)
    assert len(cells) == 21
    assert len({cell.folder for cell in cells}) == 17
    assert len({cell.training_key for cell in cells}) == 17
    assert len(distinct(cells)) == 17


def micro(study_file: Callable[..., Path], tmp_path: Path, *changes: tuple[str, str]) -> Cell:
    study = load_study(study_file(*changes))
    return make_cell(study, study.scale("micro"), study.row("R = 2"), RAIL, 0, tmp_path)


def test_a_cell_is_named_after_what_makes_its_result(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    plain = micro(study_file, tmp_path)
    assert plain.folder.parent == tmp_path / "cells"
    assert plain.folder.name.startswith("rail-tiny-image_size=32-mask_blocks=8_16-width=32-")
    same = [
        micro(study_file, tmp_path, ("checkpoint_minutes = 0", "checkpoint_minutes = 5")),
        micro(study_file, tmp_path, ("about = ", "about = 'again' #")),
        micro(study_file, tmp_path, ("mask_blocks = [8, 16]", "mask_blocks = [8, 16], tome_r = 1")),
        micro(study_file, tmp_path, ("steps = 40", "steps = 40, beta1 = 0.9")),  # its default
    ]
    assert {cell.folder for cell in same} == {plain.folder}
    other = [
        micro(study_file, tmp_path, ("steps = 40", "steps = 41")),
        micro(study_file, tmp_path, ("threads = 1", "threads = 2")),
        micro(study_file, tmp_path, ("steps = 40", "steps = 40, smoothing = 3")),
    ]
    study = load_study(study_file())
    scale, row = study.scale("micro"), study.row("R = 2")
    other.append(make_cell(study, scale, row, RAIL, 1, tmp_path))
    other.append(
        make_cell(study, scale, row, replace(RAIL, fingerprint="0" * 64), 0, tmp_path)
    )  # fmt: skip
    assert len({cell.folder for cell in [plain, *other]}) == 6
    # scoring alone differs in the third: the same weights serve it
    assert [cell.training_key == plain.training_key for cell in other] == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_cells_that_only_score_otherwise_come_last(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    rows = "".join(
        f"[[row]]\nlabel = '{label}'\nsettings = {{ {settings} }}\n"
        for label, settings in {
            "a": "tome_r = 0", "b": "tome_r = 0, smoothing = 3", "c": "tome_r = 1",
            "d": "tome_r = 1",
        }.items()
    )  # fmt: skip
    study = load_study(study_file(rows=rows))
    cells = plan(study, study.scale("micro"), [RAIL], [0], tmp_path)
    assert [cell.label for cell in distinct(cells)] == ["a", "c", "b"]


def test_fingerprint_sees_every_byte_that_counts(metal: Path, tmp_path: Path) -> None:
    data = tmp_path / "metal"
    shutil.copytree(metal, data)
    before = fingerprint_of(data)
    assert before == fingerprint_of(metal)
    (data / "readme.txt").write_text("not read by anybody")
    assert fingerprint_of(data) == before
    seen = {before}
    victim = sorted((data / "test/good").iterdir())[0]
    kept = victim.read_bytes()
    victim.write_bytes(kept + b"\0")
    seen.add(fingerprint_of(data))
    victim.write_bytes(kept)
    victim.rename(victim.with_name("renamed.png"))
    seen.add(fingerprint_of(data))
    (data / "manifest.csv").write_text("path\n")
    seen.add(fingerprint_of(data))
    assert len(seen) == 4


def test_fingerprint_sees_what_lies_in_linked_folders(metal: Path, tmp_path: Path) -> None:
    """As training and test do; a link to a folder around it is no reason to walk for ever."""
    linked = tmp_path / "linked"
    for below in ("train/good", "test", "ground_truth", "manifest.csv"):
        (linked / below).parent.mkdir(parents=True, exist_ok=True)
        if (metal / below).exists():
            (linked / below).symlink_to(metal / below)
    (linked / "train" / "around").symlink_to(linked)
    assert fingerprint_of(linked) == fingerprint_of(metal)


def test_data_that_cannot_serve_is_told_before_anything_runs(
    study_file: Callable[..., Path], studies_data: Path, tmp_path: Path
) -> None:
    scale = load_study(study_file()).scale("micro")
    assert [d.name for d in find_datasets(scale, studies_data)] == ["metal"]
    with pytest.raises(BurnishError, match=r"has no folder 'metal'.*burnish data prepare"):
        find_datasets(scale, tmp_path)
    with pytest.raises(BurnishError, match=r"no data set 'metl'. Did you mean 'metal'"):
        find_datasets(scale, studies_data, ["metl"])
    shutil.copytree(studies_data / "metal/train", tmp_path / "metal/train")
    shutil.copytree(studies_data / "metal/test/good", tmp_path / "metal/test/good")
    with pytest.raises(BurnishError, match="needs both good and defective"):
        find_datasets(scale, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ("[]", "is damaged"),
        ('{"format": 99, "settings": {}}', "of format 99"),
        ('{"format": 1, "settings": {"tome_r": 7}}', "of another tome_r"),
    ],
)
def test_a_result_that_is_not_this_cells_is_told(
    study_file: Callable[..., Path], tmp_path: Path, text: str, message: str
) -> None:
    cell = micro(study_file, tmp_path)
    assert cell.result() is None
    cell.folder.mkdir(parents=True)
    (cell.folder / "cell.json").write_text(text)
    with pytest.raises(BurnishError, match=message):
        cell.result()
    stored = {"format": 1, "settings": cell.settings.model_dump(mode="json"), "figures": 1}
    del stored["settings"]["beta1"]  # a setting that came later
    (cell.folder / "cell.json").write_text(json.dumps(stored))
    assert cell.result() == stored
    stored["settings"]["precision"] = "float32"  # what auto meant on that machine
    (cell.folder / "cell.json").write_text(json.dumps(stored))
    assert cell.result() == stored


def test_another_mask_of_the_same_name_is_another_cell(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    mask = tmp_path / "masks" / "roi.png"
    mask.parent.mkdir()
    change = ("steps = 40", f"steps = 40, roi = '{mask}'")
    folders = []
    for content in (b"one", b"two", b"one"):
        mask.write_bytes(content)
        folders.append(micro(study_file, tmp_path, change).folder)
    assert folders[0] == folders[2] != folders[1]
    assert folders[0].parent == tmp_path / "cells"


def test_a_region_longer_than_a_file_name_may_be(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    change = ("steps = 40", f"steps = 40, roi = '{'0,0 9,0 9,9 ' * 30}'")
    assert micro(study_file, tmp_path, change).settings.roi.endswith("9,9 ")
