"""Job rows: the only truth about jobs.

Every write of the running side says ``WHERE state = 'running'``: a job that was reaped learns it
from the answer and stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.errors import JobActive, NotFound
from store.models_work import Job
from store.records import JobRecord, JobState
from store.repository import Repository

ACTIVE = ("waiting", "running")

COLUMNS = (
    Job.id,
    Job.kind,
    Job.state,
    Job.params,
    Job.progress,
    Job.stage,
    Job.message,
    Job.detail,
    Job.result,
    Job.error,
    Job.created_at,
    Job.started_at,
    Job.heartbeat_at,
    Job.finished_at,
    Job.cancel_requested,
    Job.host,
    Job.pid,
)


class Jobs(Repository):
    """The jobs of the project."""

    def add(self, kind: str, params: Mapping[str, Any], exclusive: bool) -> JobRecord:
        """Insert a job that waits to be claimed.

        Raises
        ------
        JobActive
            When it is exclusive and another exclusive one of its kind waits or runs.
        """
        values = {
            "kind": kind,
            "state": "waiting",
            "exclusive": exclusive,
            "params": dict(params),
            "progress": 0.0,
            "stage": "",
            "message": "",
            "detail": {},
            "created_at": self._clock(),
            "cancel_requested": False,
        }
        try:
            with self._connection.begin_nested():
                made = self._connection.execute(insert(Job).values(values).returning(Job.id))
                number = made.scalar_one()
        except IntegrityError as error:
            other = next((job.id for job in self.active(kind)), None)
            raise JobActive(
                f"A {kind} job{'' if other is None else f' (number {other})'} waits or runs "
                f"already. Let it end, or cancel it."
            ) from error
        return self.get(number)

    def get(self, job_id: int) -> JobRecord:
        """Return one job.

        Raises
        ------
        NotFound
            When there is none.
        """
        row = self._connection.execute(select(*COLUMNS).where(Job.id == job_id)).first()
        if row is None:
            raise NotFound(f"There is no job with number {job_id}.")
        return JobRecord(*row)

    def all(self, limit: int = 100) -> list[JobRecord]:
        """Return the newest jobs, newest first."""
        return self._list(select(*COLUMNS).order_by(Job.id.desc()).limit(limit))

    def active(self, kind: str | None = None) -> list[JobRecord]:
        """Return the jobs that wait or run, oldest first."""
        query = select(*COLUMNS).where(Job.state.in_(ACTIVE)).order_by(Job.id)
        return self._list(query if kind is None else query.where(Job.kind == kind))

    def latest(self, kind: str, state: JobState = "done") -> JobRecord | None:
        """Return the newest job of a kind that is in a state."""
        query = select(*COLUMNS).where(Job.kind == kind, Job.state == state)
        found = self._list(query.order_by(Job.id.desc()).limit(1))
        return found[0] if found else None

    def _list(self, query: Select[*tuple[Any, ...]]) -> list[JobRecord]:
        return [JobRecord(*row) for row in self._connection.execute(query)]

    def claim(
        self,
        host: str,
        pid: int,
        job_id: int | None = None,
        kinds: Sequence[str] | None = None,
    ) -> JobRecord | None:
        """Take the oldest waiting job, for one worker only.

        Parameters
        ----------
        host, pid : str, int
            The process that will run it.
        job_id : int, optional
            Take this one or none.
        kinds : sequence of str, optional
            Take only jobs of these kinds.
        """
        query = select(Job.id).where(Job.state == "waiting").order_by(Job.id).limit(1)
        if job_id is not None:
            query = query.where(Job.id == job_id)
        if kinds is not None:
            query = query.where(Job.kind.in_(list(kinds)))
        found = self._connection.execute(query.with_for_update(skip_locked=True)).scalar()
        if found is None:
            return None
        now = self._clock()
        self._connection.execute(
            update(Job)
            .where(Job.id == found)
            .values(state="running", started_at=now, heartbeat_at=now, host=host, pid=pid)
        )
        return self.get(found)

    def beat(
        self,
        job_id: int,
        progress: float | None = None,
        stage: str | None = None,
        message: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Show that a job lives, and how far it is; what is None stays.

        Returns
        -------
        bool
            False when the job is no longer this process's to run.
        """
        told = {"progress": progress, "stage": stage, "message": message, "detail": detail}
        values = {name: value for name, value in told.items() if value is not None}
        if detail is not None:
            values["detail"] = dict(detail)
        changed = self._connection.execute(
            update(Job)
            .where(Job.id == job_id, Job.state == "running")
            .values(heartbeat_at=self._clock(), **values)
        )
        return changed.rowcount == 1

    def cancel_requested(self, job_id: int) -> bool:
        """Whether somebody asked for the job to stop."""
        query = select(Job.cancel_requested).where(Job.id == job_id)
        return bool(self._connection.execute(query).scalar())

    def request_cancel(self, job_id: int) -> bool:
        """Ask a running job to stop, end a waiting one at once; say whether it was active."""
        ended = self._connection.execute(
            update(Job)
            .where(Job.id == job_id, Job.state == "waiting")
            .values(state="cancelled", cancel_requested=True, finished_at=self._clock())
        )
        if ended.rowcount:
            return True
        asked = self._connection.execute(
            update(Job)
            .where(Job.id == job_id, Job.state == "running")
            .values(cancel_requested=True)
        )
        return asked.rowcount == 1

    def finish(
        self,
        job_id: int,
        state: Literal["done", "failed", "cancelled"],
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> bool:
        """End a running job.

        Returns
        -------
        bool
            False when it was not running any more, so that nothing was written.
        """
        values: dict[str, Any] = {"state": state, "error": error, "finished_at": self._clock()}
        if result is not None:
            values["result"] = dict(result)
        if state == "done":
            values["progress"] = 1.0
        return self._end(job_id, "running", values)

    def abandon(self, job_id: int, error: str) -> bool:
        """End a job that never began (its process could not be started) as failed."""
        values = {"state": "failed", "error": error, "finished_at": self._clock()}
        return self._end(job_id, "waiting", values)

    def _end(self, job_id: int, state: str, values: Mapping[str, Any]) -> bool:
        changed = self._connection.execute(
            update(Job).where(Job.id == job_id, Job.state == state).values(**values)
        )
        return changed.rowcount == 1

    def reap(
        self,
        silent_seconds: float,
        dead: Callable[[JobRecord], bool],
        reason: str | Callable[[JobRecord], str],
    ) -> list[JobRecord]:
        """Fail the running jobs whose process is dead or was silent for too long.

        Parameters
        ----------
        silent_seconds : float
            How long a heart may stand still.
        dead : callable
            Whether the process of a running job is known to be gone.
        reason : str or callable
            The error that the row shows; a callable makes it from the job.

        Returns
        -------
        list of JobRecord
            The jobs that were failed, as they are now.
        """
        now = self._clock()
        reaped = []
        for job in self._list(select(*COLUMNS).where(Job.state == "running").order_by(Job.id)):
            beat = job.heartbeat_at or job.created_at
            if not dead(job) and now - beat <= silent_seconds:
                continue
            text = reason if isinstance(reason, str) else reason(job)
            if self.finish(job.id, "failed", error=text):
                reaped.append(self.get(job.id))
        return reaped
