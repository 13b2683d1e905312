"""`burnish study` as a person uses it, mistakes included."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from burnish.images.synthetic.synth import write_dataset

STUDIES = Path(__file__).resolve().parents[2] / "studies"


VERB = ("study",)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(("rail", "kolektor")):
        write_dataset(folder / name, train=10, good=2, defects=5, size=(64, 64), seed=seed)
    return folder


def test_dry_run_tells_what_would_run_and_what_is_shared(
    burnish, data: Path, tmp_path: Path
) -> None:
    code, text, err = burnish(
        STUDIES / "table05.toml", "--data", data, "--out", tmp_path, "--dry-run", "--jobs", 2
    )
    assert code == 0, err
    assert text.count("to run") == 11  # ten cells and the sum
    assert "10 to run, 2 at once, each on 1 thread" in text
    assert list(tmp_path.iterdir()) == []
    code, text, _ = burnish(
        STUDIES / "table05.toml", "--data", data, "--out", tmp_path, "--dry-run",
        "--only", "R = 8", "--dataset", "rail", "--seeds", "0,1,2",
    )  # fmt: skip
    assert code == 0
    assert "3 to run" in text
    assert text.count("left out") == 12
    code, text, _ = burnish(
        STUDIES / "table10.toml", "--data", data, "--out", tmp_path, "--dry-run"
    )
    assert "2 to run" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table5.toml"], "Did you mean 'table05.toml'"),
        (["table05.toml", "--scale", "smal"], "no scale 'smal'. Did you mean 'small'?"),
        (["table05.toml", "--only", "R = 3"], "table05 has no row 'R = 3'"),
        (["table05.toml", "--dataset", "rails"], "no data set 'rails'. Did you mean 'rail'?"),
        (["table05.toml", "--seeds", "one"], "--seeds 'one' is not a list of numbers"),
        (["table05.toml", "--seeds", "-1"], "seed: Input should be greater than or equal to 0"),
        (["table10.toml", "--only", "R = 0"], "--only does not apply"),
        (["table10.toml", "--seeds", "0,1"], "give one seed"),
    ],
)
def test_mistakes_are_one_line(
    burnish, data: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, _, err = burnish(
        STUDIES / arguments[0], *arguments[1:], "--data", data, "--out", tmp_path
    )
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_missing_data_and_a_bad_out(burnish, data: Path, tmp_path: Path) -> None:
    study = STUDIES / "table05.toml"
    code, _, err = burnish(study, "--data", tmp_path / "none", "--out", tmp_path)
    assert code == 2
    assert "has no folder 'rail'" in err
    (tmp_path / "half").mkdir()
    shutil.copytree(data / "rail", tmp_path / "half/rail")
    code, _, err = burnish(study, "--data", tmp_path / "half", "--out", tmp_path)
    assert code == 2
    assert "has no folder 'kolektor'" in err
    (tmp_path / "file").write_text("")
    code, _, err = burnish(study, "--data", data, "--out", tmp_path / "file")
    assert code == 2
    assert "cannot write into" in err
