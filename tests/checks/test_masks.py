"""Masks that are missing, empty, misplaced, of another size, inverted or unreadable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MASK = Path("ground_truth/scratch/03_mask.png")


def marked(value: int) -> np.ndarray:
    mask = np.zeros((96, 96), np.uint8)
    mask[40:42, 20:60] = value
    return mask


def test_a_missing_mask(clean: Path, found) -> None:
    (clean / MASK).unlink()
    (finding,) = found(clean).values()
    assert (finding.code, finding.severity) == ("mask-missing", "warning")
    assert finding.images == ("test/scratch/03.png",)
    assert finding.message.startswith("1 of 12 defective images has no mask")


def test_no_masks_at_all_is_a_choice(clean: Path, found) -> None:
    for path in (clean / "ground_truth/scratch").iterdir():
        path.unlink()
    finding = found(clean)["mask-missing"]
    assert finding.severity == "note"
    assert finding.figures == {"images": 12, "defects": 12}


def test_an_empty_mask(clean: Path, found, save) -> None:
    save(clean / MASK, marked(0))
    (finding,) = found(clean).values()
    assert (finding.code, finding.images) == ("mask-empty", ("test/scratch/03.png",))


def test_a_mask_of_another_size(clean: Path, found, save) -> None:
    save(clean / MASK, np.full((48, 96), 255, np.uint8))
    finding = found(clean)["mask-size"]
    assert finding.severity == "error"
    assert "test/scratch/03.png (96 x 96 px, mask 96 x 48 px)" in finding.message


def test_a_mask_that_cannot_be_read(clean: Path, found) -> None:
    (clean / MASK).write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    finding = found(clean)["mask-unreadable"]
    assert finding.severity == "error"
    assert "03_mask.png" in finding.message
    assert "mask-missing" not in found(clean)


def test_a_mask_on_a_good_image(clean: Path, found, save) -> None:
    save(clean / "ground_truth/good/02_mask.png", marked(255))
    save(clean / "ground_truth/good/04_mask.png", marked(0))
    (finding,) = found(clean).values()
    assert (finding.code, finding.severity) == ("mask-on-good", "error")
    assert finding.images == ("test/good/02.png",)


def test_a_mask_of_no_image(clean: Path, found, save) -> None:
    save(clean / "ground_truth/scratch/99_mask.png", marked(255))
    save(clean / "ground_truth/rust/00_mask.png", marked(255))
    (finding,) = found(clean).values()
    assert finding.code == "mask-without-image"
    assert finding.figures["files"] == [
        "ground_truth/rust/00_mask.png",
        "ground_truth/scratch/99_mask.png",
    ]


def test_inverted_masks(clean: Path, found, save) -> None:
    save(clean / MASK, 255 - marked(255))
    assert found(clean)["mask-inverted"].severity == "note"
    assert "with over 90 % marked" in found(clean)["mask-inverted"].message
    for i in range(12):
        save(clean / f"ground_truth/scratch/{i:02}_mask.png", 255 - marked(255))
    finding = found(clean)["mask-inverted"]
    assert (finding.severity, finding.figures["images"]) == ("warning", 12)


def _palette(path: Path) -> None:
    picture = Image.fromarray(marked(1)).convert("P")
    picture.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
    picture.save(path)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: Image.fromarray(marked(255)).save(path),
        lambda path: Image.fromarray(marked(1)).save(path),
        lambda path: Image.fromarray(marked(255)).convert("1").save(path),
        lambda path: Image.fromarray(marked(1).astype(np.uint16)).save(path),
        lambda path: Image.fromarray(np.dstack([marked(0), marked(9), marked(0)])).save(path),
        _palette,
    ],
    ids=["0/255", "0/1", "1 bit", "16 bit 0/1", "colour", "palette"],
)
def test_any_convention_marks_what_is_not_zero(clean: Path, checked, write) -> None:
    from burnish.checks.measure import measure
    from burnish.checks.sources import open_data

    write(clean / MASK)
    assert checked(clean).is_clean
    with open_data(clean) as data:
        (subject,) = (s for s in data.subjects if s.name == "test/scratch/03.png")
        mask = measure(subject).mask
    assert mask is not None
    assert mask.marked == 80
