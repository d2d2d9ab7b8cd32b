"""The progress of a running job: written by a small thread, read by whoever looks at the row."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labeller.errors import JobCancelled, JobLost
from labeller.jobs.pace import Pace
from labeller.project import Project
from store.records import JobRecord

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25  # at most four writes a second
BEAT_SECONDS = 1.0  # a write at least this often, which also reads the cancel flag
GRACE_SECONDS = 30.0
START = "start"  # the stage before the first update: imports, which no `check` interrupts
START_GRACE_SECONDS = 1.0


@dataclass(slots=True)
class _State:
    """What the next write will say, besides the pace."""

    stage: str = START
    message: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    dirty: bool = False


class JobProgress:
    """Implements :class:`labeller.progress.Progress` on a job row.

    `update` only notes the numbers, so it may be called once per item; the beating thread writes
    them, with the rate and the time left. `check` raises once there is a reason to stop.

    Parameters
    ----------
    project : Project
    job : JobRecord
        The claimed row.
    plan : mapping of str to float
        Seconds per stage of the last such job.
    on_stuck : callable
        Called from the thread when the job has not stopped half a minute after it should have.
    """

    def __init__(
        self,
        project: Project,
        job: JobRecord,
        plan: Mapping[str, float] | None = None,
        on_stuck: Callable[[], None] | None = None,
    ) -> None:
        self._project = project
        self._job = job
        self._pace = Pace(plan or {}, time.monotonic())
        self._pace.step(START, 0, None, time.monotonic())
        self._state = _State(detail=dict(job.detail))
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._on_stuck = on_stuck
        self._stop_since: float | None = None
        self.cancelled = False
        self.lost = False
        self.signal: str | None = None

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """Note how far `stage` is; details stay until they are given anew."""
        with self._lock:
            self._pace.step(stage, done, total, time.monotonic())
            state = self._state
            state.stage, state.message, state.dirty = stage, message, True
            state.detail |= _finite({"done": done, "total": total} | detail)

    def check(self) -> None:
        """Raise when the job should stop.

        Raises
        ------
        JobLost
            When the row is no longer this process's own.
        JobCancelled
            When somebody pressed Cancel, or the process was asked to end.
        """
        if self.lost:
            raise JobLost(f"Job {self._job.id} was taken from this process; it stops.")
        if self.signal:
            raise JobCancelled(f"The job process was ended by {self.signal}.")
        if self.cancelled:
            raise JobCancelled(f"Job {self._job.id} was cancelled.")

    @contextlib.contextmanager
    def beating(self) -> Iterator[JobProgress]:
        """Beat while the block runs; write the last state at its end."""
        thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join()
            with self._lock:
                self._state.detail["stages"] = self._pace.stages(time.monotonic())
            self._write()

    def _beat(self) -> None:
        """Write what changed, every tick; beat, every second; notice a job that does not stop."""
        last = time.monotonic()
        while not self._end.wait(TICK_SECONDS):
            if self._state.dirty or time.monotonic() - last >= BEAT_SECONDS:
                last = time.monotonic()
                self._write()
            self._watch_stop()

    def _write(self) -> None:
        """Write the state to the row, and learn whether to stop."""
        with self._lock:
            state = self._state
            state.dirty = False
            now = self._pace.at(time.monotonic())
            detail = {**state.detail, "rate": now.rate, "eta": now.eta}
            values = (now.progress, state.stage, state.message, detail)
        try:
            with self._project.store.write() as unit:
                self.lost = not unit.jobs.beat(self._job.id, *values)
                self.cancelled = self.cancelled or unit.jobs.cancel_requested(self._job.id)
        except Exception:  # a locked or unreachable database: the next beat tries again
            log.warning("the heartbeat of job %d failed", self._job.id, exc_info=True)

    def _watch_stop(self) -> None:
        """Hand over to `on_stuck` when the work goes on long after it was told to stop."""
        if not (self.lost or self.cancelled or self.signal) or self._on_stuck is None:
            return
        now = time.monotonic()
        if self._stop_since is None:
            self._stop_since = now
        grace = START_GRACE_SECONDS if self._state.stage == START else GRACE_SECONDS
        if now - self._stop_since > grace:
            log.error("job %d did not stop within %.0f s", self._job.id, grace)
            self._on_stuck()
            self._stop_since = now


def _finite(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Turn numbers that JSON does not have (a loss that diverged) into None."""
    return {name: _or_none(value) for name, value in detail.items()}


def _or_none(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return [_or_none(v) for v in value] if isinstance(value, list) else value
