"""An evaluation in plain words: defects caught and missed, false alarms, and cautions."""

from __future__ import annotations

from collections import Counter

from burnish.detection.calibration import needed_parts
from burnish.evaluation import intervals
from burnish.evaluation.record import Evaluation

UNLIKELY = 0.05  # chance below which a count is not attributed to luck
WEAK_AUROC = 0.6
NAMED_KINDS = 5
SMALL_GAIN = 0.02  # of F1 over calling everything defective
AS_GOOD = 0.01  # of AUROC: a trivial statistic this near the model counts as equally good
MANY_UNLIKE = 0.05  # share of test images unlike the training images worth mentioning


def summary(evaluation: Evaluation) -> str:
    """The verdict in plain words, then the cautions."""
    return " ".join([*verdict(evaluation), *cautions(evaluation)])


def verdict(evaluation: Evaluation) -> list[str]:
    """One sentence on defective images and one on good ones, as far as there are any."""
    e = evaluation
    sentences = []
    if e.n_defect:
        whole = f"{e.n_defect} images of defective parts"
        if e.n_defect == 1:
            outcome = "was missed" if e.missed else "was caught"
            sentences.append(f"The one image of a defective part ({e.kinds[0].kind}) {outcome}.")
        elif e.missed == 0:
            sentences.append(f"All {whole} were caught.")
        else:
            where = _missed_kinds(e)
            were = "was" if e.caught == 1 else "were"
            sentences.append(
                f"Of {whole}, {e.caught} {were} caught and {e.missed} missed ({where})."
            )
    if e.n_good:
        got, wanted = percent(e.false_alarm_rate_got), percent(e.false_alarm_rate_wanted)
        alarms = f"{e.false_alarms} false alarm{'' if e.false_alarms == 1 else 's'}"
        sentences.append(
            f"{e.n_good} image{'' if e.n_good == 1 else 's'} of good parts gave {alarms}: "
            f"{got}, where {wanted} was wanted."
        )
    return sentences


def _missed_kinds(e: Evaluation) -> str:
    """ "7 dent, 2 crack and 3 of other kinds": the kinds missed most often, by name."""
    missed = sorted(
        ((row.images - row.caught, row.kind) for row in e.kinds if row.caught < row.images),
        key=lambda item: (-item[0], item[1]),
    )
    named = ", ".join(f"{count} {kind}" for count, kind in missed[:NAMED_KINDS])
    rest = sum(count for count, _ in missed[NAMED_KINDS:])
    return f"{named} and {rest} of other kinds" if rest else named


def cautions(evaluation: Evaluation) -> list[str]:
    """What a reader must know before trusting the numbers; empty when nothing stands out."""
    e = evaluation
    found = []
    if not e.n_defect:
        found.append("There are no defective test images, so nothing is known of missed defects.")
    if not e.n_good:
        found.append("There are no good test images, so nothing is known of false alarms.")
    if e.false_alarm_interval is not None and (
        e.false_alarm_interval[0] > e.false_alarm_rate_wanted
    ):
        found.append(_too_many_false_alarms(e))
    if e.image_auroc is not None and e.image_auroc < WEAK_AUROC:
        found.append(
            f"The score hardly tells defective from good images (AUROC {e.image_auroc:.3f}; "
            "tossing a coin gives 0.5)."
        )
    trivial = e.best_trivial
    if (
        trivial is not None
        and e.image_auroc is not None
        and (trivial.auroc >= e.image_auroc - AS_GOOD)
    ):
        how = "better" if trivial.auroc > e.image_auroc + AS_GOOD else "as well"
        found.append(
            f"{trivial.label[0].upper() + trivial.label[1:]} alone tells defective from good test "
            f"images {how} (AUROC {trivial.auroc:.3f}, the model's {e.image_auroc:.3f}): this "
            "test set cannot show that defects are seen."
        )
    # Among good images, if there are any: a large defect alone makes its image unlike training's.
    asked = [row for row in e.images if not row.is_defect] or e.images
    if sum(bool(row.out_of_range) for row in asked) > MANY_UNLIKE * len(asked):
        found.append(_unlike(e))
    if e.n_good and e.best_f1 is not None and e.all_positive_f1 is not None:
        gain = e.best_f1 - e.all_positive_f1
        if gain < SMALL_GAIN:
            found.append(
                f"F1 says little here: even the best threshold ({e.best_f1:.3f}) is barely better "
                f"than calling everything defective ({e.all_positive_f1:.3f})."
            )
    if e.n_good and e.f1 is not None and e.all_positive_f1 is not None:
        enough = e.best_f1 is not None and e.best_f1 - e.all_positive_f1 >= SMALL_GAIN
        if enough and e.f1 < e.all_positive_f1 and e.escape_rate:
            found.append(_too_strict(e))
    if e.unreadable:
        total = len(e.images) + len(e.unreadable)
        found.append(f"{len(e.unreadable)} of {total} test images could not be used.")
    return found


def _unlike(e: Evaluation) -> str:
    good = [row for row in e.out_of_range if not row.is_defect]
    named = Counter(unlike.label for row in e.out_of_range for unlike in row.out_of_range)
    most, _ = named.most_common(1)[0]
    return (
        f"{len(e.out_of_range)} of {len(e.images)} test images ({len(good)} of them good) are "
        f"unlike the training images, most often in {most}: verdicts on them rest on nothing the "
        "model has seen."
    )


def _too_many_false_alarms(e: Evaluation) -> str:
    assert e.false_alarm_interval is not None
    low, high = (percent(rate) for rate in e.false_alarm_interval)
    held_out, unit = _held_out(e)
    worth = e.n_good if e.independent_good is None else e.independent_good
    chance = intervals.chance_of_calibration(
        e.false_alarms / e.n_good, worth, held_out, e.false_alarm_rate_wanted
    )
    if chance < UNLIKELY:
        return (
            f"That is more than chance explains (95 % interval {low} to {high}): the good test "
            "images differ from the good images calibrated on."
        )
    return (
        f"The rate is above the wanted one (95 % interval {low} to {high}), but chance may explain "
        f"it: {held_out} held-out good {unit} are few, and set the threshold only roughly."
    )


def _too_strict(e: Evaluation) -> str:
    text = (
        f"The threshold is far from the best for these test images: F1 is {e.f1:.3f}, "
        f"calling everything defective gives {e.all_positive_f1:.3f}, and the best threshold "
        f"would give {e.best_f1:.3f}."
    )
    held_out, unit = _held_out(e)
    if held_out < needed_parts(e.false_alarm_rate_wanted):
        text += (
            f" The one in use is the highest score of only {held_out} held-out good {unit}, "
            "so one odd image among them decides it."
        )
    return text


def _held_out(e: Evaluation) -> tuple[int, str]:
    """Number and name of what counts for the threshold: parts, as images of one score alike."""
    images, parts = e.model.held_out_images, e.model.held_out_parts
    return (images, "images") if parts is None or parts == images else (parts, "parts")


def percent(rate: float | None) -> str:
    """0.0123 -> "1.2 %"; "n/a" for None."""
    if rate is None:
        return "n/a"
    return f"{100 * rate:.0f} %" if rate in (0, 1) else f"{100 * rate:.3g} %"
