"""The worker's side of jobs: claim one, run its handler, write how it ended."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from labeller.decode_room import ROOM
from labeller.errors import JobCancelled, JobError, JobLost, LabellerError
from labeller.jobs import control, processes
from labeller.jobs.control import EndState
from labeller.jobs.kinds import KINDS, UNLIKE
from labeller.jobs.progress import START, JobProgress
from labeller.project import Project
from store import alive
from store.errors import StoreError
from store.records import JobRecord
from strategies.base import StrategyError

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
Handler = Callable[[Project, JobRecord, JobProgress], Mapping[str, Any]]


def run(
    project: Project, job_id: int | None = None, kinds: Sequence[str] | None = None
) -> JobRecord | None:
    """Claim a job and do it in this process.

    Parameters
    ----------
    project : Project
    job_id : int, optional
        The job to claim; None for the oldest that waits.
    kinds : sequence of str, optional
        Kinds to choose from; None for all.

    Returns
    -------
    JobRecord or None
        The row as it ended; None when there was nothing to claim.
    """
    job, plan = _claim(project, job_id, kinds)
    if job is None:
        return None
    log.info("job %d (%s) starts", job.id, job.kind)
    ROOM.limit(project.settings.decode_memory_mb)
    progress = JobProgress(project, job, plan, on_stuck=lambda: _give_up(project, job, progress))
    with _signals(progress):  # until the end is written: a signal that comes late spoils nothing
        state, result, error = _outcome(project, job, progress)
        if not progress.lost:
            with project.store.write() as unit:
                control.finish(unit, job.id, state, result=result, error=error)
    ended = control.get(project, job.id)
    log.info("job %d (%s): %s %s", job.id, job.kind, ended.state, ended.error or "")
    return ended


def _claim(
    project: Project, job_id: int | None, kinds: Sequence[str] | None
) -> tuple[JobRecord | None, dict[str, float]]:
    """Claim a job and return it with the seconds per stage of the last one like it."""
    pid = os.getpid()
    with project.store.write() as unit:
        job = unit.jobs.claim(alive.host(), pid, job_id=job_id, kinds=kinds)
        if job is None:
            return None, {}
        # the process's identity guards the row against a later process with the same pid
        unit.jobs.beat(job.id, 0.0, START, "", {"process": alive.identity(pid)})
        last = None if job.kind in UNLIKE else unit.jobs.latest(job.kind)
        return unit.jobs.get(job.id), dict(last.detail.get("stages", {})) if last else {}


def _outcome(
    project: Project, job: JobRecord, progress: JobProgress
) -> tuple[EndState, Mapping[str, Any] | None, str | None]:
    """Run the handler and return the state, result and error text to write."""
    try:
        with progress.beating():
            result = _handler(job.kind)(project, job, progress)
    except (JobCancelled, KeyboardInterrupt):
        return _stopped(progress)
    except JobLost as error:
        log.error("%s", error)
        return "failed", None, str(error)
    except (LabellerError, StoreError, StrategyError) as error:
        log.exception("job %d failed", job.id)
        return "failed", None, str(error)
    except BaseException as error:
        log.exception("job %d failed", job.id)
        text = f"{type(error).__name__}: {error}".rstrip(": ")
        return "failed", None, f"{text}. The whole story: {processes.log_file(project, job.id)}"
    if result.get("cancelled"):  # it kept what it had
        state, _, why = _stopped(progress)
        return state, result, why
    return "done", result, None


def _stopped(progress: JobProgress) -> tuple[EndState, None, str | None]:
    """Tell a job that somebody cancelled from one whose process was ended."""
    if progress.signal and not progress.cancelled:
        return "failed", None, f"The job process was ended by {progress.signal}."
    return "cancelled", None, None


def _handler(kind: str) -> Handler:
    """Import the function that does a kind of job."""
    if kind not in KINDS:
        raise JobError(f"{kind}: unknown kind of job. Known kinds: {', '.join(KINDS)}.")
    module, _, function = KINDS[kind].partition(":")
    handler: Handler = getattr(importlib.import_module(module), function)
    return handler


def _give_up(project: Project, job: JobRecord, progress: JobProgress) -> None:
    """End a job process that does not react: write why, then kill its group."""
    state, _, error = _stopped(progress)
    with contextlib.suppress(StoreError), project.store.write() as unit:
        control.finish(unit, job.id, state, error=error)
    if os.getpgrp() == os.getpid():  # started as a job process; never kill somebody's terminal
        os.killpg(os.getpgrp(), signal.SIGKILL)


@contextlib.contextmanager
def _signals(progress: JobProgress) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a request to stop while the block runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, _frame: FrameType | None) -> None:
        progress.signal = signal.Signals(number).name

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(
    project: Project,
    once: bool = False,
    kinds: Sequence[str] | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Run waiting jobs, each in its own process, until told to stop.

    Parameters
    ----------
    project : Project
    once : bool
        End when no job waits.
    kinds : sequence of str, optional
        Kinds to take; None for all.
    stop : threading.Event, optional
        Set it to end after the running job was asked to stop.

    Returns
    -------
    int
        How many jobs were run.

    Raises
    ------
    JobError
        When a kind is unknown.
    """
    unknown = [kind for kind in kinds or () if kind not in KINDS]
    if unknown:
        raise JobError(f"{unknown[0]}: unknown kind of job. Known kinds: {', '.join(KINDS)}.")
    stop = stop or threading.Event()
    count = 0
    while not stop.is_set():
        control.reap(project)
        job_id = _next(project, kinds)
        if job_id is not None:
            count += _supervise(project, job_id, stop)
        elif once:
            break
        else:
            stop.wait(POLL_SECONDS)
    return count


def _next(project: Project, kinds: Sequence[str] | None) -> int | None:
    """Return the oldest waiting job of the kinds."""
    with project.store.read() as unit:
        waiting = [j for j in unit.jobs.active() if j.state == "waiting"]
    return min((j.id for j in waiting if kinds is None or j.kind in kinds), default=None)


def _supervise(project: Project, job_id: int, stop: threading.Event) -> bool:
    """Run one job in a process; returns whether that process was the one that did it."""
    process = processes.spawn(project, job_id)
    log.info("job %d: pid %d, log %s", job_id, process.pid, processes.log_file(project, job_id))
    asked = 0.0
    while process.poll() is None:
        if stop.is_set() and not asked:
            process.terminate()
            asked = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    control.settle(project, job_id, process)
    job = control.get(project, job_id)
    log.info("job %d: %s %s", job_id, job.state, job.error or "")
    return (job.host, job.pid) == (alive.host(), process.pid)
