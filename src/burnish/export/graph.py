"""The whole inspection as one traceable module: raw pixels in; score, verdict and map out.

Shapes: H x W the camera's image, h x w the model's input, C channels, S mask scales.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from burnish.detection.model_file import Model, ModelCard
from burnish.export.resampling import down_first, resize_levels, resize_map
from burnish.export.turning import Turn, find_turn, put_back, turned_view
from burnish.export.view import ViewGraph
from burnish.images.roi import fit_roi

# See `tolerance_of`; runtimes sum in another order.
TOLERANCE, TURNED_TOLERANCE = 1e-4, 1e-3
LUMA = (19595, 38470, 7471)  # ITU-R 601 in 16 bits, as Pillow has it


class Outputs(NamedTuple):
    """What a graph returns, in this order and under these names.

    Attributes:
        score: float32 (), raw image score.
        is_defect: bool (), score above the threshold.
        p_value: float32 (), conformal, in (0, 1].
        anomaly_map: float32 (H, W).
        reconstruction: uint8 (H, W), or (H, W, 3) of a model of colour images.
        scale: int64 (), index of the mask scale that stands out.
        scale_scores: float32 (M,), the score that each error map (`Scorer.errors`) alone would
            give; last, where it is compared, that of the surface as a whole.
        model_map: float32 (h, w), the anomaly map at the model's size.
    """

    score: Tensor
    is_defect: Tensor
    p_value: Tensor
    anomaly_map: Tensor
    reconstruction: Tensor
    scale: Tensor
    scale_scores: Tensor
    model_map: Tensor


def tolerance_of(card: ModelCard) -> float:
    """Share of the threshold that scores of a float32 export may differ by.

    If parts are turned, rounding of their direction may change a few grey levels.
    """
    return TURNED_TOLERANCE if card.alignment is not None else TOLERANCE


def least_size(card: ModelCard) -> int:
    """Least side of the images that a graph takes, px.

    Graphs of models that inspect tiles can fill up tiles of images that are smaller. That takes
    time, so they only do if a training image was smaller (or may have been, in older files), or if
    there is a region of interest anyway.
    """
    tile = card.settings.tile
    if tile == "full" or card.settings.roi or min(card.data.get("smallest", (0,))) < tile:
        return 1
    return tile


class Seen(NamedTuple):
    """`Outputs` without the verdict; the reconstruction is float32 (C, H, W), whole grey levels."""

    score: Tensor
    anomaly_map: Tensor
    levels: Tensor
    scale: Tensor
    alone: Tensor
    model_map: Tensor


class InspectionGraph(nn.Module):
    """`Detector.inspect` of decoded pixels, for images of any size.

    `forward` takes uint8 (H, W, 1) or (H, W, 3), grey or RGB, whichever the model was trained on.
    Only for models that see the whole image (tile=full); the others have a `TiledGraph`.
    """

    threshold: Tensor
    scores: Tensor
    weights: Tensor
    luma: Tensor
    first: Tensor
    noughts: Tensor
    colours: Tensor
    # Set only with a region of interest; `inside` is at the model's size.
    roi: Tensor
    inside: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        card, shape = model.card, model.card.shape
        self.view = ViewGraph(model)
        self.settings, self.shape, self.alignment = card.settings, shape, card.alignment
        self.down_first = down_first()
        self.has_roi = model.roi is not None
        if model.roi is not None:
            roi = torch.from_numpy(model.roi.astype(np.float32) * 255)[None]
            self.register_buffer("roi", roi)
            if card.settings.tile == "full":
                inside = fit_roi(model.roi, shape.height, shape.width)
                self.register_buffer("inside", torch.from_numpy(np.array(inside)))
        calibration = card.calibration
        self.register_buffer("threshold", torch.tensor(calibration.threshold))
        self.register_buffer("scores", torch.tensor(calibration.scores))
        weights = calibration.score_weights or [1.0] * len(calibration.scores)
        self.register_buffer("weights", torch.tensor(weights))
        self.parts = sum(weights)
        self.register_buffer("luma", torch.tensor(LUMA, dtype=torch.float32))
        self.register_buffer("first", torch.tensor([1.0, 0.0, 0.0]))
        self.register_buffer("noughts", torch.zeros(3))
        self.register_buffer("colours", torch.arange(3))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        seen = self.inspect(self._to_channels(pixels.float()))
        exceed = ((self.scores >= seen.score) * self.weights).sum()
        levels = seen.levels
        channels_last = levels[0] if self.shape.channels == 1 else levels.permute(1, 2, 0)
        return (
            seen.score,
            seen.score > self.threshold,
            (1 + exceed) / (1 + self.parts),
            seen.anomaly_map,
            channels_last.to(torch.uint8),
            seen.scale,
            seen.alone,
            seen.model_map,
        )

    def inspect(self, image: Tensor) -> Seen:
        """Inspect an image, float32 (C, H, W) in grey levels."""
        shape = self.shape
        height, width = image.shape[1:]
        turn = seen = None
        if self.alignment is None:
            small = resize_levels(image, shape.height, shape.width, self.down_first)
        else:
            small, seen, turn = self._turned(image)
        inside = self.inside if self.has_roi else None
        found = functional_call(self.view, self.view.stretched(), (small, inside, seen))
        model_map, levels = found.anomaly_map, found.levels.round()
        coldest = lowest(model_map, inside)
        if inside is not None:
            model_map = torch.where(inside, model_map, coldest)
            levels = torch.where(inside, levels, small)
        if turn is None:
            anomaly_map = resize_map(model_map, height, width)
            levels = resize_levels(levels, height, width, False)
        else:
            anomaly_map, levels = self._put_back(model_map, levels, image, turn, coldest)
        if self.has_roi:
            region = self.region(height, width)
            anomaly_map = torch.where(region, anomaly_map, coldest)
            levels = torch.where(region, levels, image)
        return Seen(found.score, anomaly_map, levels, found.scale, found.alone, model_map)

    def region(self, height: int, width: int) -> Tensor:
        """The region of interest at the size of an image, bool (H, W)."""
        return resize_levels(self.roi, height, width, False)[0] == 255

    def _turned(self, image: Tensor) -> tuple[Tensor, Tensor | None, Turn]:
        """`turned_view` of the part, and the part's pose."""
        assert self.alignment is not None
        colours = self.shape.channels
        if colours > 1:
            image = torch.cat([image, self._luma(image.permute(1, 2, 0))])
        large = resize_levels(image, *self.alignment.enlarged, self.down_first)
        turn = find_turn(large[-1:], self.alignment, self.down_first)
        return *turned_view(large[:colours], turn, self.alignment), turn

    def _put_back(
        self, model_map: Tensor, levels: Tensor, image: Tensor, turn: Turn, coldest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Map and reconstruction as they lie on the image (C, H, W)."""
        assert self.alignment is not None
        maps = torch.cat([model_map[None], levels])
        back, weight = put_back(maps, turn, self.alignment, *image.shape[1:])
        painted = torch.floor(back[1:] * weight + image * (1 - weight) + 0.5)
        return back[0] * weight + coldest * (1 - weight), painted

    def _to_channels(self, pixels: Tensor) -> Tensor:
        """float32 (H, W, 1 or 3) -> (C, H, W), as the reader does it."""
        channels = pixels.shape[2]
        if self.shape.channels == 1:
            return self._luma(pixels)
        # 0, but fails for more than 3 channels, as `_luma` does: other orders of dimensions have
        # them. A part of one pixel, as memory for the whole would be needed otherwise.
        nothing = (pixels[0, 0] * self.noughts[:channels]).sum().to(torch.int64)
        chosen = self.colours.clamp(max=channels - 1) + nothing
        return pixels.permute(2, 0, 1).index_select(0, chosen)

    def _luma(self, pixels: Tensor) -> Tensor:
        """float32 (H, W, 1 or 3) -> (1, H, W)."""
        channels = pixels.shape[2]
        weights = self.luma[:channels]  # the one channel of a grey image gets all the weight
        weights = weights + self.first[:channels] * (65536 - weights.sum())
        return torch.floor(((pixels * weights).sum(dim=2) + 32768) / 65536)[None]


def lowest(anomaly_map: Tensor, inside: Tensor | None) -> Tensor:
    """The lowest value of a map (H, W) inside the region, ()."""
    if inside is not None:
        anomaly_map = anomaly_map.masked_fill(~inside, torch.inf)
    return anomaly_map.flatten().amin(dim=0)
