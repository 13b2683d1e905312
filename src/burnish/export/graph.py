"""All of an inspection as one module: raw pixels in; score, verdict and map out.

Shapes: H x W the camera's image, h x w the model's input, C channels, S mask scales.
"""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from burnish.detection.model_file import Model, ModelCard
from burnish.export.resampling import down_first, resize_levels, resize_map
from burnish.export.turning import Turn, find_turn, put_back, turned_view
from burnish.images.roi import fit_roi
from burnish.method.extremes import Extremes, against_extremes
from burnish.method.factors import Factors
from burnish.method.features import feature_map
from burnish.method.lines import LineModel, all_line_maps
from burnish.method.masks import complementary_masks
from burnish.method.reconstruction import reconstruct
from burnish.method.scoring import best_scale, error_maps, fuse, image_score, judged, with_whole
from burnish.method.texture import TextureModel
from burnish.method.whole import WholeModel, texture_evidence

# See `tolerance_of`; sums are taken in another order.
TOLERANCE, TURNED_TOLERANCE = 1e-4, 1e-3
TEXTURE = ("mean", "deviation", "precision")
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

    Where parts are turned, a last digit of their direction may round a few grey levels otherwise.
    """
    return TURNED_TOLERANCE if card.alignment is not None else TOLERANCE


class InspectionGraph(nn.Module):
    """`Detector.inspect` from the pixels on, for images of any size.

    `forward` takes uint8 (H, W, 1) or (H, W, 3), grey or RGB, whichever the model was trained on.
    Only for models that see the whole image (tile=full).
    """

    masks: Tensor
    mu: Tensor
    sigma: Tensor
    threshold: Tensor
    scores: Tensor
    weights: Tensor
    luma: Tensor
    first: Tensor
    colours: Tensor
    # There only with a region of interest or standardise=position.
    roi: Tensor
    inside: Tensor
    places: Tensor
    mean: Tensor
    deviation: Tensor
    kept: Tensor  # hidden_tokens=drop

    def __init__(self, model: Model) -> None:
        super().__init__()
        card, shape = model.card, model.card.shape
        self.generator = copy.deepcopy(model.generator).cpu().float().eval()
        self.settings, self.shape, self.alignment = card.settings, shape, card.alignment
        self.down_first = down_first()
        calibration = card.calibration
        masks = complementary_masks(shape.height, shape.width, card.settings.mask_blocks)
        inside = None
        if model.roi is not None:
            inside = fit_roi(model.roi, shape.height, shape.width)
            roi = torch.from_numpy(model.roi.astype(np.float32) * 255)[None]
            self.register_buffer("roi", roi)
            self.register_buffer("inside", torch.from_numpy(np.array(inside)))
            self.register_buffer("places", torch.from_numpy(np.flatnonzero(inside)))
        self.has_roi = inside is not None
        self.has_position = model.position is not None
        if model.position is not None:
            self.register_buffer("mean", model.position[0].cpu().float())
            self.register_buffer("deviation", model.position[1].cpu().float())
        self.textures = card.settings.textures
        # By cells, as in the model file: by pixel, stretched here, they are 16 times as large.
        for number, texture in enumerate(model.textures):
            for name in TEXTURE:
                self.register_buffer(f"{name}{number}", getattr(texture, name).cpu())
            if texture.factors is not None:
                for name, values in vars(texture.factors).items():
                    self.register_buffer(f"factor_{name}{number}", values.cpu())
        self.lines = card.settings.lines
        for line in model.lines:
            self.register_buffer(f"line_mean{line.width}", line.mean.cpu())
            self.register_buffer(f"line_deviation{line.width}", line.deviation.cpu())
        self.has_whole = model.whole is not None
        if model.whole is not None:
            for name, values in vars(model.whole).items():
                self.register_buffer(f"whole_{name}", values.cpu())
        self.has_extremes = model.extremes is not None
        if model.extremes is not None:
            for name, values in vars(model.extremes).items():
                self.register_buffer(f"extreme_{name}", values.cpu())
        self.features = None
        if model.features is not None:
            self.features = copy.deepcopy(model.features).to(torch.device("cpu"))
            self.backbone = self.features.backbone
        self.register_buffer("masks", masks)
        kept = self.generator.kept(masks.flatten(0, 1))
        if kept is not None:  # sorted once, here: ONNX has no stable sort
            self.register_buffer("kept", kept)
            self.generator.kept = lambda masks: self.kept  # type: ignore[method-assign]
        self.register_buffer("mu", torch.tensor(calibration.mu))
        self.register_buffer("sigma", torch.tensor(calibration.sigma))
        self.register_buffer("threshold", torch.tensor(calibration.threshold))
        self.register_buffer("scores", torch.tensor(calibration.scores))
        weights = calibration.score_weights or [1.0] * len(calibration.scores)
        self.register_buffer("weights", torch.tensor(weights))
        self.parts = sum(weights)
        self.register_buffer("luma", torch.tensor(LUMA, dtype=torch.float32))
        self.register_buffer("first", torch.tensor([1.0, 0.0, 0.0]))
        self.register_buffer("colours", torch.arange(3))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        s, shape = self.settings, self.shape
        height, width, _ = pixels.shape
        image = self._to_channels(pixels.float())
        turn = None
        if self.alignment is None:
            small = resize_levels(image, shape.height, shape.width, self.down_first)
        else:
            small, turn = self._turned(image)
        seen = (small / 127.5 - 1)[None]
        inside = self.inside if self.has_roi else None
        if inside is not None:
            seen = seen.masked_fill(~inside, 0.0)
        painted = reconstruct(self.generator, seen, self.masks)
        errors = error_maps(seen, painted, s.error, s.smoothing, inside)
        whole = None
        if self.has_position:
            errors = (errors - self.mean) / self.deviation
        if self.textures:
            compared = self._whole() if self.has_whole else None
            more, whole = texture_evidence(seen, painted, self._textures(), compared, inside)
            errors = torch.cat([errors, more], dim=1)
        if self.lines:
            errors = torch.cat([errors, all_line_maps(seen, painted, self._lines(), inside)], dim=1)
        if self.features is not None:
            errors = torch.cat([errors, feature_map(seen, self.features, inside)], dim=1)
        if self.has_extremes:
            known = (getattr(self, f"extreme_{field.name}") for field in fields(Extremes))
            errors = against_extremes(errors, Extremes(*known).at(shape.height, shape.width))
        mu, sigma = self.mu[: errors.shape[1]], self.sigma[: errors.shape[1]]
        fused = fuse(errors, mu, sigma, s.fusion, inside)
        alone = self._reduce(((errors - mu[:, None, None]) / sigma[:, None, None])[0])
        score = judged(lambda: self._reduce(fused), alone[None], s.fusion)
        scale = best_scale(errors, alone, mu, s.fusion, len(self.masks), inside)[None]
        if whole is not None:
            whole = (whole - self.mu[-1]) / self.sigma[-1]
            score, alone = with_whole(score, whole), torch.cat([alone, whole])
        score = score[0]
        exceed = ((self.scores >= score) * self.weights).sum()
        model_map = fused[0]
        levels = (painted[0].index_select(0, scale)[0].clamp(-1, 1) + 1).mul(127.5).round()
        coldest = self._pixels(fused).amin(dim=1)[0]
        if inside is not None:
            model_map = torch.where(inside, model_map, coldest)
            levels = torch.where(inside, levels, small)
        if turn is None:
            anomaly_map = resize_map(model_map, height, width)
            levels = resize_levels(levels, height, width, False)
        else:
            anomaly_map, levels = self._put_back(model_map, levels, image, turn, coldest)
        if self.has_roi:
            region = resize_levels(self.roi, height, width, False)[0] == 255
            anomaly_map = torch.where(region, anomaly_map, coldest)
            levels = torch.where(region, levels, image)
        channels_last = levels[0] if shape.channels == 1 else levels.permute(1, 2, 0)
        return (
            score,
            score > self.threshold,
            (1 + exceed) / (1 + self.parts),
            anomaly_map,
            channels_last.to(torch.uint8),
            scale[0],
            alone,
            model_map,
        )

    def _turned(self, image: Tensor) -> tuple[Tensor, Turn]:
        """The view of the part, float32 (C, h, w) in grey levels, and how the part lies."""
        assert self.alignment is not None
        colours = self.shape.channels
        if colours > 1:
            image = torch.cat([image, self._luma(image.permute(1, 2, 0))])
        large = resize_levels(image, *self.alignment.enlarged, self.down_first)
        turn = find_turn(large[-1:], self.alignment, self.down_first)
        return turned_view(large[:colours], turn, self.alignment), turn

    def _put_back(
        self, model_map: Tensor, levels: Tensor, image: Tensor, turn: Turn, coldest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Map and reconstruction as they lie on the image (C, H, W)."""
        assert self.alignment is not None
        maps = torch.cat([model_map[None], levels])
        back, weight = put_back(maps, turn, self.alignment, *image.shape[1:])
        painted = torch.floor(back[1:] * weight + image * (1 - weight) + 0.5)
        return back[0] * weight + coldest * (1 - weight), painted

    def _textures(self) -> list[TextureModel]:
        found = []
        for number, (of, grain) in enumerate(self.textures):
            mean, deviation, precision = (getattr(self, f"{name}{number}") for name in TEXTURE)
            factors = None
            if hasattr(self, f"factor_ways{number}"):
                known = (getattr(self, f"factor_{f.name}{number}") for f in fields(Factors))
                factors = Factors(*known)
            texture = TextureModel(grain, mean, deviation, precision, of, factors)
            found.append(texture.at(self.shape.height, self.shape.width))
        return found

    def _lines(self) -> list[LineModel]:
        by_cells = (
            LineModel(w, getattr(self, f"line_mean{w}"), getattr(self, f"line_deviation{w}"))
            for w in self.lines
        )
        return [line.at(self.shape.height, self.shape.width) for line in by_cells]

    def _whole(self) -> WholeModel:
        return WholeModel(*(getattr(self, f"whole_{field.name}") for field in fields(WholeModel)))

    def _to_channels(self, pixels: Tensor) -> Tensor:
        """float32 (H, W, 1 or 3) -> (C, H, W), as the reader does it."""
        channels = pixels.shape[2]
        if self.shape.channels == 1:
            return self._luma(pixels)
        return pixels.permute(2, 0, 1).index_select(0, self.colours.clamp(max=channels - 1))

    def _luma(self, pixels: Tensor) -> Tensor:
        """float32 (H, W, 1 or 3) -> (1, H, W)."""
        channels = pixels.shape[2]
        weights = self.luma[:channels]  # a grey image gets all the weight in its one channel
        weights = weights + self.first[:channels] * (65536 - weights.sum())
        return torch.floor(((pixels * weights).sum(dim=2) + 32768) / 65536)[None]

    def _pixels(self, maps: Tensor) -> Tensor:
        """(B, h, w) -> (B, n): those inside the region."""
        flat = maps.flatten(1)
        return flat.index_select(1, self.places) if self.has_roi else flat

    def _reduce(self, maps: Tensor) -> Tensor:
        """(B, h, w) -> (B,)."""
        s = self.settings
        return image_score(self._pixels(maps)[:, None], s.reduction, s.top_share)
