"""The settings by theme, in the order in which they are shown."""

from __future__ import annotations

GROUPS: dict[str, tuple[str, ...]] = {
    "images": (
        "image_size", "aspect", "align", "colour", "tile", "overlap", "roi", "flips", "jitter",
        "level_light",
    ),
    "verdict": ("part_pattern", "holdout", "folds", "false_alarms"),
    "masks": ("mask_blocks", "mask_channel", "hidden_tokens"),
    "generator": (
        "patch", "width", "heads", "qk_norm", "mlp_ratio", "depth_encoder", "depth_middle",
        "depth_decoder", "skip",
    ),
    "discriminator": ("disc_patch", "disc_width", "disc_heads", "disc_depth", "tome_r"),
    "losses": (
        "weight_adversarial", "weight_latent", "weight_consistency", "weight_l1", "weight_ssim",
        "weight_gradient",
    ),
    "training": (
        "epochs", "steps", "minutes", "batch", "learning_rate", "disc_learning_rate",
        "weight_decay", "beta1", "beta2", "warmup", "schedule", "clip_gradient", "ema", "seed",
        "precision", "accelerator", "devices", "cuda_graph", "compiled",
        "checkpoint_minutes",
    ),
    "scoring": (
        "part_only", "error", "smoothing", "standardise", "texture", "texture_factors", "lines",
        "whole", "extremes", "features", "fusion", "reduction", "top_share",
    ),
}  # fmt: skip
