"""The networks that the speed measurements were taken on: 128 px in patches of 8 px.

Preset `small` was like that when they were taken, and has coarser patches now.
"""

from typing import Any

FINE: dict[str, Any] = {
    "image_size": 128, "patch": 8, "disc_patch": 16, "mask_blocks": (8, 16, 32),
    "hidden_tokens": "keep", "weight_latent": 1.0, "smoothing": 2.0, "texture": (), "fusion": "max",
    "align": "none",
}  # fmt: skip
