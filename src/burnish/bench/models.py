"""Model files of any format side by side: size, agreement, AUROC and ms, on the same images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from burnish.bench.clock import percentile
from burnish.bench.record import FormatFigures, Quantiles
from burnish.detection.detector import Detector
from burnish.detection.run_folder import model_bytes
from burnish.errors import BurnishError
from burnish.evaluation.metrics import image_auroc
from burnish.images.dataset import GOOD, expand_paths, find_test_images

WARM_UP = 2  # images


def labelled(data: Path) -> tuple[list[Path], list[bool] | None]:
    """The test images of an MVTec AD layout and whether each is defective; else all images of a
    folder, without labels.

    Raises:
        BurnishError: there is no image.
    """
    if (data / "test").is_dir():
        images = find_test_images(data)
        return [image.path for image in images], [image.kind != GOOD for image in images]
    files, problems = expand_paths([data])
    if not files:
        raise BurnishError("nothing to measure on: " + "; ".join(problems.values()))
    return files, None


def compare_models(
    models: Sequence[Path],
    files: Sequence[Path],
    defective: Sequence[bool] | None,
    left_out: Callable[[str], None] = lambda problem: None,
) -> list[FormatFigures]:
    """Every model judges every image, in turns image by image; the first one is the reference.

    Args:
        left_out: called with the problem of each image that not every model can judge.

    Raises:
        BurnishError: a model cannot be read, or no image can.
    """
    detectors = [Detector.load(path) for path in models]
    judged: dict[int, list[tuple[float, bool, float]]] = {}
    for index, file in enumerate(files):
        try:
            if len(judged) < WARM_UP:
                for detector in detectors:
                    detector.inspect(file)
            judged[index] = [_judge(detector, file) for detector in detectors]
        except BurnishError as error:
            left_out(str(error))
    if not judged:
        raise BurnishError("none of the images can be judged")
    columns = np.array(list(judged.values())).transpose(2, 1, 0)  # of models, then images
    scores, verdicts, spent = columns[0], columns[1].astype(np.bool_), columns[2]
    if defective is not None:
        defective = [defective[index] for index in judged]
    return [
        FormatFigures(
            path=str(path),
            device=detector.device,
            size_mib=model_bytes(path) / 2**20,
            ms=Quantiles(percentile(ms.tolist(), 0.5), percentile(ms.tolist(), 0.99)),
            images_per_second=1000 / percentile(ms.tolist(), 0.5),
            score_difference=float(np.abs(own - scores[0]).max()),
            verdicts_differ=int((called != verdicts[0]).sum()),
            image_auroc=None if defective is None else image_auroc(own, defective),
            images=len(judged),
        )
        for path, detector, ms, own, called in zip(
            models, detectors, spent, scores, verdicts, strict=True
        )
    ]


def _judge(detector: Detector, file: Path) -> tuple[float, bool, float]:
    """Score, verdict and ms."""
    start = time.perf_counter()
    result = detector.inspect(file)
    return result.score, result.is_defect, 1000 * (time.perf_counter() - start)
