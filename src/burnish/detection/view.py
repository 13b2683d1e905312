"""What the networks see at once: a whole image or a tile, and which of its pixels count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class View:
    """What the networks see at once.

    Attributes:
        pixels: uint8 (C, H, W).
        inside: the region of interest, bool (H, W); None: every pixel counts. Pixels outside are
            hidden from the generator, as by a mask, and count nowhere.
        part: the part it shows, if known.
        seen: how much each pixel counts when maps become scores, uint8 (H, W), 0 to 255: not what
            an aligned view shows beside the part or beyond the image's edge. Unlike those outside a
            region, such pixels are not hidden, so nothing ends abruptly. None: all do.
    """

    pixels: NDArray[np.uint8]
    inside: NDArray[np.bool_] | None = None
    part: str = ""
    seen: NDArray[np.uint8] | None = None

    @classmethod
    def of(
        cls, prepared: NDArray[np.uint8], channels: int, inside: NDArray[np.bool_] | None = None
    ) -> View:
        """A prepared image: uint8 (C, H, W), or (C + 1, H, W), whose last channel is `seen`."""
        seen = prepared[channels] if len(prepared) > channels else None
        return cls(prepared[:channels], inside, seen=seen)


def inside_of(view: View, device: torch.device | None = None) -> Tensor | None:
    """The view's region of interest, bool (H, W); None: all of it."""
    return None if view.inside is None else torch.from_numpy(view.inside).to(device)


def seen_of(view: View, device: torch.device | None = None) -> Tensor | None:
    """How much each pixel of the view counts in scores, float32 (H, W) in [0, 1]; None: all do."""
    if view.seen is None:
        return None
    return torch.from_numpy(np.array(view.seen)).to(device).float() / 255


def network_input(view: View, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """A view as networks see it, (1, C, H, W) in [-1, 1], 0 outside its region; `inside_of`."""
    inside = inside_of(view, device)
    return hidden_outside(to_tensor(view.pixels[None], device), inside), inside


def to_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 (..., H, W) -> float32 in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).to(device).float() / 127.5 - 1


def hidden_outside(images: Tensor, inside: Tensor | None) -> Tensor:
    """Images (..., H, W) with 0 outside the region, bool (H, W)."""
    return images if inside is None else images.masked_fill(~inside, 0.0)
