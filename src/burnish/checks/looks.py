"""Findings about single images that look unlike the rest: blank, too bright or dark, blurred."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from burnish.checks.finding import Finding, counted, some
from burnish.checks.measure import Measured
from burnish.images.statistics import robust_z

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAR, VERY_FAR = 6.0, 10.0  # robust standard deviations
LEAST_BRIGHTNESS = 1.0  # grey levels: least deviation assumed, or a steady camera makes outliers
LEAST_SHARPNESS = 0.05  # the same of its natural logarithm: 5 %
LEAST_IMAGES = 8  # fewer do not show what is usual


def find_outliers(images: Sequence[Measured]) -> list[Finding]:
    """Blank images; good training images far from the others in brightness or sharpness.

    Far means 6 robust standard deviations (1.4826 MAD) from the median and, as a set may have two
    settings of the light, also beyond the middle nine tenths by more than their width. Sharpness
    is compared by its logarithm.

    Args:
        images: those that could be read.
    """
    blank = [image for image in images if image.statistics["spread"] == 0]
    findings = []
    if blank:
        findings.append(
            Finding(
                "blank",
                "error",
                "Images of one flat colour",
                f"{counted(len(blank), 'image')} {'shows' if len(blank) == 1 else 'show'} "
                f"nothing: {some([image.name for image in blank])}.",
                "Remove them, or take them again.",
                tuple(image.name for image in blank),
            )
        )
    good = [
        image
        for image in images
        if not image.subject.is_defect
        and image.subject.split != "test"
        and image.statistics["spread"] > 0
    ]
    if len(good) < LEAST_IMAGES:
        return findings
    for code, name, words in (
        ("brightness-outlier", "mean", ("brighter", "darker", "brightness")),
        ("sharpness-outlier", "sharpness", ("sharper", "more blurred", "sharpness")),
    ):
        found = _outliers(good, code, name, words)
        findings += [found] if found else []
    return findings


def _outliers(
    good: Sequence[Measured], code: str, name: str, words: tuple[str, str, str]
) -> Finding | None:
    values = np.array([image.statistics[name] for image in good])
    scaled = np.log(values + 1) if name == "sharpness" else values
    least = LEAST_SHARPNESS if name == "sharpness" else LEAST_BRIGHTNESS
    z = robust_z(scaled, scaled, least)
    z[~_beyond_most(scaled)] = 0
    order = np.argsort(-np.abs(z), kind="stable")
    far = [int(index) for index in order if abs(z[index]) > FAR]
    if not far:
        return None
    usual = float(np.median(values))
    said = [
        f"{good[i].name} ({words[0] if z[i] > 0 else words[1]}: {values[i]:.3g}, z {z[i]:+.1f})"
        for i in far
    ]
    return Finding(
        code,
        "warning" if abs(z[far[0]]) > VERY_FAR else "note",
        f"Unusual {words[2]}",
        f"{counted(len(far), 'good image')} of {len(good):,} to learn from "
        f"{'is' if len(far) == 1 else 'are'} far from the usual {words[2]} of {usual:.3g}: "
        f"{some(said)}.",
        "Look at them: a wrongly exposed or blurred picture teaches that such is good.",
        tuple(good[i].name for i in far),
        figures={
            "median": round(usual, 4),
            "values": [round(float(values[i]), 4) for i in far],
            "z": [round(float(z[i]), 2) for i in far],
        },
    )


def _beyond_most(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values lie beyond the middle nine tenths (all but two at either end, of few values) by
    more than the width of these."""
    ordered = np.sort(values)
    cut = max(2, len(values) // 20)
    low, high = ordered[cut], ordered[-cut - 1]
    return (values < low - (high - low)) | (values > high + (high - low))
