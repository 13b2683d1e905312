"""Learn the long lines of good parts: `LineModel`s from training views."""

from __future__ import annotations

import torch

from burnish.detection.gathering import FoldedMoments, Folds, Views
from burnish.detection.scorer import Scorer
from burnish.detection.view import inside_of, network_input
from burnish.method.lines import DIRECTIONS, LineModel, by_cells, line_responses
from burnish.method.mahalanobis import SLACK
from burnish.method.texture import surface


@torch.inference_mode()
def learn_lines(scorer: Scorer, views: Views, folds: Folds) -> list[list[LineModel]]:
    """Models of the line filters on good views, one for each of `Settings.lines`; a list of these
    for each of `Folds.training_sets`."""
    widths, shape = scorer.settings.lines, scorer.shape
    moments = [FoldedMoments(folds, DIRECTIONS, shape.height, shape.width) for _ in widths]
    for number, view in enumerate(views()):
        images, inside = network_input(view, scorer.device)
        field = surface(images, images[:, None], inside)
        for width, moment in zip(widths, moments, strict=True):
            moment.add(
                number, torch.cat(list(line_responses(field, width, inside))), inside_of(view)
            )
    models = [
        [LineModel(width, *by_cells(*found)) for found in moment.results(SLACK)]
        for width, moment in zip(widths, moments, strict=True)
    ]
    return [list(one) for one in zip(*models, strict=True)]
