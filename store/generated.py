"""Runs of generated labels: begun, continued batch by batch, accepted or rolled back whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import aliased

from store.errors import Conflict, NotFound
from store.models_made import GeneratedDecision, GeneratedRun
from store.records_made import (
    GeneratedKind,
    GeneratedRunRecord,
    NewDecision,
    Outcome,
    RunState,
    Verdict,
)
from store.repository import Repository, as_record, chunks

RUN = tuple(getattr(GeneratedRun, name) for name in GeneratedRunRecord.__dataclass_fields__)
COUNTS: dict[Outcome, str] = {"ask": "asked", "accept": "accepted", "defer": "deferred"}
COUNTING: tuple[Verdict, ...] = ("open", "accepted")


class GeneratedRuns(Repository):
    """The runs that label by a model's predictions."""

    def start(
        self,
        kind: GeneratedKind,
        model_id: int,
        strategy: str,
        params: Mapping[str, Any],
        machine: Mapping[str, Any],
        follow: bool = False,
        cursor: int = 0,
    ) -> GeneratedRunRecord:
        """Begin a run, which waits for a job to take it on.

        Parameters
        ----------
        kind : {"stream", "propagation"}
        model_id : int
            Whose predictions decide.
        strategy : str
            Name of the rule.
        params, machine : mapping
            JSON: what the person set, and the state before the first item.
        follow : bool
            Whether items that arrive later join.
        cursor : int
            Items up to this one are left out.
        """
        self._gate()
        values = {
            "kind": kind,
            "state": "paused",
            "verdict": "open",
            "model_id": model_id,
            "strategy": strategy,
            "params": dict(params),
            "machine": dict(machine),
            "cursor": cursor,
            "asked": 0,
            "accepted": 0,
            "deferred": 0,
            "follow": follow,
            "created_at": self._clock(),
        }
        made = self._connection.execute(
            insert(GeneratedRun).values(values).returning(GeneratedRun.id)
        )
        return self.get(made.scalar_one())

    def get(self, run_id: int) -> GeneratedRunRecord:
        """Return one run.

        Raises
        ------
        NotFound
            When there is none.
        """
        row = self._connection.execute(select(*RUN).where(GeneratedRun.id == run_id)).first()
        if row is None:
            raise NotFound(f"There is no run of generated labels with number {run_id}.")
        return as_record(GeneratedRunRecord, row)

    def hold(self, run_id: int) -> GeneratedRunRecord:
        """Return one run, and keep other writers of items, labels and queue out until the end."""
        self._gate()
        return self.get(run_id)

    def all(self, kind: GeneratedKind | None = None) -> list[GeneratedRunRecord]:
        """Return the runs, newest first."""
        query = select(*RUN).order_by(GeneratedRun.id.desc())
        query = query if kind is None else query.where(GeneratedRun.kind == kind)
        return [as_record(GeneratedRunRecord, row) for row in self._connection.execute(query)]

    def set_state(
        self, run_id: int, state: RunState, job_id: int | None = None, reason: str | None = None
    ) -> GeneratedRunRecord:
        """Note that a job took a run on, left it, or finished it; a finished one stays so."""
        values: dict[str, Any] = {"state": state, "reason": reason}
        if state == "finished":
            values["finished_at"] = self._clock()
        if job_id is not None:
            values["job_id"] = job_id
        self._connection.execute(
            update(GeneratedRun)
            .where(GeneratedRun.id == run_id, GeneratedRun.state != "finished")
            .values(values)
        )
        return self.get(run_id)

    def record(
        self, run_id: int, decisions: Sequence[NewDecision], machine: Mapping[str, Any], cursor: int
    ) -> GeneratedRunRecord:
        """Store decisions with the state after the last of them.

        Parameters
        ----------
        run_id : int
        decisions : sequence of NewDecision
            In the order in which the items passed.
        machine : mapping
            JSON: the state after them.
        cursor : int
            The last item that passed.

        Raises
        ------
        Conflict
            When the run is finished, or went past `cursor` already: another job runs it.
        """
        self._gate()
        run = self.get(run_id)
        if run.state == "finished" or run.cursor > cursor:
            raise Conflict(f"Run {run_id} went on elsewhere, or is finished. Nothing was stored.")
        rows = [
            {
                "run_id": run_id,
                "item_id": one.item_id,
                "outcome": one.outcome,
                "class_id": one.class_id,
                "confidence": one.confidence,
                "audit": None,
                "detail": dict(one.detail),
            }
            for one in decisions
        ]
        for part in chunks(rows):
            self._connection.execute(insert(GeneratedDecision), part)
        counts = Counter(COUNTS[one.outcome] for one in decisions)
        values = {name: getattr(run, name) + number for name, number in counts.items()}
        self._connection.execute(
            update(GeneratedRun)
            .where(GeneratedRun.id == run_id)
            .values(machine=dict(machine), cursor=cursor, **values)
        )
        return self.get(run_id)

    def decide(self, run_id: int, verdict: Verdict, by: str) -> GeneratedRunRecord:
        """Accept a run, roll it back, or open it again: all its generated labels in one step.

        Raises
        ------
        Conflict
            When a run that was rolled back labels items that another run has labelled since.
        """
        self._gate()
        run = self.get(run_id)
        if run.verdict == "rolled_back" and verdict != "rolled_back":
            shared = self._shared(run_id)
            if shared:
                raise Conflict(
                    f"Run {run_id} cannot come back: {shared:,} of its items have a generated label"
                    f" of a later run. Roll that one back first."
                )
        self._connection.execute(
            update(GeneratedRun)
            .where(GeneratedRun.id == run_id)
            .values(verdict=verdict, verdict_by=by, verdict_at=self._clock())
        )
        return self.get(run_id)

    def _shared(self, run_id: int) -> int:
        """Count the items accepted in a run and in another that counts."""
        other, run = aliased(GeneratedDecision), aliased(GeneratedRun)
        query = (
            select(func.count(func.distinct(other.item_id)))
            .select_from(GeneratedDecision)
            .join(other, other.item_id == GeneratedDecision.item_id)
            .join(run, run.id == other.run_id)
            .where(
                GeneratedDecision.run_id == run_id,
                GeneratedDecision.outcome == "accept",
                other.run_id != run_id,
                other.outcome == "accept",
                run.verdict.in_(COUNTING),
            )
        )
        return self._count(query)
