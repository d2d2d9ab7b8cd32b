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
from labeller.services.streams_prepare import prepare, why_not
from labeller.services.streams_shown import ClassDecisions, DryRun, Ints
from store.store import Unit
from strategies import stream as streaming
from strategies.stream import Decision, StreamState

CURVE = 200  # steps of the curves


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
        for _, decision, after in streaming.run(state, arrivals):
            tally.add(decision, after)
            state = after
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
        classes=tally.classes(prepared.source),
        positions=positions,
        asked_curve=asked,
        accepted_curve=accepted,
        deferred_curve=deferred,
        threshold_curve=np.array(thresholds, np.float64),
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
    errors: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    points: list[tuple[int, int, int, int, float]] = field(default_factory=list)
    threshold: float = float("nan")

    def add(self, decision: Decision, state: StreamState) -> None:
        """Count one item."""
        self.outcomes[decision.predicted, decision.outcome.value] += 1
        if decision.outcome == streaming.Outcome.ACCEPT:
            self.errors[decision.predicted] += 1 - decision.confidence
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

    def classes(self, source: Source) -> tuple[ClassDecisions, ...]:
        """Return the rows by class."""
        return tuple(
            ClassDecisions(
                class_id,
                name,
                asked=self._sum(columns, "ask"),
                accepted=self._sum(columns, "accept"),
                deferred=self._sum(columns, "defer"),
                errors=sum(self.errors[column] for column in columns),
            )
            for class_id, name, columns in source.classes
        )

    def _sum(self, columns: tuple[int, ...], outcome: str) -> int:
        return sum(self.outcomes[column, outcome] for column in columns)
