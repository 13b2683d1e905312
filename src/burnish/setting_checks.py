"""Settings that contradict each other, in groups; the first contradiction found is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burnish.settings import Settings


def check_together(s: Settings) -> None:
    """Refuse settings that are right one by one and contradict each other.

    Raises:
        ValueError: they do; the message names them and what would do.
    """
    _check_masks(s)
    _check_patches(s)
    _check_alignment(s)
    _check_maps(s)
    _check_hidden_tokens(s)
    _check_overlap(s)
    _check_networks(s)
    _check_training(s)
    _check_folds(s)


def _input_name(s: Settings) -> str:
    """How messages name the least side of the model's input."""
    if s.tile != "full":
        return f"tile {s.sides[0]}"
    named = f"image_size {s.image_size}"
    return f"{named} ({s.sides[0]} px or more)" if s.image_size == "auto" else named


def _networks(s: Settings) -> list[tuple[str, int, int, int]]:
    """Prefix of its settings, patch, width and heads of each network that is trained."""
    networks = [("", s.patch, s.width, s.heads)]
    if s.weight_adversarial:  # without it there is no discriminator
        networks.append(("disc_", s.disc_patch, s.disc_width, s.disc_heads))
    return networks


def _check_masks(s: Settings) -> None:
    if not s.mask_blocks or min(s.mask_blocks) < 1:
        raise ValueError("mask_blocks needs at least one block side, each 1 px or more")
    if len(set(s.mask_blocks)) < len(s.mask_blocks):
        raise ValueError(f"mask_blocks {s.mask_blocks} names a scale twice")
    if max(s.mask_blocks) >= s.sides[0]:
        raise ValueError(
            f"mask_blocks {s.mask_blocks} must be smaller than {_input_name(s)}, "
            "or a mask hides the whole image"
        )


def _check_patches(s: Settings) -> None:
    least = s.sides[0]
    for prefix, patch, *_ in _networks(s):
        if least % patch:
            raise ValueError(
                f"{_input_name(s)} is not a multiple of {prefix}patch {patch}: "
                f"{least // patch * patch or patch} would be"
            )


def _check_alignment(s: Settings) -> None:
    if s.align == "part" and (s.tile != "full" or s.roi):
        raise ValueError(
            "align=part turns and cuts out whole parts, wherever they lie: it goes neither "
            "with tile nor with roi, places of the image (align=auto gives way to them)"
        )


def _check_maps(s: Settings) -> None:
    if (s.texture or s.lines or s.features) and s.fusion == "paper":
        raise ValueError(
            "texture, lines and features add maps that fusion=paper, which compares the mean "
            "errors of mask scales, cannot weigh: use fusion=highest (or scores, max, mean)"
        )
    if len(set(s.texture)) < len(s.texture):
        raise ValueError(f"texture {', '.join(s.texture)} names one twice")
    if len(set(s.lines)) < len(s.lines):
        raise ValueError(f"lines {s.lines} names a width twice")


def _check_hidden_tokens(s: Settings) -> None:
    uneven = [block for block in s.mask_blocks if block % s.patch]
    if s.hidden_tokens == "drop" and uneven:
        raise ValueError(
            f"hidden_tokens=drop skips whole patches of {s.patch} px, but mask_blocks "
            f"{uneven} are no multiples of it: use a patch that divides them, or keep"
        )


def _check_overlap(s: Settings) -> None:
    if s.tile != "full" and 2 * s.overlap > s.tile:
        raise ValueError(f"overlap {s.overlap} is more than half of tile {s.tile}")


def _check_networks(s: Settings) -> None:
    for prefix, _, width, heads in _networks(s):
        if width % heads:
            raise ValueError(
                f"{prefix}width {width} is not a multiple of {prefix}heads, {heads}: "
                f"{width // heads * heads or heads} would be"
            )
        if width % 4:
            raise ValueError(f"{prefix}width {width} is not a multiple of 4 (sine positions)")
    if s.skip == "all" and s.depth_encoder != s.depth_decoder:
        raise ValueError("skip=all needs depth_encoder equal to depth_decoder")


def _check_training(s: Settings) -> None:
    consistency = s.weight_consistency and (s.weight_l1 or s.weight_ssim or s.weight_gradient)
    if not (s.weight_adversarial or s.weight_latent or consistency):
        raise ValueError("every loss weight is 0: there is nothing to learn")
    if s.epochs is None and s.steps is None and s.minutes is None:
        raise ValueError("one of epochs, steps and minutes must say when training ends")


def _check_folds(s: Settings) -> None:
    if not s.folds:
        return
    if s.folds == 1:
        raise ValueError("one of folds=1 leaves nothing to learn from: use 0, or 2 and more")
    if not s.in_units:
        raise ValueError(
            f"folds compares scores of several networks, which fusion={s.fusion} does not put into "
            "one unit: use fusion=highest or scores"
        )
    if s.devices > 1:
        raise ValueError(f"folds trains on one device, not on {s.devices}: use devices=1")
