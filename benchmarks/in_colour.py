"""Grey images of good parts in colour, to choose settings for colour images by: no set at hand has
any.

    python benchmarks/in_colour.py data/rail colour/rail --tint 1.06 0.99 0.90
    burnish data stain colour/rail val/colour_rail --per-image 3 --strength 0.6 \
        --kinds scratch,pit,stain,dent,crack,wear,uneven,cutpaste,discolouration

Takes train/good of a prepared set, with its parts. Every image has the metal's tint, a white
balance of its own (1.5 % of red and blue), blotches of hue (1.2 %, an eighth of the side; .8 %, a
hundredth) and noise of each channel, about two grey levels, as a camera's colour filter leaves it.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from burnish.images.dataset import find_training_images
from burnish.images.manifest import MANIFEST, ManifestRow, write_manifest
from burnish.images.parts import parts_of
from burnish.images.png import save_png
from burnish.images.preparing.record import sha256_of
from burnish.images.reader import read_image, to_channels
from burnish.images.synthetic.surfaces import gaussian_field

NOISE = 3.0  # grey levels, before the blur
Tint = tuple[float, float, float]


def in_colour(image: NDArray[np.uint8], tint: Tint, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Grey uint8 HxW -> uint8 HxWx3 of about the same brightness."""
    grey = image.astype(np.float32)
    side = min(grey.shape)
    red, blue, fine = (
        share * gaussian_field(grey.shape, size * side, size * side, 0.0, rng)
        for share, size in ((0.012, 0.12), (0.012, 0.12), (0.008, 0.01))
    )
    balance = rng.normal(0.0, 0.015, 2)
    hues = [1 + red + fine + balance[0], 1 - red - fine, 1 + blue + balance[1]]
    factors = np.stack(hues, axis=2) * np.array(tint)
    colour = grey[..., None] * factors / factors.mean(axis=2, keepdims=True)
    noise = ndimage.gaussian_filter(rng.normal(0.0, NOISE, colour.shape), (0.7, 0.7, 0.0))
    return np.clip(np.rint(colour + noise), 0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tint", type=float, nargs=3, default=(1.06, 0.99, 0.90))
    given = parser.parse_args()
    paths = find_training_images(given.data)
    rows = []
    for path, part in zip(paths, parts_of(paths, "", given.data), strict=True):
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:8]))
        colour = in_colour(to_channels(read_image(path), 1), given.tint, rng)
        name = f"train/good/{path.stem}.png"
        save_png(given.out / name, colour)
        digest, (height, width) = sha256_of(given.out / name), colour.shape[:2]
        source = path.relative_to(given.data).as_posix()
        rows.append(
            ManifestRow(name, digest, "train", "good", "good", "", part, source, width, height)
        )
    write_manifest(given.out, rows)
    print(f"{len(rows)} images in {given.out}, of {given.out / MANIFEST}")


if __name__ == "__main__":
    main()
