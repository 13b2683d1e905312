"""Distance from good parts at the same place, with one correlation for all places.

As in PaDiM (Defard et al. 2021), but the correlation is pooled, so that few images tell it well.
Shapes: B batch, K values a place, H x W places.
"""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 0.02  # of the values' variance, added to it
SLACK = 0.1  # of the mean deviation, added to each: no division by almost nothing


def correlation(standardised: Tensor) -> Tensor:
    """(K, n) standardised values of good places -> (K, K), float64, with the ridge on it."""
    values = standardised.double()
    found = values @ values.T / values.shape[1]
    return found + RIDGE * torch.eye(len(values), dtype=torch.float64)


def precision_of(together: Tensor) -> Tensor:
    """A correlation (K, K) -> what `distance` takes: its inverse over the number of values."""
    return torch.linalg.inv(together) / len(together)


def distance(values: Tensor, precision: Tensor) -> Tensor:
    """Standardised values (B, K, H, W) and a precision (K, K) -> (B, H, W), >= 0."""
    flat = values.flatten(2)
    squared = ((precision @ flat) * flat).sum(dim=1)
    return squared.clamp_min(0.0).sqrt().unflatten(-1, values.shape[-2:])
