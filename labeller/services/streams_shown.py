"""What pages and commands are told about streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeller.services.streams_plan import StreamPlan
from store.records import JobRecord
from store.records_made import GeneratedRunRecord
from strategies.stream import Wrong

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as the pages show it.

    Attributes
    ----------
    run : GeneratedRunRecord
    plan : StreamPlan
        What was set for it.
    model_round : int
        Number of the round whose model decides.
    outdated : bool
        Whether a newer model is in use.
    job : JobRecord or None
        The job that runs it now.
    items : int
        How many items were expected to pass when it began.
    left : int
        How many more items it may ask about.
    """

    run: GeneratedRunRecord
    plan: StreamPlan
    model_round: int
    outdated: bool
    job: JobRecord | None
    items: int
    left: int

    @property
    def unreached(self) -> int:
        """How many of the items expected at the start have not passed, about."""
        return max(0, self.items - self.run.passed)


@dataclass(frozen=True, slots=True)
class ClassOutlook:
    """What to expect of one class; `accept_from` is None when none of its labels is sure enough."""

    class_id: int
    name: str
    predicted: int
    accept_from: float | None
    accepted: int
    errors: float


@dataclass(frozen=True, slots=True)
class Operating:
    """The threshold at which the labels left would last: what it asks, generates, gets wrong."""

    threshold: float
    questions: int
    generated: int
    error_rate: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What would become of all items: of the `accepted` so many labels wrong.

    `wrong.low` and `wrong.high` bound how many at 95 %. `tried` items passed on trial for it.
    """

    tried: int
    asked: int
    accepted: int
    deferred: int
    unreached: int
    wrong: Wrong


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What to expect of a stream, before it starts. Nothing is written.

    Attributes
    ----------
    why_not : str or None
        Why no stream can start; the other fields are then as far as they are known.
    notes : tuple of str
        What the person should know: a limit that was chosen, a sample instead of all.
    model_id, model_round : int or None
        Whose predictions decide.
    items : int
        Unlabelled items outside the audit set that do not wait in the queue.
    sample : int
        How many of them the numbers below were reckoned on; counts are scaled to `items`.
    new_items : int
        Items of the sample without a prediction yet; they get one when the stream starts.
    labels_left : int
        How many it may ask about.
    audits : int
        How many labels are kept back to audit what is accepted.
    budget_left : float or None
        What is neither spent nor reserved; None without a limit.
    thresholds, error_rates, errors : array of float, shape (T,)
        The forecast: less sure items asked about, the others accepted, `errors` of them wrong.
    questions : array of int, shape (T,)
    expected : Expected or None
        What the strategy would do with the items, in the order in which they would pass.
    confidences : array of int, shape (20,)
        How many items have a confidence from 0 to 0.05, to 0.1, ... to 1.
    operating : Operating or None
        Where on the curve the labels left would last.
    classes : tuple of ClassOutlook
        As if nothing were asked about.
    """

    why_not: str | None = None
    notes: tuple[str, ...] = ()
    model_id: int | None = None
    model_round: int | None = None
    items: int = 0
    sample: int = 0
    new_items: int = 0
    labels_left: int = 0
    audits: int = 0
    budget_left: float | None = None
    thresholds: Floats = field(default_factory=lambda: np.empty(0))
    questions: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    errors: Floats = field(default_factory=lambda: np.empty(0))
    error_rates: Floats = field(default_factory=lambda: np.empty(0))
    confidences: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    operating: Operating | None = None
    expected: Expected | None = None
    classes: tuple[ClassOutlook, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassDecisions:
    """What became of the items predicted as one class; `errors` wrong labels are expected."""

    class_id: int
    name: str
    asked: int
    accepted: int
    deferred: int
    errors: float


@dataclass(frozen=True, slots=True, eq=False)
class DryRun:
    """What a stream would do, counted and not written down.

    Attributes
    ----------
    items : int
        All that would pass, `unreached` of them not before the labels are spent.
    seen : int
        How many items were looked at: the first `limit` at most; the rest is not judged.
    asked, accepted, deferred, unreached : int
        They add up to `seen`.
    unpredicted : int
        Items looked at without a prediction yet, left out of `seen`.
    labels_left : int
        How many it might ask about.
    wrong : Wrong
        How many of the accepted are expected to be wrong, with an interval.
    classes : tuple of ClassDecisions
    positions : array of int, shape (P,)
        Items passed, for the curves; P is at most 201.
    asked_curve, accepted_curve, deferred_curve : array of int, shape (P,)
        How many of each by then.
    threshold_curve : array of float, shape (P,)
        The confidence below which the rule asked then; not a number while the budget was shut.
    """

    items: int
    seen: int
    limit: int
    asked: int
    accepted: int
    deferred: int
    unreached: int
    unpredicted: int
    labels_left: int
    wrong: Wrong
    classes: tuple[ClassDecisions, ...]
    positions: Ints
    asked_curve: Ints
    accepted_curve: Ints
    deferred_curve: Ints
    threshold_curve: Floats

    @property
    def limited(self) -> bool:
        """Whether only the first items were looked at."""
        return self.seen + self.unpredicted < self.items


@dataclass(frozen=True, slots=True)
class AuditRow:
    """The audit of one class of generated labels, or of all.

    Attributes
    ----------
    class_id : int or None
        None in the row of all classes.
    name : str
    generated : int
        Labels that the run generated.
    audited : int
        How many a person has answered; in the row of all only those drawn from all alike.
    wrong : int
        How many of these answers were another class.
    rate, upper : float
        The share that was wrong, and its upper 95 % Clopper-Pearson bound.
    """

    class_id: int | None
    name: str
    generated: int
    audited: int
    wrong: int
    rate: float
    upper: float


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The audit of a run: by class, of all, and how many questions are open."""

    run_id: int
    rows: tuple[AuditRow, ...]
    total: AuditRow
    open: int
