"""Rounds: what was trained, picked and queued, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from store.errors import NotFound
from store.models_work import Round
from store.records import RoundRecord, RoundState
from store.repository import Repository, amount, as_record, thousandths

COLUMNS = (
    Round.id,
    Round.number,
    Round.state,
    Round.strategy,
    Round.batch,
    Round.job_id,
    Round.model_id,
    Round.started_at,
    Round.finished_at,
    Round.labels,
    Round.spent,
    Round.queued,
    Round.timings,
    Round.error,
)


class Rounds(Repository):
    """The rounds of the project."""

    def start(
        self, strategy: str, batch: int, job_id: int | None, labels: int, spent: float
    ) -> RoundRecord:
        """Begin the next round; the first has number 0.

        Parameters
        ----------
        strategy : str
            Name of the strategy that will pick.
        batch : int
            How many it is asked for.
        job_id : int, optional
            The job that does it, None when it is done at once.
        labels : int
            Labels there are at the start.
        spent : float
            Budget spent at the start.
        """
        self._gate()
        number = self._connection.execute(select(func.max(Round.number))).scalar()
        values = {
            "number": 0 if number is None else number + 1,
            "state": "running",
            "strategy": strategy,
            "batch": batch,
            "job_id": job_id,
            "started_at": self._clock(),
            "labels": labels,
            "spent": thousandths(spent),
            "queued": 0,
            "timings": {},
        }
        made = self._connection.execute(insert(Round).values(values).returning(Round.id))
        return self.get(made.scalar_one())

    def take_again(self, round_id: int, labels: int, spent: float) -> None:
        """Note that a running round works on labels that were read anew.

        Parameters
        ----------
        round_id : int
        labels : int
            Labels there were then.
        spent : float
            Budget spent then.
        """
        self._connection.execute(
            update(Round)
            .where(Round.id == round_id, Round.state == "running")
            .values(labels=labels, spent=thousandths(spent))
        )

    def finish(
        self,
        round_id: int,
        state: RoundState,
        model_id: int | None = None,
        queued: int = 0,
        timings: Mapping[str, float] | None = None,
        error: str | None = None,
    ) -> bool:
        """End a running round and say whether it was running.

        Parameters
        ----------
        round_id : int
            The round.
        state : {"done", "failed", "cancelled"}
            How it ended.
        model_id : int, optional
            The model it trained.
        queued : int
            How many of its picks are in the queue.
        timings : mapping of str to float, optional
            Seconds by stage.
        error : str, optional
            Why it failed.
        """
        changed = self._connection.execute(
            update(Round)
            .where(Round.id == round_id, Round.state == "running")
            .values(
                state=state,
                model_id=model_id,
                queued=queued,
                timings=dict(timings or {}),
                error=error,
                finished_at=self._clock(),
            )
        )
        return changed.rowcount == 1

    def get(self, round_id: int) -> RoundRecord:
        """Return one round.

        Raises
        ------
        NotFound
            When there is none.
        """
        found = self._first(select(*COLUMNS).where(Round.id == round_id))
        if found is None:
            raise NotFound(f"There is no round with id {round_id}.")
        return found

    def all(self) -> list[RoundRecord]:
        """Return all rounds by number."""
        query = select(*COLUMNS).order_by(Round.number)
        return [_record(row) for row in self._connection.execute(query)]

    def latest(self) -> RoundRecord | None:
        """Return the newest round."""
        return self._first(select(*COLUMNS).order_by(Round.number.desc()).limit(1))

    def by_job(self, job_id: int) -> RoundRecord | None:
        """Return the newest round of a job."""
        query = select(*COLUMNS).where(Round.job_id == job_id)
        return self._first(query.order_by(Round.number.desc()).limit(1))

    def _first(self, query: Select[*tuple[Any, ...]]) -> RoundRecord | None:
        row = self._connection.execute(query).first()
        return _record(row) if row else None


def _record(row: Any) -> RoundRecord:
    return as_record(RoundRecord, (*row[:10], amount(row[10]), *row[11:]))
