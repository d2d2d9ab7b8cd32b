"""The audit of a stream's generated labels: asked blind, counted, bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeller.errors import StreamRunError
from labeller.project import Project
from labeller.services.streams_plan import LEAST_AUDIT, plan_of
from labeller.services.streams_pool import payable
from labeller.services.streams_shown import AuditReport, AuditRow, Floats, Ints
from store.errors import NotFound
from store.records import NewQueueEntry
from store.records_made import GeneratedRunRecord
from store.store import Unit
from strategies.stream.quality.audit import audit_sample
from strategies.stream.quality.bounds import error_bound

Bools = NDArray[np.bool_]

STRATEGY = "stream_audit"
PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """How many audits a draw would have taken, and how many the budget paid."""

    wanted: int
    asked: int


def ask_audit(
    project: Project, run_id: int, share: float | None = None, least: int = LEAST_AUDIT
) -> int:
    """Queue generated labels of a run to be asked blind.

    Parameters
    ----------
    project : Project
    run_id : int
    share : float, optional
        The share of all its generated labels to draw, those drawn before included; by default
        what was set for the run.
    least : int
        How many of every class at least; 59 of which none is wrong bound its error by 5 %.

    Returns
    -------
    int
        How many are new; fewer than wanted when the budget pays no more.

    Raises
    ------
    StreamRunError
        When there is no such run, it is rolled back, a number is out of range, or the budget pays
        for none.
    """
    wanted = draw(project, run_id, share, least)
    if wanted.asked < wanted.wanted and not wanted.asked:
        raise StreamRunError(
            f"The budget pays for none of the {wanted.wanted:,} audits. Raise it on the Settings "
            f"page, or label what waits in the queue."
        )
    return wanted.asked


def draw(project: Project, run_id: int, share: float | None, least: int) -> Drawn:
    """Draw generated labels to audit, and queue as many as the budget pays.

    Drawn by share first, all alike, then `least` of each class; what was drawn before counts.
    Those that a person has labelled by now are asked no more, and stay out of both.
    """
    with project.store.write() as unit:
        run = run_of(unit, run_id)
        if run.verdict == "rolled_back":
            raise StreamRunError(f"Run {run_id} is rolled back, so there is nothing to audit.")
        plan = plan_of(run)
        share = plan.audit_share if share is None else share
        if not 0 <= share <= 1 or least < 0:
            raise StreamRunError(
                f"Cannot audit a share of {share}, nor {least} of each class. "
                f"Give a share from 0 to 1, and a number from 0."
            )
        pool = _Pool.of(unit, run_id)
        seed = project.settings.seed if plan.seed is None else plan.seed
        rng = np.random.default_rng([seed, run_id, int(pool.marked.sum())])
        fair, extra = pool.drawn(share, least, rng)
        money = payable(unit, project.settings.label_price)
        new = np.concatenate([fair, extra])
        fresh = ~pool.marked[new]  # an extra one that is drawn again waits already
        if money is not None:
            kept = np.cumsum(fresh) <= money
            fair, extra = fair[kept[: len(fair)]], extra[kept[len(fair) :]]
        asked = unit.generated_labels.choose_audit(run_id, pool.ids[fair].tolist(), "random")
        asked += unit.generated_labels.choose_audit(run_id, pool.ids[extra].tolist(), "extra")
        queue_open(unit, run_id)
        return Drawn(int(fresh.sum()), asked)


def queue_open(unit: Unit, run_id: int) -> int:
    """Put the audits of a run that wait for an answer into the queue, blind."""
    open_ids = unit.generated_labels.audit_open(run_id).tolist()
    return unit.queue.append([NewQueueEntry(i, STRATEGY, None, blind=True) for i in open_ids])


def mixed_in(
    project: Project, picked: Sequence[NewQueueEntry], rng: np.random.Generator
) -> list[NewQueueEntry]:
    """Put the audits of all runs that wait for an answer at random places among other picks.

    Parameters
    ----------
    project : Project
    picked : sequence of NewQueueEntry
        A new queue, most wanted first; its order stays.
    rng : numpy.random.Generator
        Draws the places, when there is an audit.

    Returns
    -------
    list of NewQueueEntry
        Picks and audits; the latter are blind, and on top of the batch.
    """
    with project.store.read() as unit:
        waiting = unit.generated_labels.audit_open().tolist()
    if not waiting:
        return list(picked)
    total = len(picked) + len(waiting)
    places = set(rng.choice(total, len(waiting), replace=False).tolist())
    audits = (NewQueueEntry(int(i), STRATEGY, None, True) for i in rng.permutation(waiting))
    others = iter(picked)
    return [next(audits) if place in places else next(others) for place in range(total)]


def withdraw_open(unit: Unit, run_id: int) -> int:
    """Take the audits of a run out of the queue that nobody has begun."""
    return unit.queue.withdraw(unit.generated_labels.audit_open(run_id).tolist(), STRATEGY)


def run_of(unit: Unit, run_id: int) -> GeneratedRunRecord:
    """Return a run, held until the end of the transaction.

    Raises
    ------
    StreamRunError
        When there is none.
    """
    try:
        return unit.generated.hold(run_id)
    except NotFound as error:
        raise StreamRunError(str(error)) from error


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """The generated labels (n,) that an audit draws from: unlabelled ones, and those drawn before.

    `random` and `extra` say how each was drawn.
    """

    ids: Ints
    classes: Ints
    confidences: Floats
    random: Bools
    extra: Bools

    @property
    def marked(self) -> Bools:
        return self.random | self.extra

    @classmethod
    def of(cls, unit: Unit, run_id: int) -> _Pool:
        """Read them."""
        ids, classes, confidences = unit.generated_labels.accepted(run_id)
        drawn = {"random": [0], "extra": [0]}
        after = 0
        while page := unit.generated_labels.decisions(run_id, audit=True, after=after, limit=PAGE):
            for one in page:
                drawn[one.audit or "extra"].append(one.item_id)
            after = page[-1].item_id
        random, extra = (np.isin(ids, drawn[kind]) for kind in ("random", "extra"))
        kept = random | extra | np.isin(ids, unit.generated_labels.ids())
        targets = unit.classes.targets()
        merged = np.array([targets[int(c)] for c in classes], np.int64)
        return cls(ids[kept], merged[kept], confidences[kept], random[kept], extra[kept])

    def drawn(self, share: float, least: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Return the places to mark as drawn by share, and those added for their class.

        The first draw leaves each label the same chance; a later one tops it up so that all of
        them together have it again.
        """
        rest = np.flatnonzero(~self.random)
        missing = share * len(self.ids) - int(self.random.sum())
        fair = rest[:0]
        if missing > 0 and len(rest):
            part = min(1.0, missing / len(rest))
            fair = rest[audit_sample(self.classes[rest], self.confidences[rest], part, rng).rows]
        taken = self.marked
        taken[fair] = True
        added = [
            rng.choice(free, min(lack, len(free)), replace=False)
            for one in np.unique(self.classes)
            if (lack := least - int(np.count_nonzero(taken & (self.classes == one)))) > 0
            and len(free := np.flatnonzero(~taken & (self.classes == one)))
        ]
        return fair, np.concatenate([rest[:0], *added])


def audit(project: Project, run_id: int) -> AuditReport:
    """Report what the audit of a run has found so far.

    Parameters
    ----------
    project : Project
    run_id : int

    Returns
    -------
    AuditReport
        A row for every class that the run generated labels of.

    Raises
    ------
    StreamRunError
        When there is no such run.

    References
    ----------
    Clopper, C. J. and Pearson, E. S. The Use of Confidence or Fiducial Limits Illustrated in the
    Case of the Binomial. Biometrika 26(4), 1934.
    """
    with project.store.read() as unit:
        try:
            unit.generated.get(run_id)
        except NotFound as error:
            raise StreamRunError(str(error)) from error
        generated = unit.generated_labels.accepted_by_class(run_id)
        answers = unit.generated_labels.audit_answers(run_id)
        waiting = len(unit.generated_labels.audit_open(run_id))
        classes = unit.classes.all(archived=True)
    audited = Counter(one.generated for one in answers)
    wrong = Counter(one.generated for one in answers if one.truth != one.generated)
    fair = [one for one in answers if not one.extra]
    rows = tuple(
        _row(one.id, one.name, generated[one.id], audited[one.id], wrong[one.id])
        for one in classes
        if one.id in generated
    )
    mistaken = sum(one.truth != one.generated for one in fair)
    total = _row(None, "All", sum(generated.values()), len(fair), mistaken)
    return AuditReport(run_id, rows, total, waiting)


def _row(class_id: int | None, name: str, generated: int, audited: int, wrong: int) -> AuditRow:
    bound = error_bound(wrong, audited)
    return AuditRow(class_id, name, generated, audited, wrong, bound.rate, bound.upper)
