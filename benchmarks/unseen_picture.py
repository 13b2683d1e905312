"""docs/images/unseen.png: a defect on each surface of unseen.py, and the heat map of its verdict.

    python benchmarks/unseen_picture.py --work WORK [--out docs/images/unseen.png]

WORK as unseen.py left it. Each surface shows the first image of another kind of defect, found or
not.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from burnish import Detector
from burnish.detection.pictures import heatmap
from burnish.evaluation.drawing import drawn, figure_of, styled
from burnish.files import atomic_write
from burnish.images.reader import read_image, to_channels
from burnish.images.synthetic.defects import STAINS
from unseen_surfaces import SURFACES

SIDE = 200  # px of a square picture
COLUMNS = 3
WIDTH = 1200  # px of the picture


def pair(work: Path, surface: str, kind: str) -> tuple[Image.Image, str]:
    """Part and heat map side by side, and what was found."""
    path = work / surface / "test" / kind / "000.png"
    result = Detector.load(work / f"{surface}-run").inspect(path)
    part = Image.fromarray(to_channels(read_image(path), 3))
    pictures = [part, heatmap(result)]
    width, height = part.size
    scale = SIDE / min(max(width, height), 1024)
    if width > 2 * height:  # a strip: one above the other
        size = (2 * SIDE, round(2 * SIDE * height / width))
        sheet = np.vstack([np.asarray(one.resize(size)) for one in pictures])
    else:
        size = (round(scale * width), round(scale * height))
        sheet = np.hstack([np.asarray(one.resize(size)) for one in pictures])
    verdict = "found" if result.is_defect else "missed"
    share = result.score / result.threshold
    name = surface.replace("_", " ")
    return Image.fromarray(sheet), f"{name}: {kind} {verdict}, {share:.1f} x the threshold"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/images/unseen.png"))
    given = parser.parse_args()
    rows = -(-len(SURFACES) // COLUMNS)
    with styled():
        figure = figure_of(1.95 * rows, 11.0)
        places = figure.subplots(rows, COLUMNS).ravel()
        for axes in places:
            axes.axis("off")
        for number, (axes, surface) in enumerate(zip(places, SURFACES, strict=False)):
            sheet, title = pair(given.work, surface, STAINS[number % len(STAINS)])
            axes.imshow(sheet)
            axes.set_title(title, fontsize=9)
        image = Image.open(io.BytesIO(drawn(figure).png)).convert("RGB")
    smaller = io.BytesIO()  # grain takes room: fewer pixels, and a palette
    image.resize((WIDTH, image.height * WIDTH // image.width)).quantize(256).save(smaller, "PNG")
    atomic_write(given.out, smaller.getvalue())


if __name__ == "__main__":
    main()
