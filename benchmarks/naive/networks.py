"""Forward passes of burnish's networks as in the text book, with their weights."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def attention(a, x, sizes=None):
    b, n, d = x.shape
    q, k, v = (t.reshape(b, n, a.heads, -1).transpose(1, 2) for t in a.qkv(x).chunk(3, dim=-1))
    if a.normalised:
        q, k = (standardise(t) for t in (q, k))
    logits = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if sizes is not None:
        logits = logits + sizes.log()[:, None, None, :, 0]
    out = logits.softmax(dim=-1) @ v
    return a.project(out.transpose(1, 2).reshape(b, n, d)), k.mean(dim=1)


def standardise(x):
    apart = x - x.mean(dim=-1, keepdim=True)
    return apart / ((apart**2).mean(dim=-1, keepdim=True) + 1e-5).sqrt()


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
