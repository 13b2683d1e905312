"""Parts: on both sides of a split, or not known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from burnish.images.manifest import ManifestRow, write_manifest

TWO = ("train/good/00.png", "test/good/00.png")


def list_parts(root: Path, part_of: Callable[[str], str]) -> None:
    """Write the manifest that `data prepare` would, with these parts by image name."""
    rows = []
    for side in ("train", "test"):
        for path in (root / side).rglob("*.png"):
            name, kind = path.relative_to(root).as_posix(), path.parent.name
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            label = "good" if kind == "good" else "defect"
            rows.append(ManifestRow(name, digest, side, label, kind, "", part_of(name), "", 96, 96))
    write_manifest(root, rows)


def test_a_part_on_both_sides(clean: Path, found) -> None:
    finding = found(clean, part=r"^\d")["same-part-on-both-sides"]  # 0 and 1; 2 only in train
    assert finding.severity == "error"
    assert finding.figures == {"parts": ["0", "1"], "test_images": 24}
    assert "0 (10 in train, 20 in test)" in finding.message


def test_parts_come_from_the_manifest(clean: Path, found) -> None:
    list_parts(clean, lambda name: "p1" if name in TWO else name)
    findings = found(clean, known=False)
    assert list(findings) == ["same-part-on-both-sides"]
    assert findings["same-part-on-both-sides"].figures["parts"] == ["p1"]


def test_unknown_parts_are_a_note(clean: Path, checked) -> None:
    result = checked(clean, known=False)
    (finding,) = result.findings
    assert (finding.code, finding.severity) == ("unknown-parts", "note")
    assert finding.message.startswith("Each of 48 images counts as a part of its own")
    assert "--part" in finding.advice
    assert finding.figures == {"train": 24, "test": 24}
    assert result.is_clean


def test_a_manifest_of_single_images_knows_no_parts(clean: Path, checked) -> None:
    list_parts(clean, lambda name: name)
    result = checked(clean, known=False)
    assert [f.code for f in result.findings] == ["unknown-parts"]
    assert [row["parts"] for row in result.counts()] == [24, 12, 12]  # JSON keeps the numbers


def test_a_pattern_that_gives_each_image_a_part_is_the_user_s_word(clean: Path, checked) -> None:
    for path in sorted((clean / "test").rglob("*.png")):
        path.rename(path.with_name(f"{path.parent.name}{path.name}"))
    for path in sorted((clean / "ground_truth/scratch").iterdir()):
        path.rename(path.with_name(f"scratch{path.name}"))
    assert checked(clean, part=".+", known=False).findings == ()
    codes = [f.code for f in checked(clean, known=False).findings]
    assert codes == ["unknown-parts"]


def test_without_a_test_side_nothing_can_leak(clean: Path, found) -> None:
    assert "unknown-parts" not in found(clean / "train/good", known=False)
    tested = sorted((clean / "test").rglob("*.png"))
    for path in tested[1:]:
        path.unlink()
    assert "unknown-parts" not in found(clean, known=False)
