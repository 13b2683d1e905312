"""Direction of parts that have no longer axis, as gears, nuts and flanges.

A part is read as a dial is: by the grey levels on rings round its middle. What training parts show
there once they are turned to each other is the template; a new part lies at the turn at which it
fits best.

`burnish.images.dial_learning` learns it. Shapes: R rings, N turns, h x w the working size.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from burnish.images.bilinear import sample

RINGS, TURNS = 12, 256
STEP = 2 * math.pi / TURNS
LEVELS = 127
"""Largest number in a template."""

LONGEST_REACH = 4096  # px of the working size

Float = NDArray[np.float32]
_F = np.float32

_Ring = Annotated[
    tuple[Annotated[int, Field(ge=-LEVELS, le=LEVELS)], ...],
    Field(min_length=TURNS, max_length=TURNS),
]


class Dial(BaseModel):
    """How a part's direction is read; saved with the model.

    Attributes:
        reach: radius of the outermost ring, px of the working size.
        template: R x N whole numbers, from the innermost ring.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    reach: float = Field(gt=0, le=LONGEST_REACH)
    template: tuple[_Ring, ...] = Field(min_length=RINGS, max_length=RINGS)

    def along(self, grey: NDArray[np.uint8], x: float, y: float) -> tuple[float, float]:
        """Direction of the part round (x, y), px: a unit vector (x, y).

        Args:
            grey: uint8 (h, w).
        """
        found = read_rings(grey, x, y, self.reach)
        fit = fit_of(found, np.array(self.template))
        best = int(fit.argmax())
        left, middle, right = (fit[(best + step) % TURNS] for step in (-1, 0, 1))
        # The top of the parabola through the best turn and its neighbours.
        bend = min(left + right - 2 * middle, -1e-20)
        angle = (best + 0.5 * (left - right) / bend) * STEP
        return math.cos(angle), math.sin(angle)


def fit_of(read: NDArray[Any], template: NDArray[Any]) -> NDArray[np.float64]:
    """How well rings fit a template at each turn, the sum of their products: float64 (..., N).

    Args:
        read: (..., R, N), as `read_rings` gives them.
        template: (R, N).
    """
    turned = np.fft.rfft(read) * np.fft.rfft(template).conj()
    return np.asarray(np.fft.irfft(turned.sum(axis=-2), n=TURNS))


def ring_places(reach: float) -> tuple[Float, Float]:
    """Places on the rings, right of and below the middle, px: float32 (R, N)."""
    radius = (np.arange(1, RINGS + 1) * reach / RINGS)[:, None]
    angle = np.arange(TURNS) * STEP
    return (radius * np.cos(angle)).astype(_F), (radius * np.sin(angle)).astype(_F)


def read_rings(grey: NDArray[np.uint8], x: float, y: float, reach: float) -> Float:
    """Grey levels on the rings round (x, y), in shares of their mean: float32 (R, N).

    Args:
        grey: uint8 (h, w).
        reach: radius of the outermost ring, px.
    """
    right, below = ring_places(reach)
    columns, rows = _F(x) + right - _F(0.5), _F(y) + below - _F(0.5)
    levels = sample(grey[None].astype(_F), rows, columns)[0]
    return np.asarray(levels / np.maximum(levels.mean(), _F(1)), dtype=_F)
