"""What a stream starts from: the pool, the model, the budget, as they are at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from labeller.errors import StreamRunError
from labeller.project import Project
from labeller.services.streams_evidence import Evidence, gather_evidence
from labeller.services.streams_plan import StreamPlan, checked
from labeller.services.streams_pool import Sampled, Source, payable, sampled, source_of
from store.store import Unit
from strategies import stream as streaming
from strategies.base import StrategyError
from strategies.stream import BudgetEstimate, StreamState

QUESTIONS = 10  # that fit into the window of the soft budget


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Everything that a stream starts from.

    Attributes
    ----------
    source : Source
    pool : Sampled
    evidence : Evidence
        What the audit set says of the model's confidences.
    limits : tuple of float
        Per column the confidence from which it is accepted.
    labels_left : int
        How many items may be asked about.
    audits : int
        How many labels are kept back for the audit.
    budget_left : float or None
    notes : tuple of str
    """

    source: Source
    pool: Sampled
    evidence: Evidence
    limits: tuple[float, ...]
    labels_left: int
    audits: int
    budget_left: float | None
    notes: tuple[str, ...]

    def machine(self, project: Project, plan: StreamPlan, sample: int | None = None) -> StreamState:
        """Return the state before the first item.

        Parameters
        ----------
        project : Project
        plan : StreamPlan
        sample : int, optional
            How many items pass in place of all, with as many fewer labels.

        Raises
        ------
        StreamRunError
            When an option of the strategy cannot be used.
        """
        items, labels = self.pool.items, self.labels_left
        if sample is not None and sample < items:
            items, labels = sample, max(min(labels, 1), round(labels * sample / items))
        try:
            state = streaming.start(
                plan.strategy,
                labels_left=labels,
                items_expected=items,
                accept_from=self.limits,
                seed=project.settings.seed if plan.seed is None else plan.seed,
                options=plan.options,
                coming=self.pool.judged.confidences,
            )
        except StrategyError as error:
            raise StreamRunError(str(error)) from error
        return replace(state, budget=soft_budget(state.budget.rate))


def soft_budget(rate: float) -> BudgetEstimate:
    """Return the soft budget of a stream over a pool: even from the first item to the last.

    Its window holds ten questions: in one that holds less than one, as 100 items do for a budget of
    0.5 %, nearly twice as many are asked, and the labels are spent half way through the pool. It
    begins as if the budget had been kept before, half a question below it: else the first items get
    a burst of questions.
    """
    if not rate:
        return BudgetEstimate(rate)
    window = max(BudgetEstimate(rate).window, math.ceil(QUESTIONS / rate))
    return BudgetEstimate(rate, window, rate * window - 0.5)


def prepare(project: Project, unit: Unit, plan: StreamPlan) -> Prepared:
    """Read the pool and the budget as they are now.

    Raises
    ------
    StreamRunError
        When there is no model, its predictions are gone, or the plan cannot be used.
    """
    checked(plan)
    source = source_of(project, unit)
    pool = sampled(unit, source)
    evidence = gather_evidence(unit, source)
    limits = _limits(source, pool, evidence, plan.error)
    sure = pool.judged.confidences >= np.array(limits)[pool.judged.columns]
    wanted = round(plan.audit_share * int(np.count_nonzero(sure)) * pool.scale)
    money = payable(unit, project.settings.label_price)
    notes = [evidence.note] if evidence.note else []
    audits = wanted if money is None else min(wanted, money // 2)
    if audits < wanted:
        notes.append(
            f"The budget pays {audits:,} of the {wanted:,} audits that a share of "
            f"{plan.audit_share:.0%} would take: at most half of what is left goes to the audit."
        )
    most = None if money is None else money - audits
    if plan.ask_at_most is not None:
        most = plan.ask_at_most if most is None else min(most, plan.ask_at_most)
    elif most is None:
        most = project.settings.batch
        notes.append(f"The budget has no limit, so the stream asks one batch at most: {most:,}.")
    if pool.unjudged:
        new = round(pool.unjudged / pool.seen * pool.items)
        notes.append(f"{new:,} items are newer than the model; they are predicted first.")
    if pool.seen < pool.items:
        notes.append(f"Reckoned on {pool.seen:,} of {pool.items:,} items, evenly taken.")
    free = unit.budget.get().free
    return Prepared(source, pool, evidence, limits, most, audits, free, tuple(notes))


def _limits(source: Source, pool: Sampled, evidence: Evidence, error: float) -> tuple[float, ...]:
    """Return per column the confidence from which it is accepted.

    A class of which nothing is sure enough now is accepted from where on every single label is:
    items that arrive later may be surer.
    """
    judged, known = pool.judged, evidence.reliability
    found = streaming.acceptance_thresholds(
        judged.confidences,
        judged.columns,
        len(source.targets),
        error,
        known.chances(judged.confidences),
    )
    single = known.confidence(1 - error)
    return tuple(
        streaming.NEVER if target is None else min(limit, single)
        for limit, target in zip(found, source.targets, strict=True)
    )


def why_not(prepared: Prepared, plan: StreamPlan) -> str | None:
    """Return why a stream cannot start from here, None when it can."""
    if prepared.labels_left < 1:
        return (
            "No budget is left beyond what waits in the queue. Raise the budget on the Settings "
            "page, or label what waits."
        )
    if not prepared.pool.items and not plan.follow:
        return (
            "No item is left to pass: every unlabelled one waits in the queue, has a generated "
            "label or belongs to the audit set. Import more images, or let the stream follow."
        )
    return None
