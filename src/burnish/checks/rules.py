"""The rules of a check in words, as the page explains them."""

from __future__ import annotations

from burnish.checks.duplicates import CLOSER, LEAST, MAX_DISTANCE, MOST
from burnish.checks.looks import FAR, VERY_FAR
from burnish.checks.masks import MOST_OF_IMAGE
from burnish.checks.shortcuts import CHANCE, TELLS

RULES = {
    "Exact duplicates": "Equal pixels once decoded (SHA-256), whether the files are equal or not.",
    "Near duplicates": (
        f"Perceptual hashes (pHash, 256 bits) within {MAX_DISTANCE} bits, and fine structure "
        f"(64 x 64 px, blur taken away, peaks cut) that correlates {CLOSER:g} times closer to 1 "
        "than that of nearest neighbours in this set usually does, with a limit from "
        f"{LEAST:g} to {MOST:g}. "
        "Other sizes, brightness and compression are seen through; mirrored, turned or cropped "
        "copies are not found."
    ),
    "Masks": (
        "Every pixel that is not 0 is marked (in a JPEG: above 127). Over "
        f"{MOST_OF_IMAGE:.0%} marked counts as nearly all of the image."
    ),
    "Unusual brightness and sharpness": (
        f"Over {FAR:g} robust standard deviations (1.4826 MAD) from the median of the good images "
        "to learn from, and as far again outside the middle nine tenths of them as these are wide; "
        f"a warning from {VERY_FAR:g} on. Sharpness is the logarithm of the "
        "variance of the Laplacian."
    ),
    "Shortcut": (
        "One number an image that tells good from defective test images with an AUROC above "
        f"{TELLS:g} in either direction, and with less than {CHANCE:.0%} chance of any such number "
        "doing so in groups of this size that are alike (Mann-Whitney U, Bonferroni). Where masks "
        "show that only marked pixels do it, the defects are easy and it is no shortcut. File size "
        "does not count where all images are of one lossless format and size: a flaw takes bytes."
    ),
    "Shift": "The same between good training and good test images.",
    "False-alarm rate": "n held-out good images can promise a rate of 1 / (n + 1) at best.",
}
