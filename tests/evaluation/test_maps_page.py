"""The programs of docs/evaluation.md that write maps and score those of other methods."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from burnish import Detector, evaluate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"


def test_maps_written_and_read_again_give_the_figures_of_evaluate(
    metal: Path, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    for shown, here in (
        ("data/rail", metal), ("anomaly_maps/rail", tmp_path), ("runs/rail", run_folder),
    ):  # fmt: skip
        assert f'"{shown}"' in text
        text = text.replace(f'"{shown}"', repr(str(here)))
    values: dict[str, object] = {}
    exec(text, values)

    detector = Detector.load(run_folder)
    evaluation = evaluate(detector, metal, equalised=False)
    row = evaluation.images[0]
    written = np.asarray(Image.open((tmp_path / row.path).with_suffix(".tiff")))
    assert np.array_equal(written, detector.inspect(metal / row.path).anomaly_map)

    assert evaluation.pixels is not None
    counter = values["counter"]
    found, known = counter.overall(), evaluation.pixels.overall  # type: ignore[attr-defined]
    assert (found.images, found.components) == (known.images, known.components)
    error = counter.auroc_error() + evaluation.pixels.auroc_error  # type: ignore[attr-defined]
    assert found.auroc == pytest.approx(known.auroc, abs=error)
    assert found.aupro == pytest.approx(known.aupro, abs=0.002)
    auroc = roc_auc_score(values["defective"], values["scores"])
    assert capsys.readouterr().out.startswith(str(auroc)[:12])
