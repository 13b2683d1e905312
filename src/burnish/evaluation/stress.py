"""Stress tests: test images changed in one way at named strengths, as when the lamp ages.

Images are uint8 HxW or HxWx3 and stay so; grey levels are clipped to 0..255 as by a camera. Borders
that a shift or a rotation uncovers are filled by mirroring.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Picture = NDArray[np.uint8]
SEED = 0


@dataclass(frozen=True)
class Change:
    """One way to change an image, at one strength.

    Attributes:
        name: "brightness", "contrast", "light colour" (of colour images), "blur", "noise", "jpeg",
            "shift" or "rotation".
        strength: for people, with its unit.
        function: the function of this module that does it.
        amount: its argument.
    """

    name: str
    strength: str
    function: Callable[..., Picture]
    amount: float

    def apply(self, image: Picture, number: int) -> Picture:
        """The changed image, of the same shape; `number`, the image's index, seeds the noise."""
        if self.name == "noise":
            return self.function(image, self.amount, SEED + number)
        return self.function(image, self.amount)


def brightness(image: Picture, factor: float) -> Picture:
    """Every grey level times `factor`, as with a weaker or stronger lamp."""
    return _clip(image * np.float32(factor))


def contrast(image: Picture, factor: float) -> Picture:
    """Distance from the image's mean times `factor`."""
    mean = np.float32(image.mean())
    return _clip(mean + (image - mean) * np.float32(factor))


def tint(image: Picture, share: float) -> Picture:
    """Red stronger and blue weaker by a share, or the other way below 0, as by another lamp; of
    uint8 HxWx3. The mean of the three channels is kept."""
    factors = np.array([1 + share, 1, 1 - share], np.float32)
    tinted = image * factors
    before, after = (np.float32(max(picture.mean(), 1e-6)) for picture in (image, tinted))
    return _clip(tinted * (before / after))


def blur(image: Picture, share: float) -> Picture:
    """Gaussian with a standard deviation of a share of the shorter side."""
    sigma = share * min(image.shape[:2])
    return _clip(ndimage.gaussian_filter(image.astype(np.float32), sigma, axes=(0, 1)))


def noise(image: Picture, deviation: float, seed: int) -> Picture:
    """Independent normal noise on every pixel (the same on all channels), grey levels."""
    drawn = np.random.default_rng(seed).standard_normal(image.shape[:2], np.float32) * deviation
    return _clip(image + (drawn if image.ndim == 2 else drawn[..., None]))


def jpeg(image: Picture, quality: int) -> Picture:
    """Encoded as JPEG and decoded again; quality as Pillow counts it, 1 to 95."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    stream.seek(0)
    return np.asarray(Image.open(stream))


def shift(image: Picture, share: float) -> Picture:
    """Moved to the right and down by a share of the shorter side, whole pixels."""
    step = max(1, round(share * min(image.shape[:2])))
    pads = [(step, 0), (step, 0)] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, pads, mode="symmetric")[: image.shape[0], : image.shape[1]]


def rotation(image: Picture, degrees: float) -> Picture:
    """Turned counter-clockwise about the middle, bilinear."""
    turned = ndimage.rotate(
        image.astype(np.float32), degrees, axes=(1, 0), reshape=False, order=1, mode="reflect"
    )
    return _clip(turned)


def _percent(factor: float) -> str:
    return f"{100 * (factor - 1):+.0f} %"


def _side(share: float) -> str:
    return f"{100 * share:g} % of the side"


CHANGES = (
    *(Change("brightness", _percent(f), brightness, f) for f in (0.75, 0.9, 1.1, 1.25)),
    *(Change("contrast", _percent(f), contrast, f) for f in (0.75, 1.25)),
    *(Change("blur", "sigma " + _side(s), blur, s) for s in (0.005, 0.01)),
    *(Change("noise", f"sd {d:g} grey levels", noise, d) for d in (4, 10)),
    *(Change("jpeg", f"quality {q}", jpeg, q) for q in (75, 30)),
    *(Change("shift", _side(s), shift, s) for s in (0.02, 0.05)),
    *(Change("rotation", f"{d} degrees", rotation, d) for d in (2, 5)),
)


OF_COLOUR = tuple(
    Change("light colour", f"{100 * abs(s):g} % {name}", tint, s)
    for s, name in ((0.05, "redder"), (-0.05, "bluer"))
)


def changes_of(channels: int) -> tuple[Change, ...]:
    """The changes for a model of 1 or 3 channels."""
    return (*CHANGES, *OF_COLOUR) if channels == 3 else CHANGES


def choose_images(kinds: Sequence[str], most: int) -> list[int]:
    """Indices of at most `most` images, ascending: half of them good if possible, the defective
    ones spread over their kinds.

    Args:
        kinds: "good" or the defect's name, of each image.
    """
    rng = np.random.default_rng(SEED)
    queues = {kind: [i for i, k in enumerate(kinds) if k == kind] for kind in sorted(set(kinds))}
    for queue in queues.values():
        rng.shuffle(queue)
    good = queues.pop("good", [])
    defective: list[int] = []
    while any(queues.values()):
        defective += [queue.pop() for queue in queues.values() if queue]
    some = min(len(defective), max(most // 2, most - len(good)))
    return sorted(defective[:some] + good[: most - some])


def equalise(
    image: Picture, mean: float, spread: float, wanted_mean: float, wanted_spread: float
) -> Picture:
    """Shift and scale grey levels from one mean and standard deviation to another.

    An image of one grey level everywhere (`spread` 0) is shifted only.
    """
    scale = wanted_spread / spread if spread > 0 else 1.0
    return _clip((image - np.float32(mean)) * np.float32(scale) + np.float32(wanted_mean))


def _clip(image: NDArray[np.floating]) -> Picture:
    return np.rint(image).clip(0, 255).astype(np.uint8)
