"""The plain version of burnish: what one writes first. `burnish bench --against naive` races it.

Eager, float32, one mask at a time, attention and SSIM as in the text book (softmax over all pairs;
an 11 x 11 convolution), every image decoded and resized by Pillow each time it is needed, no cache,
no fused kernel. It reads the weights of burnish's networks and computes the same losses, weights
and scores, within what float32 rounds (tests/bench/test_naive.py). It has no region of interest,
tiles, jitter, mask channel, alignment nor pretrained features.
"""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F
from torch.optim import AdamW

blur = partial(gaussian_filter, mode="reflect")


def attention(a, x, sizes=None):
    b, n, d = x.shape
    q, k, v = (t.reshape(b, n, a.heads, -1).transpose(1, 2) for t in a.qkv(x).chunk(3, dim=-1))
    logits = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if sizes is not None:
        logits = logits + sizes.log()[:, None, None, :, 0]
    out = logits.softmax(dim=-1) @ v
    return a.project(out.transpose(1, 2).reshape(b, n, d)), k.mean(dim=1)


def block(part, x, sizes=None):
    out, keys = attention(part.attention, part.norm1(x), sizes)
    x = x + out
    if part.tome_r:
        x, sizes = merge(x, torch.ones_like(x[..., :1]) if sizes is None else sizes, keys,
                         min(part.tome_r, (x.shape[1] - 1) // 2))  # fmt: skip
    return x + part.mlp(part.norm2(x)), sizes


def merge(x, sizes, keys, r):
    """Bipartite soft matching as Bolya et al. publish it; token 0 is the class token."""
    keys = keys.detach() / keys.detach().norm(dim=-1, keepdim=True)
    scores = keys[:, ::2] @ keys[:, 1::2].transpose(1, 2)
    scores[:, 0] = -math.inf
    best, partner = scores.max(dim=-1)
    order = best.argsort(dim=-1, descending=True)[..., None]
    merged, kept = order[:, :r], order[:, r:].sort(dim=1).values
    target = partner[..., None].gather(1, merged)

    def add(t):
        even, odd, c = t[:, ::2], t[:, 1::2], t.shape[-1]
        odd = odd.scatter_add(1, target.expand(-1, -1, c), even.gather(1, merged.expand(-1, -1, c)))
        return torch.cat([even.gather(1, kept.expand(-1, -1, c)), odd], dim=1)

    total = add(sizes)
    return add(x * sizes) / total, total


def embed(part, images):
    patches = F.unfold(images, part.patch, stride=part.patch).transpose(1, 2)
    tokens = part.project(patches) + part.position
    if part.class_token is not None:
        tokens = torch.cat([part.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
    return tokens


def encode(encoder, images, kept=slice(None)):
    x, outputs = embed(encoder.embed, images)[:, kept], []
    for part in encoder.blocks:
        x, _ = block(part, x)
        outputs.append(x)
    for part in encoder.middle:
        x, _ = block(part, x)
    return encoder.linear(encoder.norm(x)), outputs


def refill(g, tokens, kept, which):
    """The whole grid: a learnt token where the encoder saw nothing."""
    full = g.fill[which].expand(len(tokens), g.position.shape[1], -1).clone()
    full[:, kept] = tokens
    return full


def kept_patches(g, mask):
    """What the encoder sees under a mask: all patches, or with hidden_tokens=drop some."""
    return slice(None) if not g.visible else g.kept(mask[None])[0]


def generate(g, masked, mask):
    kept = kept_patches(g, mask)
    x, outputs = encode(g.encoder, masked, kept)
    bottleneck, first = x, len(g.blocks) - len(g.joins)
    if g.visible:
        x = refill(g, x, kept, 0) + g.position
    for index, part in enumerate(g.blocks):
        if index >= first:
            skip = outputs[len(g.blocks) - 1 - index]
            if g.visible:
                skip = refill(g, skip, kept, 1 + index - first)
            x = g.joins[index - first](torch.cat([x, skip], dim=-1))
        x, _ = block(part, x)
    patches = g.to_pixels(g.norm(x)).transpose(1, 2)
    image = F.fold(patches, masked.shape[-2:], g.patch, stride=g.patch)
    return F.conv2d(image, g.smooth.weight, g.smooth.bias, padding=1), bottleneck


def discriminate(d, images):
    x, sizes = embed(d.embed, images), None
    for part in d.blocks:
        x, sizes = block(part, x, sizes)
    feature = d.norm(x[:, 0])
    return d.linear(feature).squeeze(-1), feature


def ssim(x, y):
    taps = torch.exp(-0.5 * (torch.arange(-5.0, 6.0) / 1.5) ** 2)
    window = torch.outer(taps, taps) / taps.sum() ** 2
    window, channels = window.expand(x.shape[1], 1, 11, 11), x.shape[1]
    mx, my, xx, yy, xy = (F.conv2d(t, window, groups=channels) for t in (x, y, x * x, y * y, x * y))
    c1, c2 = 0.02**2, 0.06**2
    above = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    return (above / ((mx**2 + my**2 + c1) * (xx - mx**2 + yy - my**2 + c2))).mean()


def gradient(x, y):
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    kernels = torch.stack([sobel, sobel.T])[:, None]
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


class Trainer:
    """Trains copies of a burnish trainer's networks on the same images in the same order."""

    def __init__(self, trainer, paths: list[Path]) -> None:
        self.s, self.paths, self.shape = trainer.settings, paths, trainer.samples.shape
        self.networks = {k: copy.deepcopy(v).requires_grad_() for k, v in trainer.networks.items()}
        self.masks, self.total, self.step = trainer.masks.cpu(), trainer.total_steps, 0
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
        for number, mirror in zip(
            order[place * size : (place + 1) * size], rng.random((size, 2)) < 0.5, strict=True
        ):
            image, _ = load(self.paths[number], *self.shape)
            for axis, flips in ((1, "vertical"), (2, "horizontal")):
                if mirror[axis - 1] and s.flips in (flips, "both"):
                    image = image.flip(axis)
            images.append(image)
        return torch.stack(images), self.masks[scale]

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


def together(found, factors):
    """What ways of differing all over at once explain of descriptors (K, H, W)."""
    size, (count, h, w) = found.shape[1:], factors.mean.shape
    cells = found.reshape(count, h, size[0] // h, w, size[1] // w).mean(axis=(2, 4))
    known, usual = factors.mean.numpy(), factors.deviation.numpy()
    alike = np.clip((cells - known) / usual, -3, 3)
    explained = sum((alike * way).sum() * way for way in factors.ways.numpy()) * usual
    return F.interpolate(torch.from_numpy(explained)[None], size, mode="bilinear")[0].numpy()


class Inspector:
    """Judges an image with a burnish model's weights and calibration."""

    def __init__(self, detector) -> None:
        model, scorer = detector.model, detector.scorer.scorer
        self.s, self.calibration = detector.card.settings, detector.card.calibration
        self.generator, self.masks = model.generator, scorer.masks.cpu()
        self.position = None if model.position is None else [p.numpy() for p in model.position]
        size = self.generator.shape.height, self.generator.shape.width
        self.good = [texture.at(*size) for texture in model.textures]

    def textures(self, image, painted):
        """Unusual texture of residual or image: two maps a grain."""
        mean = painted.mean(axis=0)
        fields = {"residual": (image - mean) / (np.maximum(blur(mean + 1, 4), 0) + 0.2),
                  "image": (image + 1) / (np.maximum(blur(image + 1, 4), 0) + 0.2)}  # fmt: skip
        maps = []
        for good in self.good:
            found = describe(fields[good.of], good.grain)
            z = found - good.mean.numpy()
            if good.factors is not None:
                z = z - together(found, good.factors)
            z = z / good.deviation.numpy()
            for precision in good.precision.numpy():
                far = np.sqrt(np.maximum(np.einsum("ihw,ij,jhw->hw", z, precision, z), 0))
                far = far / (np.minimum(far, far.mean()).mean() + 0.1)
                maps.append(blur(far, good.grain))
        return maps

    @torch.no_grad()
    def inspect(self, path: Path) -> tuple[float, bool, np.ndarray]:
        """Score, verdict, and the anomaly map at the file's size."""
        s, shape, known = self.s, self.generator.shape, self.calibration
        image, size = load(path, shape.channels, shape.height, shape.width)
        maps, everything = [], []
        for index, (mask, other) in enumerate(self.masks):
            first, _ = generate(self.generator, image[None].masked_fill(mask, 0), mask)
            second, _ = generate(self.generator, image[None].masked_fill(other, 0), other)
            painted = torch.where(mask, first, second)[0]
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
        maps += self.textures(image.mean(dim=0).numpy(), np.stack(everything))
        errors = np.stack(maps)
        mu, sigma = (np.array(v)[:, None, None] for v in (known.mu, known.sigma))
        if s.fusion == "paper":
            anomaly = errors[(errors - mu).mean(axis=(1, 2)).argmax()]
        else:
            alike = (errors - mu) / sigma
            anomaly = alike.mean(axis=0) if s.fusion == "mean" else alike.max(axis=0)
        values = np.sort(anomaly, axis=None)
        if s.reduction == "top":
            score = values[-max(1, round(s.top_share * values.size)) :].mean()
        else:
            score = values.mean() if s.reduction == "mean" else values[-1]
        full = Image.fromarray(anomaly.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
        return float(score), bool(score > known.threshold), np.asarray(full)
