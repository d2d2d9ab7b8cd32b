"""A stream without its traces: the same decisions, counted and not written down."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from labeller.errors import StreamRunError
from labeller.project import Project
from labeller.services.streams_plan import StreamPlan
from labeller.services.streams_pool import Source, arriving
from labeller.services.streams_prepare import Prepared, prepare, why_not
from labeller.services.streams_shown import ClassDecisions, DryRun, Expected, Ints
from store.store import Unit
from strategies import stream as streaming
from strategies.stream import Decision, StreamState, Wrong
from strategies.stream.machine.deciding import Arrival

CURVE = 200  # steps of the curves
TRIED = 20_000  # items that pass on trial for what a page expects: a second or two


def dry_run(project: Project, plan: StreamPlan, limit: int = 50_000) -> DryRun:
    """Let the first `limit` items pass as a stream would, and write nothing.

    Parameters
    ----------
    project : Project
    plan : StreamPlan
    limit : int
        How many items to look at.

    Returns
    -------
    DryRun
        With the same decisions as a stream started now, item by item.

    Raises
    ------
    StreamRunError
        When no stream can start; the text says why.
    """
    with project.store.read() as unit:
        prepared = prepare(project, unit, plan)
        state = prepared.machine(project, plan)
        refused = why_not(prepared, plan)
        if refused is not None:
            raise StreamRunError(refused)
        feed = _Feed(unit, prepared.source, limit)
        tally = _Tally(stride=max(1, -(-min(limit, prepared.pool.items) // CURVE)))
        arrivals = feed.arrivals()
        state = tally.pass_all(state, arrivals)
        unreached = sum(1 for _ in arrivals)
    positions, asked, accepted, deferred, thresholds = tally.curves(state)
    return DryRun(
        items=prepared.pool.items,
        seen=state.position + unreached,
        limit=limit,
        asked=state.asked,
        accepted=state.accepted,
        deferred=state.deferred,
        unreached=unreached,
        unpredicted=feed.unjudged,
        labels_left=prepared.labels_left,
        wrong=tally.wrong(prepared),
        classes=tally.classes(prepared),
        positions=positions,
        asked_curve=asked,
        accepted_curve=accepted,
        deferred_curve=deferred,
        threshold_curve=np.array(thresholds, np.float64),
    )


def expect(project: Project, plan: StreamPlan, prepared: Prepared) -> Expected | None:
    """Say what a stream would do with the pool; None where no item has a prediction.

    Of more than 20,000 items every so-manieth passes, and the budget is as much smaller.
    """
    judged = prepared.pool.judged
    if not len(judged.ids) or why_not(prepared, plan) is not None:
        return None
    some = slice(None, None, -(-len(judged.ids) // TRIED))
    ids, columns, sure = judged.ids[some], judged.columns[some], judged.confidences[some]
    tally = _Tally(stride=len(ids))
    arrivals = zip(ids.tolist(), columns.tolist(), sure.tolist(), strict=True)
    state = tally.pass_all(prepared.machine(project, plan, len(ids)), arrivals)
    scale = prepared.pool.items / len(ids)
    asked, accepted, deferred = (
        round(n * scale) for n in (state.asked, state.accepted, state.deferred)
    )
    return Expected(
        tried=len(ids),
        asked=min(asked, prepared.labels_left),
        accepted=accepted,
        deferred=deferred,
        unreached=round((len(ids) - state.position) * scale),
        wrong=tally.wrong(prepared, scale),
    )


@dataclass(slots=True)
class _Feed:
    """The pool as arrivals; counts those without a prediction, which do not pass."""

    unit: Unit
    source: Source
    limit: int
    unjudged: int = 0

    def arrivals(self) -> Iterator[tuple[int, int, float]]:
        """Yield item, column and confidence in order of arrival."""
        for ids in arriving(self.unit, limit=self.limit):
            judged = self.source.read(ids)
            self.unjudged += len(ids) - len(judged.ids)
            yield from zip(
                judged.ids.tolist(),
                judged.columns.tolist(),
                judged.confidences.tolist(),
                strict=True,
            )


@dataclass(slots=True)
class _Tally:
    """What became of the items, by column and along the way."""

    stride: int
    outcomes: Counter[tuple[int, str]] = field(default_factory=Counter)
    accepted: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    points: list[tuple[int, int, int, int, float]] = field(default_factory=list)
    threshold: float = float("nan")

    def pass_all(self, state: StreamState, arrivals: Iterator[Arrival]) -> StreamState:
        """Let items pass and count them; return the state after the last one."""
        for _, decision, after in streaming.run(state, arrivals):
            self._add(decision, after)
            state = after
        return state

    def _add(self, decision: Decision, state: StreamState) -> None:
        """Count one item."""
        self.outcomes[decision.predicted, decision.outcome.value] += 1
        if decision.outcome == streaming.Outcome.ACCEPT:
            self.accepted[decision.predicted].append(decision.confidence)
        self.threshold = float("nan") if decision.threshold is None else decision.threshold
        if state.position % self.stride == 0:
            self._note(state)

    def _note(self, state: StreamState) -> None:
        counts = (state.asked, state.accepted, state.deferred)
        self.points.append((state.position, *counts, self.threshold))

    def curves(self, state: StreamState) -> tuple[Ints, Ints, Ints, Ints, list[float]]:
        """Return positions, asked, accepted, deferred and thresholds, the last item included."""
        if state.position and (not self.points or self.points[-1][0] != state.position):
            self._note(state)
        columns = [[point[place] for point in self.points] for place in range(4)]
        positions, asked, accepted, deferred = (np.array(one, np.int64) for one in columns)
        return positions, asked, accepted, deferred, [point[4] for point in self.points]

    def wrong(self, prepared: Prepared, scale: float = 1.0) -> Wrong:
        """Return how many of the accepted, each of which stands for `scale`, may be wrong."""
        sure = np.array([one for some in self.accepted.values() for one in some], np.float64)
        return prepared.evidence.count_wrong(sure, np.array(prepared.limits), scale)

    def classes(self, prepared: Prepared) -> tuple[ClassDecisions, ...]:
        """Return the rows by class."""
        known = prepared.evidence.reliability
        errors = {c: float((1 - known.chances(sure)).sum()) for c, sure in self.accepted.items()}
        return tuple(
            ClassDecisions(
                class_id,
                name,
                asked=self._sum(columns, "ask"),
                accepted=self._sum(columns, "accept"),
                deferred=self._sum(columns, "defer"),
                errors=sum(errors.get(column, 0.0) for column in columns),
            )
            for class_id, name, columns in prepared.source.classes
        )

    def _sum(self, columns: tuple[int, ...], outcome: str) -> int:
        return sum(self.outcomes[column, outcome] for column in columns)
