"""The parts of a model's card that say how good it is and where it fails."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from labeller.services import headline, training_words
from labeller.services.evaluation_audit import OnAudit
from labeller.services.evaluation_quality import Quality, confusions
from labeller.services.evaluation_scores import Share
from store.records import ModelRecord

FEW = 100  # audit images; with fewer the interval is too wide to promise much
FEW_OF_CLASS = 10
CONFUSIONS = 5
WEAKEST = 3
_MARKS = re.compile(r"[\\`*_\[\]<>#|~$]|&(?=#?\w+;)")


def metrics(
    found: OnAudit | None, measured: Quality | None, names: Mapping[int, str], why: str | None
) -> str:
    """Return the section on its metrics.

    Parameters
    ----------
    found : OnAudit or None
    measured : Quality or None
        What it scores on `found`; None where it could not be measured.
    names : mapping of int to str
        Of all classes.
    why : str or None
        Why it could not be measured.
    """
    if found is None or measured is None:
        return f"## Metrics\n\nNot measured: {why}"
    about = (
        f"Measured on {len(found):,} images of the audit set: drawn at random, labelled without a "
        f"suggestion, never trained on. Intervals are at 95 %."
    )
    parts = [
        about,
        *_changed(measured),
        "\n".join(_figures(found.model, measured)),
        _classes(measured, names),
    ]
    return "## Metrics\n\n" + "\n\n".join([*parts, *_confused(measured, names)])


def _figures(model: ModelRecord, measured: Quality) -> list[str]:
    accuracy, calibration = measured.accuracy, measured.calibration
    macro = bounded(measured.macro_f1, measured.macro_f1_low, measured.macro_f1_high)
    right = (
        f"- Accuracy {headline.summary(accuracy)}: the share of images that it gets right; "
        f"Wilson's interval at 95 %."
    )
    if accuracy.n < headline.LEAST:
        return [
            right,
            f"- Macro-F1, log loss and calibration take {headline.LEAST} labelled audit images.",
        ]
    return [
        right,
        f"- Macro-F1 {macro}: the mean over the classes of the harmonic mean of precision and "
        f"recall, so that rare classes count as much as common ones; interval by bootstrap.",
        f"- Log loss {measured.log_loss:.3f} nats: the mean of −log of the probability of the true "
        f"class; always saying {1 / len(measured.scores):.2g} for each gives "
        f"{np.log(len(measured.scores)):.3f}.",
        f"- Expected calibration error {percent(calibration.ece_after)}: how far confidence and "
        f"accuracy lie apart on average (15 bins), {percent(calibration.ece_before)} before its "
        f"temperature of {training_words.temperature(model.metrics)}.",
    ]


def _changed(measured: Quality) -> list[str]:
    """Say what happened to the audit labels since its round."""
    then, lines = measured.then, []
    if then.n and (then.n != measured.accuracy.n or measured.changed):
        lines.append(f"Its own round measured {headline.summary(then)} of that time.")
    if after := sum(one.after for one in measured.changed):
        lines.append(
            f"{after:,} of the audit labels changed after somebody had seen where a model was "
            f"wrong: to that extent the figures may be too good."
        )
    return lines


def _classes(measured: Quality, names: Mapping[int, str]) -> str:
    rows = [
        f"| {_name(score.class_id, names)} | {score.support:,} | {_share(score.precision)} | "
        f"{_share(score.recall)} |"
        for score in measured.scores
    ]
    return (
        "Precision is the share of what it calls the class that is right, recall the share of the "
        "class that it finds:\n\n"
        "| class | audit images | precision | recall |\n|---|---|---|---|\n" + "\n".join(rows)
    )


def _confused(measured: Quality, names: Mapping[int, str]) -> list[str]:
    found = [
        f"{_name(true, names)} for {_name(said, names)} ({n:,} images)"
        for true, said, n in confusions(measured, CONFUSIONS)
        if n > 1  # one image is chance
    ]
    return [f"Most often it takes {', '.join(found)}."] if found else []


def limits(
    model: ModelRecord, names: Sequence[str], measured: Quality | None, known: Mapping[int, str]
) -> str:
    """Return the section on its limits.

    Parameters
    ----------
    model : ModelRecord
    names : sequence of str, length C
        Classes in the order of its columns.
    measured : Quality or None
    known : mapping of int to str
        Names of all classes.
    """
    lines = [
        "It always answers with one of its classes, whatever an image shows. `labeller predict` "
        "tells the energy too, which is high for images unlike those it learned from; the exported "
        "files do not.",
        "The figures hold for images drawn like those of the project. Other cameras, places or "
        "times can be harder, and nothing here says by how much.",
    ]
    missing = {int(i) for i in model.metrics.get("missing_classes") or ()}
    if missing:
        never = [plain(n) for n, i in zip(names, model.class_ids, strict=True) if i in missing]
        lines.append(f"It never predicts {', '.join(never)}: there was no training example.")
    lines += _uncertain(measured, known)
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _uncertain(measured: Quality | None, known: Mapping[int, str]) -> list[str]:
    """Say where the figures are weak, and where the model is."""
    if measured is None:
        return ["How often it is right is unknown."]
    lines, n = [], measured.accuracy.n
    if n < FEW:
        lines.append(f"It was measured on {n:,} images only: the intervals are wide.")
    few = [score for score in measured.scores if score.support < FEW_OF_CLASS]
    if few:
        listed = ", ".join(f"{_name(one.class_id, known)} ({one.support:,})" for one in few)
        lines.append(f"Too few audit images to say how good it is on: {listed}.")
    weak = [one for one in measured.scores if one.recall.value is not None and one not in few]
    weak = [one for one in weak if (one.recall.value or 0.0) < 1.0]
    weak.sort(key=lambda one: one.recall.value or 0.0)
    if weak:
        listed = "; ".join(
            f"{_name(one.class_id, known)}, {_share(one.recall)}" for one in weak[:WEAKEST]
        )
        lines.append(f"Of the other classes it finds least of: {listed}.")
    return lines


def percent(value: float) -> str:
    """Write a share."""
    return f"{100 * value:.1f} %"


def bounded(value: float, low: float, high: float) -> str:
    """Write a share with its interval."""
    return f"{percent(value)} ({100 * low:.1f} to {percent(high)})"


def plain(text: str) -> str:
    """Return a name that is no Markdown within a line."""
    return _MARKS.sub(r"\\\g<0>", text)


def _share(value: Share) -> str:
    return "–" if value.value is None else bounded(value.value, value.low, value.high)


def _name(class_id: int, names: Mapping[int, str]) -> str:
    return plain(names.get(class_id, f"class {class_id}"))
