"""Model files of older formats: what is read in another way, and what can no longer be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from burnish.detection.model_file import ModelCard

BORDERS = 12  # from this format on, a region's border is no texture


def name_textures(settings: Any) -> None:
    """Join the two settings that a texture had up to format 4, its grain and its field."""
    if not isinstance(settings, dict) or not isinstance(settings.get("texture", []), list):
        return  # validation reports it
    of = settings.pop("texture_of", "residual")
    fields = ["residual", "image"] if of == "both" else [of]
    settings["texture"] = [f"{f}:{grain}" for f in fields for grain in settings.get("texture", [])]


def outdated(card: ModelCard) -> str:
    """Why a model must be calibrated anew, as the rest of a sentence about it; else ""."""
    settings = card.settings
    tiled = settings.tile != "full" and min(card.data.get("smallest", (0,))) < settings.tile
    compared = settings.texture or settings.lines
    if card.format >= BORDERS or not compared or not (settings.roi or tiled):
        return ""
    where = "a region of interest" if settings.roi else "images smaller than a tile"
    return (
        f"was made by an older burnish, which hid defects behind the border of {where}: the "
        "command that trained it, with --resume, calibrates it anew in a minute or two"
    )
