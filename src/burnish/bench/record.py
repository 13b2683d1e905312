"""The results of a bench as plain values, for the tables and for --json."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Machine:
    """The machine it ran on. `precision` is that of training; inspection is always float32."""

    hardware: str
    device: str
    threads: int
    precision: str
    torch: str
    burnish: str


@dataclass(frozen=True)
class Products:
    """Speed of the matrix products, beside the machine's peak measured in the same run.

    Attributes:
        flops: of one step or one inspection, counted (2 per multiply-add).
        reached: FLOP/s, `flops` over the time of the whole step or inference.
        square_peak: FLOP/s of a large square product, same precision and threads.
        products_peak: FLOP/s of the step's own products, each alone.
        share: reached of `square_peak`, 0 to 1.
        share_of_products: reached of `products_peak`, 0 to 1.
    """

    flops: int
    reached: float
    square_peak: float
    products_peak: float
    share: float
    share_of_products: float

    @classmethod
    def of(cls, flops: int, seconds: float, square_peak: float, products_peak: float) -> Products:
        """From `flops` done in `seconds`, and the two peaks."""
        reached = flops / seconds
        return cls(
            flops,
            reached,
            square_peak,
            products_peak,
            share=reached / square_peak,
            share_of_products=reached / products_peak,
        )


@dataclass(frozen=True)
class TrainingFigures:
    """One training step.

    Attributes:
        batch: images a step.
        input: channels, height, width of the model's input.
        steps: timed, after the warm-up.
        parts_ms: by part, in the step's order; they add up to `step_ms`, unless it is `replayed`.
        replayed: the step was replayed as a CUDA graph; its parts are of a step that was not.
        step_ms, step_ms_p50, step_ms_p99: mean of the middle half, and two quantiles.
        images_per_second: seen in training.
        peak_memory_mib: of the process (Linux: since training began), or of the GPU's tensors.
    """

    batch: int
    input: tuple[int, int, int]
    steps: int
    parts_ms: dict[str, float]
    step_ms: float
    step_ms_p50: float
    step_ms_p99: float
    images_per_second: float
    peak_memory_mib: float
    products: Products
    replayed: bool = False


@dataclass(frozen=True)
class Quantiles:
    """Median and 99 % quantile of times, ms."""

    p50: float
    p99: float


@dataclass(frozen=True)
class InspectionFigures:
    """Inspection of files, one at a time, and the speed that larger batches would have.

    Attributes:
        images: judged; `files` different ones, over and over.
        stages_ms: read, preprocess, inference, postprocess, and the `total` of the whole call.
        batches: images per second of inference alone, by batch.
        best_batch: the one with the most images per second.
        best_batch_ms: time of inference of such a batch, all of its images together.
        products: inference at batch 1 (p50) against the float32 peak.
    """

    images: int
    files: int
    source_size: tuple[int, int]
    stages_ms: dict[str, Quantiles]
    images_per_second: float
    batches: dict[int, float]
    best_batch: int
    best_batch_ms: Quantiles
    peak_memory_mib: float
    products: Products


@dataclass(frozen=True)
class Against:
    """burnish and the plain version in turns; medians in ms, and how far their results differ.

    Attributes:
        train_difference: largest relative difference of a loss term in the first step.
        inspect_difference: largest relative difference of a score over all images.
        verdicts_differ: images judged differently, but for scores that are the threshold to within
            1e-4 of it (one held-out image is the threshold; which side it falls on is rounding).
    """

    train_ms: float
    train_naive_ms: float
    train_speedup: float
    train_difference: float
    inspect_ms: float
    inspect_naive_ms: float
    inspect_speedup: float
    inspect_difference: float
    verdicts_differ: int
    steps: int
    images: int


@dataclass(frozen=True)
class FormatFigures:
    """One model file beside others, on the same images in turns.

    Attributes:
        device: the one it ran on; exported models always run on the processor.
        score_difference: largest, from the first model's scores.
        verdicts_differ: images that the first model judges differently.
        image_auroc: on the data's test images; None without both kinds.
    """

    path: str
    device: str
    size_mib: float
    ms: Quantiles
    images_per_second: float
    score_difference: float
    verdicts_differ: int
    image_auroc: float | None
    images: int


@dataclass(frozen=True)
class Bench:
    """All results; those not asked for are None or empty."""

    command: str
    preset: str
    changes: dict[str, object]
    data: str
    machine: Machine
    training: TrainingFigures | None = None
    inspection: InspectionFigures | None = None
    naive: Against | None = None
    models: list[FormatFigures] = field(default_factory=list)
