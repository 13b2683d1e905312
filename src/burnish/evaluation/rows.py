"""The parts of an evaluation record: an image, a kind, pixel level, trivial statistics, stress."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from burnish.detection.ranges import Unlike

Interval = tuple[float, float]  # 95 %, low and high


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageRow(Frozen):
    """One image: its path relative to the data folder, its label and the verdict on it.

    Attributes:
        verdict: "good" or "defect".
        part: the physical part it shows.
        scale_scores: the score of each mask scale alone, as `ModelFacts.mask_blocks` lists them,
            then two of each texture: by amount, and with direction; then one of each width of
            lines.
        out_of_range: statistics in which it is unlike the training images; empty if there are none,
            or if the model does not know their ranges.
        equalised_score: with brightness and contrast made those of the training images.
    """

    path: str
    kind: str
    is_defect: bool
    score: float
    p_value: float
    verdict: str
    part: str = ""
    scale_scores: tuple[float, ...] = ()
    out_of_range: tuple[Unlike, ...] = ()
    equalised_score: float | None = None

    @property
    def called_defective(self) -> bool:
        return self.verdict == "defect"


class PixelMetrics(Frozen):
    """How well the anomaly map finds the marked pixels, in images of one kind and the good ones.

    Attributes:
        images: defective images with a usable mask.
        components: connected marked areas (8-connected) in them.
        defect_share: share of all pixels that are marked: the AP of guessing.
        aupro: area under the per-region overlap up to `PixelSummary.aupro_limit` of false-positive
            rate, divided by that limit (Bergmann et al., IJCV 2021).
        best_f1_threshold: chosen on the test images: for display only.
    """

    images: int
    components: int
    defect_share: float | None
    auroc: float | None
    average_precision: float | None
    aupro: float | None
    best_f1: float | None
    best_f1_threshold: float | None


class Unreadable(Frozen):
    """A test image or mask that could not be used; it counts in no number."""

    path: str
    kind: str
    problem: str


class PixelSummary(Frozen):
    """Pixel metrics over all kinds; those of one kind stand in its `KindRow`.

    Attributes:
        intervals: 95 % bootstrap by part, of auroc, average_precision and aupro.
        n_without_mask: defective images left out because they have no mask.
        mask_problems: masks that cannot be read, mark nothing or have another size than the image.
        auroc_error: the AUROC is off by no more than this, because scores are counted in bins.
        masks: fingerprint of the masks counted with; "" in older records.
    """

    overall: PixelMetrics
    intervals: dict[str, Interval] = Field(default_factory=dict)
    n_without_mask: int
    mask_problems: tuple[Unreadable, ...] = ()
    aupro_limit: float
    auroc_error: float
    masks: str = ""


class KindRow(Frozen):
    """One kind of defect; AUROC and average precision are against all good images, None without
    any.

    Attributes:
        intervals: 95 % bootstrap by part, of image_auroc, average_precision and recall.
        pixels: None when no image of this kind has a usable mask.
    """

    kind: str
    images: int
    caught: int
    recall: float
    image_auroc: float | None
    median_score: float
    average_precision: float | None = None
    intervals: dict[str, Interval] = Field(default_factory=dict)
    pixels: PixelMetrics | None = None


class EscapesAt(Frozen):
    """Escapes at a threshold set on the good test images: for display only.

    Attributes:
        false_alarm_rate: the highest allowed on the good test images.
        threshold: the lowest that keeps to it.
        false_alarms: at that threshold; fewer than allowed if scores are equal or images few.
    """

    false_alarm_rate: float
    threshold: float
    false_alarms: int
    missed: int
    escape_rate: float


class TrivialRow(Frozen):
    """How well one trivial statistic of the images does in place of the model.

    Attributes:
        statistic, label, unit: see `burnish.images.statistics`.
        auroc: in [0.5, 1], in the better direction (chosen on the test images).
        higher_in_defects: that direction.
        median_good, median_defect: over the test images.
        follows_pixels: whether it is a file size that a flaw itself changes, as all test images
            have one lossless format and size; then it says nothing against the model.
    """

    statistic: str
    label: str
    unit: str
    auroc: float
    higher_in_defects: bool
    median_good: float
    median_defect: float
    follows_pixels: bool = False


class Equalised(Frozen):
    """The image-level result again, each test image brought to the training images' brightness and
    contrast (mean and standard deviation of its grey levels); same threshold.

    Attributes:
        mean, spread: what every image was brought to, grey levels.
    """

    mean: float
    spread: float
    image_auroc: float | None
    average_precision: float | None
    f1: float | None
    best_f1: float | None
    false_alarms: int
    false_alarm_rate: float | None
    missed: int
    escape_rate: float | None


class StressRow(Frozen):
    """The image-level result on test images changed in one way; same threshold.

    Attributes:
        change: "none", "brightness", "contrast", "blur", "noise", "jpeg", "shift" or "rotation".
        strength: for people, with its unit: "-25 %", "2 px", ...
        out_of_range: share of the changed images flagged as unlike the training images; None when
            the model does not know their ranges.
    """

    change: str
    strength: str
    n_good: int
    n_defect: int
    image_auroc: float | None
    false_alarms: int
    false_alarm_rate: float | None
    missed: int
    escape_rate: float | None
    out_of_range: float | None


class Timing(Frozen):
    """Median time an image, ms; the stages' medians need not add up to `total`."""

    read: float
    preprocess: float
    inference: float
    postprocess: float
    total: float


class ModelFacts(Frozen):
    """The model that was evaluated.

    Attributes:
        held_out_parts: number of parts that the held-out images show; None: one each, or unknown.
        mask_blocks: side of each mask scale, px.
        textures: field and grain, px, of each texture.
        lines: widths of the long lines, px.
        features: whether features of a pretrained network are compared.
        whole: whether the surface as a whole is compared.
        settings: all of them, as plain values.
        training_fingerprint: SHA-256 over names and contents of the training images.
        training_folder: their folder; None: unknown, as in older records.
    """

    path: str | None
    preset: str
    seed: int
    training_seconds: float | None
    training_images: int | None
    held_out_images: int
    held_out_parts: int | None = None
    promise: str
    mask_blocks: tuple[int, ...] = ()
    textures: tuple[tuple[str, int], ...] = ()
    lines: tuple[int, ...] = ()
    features: bool = False
    whole: bool = False
    settings: dict[str, Any] = Field(default_factory=dict)
    training_fingerprint: str | None = None
    training_folder: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
