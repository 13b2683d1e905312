"""What is learnt of good parts, moved to a device as one thing."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import torch


@dataclass(frozen=True)
class Movable:
    """A dataclass of tensors, or of what can be moved as they can; all other fields stay."""

    def to(self, device: torch.device) -> Self:
        """The same with every tensor there."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return replace(self, **{k: v.to(device) for k, v in values if hasattr(v, "to")})
