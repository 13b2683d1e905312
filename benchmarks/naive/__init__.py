"""The plain version of burnish: what one writes first. `burnish bench --against naive` races it.

Eager, float32, one mask at a time, attention and SSIM as in the text book (softmax over all pairs;
an 11 x 11 convolution), every image decoded and resized by Pillow each time it is needed, no cache,
no fused kernel. It reads the weights of burnish's networks and computes the same losses, weights
and scores, within what float32 rounds (tests/bench/test_naive.py). It has no region of interest,
tiles, mask channel, alignment nor pretrained features.
"""

from .inspection import Inspector
from .training import Trainer

__all__ = ["Inspector", "Trainer"]
