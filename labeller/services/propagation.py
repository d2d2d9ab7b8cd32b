"""Label propagation: the rest of the pool gets generated labels, above a confidence that is set.

By the model in use, or by label spreading over embeddings. A propagation is a run of generated
labels like a stream: marked wherever it shows, audited blind, accepted or rolled back in one step
with the functions of :mod:`labeller.services.streams`. Nobody is asked before its audit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np

from labeller import jobs
from labeller.errors import StreamRunError
from labeller.project import Project
from labeller.services import streams
from labeller.services.streams import RunView
from labeller.services.streams_evidence import Evidence, gather_evidence
from labeller.services.streams_plan import StreamPlan
from labeller.services.streams_pool import Sampled, Source, sampled, source_of
from labeller.services.streams_run import recover, refuse_ended
from labeller.services.streams_shown import Floats, Ints
from store.records import JobRecord
from store.records_made import GeneratedRunRecord
from strategies.stream import NEVER, Reliability, Wrong

KIND: Final = "propagation"
Method = Literal["model", "spreading"]
METHODS: tuple[Method, ...] = get_args(Method)
SPREADING: Final = "spreading"
CONFIDENCE = "confidence"  # in the options of a run's plan
FEW_VALID = 20  # labelled validation items below which confidences are hardly calibrated
_CURVE = np.round(np.linspace(0.5, 1.0, 51), 2)


@dataclass(frozen=True, slots=True)
class PropagationPlan:
    """What a person sets.

    Parameters
    ----------
    method : {"model", "spreading"}
        The model in use, or label spreading over embeddings.
    confidence : float
        Items with at least this calibrated confidence get a generated label; from 0 to 1.
    audit_share : float
        Share of the generated labels that a person is asked about, blind.
    seed : int, optional
        Draws the audit and, of a large pool, the graph; the project's when not given.
    """

    method: Method = "model"
    confidence: float = 0.95
    audit_share: float = 0.05
    seed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as a run's row holds the plan of a stream, so that audits read both."""
        return StreamPlan(
            strategy=self.method,
            error=1 - self.confidence,
            seed=self.seed,
            audit_share=self.audit_share,
            options={CONFIDENCE: self.confidence},
        ).to_json()


def checked(plan: PropagationPlan) -> PropagationPlan:
    """Return the plan if it can be used.

    Raises
    ------
    StreamRunError
        When the method is unknown or a number is out of range.
    """
    if plan.method not in METHODS:
        raise StreamRunError(
            f"{plan.method!r} is no way to propagate labels. Choose one of: {', '.join(METHODS)}."
        )
    for name, value in (("confidence", plan.confidence), ("audit share", plan.audit_share)):
        if not (math.isfinite(value) and 0 <= value <= 1):
            raise StreamRunError(f"A {name} of {value} cannot be. Give a number from 0 to 1.")
    if plan.seed is not None and plan.seed < 0:
        raise StreamRunError(f"A seed of {plan.seed} cannot be. Give a whole number from 0.")
    return plan


@dataclass(frozen=True, slots=True)
class ClassShare:
    """How many items one class would get, and how many of them are expected to be wrong."""

    class_id: int
    name: str
    accepted: int
    errors: float


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What to expect of a propagation, before it starts. Nothing is written.

    Attributes
    ----------
    why_not : str or None
        Why none can start; the other fields are then as far as they are known.
    notes : tuple of str
        What the person should know.
    model_round : int or None
        Of the round whose model is in use.
    items : int
        Unlabelled items outside the audit set that do not wait in the queue.
    classes : tuple of ClassShare
        Empty for spreading, whose confidences are reckoned when it runs.
    thresholds, error_rates : array of float, shape (51,)
        Confidences that could be set, and the share of wrong labels expected above each.
    accepted_curve : array of int, shape (51,)
        How many items would get a label above each.
    wrong : Wrong or None
        How many labels are expected to be wrong, with an interval; None for spreading.
    """

    why_not: str | None = None
    notes: tuple[str, ...] = ()
    model_round: int | None = None
    items: int = 0
    classes: tuple[ClassShare, ...] = ()
    thresholds: Floats = field(default_factory=lambda: np.empty(0))
    accepted_curve: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    error_rates: Floats = field(default_factory=lambda: np.empty(0))
    wrong: Wrong | None = None

    @property
    def accepted(self) -> int:
        """How many items would get a generated label."""
        return sum(one.accepted for one in self.classes)


def outlook(project: Project, plan: PropagationPlan) -> Outlook:
    """Say what a propagation would bring, or why there can be none.

    Parameters
    ----------
    project : Project
    plan : PropagationPlan
    """
    try:
        checked(plan)
        with project.store.read() as unit:
            source = source_of(project, unit)
            items = unit.generated_labels.arrivals_count()
            pool = sampled(unit, source) if plan.method == "model" else None
            evidence = gather_evidence(unit, source)
            valid = sum(unit.labels.counts_by_class("valid").values())
    except StreamRunError as error:
        return Outlook(why_not=str(error))
    notes = []
    if valid < FEW_VALID:
        notes.append(
            f"Only {valid} validation images are labelled: confidences are hardly calibrated yet."
        )
    why_not = None if items else NOTHING_LEFT
    if pool is None:
        return Outlook(why_not, tuple(notes), source.round_number, items)
    notes += [evidence.note] if evidence.note else []
    if pool.unjudged:
        new = round(pool.unjudged / pool.seen * pool.items)
        notes.append(f"{new:,} items are newer than the model; they are predicted first.")
    if pool.seen < pool.items:
        notes.append(f"Reckoned on {pool.seen:,} of {pool.items:,} items, evenly taken.")
    return Outlook(
        why_not,
        tuple(notes),
        source.round_number,
        items,
        _classes(source, pool, evidence.reliability, plan.confidence),
        *_curve(source, pool, evidence.reliability),
        _wrong(source, pool, evidence, plan.confidence),
    )


NOTHING_LEFT = (
    "No item is left: every unlabelled one waits in the queue, has a generated label or belongs to "
    "the audit set."
)


def _classes(
    source: Source, pool: Sampled, known: Reliability, confidence: float
) -> tuple[ClassShare, ...]:
    """Return what each class that is in use would get."""
    judged, shares = pool.judged, []
    for class_id, name, columns in source.classes:
        if any(source.targets[column] is None for column in columns):
            continue
        sure = judged.confidences[np.isin(judged.columns, columns)]
        taken = sure[sure >= confidence]
        shares.append(
            ClassShare(
                class_id,
                name,
                round(len(taken) * pool.scale),
                float((1 - known.chances(taken)).sum()) * pool.scale,
            )
        )
    return tuple(shares)


def _wrong(source: Source, pool: Sampled, evidence: Evidence, confidence: float) -> Wrong:
    """Return how many labels may be wrong."""
    limits = np.array([NEVER if target is None else confidence for target in source.targets])
    sure = pool.judged.confidences
    return evidence.count_wrong(sure[sure >= limits[pool.judged.columns]], limits, pool.scale)


def _curve(source: Source, pool: Sampled, known: Reliability) -> tuple[Floats, Ints, Floats]:
    """Return thresholds (51,), items above each (51,), and the error rate expected there (51,)."""
    usable = np.array([target is not None for target in source.targets])
    sure = np.sort(pool.judged.confidences[usable[pool.judged.columns]])[::-1]
    numbers = np.searchsorted(-sure, -_CURVE, side="right")
    wrong = np.concatenate([[0.0], np.cumsum(1 - known.chances(sure))])[numbers]
    rates = wrong / np.maximum(numbers, 1)
    return _CURVE, np.rint(numbers * pool.scale).astype(np.int64), rates


def current(project: Project) -> GeneratedRunRecord | None:
    """Return the newest propagation that is not finished, None when there is none."""
    return streams.current(project, KIND)


def runs(project: Project) -> list[RunView]:
    """Return the propagations, newest first."""
    return streams.runs(project, KIND)


def start(project: Project, plan: PropagationPlan) -> GeneratedRunRecord:
    """Begin a propagation and submit its job.

    Parameters
    ----------
    project : Project
    plan : PropagationPlan

    Returns
    -------
    GeneratedRunRecord
        Paused until the job takes it on.

    Raises
    ------
    StreamRunError
        When there is no model or no item left, another propagation is not finished, or the plan
        cannot be used.
    JobError
        When a propagation job is active.
    """
    checked(plan)
    recover(project)
    with project.store.write() as unit:
        streams.refuse_second(unit, KIND)
        source = source_of(project, unit)
        items = unit.generated_labels.arrivals_count()
        if not items:
            raise StreamRunError(NOTHING_LEFT)
        params = {"plan": plan.to_json(), "items": items}
        machine: Mapping[str, Any] = {"passed": 0}
        run = unit.generated.start(KIND, source.model.id, plan.method, params, machine)
    jobs.submit(project, KIND, {"run": run.id})
    with project.store.read() as unit:
        return unit.generated.get(run.id)


def go_on(project: Project, run_id: int) -> JobRecord:
    """Submit the job that takes a propagation on that stood still.

    Raises
    ------
    StreamRunError
        When there is no such propagation, it is finished, or its model or its predictions are
        gone.
    JobError
        When a propagation job is active already.
    """
    recover(project)
    run = streams.get_run(project, run_id, KIND)
    refuse_ended(run)
    with project.store.read() as unit:
        source_of(project, unit, run.model_id)
    return jobs.submit(project, KIND, {"run": run.id})
