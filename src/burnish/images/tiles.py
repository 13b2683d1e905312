"""Tiles of an image at its own resolution, and the weights that blend them together again.

Shapes: C channels, H x W image, T tile side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of the tiles along one side, spread evenly; the last tile ends with the image.

    Neighbours overlap by at least `overlap` px; a side no longer than a tile gives [0].
    """
    if length <= tile:
        return [0]
    count = math.ceil((length - overlap) / (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def ramp(tile: int) -> NDArray[np.float32]:
    """Relative weight of a tile's pixels from one edge to the other, not normalised yet: from 1
    at the edges upwards, float32 (T,)."""
    return np.minimum(np.arange(tile), np.arange(tile)[::-1]).astype(np.float32) + 1


def blend_weights(first: list[int], tile: int, length: int) -> NDArray[np.float32]:
    """Weight of each tile's pixels along one side: float32 (tiles, tile).

    The weights fall linearly to the edge of a tile and sum to 1 at every pixel of the image, so
    that a map cut into tiles and stitched again is the map.
    """
    alone = ramp(tile).astype(np.float64)
    total = np.zeros(max(length, tile))
    for start in first:
        total[start : start + tile] += alone
    return np.stack([alone / total[start : start + tile] for start in first]).astype(np.float32)


@dataclass(frozen=True)
class Tile:
    """A tile's first row and column, px, and its place in the grid."""

    top: int
    left: int
    row: int
    column: int


@dataclass(frozen=True)
class Grid:
    """All tiles of an H x W image.

    Attributes:
        rows, columns: first pixels of the tiles down and across.
        down, across: blend weights, float32 (tiles, T).
    """

    height: int
    width: int
    tile: int
    rows: list[int]
    columns: list[int]
    down: NDArray[np.float32]
    across: NDArray[np.float32]

    @classmethod
    def of(cls, height: int, width: int, tile: int, overlap: int) -> Grid:
        rows, columns = starts(height, tile, overlap), starts(width, tile, overlap)
        down = blend_weights(rows, tile, height)
        return cls(height, width, tile, rows, columns, down, blend_weights(columns, tile, width))

    def __iter__(self) -> Iterator[Tile]:
        """Tiles row by row, so that everything above a row of tiles is finished when it begins."""
        for row, top in enumerate(self.rows):
            for column, left in enumerate(self.columns):
                yield Tile(top, left, row, column)

    def weights(self, tile: Tile) -> NDArray[np.float32]:
        """Weight of this tile at each of its pixels, float32 (T, T)."""
        return self.down[tile.row][:, None] * self.across[tile.column]


def cut(image: NDArray[np.uint8], top: int, left: int, tile: int) -> NDArray[np.uint8]:
    """The tile (..., T, T) of an image (..., H, W); filled by mirroring if the image is smaller."""
    piece = image[..., top : top + tile, left : left + tile]
    missing = [(0, 0)] * (image.ndim - 2) + [(0, tile - side) for side in piece.shape[-2:]]
    if any(after for _, after in missing):
        piece = np.pad(piece, missing, mode="symmetric")
    return np.ascontiguousarray(piece)


def cut_region(
    region: NDArray[np.bool_] | None, top: int, left: int, tile: int, size: tuple[int, int]
) -> NDArray[np.bool_] | None:
    """The region of interest within a tile of an image of (height, width): bool (T, T).

    Mirrored pixels that fill a tile lie outside. None if no pixel does.
    """
    height, width = size
    rows, columns = min(tile, height - top), min(tile, width - left)
    if region is None:
        if (rows, columns) == (tile, tile):
            return None
        piece = np.ones((rows, columns), dtype=np.bool_)
    else:
        piece = region[top : top + rows, left : left + columns]
    inside = np.zeros((tile, tile), dtype=np.bool_)
    inside[:rows, :columns] = piece
    return inside


def tiles_within(
    grid: Grid, region: NDArray[np.bool_] | None
) -> Iterator[tuple[Tile, NDArray[np.bool_] | None]]:
    """The tiles that contain a pixel of the region, each with its part of it (`cut_region`)."""
    for tile in grid:
        inside = cut_region(region, tile.top, tile.left, grid.tile, (grid.height, grid.width))
        if inside is None or inside.any():
            yield tile, inside
