"""Notes on images of another size or shape than the model was trained with, and on their parts."""

from __future__ import annotations

from burnish.detection.model_file import ModelCard
from burnish.images.pose import Pose
from burnish.images.roi import Region
from burnish.images.tiles import Grid, tiles_within
from burnish.settings import Settings

CUT_OFF = 0.05  # share of a part's place beyond the image's edge from which on a note is given
CLEARLY = 1.5  # ratio of tiles, or of pixels a side, either way, from which on a note is given


def count_tiles(settings: Settings, region: Region | None, height: int, width: int) -> int:
    """Number of tiles of an image that are scored: those with a pixel of the region (H, W)."""
    assert settings.tile != "full"
    grid = Grid.of(height, width, settings.tile, settings.overlap)
    return sum(1 for _ in tiles_within(grid, region))


def size_notes(card: ModelCard, region: Region | None, height: int, width: int) -> tuple[str, ...]:
    """Notes on an image's size, px, as sentences.

    Args:
        region: of interest, at that size.
    """
    return (
        *_stretched(card, height, width),
        *_enlarged(card, height, width),
        *_tiled(card, region, height, width),
    )


def part_notes(card: ModelCard, pose: Pose) -> tuple[str, ...]:
    """Notes on the pose of an aligned part, as sentences."""
    if not pose.found:
        return ("no part was found in the image: it was judged as it lies",)
    assert card.alignment is not None
    beyond = card.alignment.beyond(pose)
    if beyond < CUT_OFF:
        return ()
    return (
        f"the image's edge cuts off {100 * beyond:.0f} % of where the part should be: it was not "
        "judged there",
    )


def _stretched(card: ModelCard, height: int, width: int) -> tuple[str, ...]:
    """A note if the image has another shape than all training images, where that matters."""
    low, high = card.data.get("aspects", (0.0, float("inf")))  # not there in older files
    settings, whole = card.settings, card.settings.tile == "full"
    fits = 0.97 * low < height / width < 1.03 * high  # as `load_roi` has it
    if fits or not (whole or settings.roi):
        return ()
    stretched = "it was stretched to theirs" if whole else "the roi was stretched to it"
    return (
        f"the image is {width}x{height} px, of another shape than the training images: {stretched}",
    )


def _enlarged(card: ModelCard, height: int, width: int) -> tuple[str, ...]:
    """A note where a whole image has clearly fewer pixels a side than any training image, and than
    the model sees: a camera set to another resolution, or thumbnails."""
    if card.settings.tile != "full" or "smallest" not in card.data:
        return ()
    seen, least = (card.shape.height, card.shape.width), card.data["smallest"]
    if card.alignment is not None:
        seen = card.alignment.enlarged
    needed = [min(sides) for sides in zip(seen, least, strict=True)]
    if CLEARLY * height >= needed[0] or CLEARLY * width >= needed[1]:
        return ()
    return (
        f"the image is {width}x{height} px, the training images at least {least[1]}x{least[0]}: it "
        "was enlarged, and small flaws may not show",
    )


def _tiled(card: ModelCard, region: Region | None, height: int, width: int) -> tuple[str, ...]:
    """A note if the image has clearly more or fewer tiles than the held-out ones: the score is that
    of the worst tile, which grows with their number."""
    if "tiles" not in card.data:  # whole images, or an older file
        return ()
    least, most = card.data["tiles"]
    tiles = count_tiles(card.settings, region, height, width)
    if least <= CLEARLY * tiles and tiles <= CLEARLY * most:
        return ()
    known = f"{least} to {most}" if least < most else f"{most}"
    means = "more tiles, more false alarms" if tiles > most else "fewer tiles, p-values too mild"
    return (f"the image has {tiles} tiles, those that set the threshold {known}: {means}",)
