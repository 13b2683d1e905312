"""Models of good parts that move to a device as a whole."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import torch


@dataclass(frozen=True)
class Movable:
    """A dataclass of tensors and other values; those with a method `to` are moved."""

    def to(self, device: torch.device) -> Self:
        """The same with every tensor on `device`."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return replace(self, **{k: v.to(device) for k, v in values if hasattr(v, "to")})
