"""`Scorer.score` as a traceable module: judges one view, an image at the model's size or a tile.

Shapes: h x w the view, C channels, M maps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from burnish.detection.model_file import Model
from burnish.method.cells import ByCells
from burnish.method.extremes import against_extremes
from burnish.method.features import feature_map
from burnish.method.lines import all_line_maps
from burnish.method.masks import complementary_masks
from burnish.method.movable import Movable
from burnish.method.reconstruction import reconstruct, reconstruct_levelled
from burnish.method.scoring import (
    best_scale,
    choose_score,
    cold_unseen,
    error_maps,
    fuse,
    image_score,
    region_mean,
    where_seen,
    with_whole,
)
from burnish.method.whole import texture_evidence

Learnt = TypeVar("Learnt", bound=Movable)


class Judged(NamedTuple):
    """The result of one view.

    Attributes:
        score: float32 (), raw; meaningless if the region has no pixel in the view.
        scale: int64 (), index of the mask scale that stands out.
        alone: float32 (M,), the score that each map alone would give, and last, where it is
            compared, that of the surface as a whole.
        anomaly_map: float32 (h, w); meaningless outside the region.
        levels: float32 (C, h, w), the reconstruction in grey levels, not rounded yet.
    """

    score: Tensor
    scale: Tensor
    alone: Tensor
    anomaly_map: Tensor
    levels: Tensor


class ViewGraph(nn.Module):
    """The networks and the models of good parts.

    Models by cells stay so, as in the model file: by pixel they would be 16 times as large.
    `forward` needs them stretched, see `stretched`.
    """

    masks: Tensor
    mu: Tensor
    sigma: Tensor
    # Set only with regions, standardise=position, hidden_tokens=drop.
    counts: Tensor
    mean: Tensor
    deviation: Tensor
    kept: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        card, shape = model.card, model.card.shape
        self.generator = copy.deepcopy(model.generator).cpu().float().eval()
        self.settings, self.shape = card.settings, shape
        masks = complementary_masks(shape.height, shape.width, card.settings.mask_blocks)
        self.register_buffer("masks", masks)
        kept = self.generator.kept(masks.flatten(0, 1))
        if kept is not None:  # computed here, as ONNX has no stable sort
            self.register_buffer("kept", kept)
            self.generator.kept = lambda masks: self.kept  # type: ignore[method-assign]
        self.register_buffer("mu", torch.tensor(card.calibration.mu))
        self.register_buffer("sigma", torch.tensor(card.calibration.sigma))
        if model.roi is not None or card.settings.tile != "full":
            counts = share_counts(shape.height * shape.width, card.settings.top_share)
            self.register_buffer("counts", counts)
        self.has_position = model.position is not None
        if model.position is not None:
            self.register_buffer("mean", model.position[0].cpu().float())
            self.register_buffer("deviation", model.position[1].cpu().float())
        self._by_cells: dict[str, Callable[[], ByCells]] = {}
        self.textures = [self._hold(one, f"texture{n}") for n, one in enumerate(model.textures)]
        self.lines = [self._hold(one, f"line{n}") for n, one in enumerate(model.lines)]
        self.extremes = None if model.extremes is None else self._hold(model.extremes, "extremes")
        self.whole = None if model.whole is None else self._hold(model.whole, "whole")
        self.features = None
        if model.features is not None:
            self.backbone = copy.deepcopy(model.features.backbone).cpu()
            known = replace(model.features, backbone=self.backbone)
            self.features = self._hold(known, "feature")

    def _hold(self, learnt: Learnt, name: str) -> Callable[[], Learnt]:
        """Register a model's tensors as buffers; returns a function that puts it together again."""
        parts: dict[str, Callable[[], object]] = {}
        for field in fields(learnt):
            value, own = getattr(learnt, field.name), f"{name}_{field.name}"
            if isinstance(value, Tensor):
                self.register_buffer(own, value.cpu())
                parts[field.name] = partial(getattr, self, own)
            elif isinstance(value, Movable):
                parts[field.name] = self._hold(value, own)

        def held() -> Learnt:
            return replace(learnt, **{field: part() for field, part in parts.items()})

        if isinstance(learnt, ByCells):
            self._by_cells[name] = held  # type: ignore[assignment]
        return held

    def stretched(self) -> dict[str, Tensor]:
        """The models by cells, stretched to every pixel, by the names of their buffers: to be
        passed to `forward` by `torch.func.functional_call`."""
        found: dict[str, Tensor] = {}
        for name, held in self._by_cells.items():
            everywhere = held().at(self.shape.height, self.shape.width)
            found |= {f"{name}_{key}": getattr(everywhere, key) for key in everywhere.BY_CELLS}
        return found

    def forward(
        self, levels: Tensor, inside: Tensor | None = None, seen: Tensor | None = None
    ) -> Judged:
        """Judge a view.

        Args:
            levels: float32 (C, h, w), grey levels 0 to 255.
            inside: bool (h, w), the region of interest; None: everything.
            seen: as of `detection.view.seen_of`.
        """
        s = self.settings
        images = (levels / 127.5 - 1)[None]
        if inside is not None:
            images = images.masked_fill(~inside, 0.0)
        if s.level_light:
            painted = reconstruct_levelled(self.generator, images, self.masks, inside)
        else:
            painted = reconstruct(self.generator, images, self.masks)
        errors = error_maps(images, painted, s.error, s.smoothing, inside)
        whole = None
        if self.has_position:
            errors = (errors - self.mean) / self.deviation
        if self.textures:
            compared = None if self.whole is None else self.whole()
            known = [texture() for texture in self.textures]
            more, whole = texture_evidence(images, painted, known, compared, inside)
            errors = torch.cat([errors, more], dim=1)
        if self.lines:
            lines = [line() for line in self.lines]
            errors = torch.cat([errors, all_line_maps(images, painted, lines, inside)], dim=1)
        if self.features is not None:
            errors = torch.cat([errors, feature_map(images, self.features(), inside)], dim=1)
        if self.extremes is not None:
            errors = against_extremes(errors, self.extremes())
        if seen is not None:
            errors = where_seen(errors, seen)
        mu, sigma = self.mu[: errors.shape[1]], self.sigma[: errors.shape[1]]
        fused = fuse(errors, mu, sigma, s.fusion, inside)
        alone = self.reduce(((errors - mu[:, None, None]) / sigma[:, None, None])[0], inside)
        score = choose_score(lambda: self.reduce(fused, inside), alone[None], s.fusion)
        if seen is not None:
            fused = cold_unseen(fused, seen)
        scale = best_scale(errors, alone, mu, s.fusion, len(self.masks), inside)
        if whole is not None:
            whole = (whole - self.mu[-1]) / self.sigma[-1]
            score, alone = with_whole(score, whole), torch.cat([alone, whole])
        # Clamps and maxima of OpenVINO drop NaN: a broken network would have an ordinary score.
        score = score + (painted - painted).sum()
        chosen = painted[0].index_select(0, scale[None])[0]
        return Judged(score[0], scale, alone, fused[0], (chosen.clamp(-1, 1) + 1).mul(127.5))

    def reduce(self, maps: Tensor, inside: Tensor | None) -> Tensor:
        """`image_score` (B,) of maps (B, h, w); the number of pixels inside may be symbolic."""
        s = self.settings
        if inside is None:
            return image_score(maps, s.reduction, s.top_share)
        if s.reduction == "mean":
            return region_mean(maps, inside)
        pixels = maps.masked_fill(~inside, -torch.inf).flatten(1)
        if s.reduction == "max":
            return pixels.amax(dim=1)
        count = (self.counts <= inside.sum()).sum().clamp_min(1)
        highest = pixels.topk(len(self.counts), dim=1).values
        taken = torch.arange(len(self.counts)) < count
        return torch.where(taken, highest, 0.0).sum(dim=1) / count


def share_counts(pixels: int, share: float) -> Tensor:
    """The least numbers of pixels of which `share`, rounded as by `image_score`, is 1, 2, ..., n;
    int64 (n,), n being that of all pixels."""
    rounded = np.rint(share * np.arange(pixels + 1))
    most = max(1, int(rounded[-1]))
    return torch.from_numpy(np.searchsorted(rounded, np.arange(1, most + 1)))
