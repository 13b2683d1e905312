"""The scorer: from the pixels of one view (an image or a tile) to its anomaly map and score."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from burnish.detection.view import View, hidden_outside, inside_of, seen_of, to_tensor
from burnish.method.extremes import Extremes, against_extremes
from burnish.method.features import FeatureModel, feature_map
from burnish.method.generator import Generator
from burnish.method.lines import LineModel, all_line_maps
from burnish.method.masks import complementary_masks
from burnish.method.reconstruction import reconstruct, reconstruct_levelled
from burnish.method.scoring import (
    best_scale,
    choose_score,
    cold_unseen,
    error_maps,
    fuse,
    image_score,
    where_seen,
    with_whole,
)
from burnish.method.texture import TextureModel
from burnish.method.whole import WholeModel, texture_evidence
from burnish.settings import Settings
from burnish.training.replay import Replay


@contextmanager
def tensor_cores(device: torch.device) -> Iterator[None]:
    """Use TF32 for float32 matrix products on a CUDA device, where it is several times as fast."""
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclass(frozen=True)
class Scored:
    """A scored view.

    Attributes:
        scale: index of the mask scale that is shown.
        scale_scores: the score that each map (`Scorer.errors`) alone would give; last, if it is
            compared, that of the surface as a whole.
        anomaly_map: (H, W); its lowest value outside the region of interest, and where the view
            is not judged.
        reconstruction: (C, H, W) in [-1, 1]; the view itself outside the region.
    """

    score: float
    scale: int
    scale_scores: tuple[float, ...]
    anomaly_map: Tensor
    reconstruction: Tensor


class Evidence(NamedTuple):
    """The evidence against images.

    Attributes:
        errors: error maps (B, M, H, W).
        reconstructions: (B, S, C, H, W) in [-1, 1].
        whole: `whole.whole_distance` (B,), or None.
    """

    errors: Tensor
    reconstructions: Tensor
    whole: Tensor | None


class Scorer:
    """The generator with its masks; float32, one view at a time, so that scores never depend on
    what else is in a batch.

    Args:
        position: mean and standard deviation (S, H, W) of the error at every scale and pixel,
            see `learning.learn_positions`; None leaves the error maps as they are.
        textures: of good parts, see `learning_textures.learn_textures`; one or two more maps each.
        lines: of good parts, see `learning_lines.learn_lines`; one more map each.
        whole: the surface of good parts as a whole, see `learning_textures.learn_textures`; no map,
            but mu and sigma have one value more for it.
        features: of good parts, see `learning.learn_features`; one more map. M is the number of all
            maps.
        extremes: how high each map gets on good parts, see `learning.learn_extremes`; maps
            are compared with that.
    """

    def __init__(
        self,
        generator: Generator,
        settings: Settings,
        device: torch.device,
        position: tuple[Tensor, Tensor] | None = None,
        textures: Sequence[TextureModel] = (),
        lines: Sequence[LineModel] = (),
        features: FeatureModel | None = None,
        whole: WholeModel | None = None,
        extremes: Extremes | None = None,
    ) -> None:
        self.generator = generator.to(device).float().eval()
        self.settings = settings
        self.device = device
        self.shape = shape = generator.shape
        self.position: tuple[Tensor, Tensor] | None = None
        if position is not None:
            self.position = (position[0].to(device), position[1].to(device))
        self.units: tuple[list[float], list[float]] | None = None
        """mu and sigma of maps in units, once learnt; a loaded model's are in its calibration."""
        self.use_textures(textures)
        self.use_lines(lines)
        self.use_features(features)
        self.use_whole(whole)
        self.use_extremes(extremes)
        self.masks = complementary_masks(shape.height, shape.width, settings.mask_blocks).to(device)
        self._replays: dict[str, Replay[tuple[Any, ...]]] = {}
        self._known: tuple[object, ...] = ()  # the objects that the graphs were captured with
        self._turn = threading.Lock()  # two threads must not share a graph's tensors

    def use_textures(self, textures: Sequence[TextureModel]) -> None:
        """Set the texture models, one for each of `Settings.textures`, or none."""
        self.learnt = tuple(textures)
        size = self.shape.height, self.shape.width
        self.textures = [texture.to(self.device).at(*size) for texture in textures]

    def use_lines(self, lines: Sequence[LineModel]) -> None:
        """Set the line models, one for each of `Settings.lines`, or none."""
        self.learnt_lines = tuple(lines)
        size = self.shape.height, self.shape.width
        self.lines = [line.to(self.device).at(*size) for line in lines]

    def use_features(self, features: FeatureModel | None) -> None:
        """Set or clear the model of pretrained features."""
        self.features = None if features is None else features.to(self.device)

    def use_whole(self, whole: WholeModel | None) -> None:
        """Set or clear the model of the surface as a whole."""
        self.whole = None if whole is None else whole.to(self.device)

    def use_extremes(self, extremes: Extremes | None) -> None:
        """Set or clear the extremes that all maps are compared with."""
        self.learnt_extremes = extremes
        size = self.shape.height, self.shape.width
        self.extremes = None if extremes is None else extremes.to(self.device).at(*size)

    @property
    def maps(self) -> int:
        """How many error maps there are."""
        textures = sum(len(texture.precision) for texture in self.textures)
        return len(self.masks) + textures + len(self.lines) + (self.features is not None)

    @torch.inference_mode()
    def errors(self, view: View) -> Evidence:
        """The evidence against one view (B = 1).

        The error maps of the mask scales are standardised by position if the positions are known;
        then come those of texture, lines and features; and all are compared with their extremes.
        """
        images, inside = to_tensor(view.pixels[None], self.device), inside_of(view, self.device)
        return Evidence(*self._replayed(self.errors_of, images, inside))

    @torch.inference_mode()
    def evidence(self, view: View) -> Evidence:
        """`errors`, where pixels that are not seen count neither way: what is scored."""
        found, seen = self.errors(view), seen_of(view, self.device)
        return found if seen is None else found._replace(errors=where_seen(found.errors, seen))

    @torch.inference_mode()
    def errors_of(self, images: Tensor, inside: Tensor | None = None) -> Evidence:
        """`errors` of a batch: images (B, C, H, W) in [-1, 1], region bool (H, W)."""
        images, painted = self.painted_of(images, inside)
        errors = error_maps(images, painted, self.settings.error, self.settings.smoothing, inside)
        whole = None
        if self.position is not None:
            mean, deviation = self.position
            errors = (errors - mean) / deviation
        if self.textures:
            more, whole = texture_evidence(images, painted, self.textures, self.whole, inside)
            errors = torch.cat([errors, more], dim=1)
        if self.lines:
            more = all_line_maps(images, painted, self.lines, inside)
            errors = torch.cat([errors, more], dim=1)
        if self.features is not None:
            errors = torch.cat([errors, feature_map(images, self.features, inside)], dim=1)
        if self.extremes is not None:
            errors = against_extremes(errors, self.extremes)
        return Evidence(errors, painted, whole)

    def painted_of(self, images: Tensor, inside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images with 0 outside the region, and their reconstructions (B, S, C, H, W)."""
        images = hidden_outside(images, inside)
        with tensor_cores(self.device):
            if self.settings.level_light:
                return images, reconstruct_levelled(self.generator, images, self.masks, inside)
            return images, reconstruct(self.generator, images, self.masks)

    @torch.inference_mode()
    def score(self, view: View, mu: Tensor, sigma: Tensor) -> Scored:
        """Score one view against the references mu and sigma (M,), with `whole` (M + 1,)."""
        images, inside = to_tensor(view.pixels[None], self.device), inside_of(view, self.device)
        seen = seen_of(view, self.device)
        numbers, anomaly, painted = self._replayed(self._judged, images, inside, mu, sigma, seen)
        score, scale, *alone = numbers.tolist()
        if inside is not None:
            anomaly = torch.where(inside, anomaly, anomaly[inside].min())
            painted = torch.where(inside, painted, images[0])
        return Scored(score, int(scale), tuple(alone), anomaly, painted)

    def _judged(
        self,
        images: Tensor,
        inside: Tensor | None,
        mu: Tensor,
        sigma: Tensor,
        seen: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """Judge one image: (score, mask scale, each map's score), (2 + M,); map; reconstruction."""
        s = self.settings
        errors, painted, whole = self.errors_of(images, inside)
        if seen is not None:
            errors = where_seen(errors, seen)
        if whole is not None:
            whole = (whole - mu[-1]) / sigma[-1]
        mu, sigma = mu[: self.maps], sigma[: self.maps]
        anomaly_map = fuse(errors, mu, sigma, s.fusion, inside)
        alone = image_score(
            ((errors - mu[:, None, None]) / sigma[:, None, None])[0],
            s.reduction, s.top_share, inside,
        )  # fmt: skip
        score = choose_score(
            lambda: image_score(anomaly_map, s.reduction, s.top_share, inside),
            alone[None],
            s.fusion,
        )
        if seen is not None:
            anomaly_map = cold_unseen(anomaly_map, seen)
        scale = best_scale(errors, alone, mu, s.fusion, len(self.masks), inside)
        if whole is not None:
            score, alone = with_whole(score, whole), torch.cat([alone, whole])
        chosen = painted[0].index_select(0, scale.view(1))[0]
        numbers = torch.cat([score.view(1), scale.view(1).to(score), alone])
        return numbers, anomaly_map[0], chosen

    def _replayed(
        self, work: Callable[..., tuple[Any, ...]], images: Tensor, inside: Tensor | None,
        *more: Tensor | None,
    ) -> tuple[Any, ...]:  # fmt: skip
        """Call `work` in float32, in a caller's autocast too; on a GPU, unless there is a region,
        replay it as one CUDA graph."""
        with torch.autocast(self.device.type, enabled=False):
            if self.device.type != "cuda" or inside is not None:
                return work(images, inside, *more)
            return self._as_graph(work, images, inside, *more)

    def _as_graph(
        self, work: Callable[..., tuple[Any, ...]], images: Tensor, *more: Tensor | None
    ) -> tuple[Any, ...]:
        # A graph is bound to the tensors it was captured with; a copied scorer captures its own.
        known = (self, self.position, self.textures, self.lines, self.features, self.whole,
                 self.extremes)  # fmt: skip
        with self._turn:
            if len(known) != len(self._known) or any(map(operator.is_not, known, self._known)):
                self._replays, self._known = {}, known
            if work.__name__ not in self._replays:
                self._replays[work.__name__] = Replay(work)
            found = self._replays[work.__name__](images, *more)
            return tuple(None if one is None else one.clone() for one in found)

    def references(self, mu: object, sigma: object) -> tuple[Tensor, Tensor]:
        """mu and sigma as float32 tensors on the device."""
        return (
            torch.tensor(mu, dtype=torch.float32, device=self.device),
            torch.tensor(sigma, dtype=torch.float32, device=self.device),
        )
