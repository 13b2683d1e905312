"""A gallery as one picture, for slides and mails: one row per image, one column per panel."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

from burnish.evaluation.gallery import Exhibit, Gallery

SIDE = 220  # px, longer side of a panel
GAP, HEAD, LINE = 10, 30, 24
SOFT = (110, 110, 110)
GOOD, DEFECT = (0, 114, 178), (185, 78, 0)  # as in the page


def gallery_sheet(gallery: Gallery) -> bytes | None:
    """The gallery as PNG; None when no image of it could be read."""
    shown = [exhibit for exhibit in gallery.exhibits if exhibit.panels]
    if not shown:
        return None
    names = max((e.panels for e in shown), key=lambda panels: len(panels))
    sizes = [_size(exhibit) for exhibit in shown]
    column = max(max(width for width, _ in sizes), 110)
    width = len(names) * (column + GAP) + GAP
    height = HEAD + sum(h + LINE + GAP for _, h in sizes) + GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw, small = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, panel in enumerate(names):
        left = GAP + place * (column + GAP)
        draw.text((left, 9), _drawable(panel.name), fill=SOFT, font=small)
    top = HEAD
    for exhibit, size in zip(shown, sizes, strict=True):
        row = exhibit.row
        said = "defective" if row.called_defective else "good"
        truth = row.kind if row.is_defect else "good"
        line = f"called {said}, in truth {truth}   score {row.score:.4g}   {row.path}"
        ink = DEFECT if row.called_defective else GOOD
        draw.text((GAP, top + 3), _drawable(line), fill=ink, font=small)
        for place, panel in enumerate(exhibit.panels):
            picture = Image.open(io.BytesIO(panel.jpeg)).resize(size, Image.Resampling.LANCZOS)
            sheet.paste(picture, (GAP + place * (column + GAP), top + LINE))
        top += LINE + size[1] + GAP
    stream = io.BytesIO()
    sheet.save(stream, "PNG", compress_level=4)
    return stream.getvalue()


def _size(exhibit: Exhibit) -> tuple[int, int]:
    """Width and height of the panels, px; very long parts keep a side of at least 24 px."""
    aspect = exhibit.aspect
    width, height = (SIDE, SIDE / aspect) if aspect >= 1 else (SIDE * aspect, SIDE)
    return max(24, round(width)), max(24, round(height))


def _drawable(text: str) -> str:
    """One line of text; characters that Pillow's own font lacks are escaped."""
    return text.replace("×", "x").encode("latin-1", "backslashreplace").decode("latin-1")
