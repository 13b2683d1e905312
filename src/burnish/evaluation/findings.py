"""Plain sentences on the evidence beside the main figures."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.evaluation.figures_more import stress_name
from burnish.evaluation.record import Evaluation
from burnish.evaluation.scales import ScaleRow
from burnish.evaluation.summary import AS_GOOD, percent

TELLING = 0.7  # AUROC from which a trivial statistic may be part of what the model responds to
LEANS = 0.05  # loss of AUROC worth mentioning


def on_trivial(e: Evaluation) -> str:
    """Is the model any better than one number computed from the grey levels?"""
    return " ".join(filter(None, (_on_best(e), _on_file_size(e))))


def _on_file_size(e: Evaluation) -> str:
    row = next((row for row in e.trivial if row.follows_pixels), None)
    if row is None or row.auroc < TELLING or e.image_auroc is None:
        return ""
    return (
        f"{row.label.capitalize()} alone reaches {row.auroc:.3f} and does not count here: all test "
        "images are of one lossless format and size, so it follows from their texture, which a "
        "flaw changes by itself."
    )


def _on_best(e: Evaluation) -> str:
    best = e.best_trivial
    if best is None or e.image_auroc is None:
        return ""
    side = "higher" if best.higher_in_defects else "lower"
    told = f"{best.label} alone ({side} in defects) reaches an AUROC of {best.auroc:.3f}"
    model = f"{e.image_auroc:.3f}"
    if best.auroc > e.image_auroc + AS_GOOD:
        return (
            f"A trivial statistic does better than the model: {told}, the model {model}. "
            "The figures above are then no evidence that defects are seen."
        )
    if best.auroc >= e.image_auroc - AS_GOOD:
        return (
            f"A trivial statistic does as well as the model: {told}, the model {model}. "
            "This test set cannot show that defects are seen."
        )
    if best.auroc >= TELLING:
        return (
            f"The model ({model}) does better than every trivial statistic, but {told}: "
            "part of what the model tells apart may be that."
        )
    return f"No trivial statistic comes near the model ({model}): {told}."


def on_equalised(e: Evaluation) -> str:
    """Does the result rest on brightness and contrast?"""
    if e.equalised is None or e.equalised.image_auroc is None or e.image_auroc is None:
        return ""
    now, before = e.equalised.image_auroc, e.image_auroc
    told = f"the AUROC is {now:.3f} with both made equal, {before:.3f} as they are"
    if before - now > LEANS:
        return f"The model leans on brightness or contrast: {told}."
    if now - before > LEANS:
        return f"Differences of brightness or contrast disturb the model: {told}."
    return f"The ranking does not rest on brightness or contrast: {told}."


def on_stress(e: Evaluation) -> str:
    """Which change of light or focus hurts most, in false alarms and in escapes."""
    unchanged = next((row for row in e.stress if row.change == "none"), None)
    changed = [row for row in e.stress if row.change != "none"]
    if unchanged is None or not changed:
        return ""
    sentences = []
    for name, what, nothing, of in (
        (
            "false_alarm_rate",
            "Most false alarms come",
            "No change raises false alarms",
            "good parts",
        ),
        (
            "escape_rate",
            "Most defects escape",
            "No change lets more defects escape",
            "defective parts",
        ),
    ):
        before = getattr(unchanged, name)
        rated = [(getattr(row, name), row) for row in changed if getattr(row, name) is not None]
        if before is None or not rated:
            continue
        rate, worst = max(rated, key=lambda pair: pair[0])
        if rate > before:
            sentences.append(
                f"{what} under {stress_name(worst)}: {percent(rate)} of the {of}, "
                f"{percent(before)} without a change."
            )
        else:
            sentences.append(f"{nothing}: {percent(before)} of the {of}, as unchanged.")
    return " ".join(sentences)


def on_stressed(e: Evaluation) -> str:
    """Which images the stress table is about: most often some of the test images only."""
    if not e.stress:
        return ""
    good, defective = e.stress[0].n_good, e.stress[0].n_defect
    told = f"{good} good and {defective} defective images"
    if good + defective == len(e.images):
        return f"All test images: {told}."
    return (
        f"{told}, drawn from {e.n_good} and {e.n_defect}, every kind of defect as often if "
        "possible: compare with the first row, not with the figures of all test images."
    )


def on_scales(scales: Sequence[ScaleRow], fused_auroc: float | None) -> str:
    """Does fusing the mask scales pay on this test set?"""
    rated = [(row.image_auroc, row.name) for row in scales if row.image_auroc is not None]
    if len(rated) < 2 or fused_auroc is None:
        return ""
    best, name = max(rated)
    if best > fused_auroc + AS_GOOD:
        return (
            f"Maps of {name} alone would rank these images better ({best:.3f}) than the fused "
            f"score ({fused_auroc:.3f}). That is known only from the test images: it is no reason "
            "to change a setting, but one to test on synthetic defects."
        )
    if best >= fused_auroc - AS_GOOD:
        return f"The best single scale ({name}: {best:.3f}) ranks as well as the fused score."
    return f"The fused score ranks better than every single scale (the best, {name}: {best:.3f})."
