"""An inspection: error maps, texture, long lines, score and verdict."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, maximum_filter
from torch.nn import functional as F

from burnish.method.lines import ANGLES, LENGTH, WIDEN, doublings
from burnish.method.scoring import ORDINARY

from .networks import generate
from .training import brightness, load

blur = partial(gaussian_filter, mode="reflect")


def describe(left, grain):
    """Descriptors (K, H, W) of a residual: three bands, their energy, the structure tensor."""
    found = []
    for inner, outer in ((0, 1), (1, 2), (2, 4)):
        fine = blur(left, inner * grain) if inner else left
        band = fine - blur(left, outer * grain)
        found += [band, np.log(blur(np.abs(band), 2 * grain) + 0.01)]
    smooth = np.pad(blur(left, grain), 1, mode="edge")
    down = (smooth[2:, 1:-1] - smooth[:-2, 1:-1]) / 2
    across = (smooth[1:-1, 2:] - smooth[1:-1, :-2]) / 2
    for energy in (down**2, across**2):
        found.append(np.log(blur(energy, 2 * grain) + 1e-4))
    found.append(blur(down * across, 2 * grain))
    return np.stack(found)


def together(found, factors):
    """What ways of differing all over at once explain of descriptors (K, H, W)."""
    size, (count, h, w) = found.shape[1:], factors.mean.shape
    cells = found.reshape(count, h, size[0] // h, w, size[1] // w).mean(axis=(2, 4))
    known, usual = factors.mean.numpy(), factors.deviation.numpy()
    alike = np.clip((cells - known) / usual, -3, 3)
    explained = sum((alike * way).sum() * way for way in factors.ways.numpy()) * usual
    return F.interpolate(torch.from_numpy(explained)[None], size, mode="bilinear")[0].numpy()


def quarters(found):
    """(K, H, W) in four rows of four parts, one after another."""
    return [part for row in np.array_split(found, 4, axis=1)
            for part in np.array_split(row, 4, axis=2)]  # fmt: skip


def long_lines(field, width):
    """Second derivative across a line through each pixel, averaged along it: (D, H, W)."""
    smooth, found = np.pad(blur(field, width), 1, mode="edge"), []
    high, wide = field.shape

    def shifted(values, down, right, border):
        return values[border + down : border + down + high, border + right : border + right + wide]

    across = shifted(smooth, 0, 1, 1) + shifted(smooth, 0, -1, 1) - 2 * shifted(smooth, 0, 0, 1)
    down = shifted(smooth, 1, 0, 1) + shifted(smooth, -1, 0, 1) - 2 * shifted(smooth, 0, 0, 1)
    both = (shifted(smooth, 1, 1, 1) + shifted(smooth, -1, -1, 1)
            - shifted(smooth, 1, -1, 1) - shifted(smooth, -1, 1, 1)) / 4  # fmt: skip
    for angle in ANGLES:
        x, y = math.cos(angle), math.sin(angle)
        curve = np.pad(y * y * across - 2 * x * y * both + x * x * down, LENGTH, mode="edge")
        line = [(0, 0)]
        for right, under in doublings(angle):
            line += [(r + right, u + under) for r, u in line]
        left = min(line)[0] + sum(abs(right) for right, _ in doublings(angle)) // 2
        top = line[-1][1] // 2
        found.append(sum(shifted(curve, u - top, r - left, LENGTH) for r, u in line) / len(line))
    return np.stack(found)


class Inspector:
    """Judges an image with a burnish model's weights and calibration."""

    def __init__(self, detector) -> None:
        model, scorer = detector.model, detector.scorer.scorer
        self.s, self.calibration = detector.card.settings, detector.card.calibration
        self.generator, self.masks = model.generator, scorer.masks
        self.position = (
            None if model.position is None else [p.cpu().numpy() for p in model.position]
        )
        size = self.generator.shape.height, self.generator.shape.width
        self.good = [texture.at(*size) for texture in model.textures]
        self.whole = model.whole
        self.good_lines = [line.at(*size) for line in model.lines]
        self.extremes = None if model.extremes is None else model.extremes.at(*size)

    def textures(self, image, painted):
        """Unusual texture of residual or image: two maps a grain; how unlike the whole is."""
        mean, grey = painted.mean(axis=0), image.mean(axis=0)
        light = np.maximum(blur(grey + 1, 4), 0) + 0.2
        fields = {"residual": [(grey - mean) / (np.maximum(blur(mean + 1, 4), 0) + 0.2)],
                  "image": [(grey + 1) / light]}  # fmt: skip
        if len(image) == 3:
            means = (image + 1).mean(axis=(1, 2))
            red, green, blue = (image + 1) * (means.mean() / means)[:, None, None]
            fields["colour"] = [(red - green) / light, ((red + green) / 2 - blue) / light]
        maps, means = [], []
        for good in self.good:
            each = [describe(field, good.grain) for field in fields[good.of]]
            found = each[0] if len(each) == 1 else np.concatenate([part[:6] for part in each])
            if self.whole is not None and good.of != "colour":
                means.append([part.mean(axis=(1, 2)) for part in quarters(found)])
            z = found - good.mean.numpy()
            if good.factors is not None:
                z = z - together(found, good.factors)
            z = z / good.deviation.numpy()
            for precision in good.precision.numpy():
                far = np.sqrt(np.maximum(np.einsum("ihw,ij,jhw->hw", z, precision, z), 0))
                far = far / (np.minimum(far, far.mean()).mean() + 0.1)
                maps.append(blur(far, good.grain))
        if self.whole is None:
            return maps, None
        means = np.concatenate([np.transpose(cells).ravel() for cells in means])
        alike = (means - self.whole.mean.numpy()) / self.whole.deviation.numpy()
        return maps, math.log(np.linalg.norm(alike @ self.whole.whitening.numpy()))

    def lines(self, image):
        """Unusual long lines of the image, one map a width."""
        field, maps = (image + 1) / (np.maximum(blur(image + 1, 4), 0) + 0.2), []
        for good in self.good_lines:
            z = (long_lines(field, good.width) - good.mean.numpy()) / good.deviation.numpy()
            far = np.abs(z).max(axis=0)
            far = maximum_filter(far / (np.minimum(far, far.mean()).mean() + 0.1), WIDEN)
            maps.append(blur(far, good.width))
        return maps

    def reduced(self, anomaly):
        """A map's image score."""
        values = np.sort(anomaly, axis=None)
        if self.s.reduction == "top":
            return values[-max(1, round(self.s.top_share * values.size)) :].mean()
        return values.mean() if self.s.reduction == "mean" else values[-1]

    @torch.no_grad()
    def inspect(self, path: Path) -> tuple[float, bool, np.ndarray]:
        """Score, verdict, and the anomaly map at the file's size."""
        s, shape, known = self.s, self.generator.shape, self.calibration
        image, size = load(path, shape.channels, shape.height, shape.width)
        seen = image[None].to(self.masks.device)
        lamp = brightness(image) if s.level_light else 1.0
        level, maps, everything = (seen + 1) / lamp - 1, [], []
        for index, (mask, other) in enumerate(self.masks):
            first, _ = generate(self.generator, level.masked_fill(mask, 0), mask)
            second, _ = generate(self.generator, level.masked_fill(other, 0), other)
            painted = ((torch.where(mask, first, second)[0] + 1) * lamp - 1).cpu()
            everything.append(painted.mean(dim=0).numpy())
            error = painted - image
            error = error.square() if s.error == "squared" else error.abs()
            error = error.mean(dim=0).numpy()
            if s.smoothing:
                error = blur(error, s.smoothing)
            if s.error == "relative":
                light = blur(painted.mean(dim=0).numpy(), 4) + 1
                error = error / (np.maximum(light, 0) + 0.2)
                error = error / (np.minimum(error, error.mean()).mean() + 0.02)
            if self.position is not None:
                mean, deviation = self.position
                error = (error - mean[index]) / deviation[index]
            maps.append(error)
        more, whole = self.textures(image.numpy(), np.stack(everything))
        errors = np.stack([*maps, *more, *self.lines(image.mean(dim=0).numpy())])
        if self.extremes is not None:
            errors = (errors - self.extremes.mean.numpy()) / self.extremes.height.numpy()
        mu, sigma = (np.array(v)[: len(errors), None, None] for v in (known.mu, known.sigma))
        if s.fusion == "paper":
            anomaly = errors[(errors - mu).mean(axis=(1, 2)).argmax()]
        else:
            alike = (errors - mu) / sigma
            anomaly = alike.mean(axis=0) if s.fusion == "mean" else alike.max(axis=0)
        judged = alike if s.fusion == "highest" else [anomaly]
        score = max(self.reduced(one) for one in judged)
        if whole is not None:
            score += max((whole - known.mu[-1]) / known.sigma[-1] - ORDINARY, 0)
        full = Image.fromarray(anomaly.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
        return float(score), bool(score > known.threshold), np.asarray(full)
