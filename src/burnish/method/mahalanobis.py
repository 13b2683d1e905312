"""Distance from good parts at the same place, with one correlation for all places.

As in PaDiM (Defard et al. 2021), but the correlation is pooled over places, so that few images
are enough to estimate it.
Shapes: B batch, K values a place, H x W places.
"""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 0.02  # share of the variance that is added to it
SLACK = 0.1  # share of the mean deviation that is added to each: none is divided by almost 0


def correlation(standardised: Tensor) -> Tensor:
    """Correlation (K, K), float64, of standardised values (K, n) of good places, plus `RIDGE`."""
    values = standardised.double()
    found = values @ values.T / values.shape[1]
    return found + RIDGE * torch.eye(len(values), dtype=torch.float64)


def precision_of(together: Tensor) -> Tensor:
    """The precision (K, K) for `distance`: inverse correlation over the number of values."""
    return torch.linalg.inv(together) / len(together)


def distance(values: Tensor, precision: Tensor) -> Tensor:
    """Mahalanobis distance (B, H, W) of standardised values (B, K, H, W), precision (K, K)."""
    flat = values.flatten(2)
    squared = ((precision @ flat) * flat).sum(dim=1)
    return squared.clamp_min(0.0).sqrt().unflatten(-1, values.shape[-2:])
