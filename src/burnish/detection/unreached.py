"""Find settings that cannot take effect, so that the user is told instead of misled."""

from __future__ import annotations

from collections.abc import Callable

from burnish.configuration import make_settings
from burnish.settings import Settings

NEEDS: tuple[tuple[tuple[str, ...], str, Callable[[Settings], object]], ...] = (
    (
        ("disc_patch", "disc_width", "disc_heads", "disc_depth", "tome_r", "disc_learning_rate"),
        "a discriminator (weight_adversarial above 0)",
        lambda s: s.weight_adversarial,
    ),
    (
        ("weight_l1", "weight_ssim", "weight_gradient"),
        "weight_consistency above 0",
        lambda s: s.weight_consistency,
    ),
    (("part_only",), "align=auto or part", lambda s: s.align != "none"),
    (("image_size", "aspect"), "tile=full", lambda s: s.tile == "full"),
    (("overlap",), "tiles (a side in px as tile)", lambda s: s.tile != "full"),
    (
        ("texture_factors",),
        "a texture of the image, as image:1",
        lambda s: any(of == "image" for of, _ in s.textures(3)),
    ),
    (("whole",), "texture and fusion=highest or scores", lambda s: s.judges_whole),
    (("extremes",), "fusion=highest or scores", lambda s: s.knows_extremes),
    (("holdout",), "folds=0", lambda s: not s.folds),
    (("top_share",), "reduction=top", lambda s: s.reduction == "top"),
)
"""Settings, what they need in words, and whether that is given."""


def find_unreached(
    settings: Settings, preset: str, steps: int, samples: int, shape: tuple[int, int, int]
) -> list[str]:
    """Settings that cannot take effect, as sentences.

    Args:
        preset: settings that stand there as given are not reported.
        steps: length of the training.
        samples: number of samples in an epoch.
        shape: channels, height and width of what the networks see.
    """
    found, patch = [], settings.disc_patch
    if settings.batch > samples:
        found.append(
            f"batch is {settings.batch}, but there are {samples} to learn from: a step takes those"
        )
    tokens = (shape[1] // patch) * (shape[2] // patch)
    if settings.warmup > steps:
        found.append(
            f"warmup is {settings.warmup} steps and the training has {steps}: the learning rate "
            "never gets to what was asked for (--set warmup=0, or train longer)"
        )
    if settings.weight_adversarial and settings.tome_r > tokens // 2:
        found.append(
            f"tome_r is {settings.tome_r}, but a block merges no more than half of its tokens, and "
            f"the first of the discriminator has {tokens}"
        )
    usual = make_settings(preset)
    if settings.steps is not None and settings.epochs not in (None, usual.epochs):
        found.append(f"epochs={settings.epochs} does nothing: steps={settings.steps} says the end")
    seen = settings.textures(shape[0])
    lost = [f"{of}:{grain}" for of, grain in settings.textures(3) if (of, grain) not in seen]
    if lost and settings.texture != usual.texture:
        found.append(f"texture {', '.join(lost)} does nothing: the network sees grey images")
    return found + _unmet(settings, usual)


def _unmet(settings: Settings, usual: Settings) -> list[str]:
    """Settings that differ from the preset's and lack what they need."""
    found = []
    for names, needed, there in NEEDS:
        asked = [
            f"{name}={value}"
            for name in names
            if (value := getattr(settings, name)) and value != getattr(usual, name)
        ]
        if asked and not there(settings):
            act = "does" if len(asked) == 1 else "do"
            found.append(f"{', '.join(asked)} {act} nothing: needed is {needed}")
    return found


def find_cut_warmup(settings: Settings, steps: int, done: int) -> list[str]:
    """A note if a training limited by minutes ended within its warm-up, else none.

    Args:
        steps: the most steps it could have taken.
        done: the steps it took.
    """
    if not done < settings.warmup <= steps:  # otherwise `find_unreached` has told it
        return []
    return [
        f"training ended after {done} steps, within a warm-up of {settings.warmup}: the learning "
        "rate never got to what was asked for (--set warmup=0, or more minutes)"
    ]
