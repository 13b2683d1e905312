"""One image to check, wherever it comes from, and the data set it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from burnish.images.dataset import GOOD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Split = Literal["train", "test", ""]


@dataclass(frozen=True)
class Subject:
    """An image and what its place in the data set says of it; read only when asked for.

    Attributes:
        name: relative to the data set, with slashes; unique.
        split: the side it lies on, empty where the data has no sides.
        kind: "good" or the defect's name.
        part: the physical part, empty where it is not known.
        data: loads the image file's bytes.
        mask: loads the mask, bool HxW, True on the defect; returns None where there is none.
        suffix: that of the file name, ".png", if it must fit the content; else empty.
    """

    name: str
    split: Split
    kind: str
    part: str
    data: Callable[[], bytes]
    mask: Callable[[], NDArray[np.bool_] | None]
    suffix: str = ""

    @property
    def is_defect(self) -> bool:
        return self.kind != GOOD


@dataclass(frozen=True)
class Listed:
    """A manifest's entry of an image; see `burnish.images.manifest`."""

    sha256: str
    split: str
    kind: str


@dataclass(frozen=True)
class DataSet:
    """Everything to check.

    Attributes:
        path: the folder or archive, as the user gave it.
        form: its layout, for people: "MVTec AD layout", "a folder of images", "kolektor".
        subjects: in a fixed order.
        unseen: image files in the folder that burnish would ignore.
        others: number of files by suffix that are no images.
        lone_masks: mask files that belong to no image.
        train_defects: image files under train, but not in train/good.
        manifest: its entries by image name; None without one.
        notes: of the format, from reading the source.
        parts_named: whether the user said how to find the parts.
    """

    path: Path
    form: str
    subjects: tuple[Subject, ...]
    unseen: tuple[str, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    lone_masks: tuple[str, ...] = ()
    train_defects: tuple[str, ...] = ()
    manifest: Mapping[str, Listed] | None = None
    notes: tuple[str, ...] = ()
    parts_named: bool = False

    @property
    def parts_known(self) -> bool:
        """Whether some images show one part, or the user named the parts; else each image counts
        as a part of its own, which nobody may have looked at."""
        parts = [subject.part for subject in self.subjects if subject.part]
        return self.parts_named or len(set(parts)) < len(parts)

    @property
    def is_split(self) -> bool:
        return any(subject.split for subject in self.subjects)
