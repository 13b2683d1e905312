"""One pass over the images: each is read once, and only a few kilobytes of it are kept."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from burnish.checks.subject import Subject
from burnish.errors import BurnishError
from burnish.images.reader import Header, read_header_bytes, read_image_bytes, to_channels
from burnish.images.reading.decoding import format_of_suffix, suffix_of
from burnish.images.statistics import MAD_TO_SIGMA, statistics_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

HASH_SIDE = 16  # of the perceptual hash, bits a side
DETAIL_SIDE = 64  # px
DETAIL_SIGMA = 1.0  # px, of the blur that is taken away
CUT = 3.0  # robust standard deviations
LEAST_DETAIL = 0.3  # grey levels; less counts as rounding


@dataclass(frozen=True)
class MaskFacts:
    """A mask without its pixels: its size in px, how many are marked, and a digest of them."""

    width: int
    height: int
    marked: int
    digest: str


@dataclass(frozen=True)
class Measured:
    """The measurements of an image, which are kept in place of its pixels.

    Attributes:
        subject: the image.
        problem: why it cannot be read; empty when it can, and only then the rest is there.
        header: as the file describes itself.
        sha256: of the file's bytes.
        pixels: SHA-256 of the decoded pixels and their shape: equal for files that only differ in
            how they are packed.
        statistics: see `burnish.images.statistics`; `outside`: the same, outside the mask.
        hash: perceptual hash (pHash), bool (256,).
        detail: fine structure, int8 (64, 64); see `fine_structure`.
        mask: None when there is none, or it cannot be read, which `mask_problem` says.
    """

    subject: Subject
    problem: str = ""
    header: Header | None = None
    sha256: str = ""
    pixels: str = ""
    statistics: dict[str, float] = field(default_factory=dict)
    outside: dict[str, float] | None = None
    hash: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(HASH_SIDE**2, bool))
    detail: NDArray[np.int8] = field(
        default_factory=lambda: np.zeros((DETAIL_SIDE, DETAIL_SIDE), np.int8)
    )
    mask: MaskFacts | None = None
    mask_problem: str = ""

    @property
    def name(self) -> str:
        return self.subject.name


def measure_all(
    subjects: Sequence[Subject], on_image: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[Measured]:
    """Measure images in threads, in order; a few are in memory at a time.

    Args:
        on_image: called with (images done, images in all).
    """
    workers = min(os.cpu_count() or 1, 8)
    waiting: deque[Future[Measured]] = deque()
    ahead = iter(subjects)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in range(len(subjects)):
                while len(waiting) < 4 * workers and (subject := next(ahead, None)) is not None:
                    waiting.append(pool.submit(measure, subject))
                yield waiting.popleft().result()
                on_image(done + 1, len(subjects))
        finally:
            pool.shutdown(cancel_futures=True)


def measure(subject: Subject) -> Measured:
    """Read one image and its mask. What is wrong with them is part of the result."""
    try:
        data = subject.data()
        header = read_header_bytes(data, subject.name)
        _check_suffix(subject, header)
        image = read_image_bytes(data, subject.name)
    except BurnishError as error:
        return Measured(subject, problem=str(error))
    mask, facts, problem = None, None, ""
    try:
        mask = subject.mask()
    except BurnishError as error:
        problem = str(error)
    if mask is not None:
        height, width = mask.shape
        facts = MaskFacts(width, height, int(np.count_nonzero(mask)), _digest(mask))
    marks = mask is not None and mask.shape == image.shape[:2] and bool(mask.any())
    grey = to_channels(image, 1)
    return Measured(
        subject,
        header=header,
        sha256=hashlib.sha256(data).hexdigest(),
        pixels=_digest(image),
        statistics=statistics_of(image, len(data)),
        outside=statistics_of(image, len(data), mask) if marks else None,
        hash=perceptual_hash(grey),
        detail=fine_structure(grey),
        mask=facts,
        mask_problem=problem,
    )


def perceptual_hash(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """pHash (low frequencies of the DCT against their median) with 256 bits: bool (256,)."""
    import imagehash

    picture = Image.fromarray(_shrunk(grey))
    return np.asarray(imagehash.phash(picture, hash_size=HASH_SIDE).hash, bool).ravel()


def fine_structure(grey: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The image at 64 x 64 px less its blurred version: int8 (64, 64).

    Parts of one kind look alike at large scale, but scratches, grain and the exact place of every
    edge are unique to one picture. Clipped at 3 robust standard deviations, so that a stain on a
    copy does not outweigh the rest; scaled so that the range of 6 becomes 127; 0 for a flat image.
    """
    from scipy.ndimage import gaussian_filter

    small = Image.fromarray(_shrunk(grey)).convert("F")
    small = small.resize((DETAIL_SIDE, DETAIL_SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32)
    detail = pixels - gaussian_filter(pixels, DETAIL_SIGMA)
    most = CUT * max(MAD_TO_SIGMA * float(np.median(np.abs(detail))), LEAST_DETAIL)
    detail = np.clip(detail, -most, most)
    return np.round((detail - detail.mean()) * (127 / (2 * most))).astype(np.int8)


def _shrunk(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Large images averaged down by a whole number, the shorter side to 256 px or a little more."""
    factor = min(grey.shape) // (4 * DETAIL_SIDE)
    return grey if factor < 2 else np.asarray(Image.fromarray(grey).reduce(factor))


def _digest(array: NDArray[np.uint8] | NDArray[np.bool_]) -> str:
    digest = hashlib.sha256(repr(array.shape).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _check_suffix(subject: Subject, header: Header) -> None:
    """As the reader does for files on disk, so that a file that training refuses is reported."""
    claimed = format_of_suffix(subject.suffix)
    if claimed not in (None, header.format):
        raise BurnishError(
            f"{subject.name} holds a {header.format}, not a {claimed}: "
            f"give it the suffix {suffix_of(header.format)}"
        )
