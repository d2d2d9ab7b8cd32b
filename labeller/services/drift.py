"""Whether later predictions still look like those for the audit set, after a model was deployed.

The audit set is a random sample of the images that a model was made for. Where confidences,
energies or classes of later images are spread otherwise, its audit accuracy may not hold for them.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from labeller.errors import PredictionError
from labeller.project import Project
from labeller.services import audit_files, energies, predictions
from labeller.services.class_names import names_of
from labeller.services.prediction_index import ERROR, read_rows
from labeller.services.prediction_partial import PROBABILITIES
from labeller.services.prediction_plans import folder_of
from labeller.services.split_check import same_classes
from labeller.services.tables import unguarded
from store.errors import NotFound, VectorError
from store.records import ModelRecord
from store.vectors import VectorFile

LEVEL = 0.05  # for all tests of a comparison together
NOTABLE = 0.1  # a distance from which on a shift is worth acting on
FEWEST = 20  # images on either side, below which nothing is said
AUDIT, LATER = "audit set", "these images"
_COLUMN = re.compile(r"p\((.*)\)", re.DOTALL)  # of a class in a CSV file

Floats = NDArray[np.floating[Any]]
Verdict = Literal["unknown", "none", "small", "drift"]


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a model said of n images: likeliest classes, confidences (n,), and energies (n,).

    `energies` is empty where they are not known.
    """

    classes: tuple[str, ...]
    confidences: Floats
    energies: Floats

    def __len__(self) -> int:
        """Return n."""
        return len(self.confidences)


@dataclass(frozen=True, slots=True)
class Shift:
    """How one number is spread on both sides.

    `distance` is the largest difference between the two cumulative distributions, 0 to 1, and
    `p_value` that of the two-sample test by Kolmogorov and Smirnov.
    """

    distance: float
    p_value: float
    audit_median: float
    later_median: float


@dataclass(frozen=True, slots=True)
class ClassShift:
    """How the predicted classes are spread on both sides.

    `distance` is the share of images that would have to be of another class, 0 to 1; `name` is the
    class that stands out most, with its shares.
    """

    distance: float
    p_value: float
    name: str
    audit_share: float
    later_share: float


@dataclass(frozen=True, slots=True)
class Drift:
    """What a comparison found.

    `shares` holds, for each class, its share in the audit set and among the later images. `above`
    is the share of each whose energy is above the model's threshold, where it has one. `reasons`
    say in plain words what the verdict rests on.
    """

    model: int
    audit_n: int
    later_n: int
    verdict: Verdict
    confidence: Shift | None
    energy: Shift | None
    classes: ClassShift | None
    shares: Mapping[str, tuple[float, float]]
    above: tuple[float, float] | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The outputs that are compared, of model number `model`."""

    model: int
    audit: Outputs
    later: Outputs
    threshold: float | None


def compare_prediction(project: Project, number: int) -> tuple[Drift, Sides]:
    """Compare a finished prediction of the project with its model's audit set.

    Raises
    ------
    PredictionError
        When it is none of the project's, or not finished.
    EvaluationError
        When what the model predicted for the audit set is gone.
    """
    kept = predictions.get(project, number)
    if kept.summary is None:
        raise PredictionError(f"Prediction {number} is not finished. Go on with it first.")
    rows = read_rows(folder_of(project, number))
    rows = rows[rows["column"] != ERROR]
    names = kept.summary.classes
    later = Outputs(
        tuple(names[column] for column in rows["column"].tolist()),
        np.asarray(rows["confidence"]),
        np.asarray(rows["energy"]),
    )
    return _compare_with_audit(project, kept.plan.model, later, names)


def compare_file(project: Project, path: Path) -> tuple[Drift, Sides]:
    """Compare a file that ``predict`` wrote with its model's audit set.

    Parameters
    ----------
    project : Project
    path : Path
        A ``.csv`` or ``.jsonl`` file.

    Raises
    ------
    PredictionError
        When it cannot be read, or its rows are not of one model.
    EvaluationError
        When what the model predicted for the audit set is gone.
    """
    rows = [row for row in _read(path) if row["confidence"] not in (None, "")]
    models = {int(row["model"]) for row in rows}
    if len(models) != 1:
        found = f"models {', '.join(map(str, sorted(models)))}" if models else "no prediction"
        raise PredictionError(f"{path}: has {found}. Give a file that one model predicted.")
    later = Outputs(
        tuple(str(row["class"]) for row in rows),
        np.array([float(row["confidence"]) for row in rows]),
        np.array([float(row["energy"]) for row in rows]),
    )
    return _compare_with_audit(project, models.pop(), later, _class_names(rows[0]))


def _class_names(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the classes of a row in the order of the model's columns."""
    if isinstance(row.get(PROBABILITIES), Mapping):
        return tuple(row[PROBABILITIES])
    return tuple(match[1] for name in row if (match := _COLUMN.fullmatch(name)))


def _read(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a file of predictions."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".jsonl":
                yield from map(_checked, map(json.loads, filter(str.strip, file)))
            else:
                for row in csv.DictReader(file):
                    cells = {k: v for k, v in row.items() if isinstance(k, str)}
                    yield _checked({unguarded(k): unguarded(v or "") for k, v in cells.items()})
    except OSError as error:
        raise PredictionError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (ValueError, csv.Error, AttributeError) as error:
        raise PredictionError(
            f"{path}: is no file that `labeller predict` wrote ({error}). Give one of those, or "
            "the number of a prediction of the project."
        ) from error


def _checked(row: Any) -> Mapping[str, Any]:
    lacking = [name for name in ("class", "confidence", "energy", "model") if name not in row]
    if lacking:
        raise ValueError(f"it has no {lacking[0]}")
    return dict(row)


def _compare_with_audit(
    project: Project, model_id: int, later: Outputs, names: tuple[str, ...]
) -> tuple[Drift, Sides]:
    """Compare; `names` are those of the model's classes when it predicted `later`."""
    with project.store.read() as unit:
        try:
            model = unit.models.get(model_id)
        except NotFound as error:
            raise PredictionError(
                f"The project has no model {model_id}: the predictions are another project's."
            ) from error
        if len(names) != len(model.class_ids):
            names = names_of(unit, model.class_ids)
    known = energies.kept(model.metrics)
    threshold = None if known is None else known.threshold
    sides = Sides(model_id, _audit_outputs(project, model, names), later, threshold)
    return compare(sides), sides


def _audit_outputs(project: Project, model: ModelRecord, names: tuple[str, ...]) -> Outputs:
    """Return what a model said of the audit set, labelled or not."""
    kept = audit_files.read(project, model)
    columns = kept.probs.argmax(axis=1) if len(kept.probs) else np.empty(0, np.int64)
    return Outputs(
        tuple(names[column] for column in columns.tolist()),
        kept.probs.max(axis=1) if len(kept.probs) else np.empty(0),
        _audit_energies(project, model, kept.item_ids),
    )


def _audit_energies(project: Project, model: ModelRecord, item_ids: NDArray[np.int64]) -> Floats:
    """Return the energies of the audit set; of a model without energies none."""
    nothing: Floats = np.empty(0)
    with project.store.read() as unit:
        record = unit.predictions.get(model.id)
    if record is None:
        return nothing
    path = energies.path_of(project.own_file(record.file, project.vectors))
    if not VectorFile.exists(path):
        return nothing
    try:
        file = VectorFile.open(
            path, 1, "float32", project.own_file(model.path, project.models).name
        )
        return np.asarray(file.read(item_ids[file.has(item_ids)])[:, 0])
    except VectorError:
        return nothing


def compare(sides: Sides) -> Drift:
    """Compare what a model said of later images with what it said of the audit set.

    A shift counts when it is significant at 5 % for all tests together, by Holm's method; it is
    small when it is less than 0.1.

    References
    ----------
    Rabanser, S., Günnemann, S. and Lipton, Z. Failing Loudly: An Empirical Study of Methods for
    Detecting Dataset Shift. NeurIPS 2019 (tests on what a model says).

    Holm, S. A Simple Sequentially Rejective Multiple Test Procedure. 1979.
    """
    audit, later = sides.audit, sides.later
    enough = min(len(audit), len(later)) >= FEWEST
    confidence = _shift(audit.confidences, later.confidences) if enough else None
    both = min(len(audit.energies), len(later.energies)) >= FEWEST
    energy = _shift(audit.energies, later.energies) if enough and both else None
    classes = _class_shift(audit.classes, later.classes) if enough else None
    shifts = (confidence, energy, classes)
    significant = _significant([None if one is None else one.p_value for one in shifts])
    counted = [one for one, yes in zip(shifts, significant, strict=True) if one and yes]
    above = None
    if sides.threshold is not None and both:
        above = (
            float((audit.energies > sides.threshold).mean()),
            float((later.energies > sides.threshold).mean()),
        )
    verdict: Verdict = "unknown"
    if enough:
        verdict = "small" if counted else "none"
        if any(one.distance >= NOTABLE for one in counted):
            verdict = "drift"
    drift = Drift(
        sides.model,
        len(audit),
        len(later),
        verdict,
        confidence,
        energy,
        classes,
        _shares(audit.classes, later.classes),
        above,
        (),
    )
    return _with_reasons(drift, significant)


def _shift(audit: Floats, later: Floats) -> Shift:
    test = ks_2samp(audit, later)
    return Shift(
        float(test.statistic), float(test.pvalue), float(np.median(audit)), float(np.median(later))
    )


def _class_shift(audit: Sequence[str], later: Sequence[str]) -> ClassShift | None:
    names = sorted({*audit, *later})
    first, second = Counter(audit), Counter(later)
    counts = ([first[name] for name in names], [second[name] for name in names])
    test = same_classes((AUDIT, LATER), *counts, range(len(names)))
    if test is None:
        return None
    return ClassShift(
        test.distance, test.p_value, names[test.class_id], test.first_share, test.second_share
    )


def _shares(audit: Sequence[str], later: Sequence[str]) -> dict[str, tuple[float, float]]:
    first, second = Counter(audit), Counter(later)
    return {
        name: (first[name] / max(1, len(audit)), second[name] / max(1, len(later)))
        for name in sorted({*audit, *later})
    }


def _significant(p_values: Sequence[float | None]) -> list[bool]:
    """Say which tests are significant at 5 % together, by Holm's method; None was not made."""
    made = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    significant = [False] * len(p_values)
    for left, (p, place) in zip(range(len(made), 0, -1), made, strict=True):
        if p > LEVEL / left:
            break
        significant[place] = True
    return significant


def _with_reasons(drift: Drift, significant: Sequence[bool]) -> Drift:
    reasons = []
    if drift.verdict == "unknown":
        reasons.append(
            f"There are {drift.audit_n:,} images in the audit set and {drift.later_n:,} predicted "
            f"ones; a comparison takes {FEWEST} of each."
        )
    by_confidence, by_energy, by_class = significant
    if drift.confidence is not None and by_confidence:
        shift = drift.confidence
        less = "less" if shift.later_median < shift.audit_median else "more"
        reasons.append(
            f"The model is {less} sure: the median confidence is {_percent(shift.later_median)} "
            f"here and {_percent(shift.audit_median)} in the audit set{_size(shift)}."
        )
    if drift.energy is not None and by_energy:
        reasons.append(_energy_reason(drift, drift.energy))
    if drift.classes is not None and by_class:
        shift_of = drift.classes
        reasons.append(
            f"Classes are spread otherwise: “{shift_of.name}” is predicted for "
            f"{_percent(shift_of.later_share)} of these images and for "
            f"{_percent(shift_of.audit_share)} of the audit set{_size(shift_of)}."
        )
    if drift.verdict == "none":
        reasons.append(
            f"Confidences, energies and classes of {drift.later_n:,} images are spread as those of "
            f"the {drift.audit_n:,} in the audit set, as far as so many can tell."
        )
    if drift.energy is None and drift.verdict != "unknown":
        reasons.append("Energies were not compared: the model has none for the audit set.")
    return replace(drift, reasons=tuple(reasons))


def _energy_reason(drift: Drift, shift: Shift) -> str:
    if drift.above is None:
        more = "less" if shift.later_median > shift.audit_median else "more"
        return f"The images look {more} like what the model has learned{_size(shift)}."
    audit, later = drift.above
    return (
        f"{_percent(later)} of the images look like nothing seen, against {_percent(audit)} of the "
        f"audit set{_size(shift)}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _size(shift: Shift | ClassShift) -> str:
    p = "p < 0.001" if shift.p_value < 0.001 else f"p = {shift.p_value:.3f}"
    return f" (distance {shift.distance:.2f}, {p})"
