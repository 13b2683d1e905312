"""What `import burnish` offers, from Python alone, with paths as text."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import burnish
from burnish import BurnishError, Detector, check_data, evaluate, write_report
from burnish.detection.train import ARGUMENTS


def test_every_public_name_is_there_and_explained() -> None:
    assert set(burnish.__all__) <= set(dir(burnish))
    for name in burnish.__all__:
        found = getattr(burnish, name)
        assert name == "__version__" or len(inspect.getdoc(found) or "") > 20, name
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        burnish.train  # noqa: B018


def test_type_checkers_may_read_the_types() -> None:
    assert (Path(burnish.__file__).parent / "py.typed").exists()


def test_a_slip_in_an_argument_of_train_is_told(tmp_path: Path) -> None:
    of_train = inspect.signature(Detector.train).parameters
    assert tuple(of_train) == (*ARGUMENTS, "changes")
    for name in ARGUMENTS[1:]:
        with pytest.raises(BurnishError, match=rf"no setting '{name}t'\. Did you mean '{name}'\?"):
            Detector.train("no data", out=tmp_path, **{f"{name}t": 1})


def test_a_detector_of_a_file_is_loaded(run_folder: Path) -> None:
    with pytest.raises(BurnishError, match=r"Detector\.load\(path\) reads a model"):
        Detector(run_folder)  # type: ignore[arg-type]


def test_from_data_to_report(run_folder: Path, metal: Path, tmp_path: Path) -> None:
    checked = check_data(str(metal), false_alarms=0.1)
    assert isinstance(checked, burnish.Check)
    assert checked.read == 24 + 16
    assert repr(checked) == f"Check({str(metal)!r}: {checked.verdict})"
    detector = Detector.load(str(run_folder))
    evaluation = evaluate(detector, str(metal), equalised=False)
    assert isinstance(evaluation, burnish.Evaluation)
    assert (evaluation.n_good, evaluation.n_defect) == (6, 10)
    assert evaluation.images[0].path not in repr(evaluation)  # a notebook shows it
    page = write_report(evaluation, detector, str(metal), str(tmp_path / "report.html"))
    assert f"{evaluation.image_auroc:.3f}" in page.read_text()
    assert (tmp_path / "figures" / "roc.png").exists()


def test_export_takes_text(run_folder: Path, tmp_path: Path, metal: Path) -> None:
    out = str(tmp_path / "model.pt2")
    made = burnish.export_model(str(run_folder), "torch-export", out, str(metal / "test/good"))
    assert isinstance(made, burnish.Export)
    assert made.files == (Path(out),)
    assert len(made.parity.images) == 6
