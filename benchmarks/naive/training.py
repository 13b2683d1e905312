"""A training step: the same images, losses and updates as burnish's."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.optim import AdamW

from .networks import discriminate, encode, generate, kept_patches


def ssim(x, y):
    taps = torch.exp(-0.5 * (torch.arange(-5.0, 6.0) / 1.5) ** 2)
    window = (torch.outer(taps, taps) / taps.sum() ** 2).to(x.device)
    window, channels = window.expand(x.shape[1], 1, 11, 11), x.shape[1]
    mx, my, xx, yy, xy = (F.conv2d(t, window, groups=channels) for t in (x, y, x * x, y * y, x * y))
    c1, c2 = 0.02**2, 0.06**2
    above = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    return (above / ((mx**2 + my**2 + c1) * (xx - mx**2 + yy - my**2 + c2))).mean()


def gradient(x, y):
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    kernels = torch.stack([sobel, sobel.T])[:, None].to(x.device)
    (gx, gy) = (F.conv2d(t.flatten(0, 1)[:, None], kernels) for t in (x, y))
    return 2 * (gx - gy).abs().mean()


def distance(a, b):
    return ((a - b).square().mean(dim=-1) + 1e-12).sqrt().mean()


def load(path, channels, height, width):
    """Decode and resize one image: float32 (C, H, W) in [-1, 1], and the file's pixels."""
    image = Image.open(path).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    array = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(array.copy()).float() / 127.5 - 1, image.size


def brightness(image):
    """Mean brightness of an image (C, H, W), in [.05, 2]."""
    return (image.mean() + 1).clamp(min=0.05)


class Trainer:
    """Trains copies of a burnish trainer's networks on the same images in the same order."""

    def __init__(self, trainer, paths: list[Path]) -> None:
        self.s, self.paths, self.shape = trainer.settings, paths, trainer.samples.shape
        self.networks = {k: copy.deepcopy(v).requires_grad_() for k, v in trainer.networks.items()}
        self.masks, self.total, self.step = trainer.masks, trainer.total_steps, 0
        learners = [self.networks[k] for k in ("generator", "encoder") if k in self.networks]
        self.adam_g = self.adam([p for net in learners for p in net.parameters()])
        if "discriminator" in self.networks:
            self.adam_d = self.adam(self.networks["discriminator"].parameters())

    def adam(self, parameters):
        s = self.s
        return AdamW(parameters, betas=(s.beta1, s.beta2), weight_decay=s.weight_decay)

    def batch(self):
        s, size = self.s, min(self.s.batch, len(self.paths))
        epoch, place = divmod(self.step, len(self.paths) // size)
        order = np.random.default_rng((s.seed, 0, epoch)).permutation(len(self.paths))
        rng = np.random.default_rng((s.seed, 1, self.step))
        scale, images = int(rng.integers(len(self.masks))), []
        mirrors = rng.random((size, 2)) < 0.5
        lamp = rng.uniform(-1, 1, (2, size)).astype(np.float32) * s.jitter
        chosen = order[place * size : (place + 1) * size]
        for number, mirror, shift, scaling in zip(chosen, mirrors, *lamp, strict=True):
            image, _ = load(self.paths[number], *self.shape)
            for axis, flips in ((1, "vertical"), (2, "horizontal")):
                if mirror[axis - 1] and s.flips in (flips, "both", "auto"):
                    image = image.flip(axis)
            if s.jitter:
                middle = image.mean()
                image = (middle + (image - middle) * (1 + scaling) + 2 * shift).clamp(-1, 1)
            images.append((image + 1) / brightness(image) - 1 if s.level_light else image)
        return torch.stack(images).to(self.masks.device), self.masks[scale]

    def train_step(self) -> dict[str, float]:
        s, nets = self.s, self.networks
        images, (mask, other) = self.batch()
        rate = min(1.0, (self.step + 1) / s.warmup) if s.warmup else 1.0
        if s.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * self.step / self.total))
        first, bottleneck = generate(nets["generator"], images.masked_fill(mask, 0), mask)
        second, bottleneck2 = generate(nets["generator"], images.masked_fill(other, 0), other)
        painted = torch.where(mask, first, second)
        terms, total = {}, 0
        if s.weight_adversarial:
            self.adam_d.param_groups[0]["lr"] = s.disc_learning_rate * rate
            real, _ = discriminate(nets["discriminator"], images)
            fake, _ = discriminate(nets["discriminator"], painted.detach())
            loss = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
            self.adam_d.zero_grad()
            loss.backward()
            self.adam_d.step()
            terms["discriminator"] = loss
        for name, weight, term in (
            ("l1", s.weight_l1, lambda x, y: (x - y).abs().mean()),
            ("ssim", s.weight_ssim, lambda x, y: 1 - ssim(x, y)),
            ("gradient", s.weight_gradient, gradient),
        ):
            if weight and s.weight_consistency:
                terms[name] = term(images, painted)
                total = total + s.weight_consistency * weight * terms[name]
        if s.weight_adversarial:
            _, feature = discriminate(nets["discriminator"], images)
            _, feature_painted = discriminate(nets["discriminator"], painted)
            terms["adversarial"] = distance(feature.detach(), feature_painted)
            total = total + s.weight_adversarial * terms["adversarial"]
        if s.weight_latent:
            encoded, _ = encode(nets["encoder"], painted)
            seen, seen2 = (kept_patches(nets["generator"], m) for m in (mask, other))
            halves = (
                distance(bottleneck, encoded[:, seen]),
                distance(bottleneck2, encoded[:, seen2]),
            )
            terms["latent"] = sum(halves) / 2
            total = total + s.weight_latent * terms["latent"]
        self.adam_g.param_groups[0]["lr"] = s.learning_rate * rate
        self.adam_g.zero_grad()
        total.backward()
        if s.clip_gradient:
            learners = self.adam_g.param_groups[0]["params"]
            torch.nn.utils.clip_grad_norm_(learners, s.clip_gradient)
        self.adam_g.step()
        if s.ema:
            decay = min(s.ema, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for kept, now in zip(
                    nets["averaged"].parameters(), nets["generator"].parameters(), strict=True
                ):
                    kept.mul_(decay).add_(now, alpha=1 - decay)
        self.step += 1
        return {"total": total.item()} | {name: term.item() for name, term in terms.items()}
