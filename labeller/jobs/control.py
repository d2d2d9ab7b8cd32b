"""What the web process and the command line do with jobs: submit, cancel, reap."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any, Literal

from labeller.errors import JobError
from labeller.jobs import processes
from labeller.jobs.kinds import KINDS
from labeller.jobs.processes import ending, last_line, log_file
from labeller.project import Project
from store.alive import UNKNOWN, host, identity
from store.errors import JobActive, NotFound
from store.records import JobRecord
from store.store import Unit

EndState = Literal["done", "failed", "cancelled"]

log = logging.getLogger(__name__)

SILENT_SECONDS = 60.0
CONFIRM_SECONDS = 5.0
START_SECONDS = 30.0
PARENT_SECONDS = 0.3  # time for the parent of a dead process to write how it died

_seen: dict[tuple[str, int], tuple[float | None, float]] = {}
_started: dict[tuple[str, int], float] = {}
_watched: set[tuple[str, int]] = set()


def submit(
    project: Project, kind: str, params: Mapping[str, Any], exclusive: bool = True
) -> JobRecord:
    """Enter a job and, when the settings say so, start its process on this machine.

    Parameters
    ----------
    project : Project
    kind : str
        A key of ``labeller.jobs.kinds.KINDS``.
    params : mapping
        JSON values for the handler.
    exclusive : bool
        Refuse when a job of the kind is active already.

    Returns
    -------
    JobRecord
        The row as inserted; it waits until a worker claims it.

    Raises
    ------
    JobError
        When the kind is unknown, or an exclusive job of it is active.
    """
    if kind not in KINDS:
        raise JobError(f"{kind}: unknown kind of job. Known kinds: {', '.join(KINDS)}.")
    reap(project)
    try:
        with project.store.write() as unit:
            job = unit.jobs.add(kind, dict(params), exclusive=exclusive)
    except JobActive as error:
        raise JobError(str(error)) from error
    if project.settings.start_workers:
        start(project, job.id)
    return job


def start(project: Project, job_id: int) -> None:
    """Start the process of a waiting job and a thread that notices its end."""
    _started[_key(project, job_id)] = time.monotonic()
    try:
        process = processes.spawn(project, job_id)
    except OSError as error:
        _abandon(project, job_id, f"The job process cannot be started ({error}).")
        return
    _watched.add(_key(project, job_id))
    threading.Thread(
        target=_watch, args=(project, job_id, process), name=f"watch-job-{job_id}", daemon=True
    ).start()


def _watch(project: Project, job_id: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for a job process (so that it leaves no zombie) and settle its row."""
    process.wait()
    try:
        settle(project, job_id, process)
    except Exception:  # the row is settled by the next reaping instead
        log.exception("job %d ended, but its row could not be settled", job_id)
    finally:
        _watched.discard(_key(project, job_id))


def settle(project: Project, job_id: int, process: subprocess.Popen[bytes]) -> None:
    """Mark a job failed whose ended `process` left it waiting or running."""
    if identity(process.pid) is None:
        processes.kill_group(process.pid)  # children that outlived their leader
    with project.store.read() as unit:
        job = unit.jobs.get(job_id)
    reason = _reason(project, job_id, ending(process.returncode))
    if job.state == "waiting" and process.returncode != 0:
        _abandon(project, job_id, reason)
    elif job.state == "running" and (job.host, job.pid) == (host(), process.pid):
        _fail(project, job, reason)


def cancel(project: Project, job_id: int) -> JobRecord:
    """Ask a job to stop; one that nobody has begun is cancelled at once.

    Returns
    -------
    JobRecord
        The row afterwards: a running job is still running until it notices.

    Raises
    ------
    JobError
        When there is no such job, or it has ended.
    """
    get(project, job_id)
    with project.store.write() as unit:
        asked = unit.jobs.request_cancel(job_id)
        job = unit.jobs.get(job_id)
        if asked and not job.active:
            _end_round(unit, job_id, "cancelled", None)
    if not asked:
        raise JobError(f"Job {job_id} has ended already ({job.state}).")
    reap(project)  # its process may be gone, and would never notice
    return get(project, job_id)


def get(project: Project, job_id: int) -> JobRecord:
    """Return a job's row.

    Raises
    ------
    JobError
        When there is none.
    """
    try:
        with project.store.read() as unit:
            return unit.jobs.get(job_id)
    except NotFound as error:
        raise JobError(f"There is no job {job_id}.") from error


def reap(project: Project) -> list[JobRecord]:
    """Mark jobs failed whose process is gone or silent, and start waiting ones nobody started.

    A process of this machine that is gone is noticed at once. Silence counts after 60 seconds, and
    only when the heartbeat also stood still under this process's own eyes: clocks of two machines
    differ, and a suspended laptop wakes up with old heartbeats.

    Returns
    -------
    list of JobRecord
        The jobs that this call marked failed.
    """
    if project.is_read_only:
        return []
    with project.store.read() as unit:
        active = unit.jobs.active()
    reaped = []
    for job in active:
        if job.state == "waiting":
            _restart(project, job)
            continue
        reason = _dead(project, job)
        if reason and _fail(project, job, reason):
            reaped.append(get(project, job.id))
    return reaped


def _dead(project: Project, job: JobRecord) -> str | None:
    """Return why a running job counts as dead, or None while it may live."""
    if job.host == host() and job.pid is not None:
        alive = identity(job.pid)
        if alive is None or alive not in (job.detail.get("process", alive), UNKNOWN):
            return _gone(project, job, reused=alive is not None)
    if not _silent(project, job):
        return None
    if job.host == host() and job.pid is not None:
        processes.kill_group(job.pid)
    return _reason(project, job.id, f"on {job.host} gave no sign of life for a minute")


def _gone(project: Project, job: JobRecord, reused: bool) -> str | None:
    """Return the reason for a process that is gone, unless its parent is about to say it better."""
    if _key(project, job.id) in _watched:
        return None
    time.sleep(PARENT_SECONDS)
    if job.pid is not None and not reused:
        processes.kill_group(job.pid)
    return _reason(project, job.id, f"(pid {job.pid}) is gone: killed, or the machine restarted")


def _silent(project: Project, job: JobRecord) -> bool:
    """Whether a job's heartbeat stands still, by the clock and under our own eyes."""
    now = time.monotonic()
    beat, since = _seen.get(_key(project, job.id), (None, now))
    if beat != job.heartbeat_at:
        beat, since = job.heartbeat_at, now
    _seen[_key(project, job.id)] = (beat, since)
    old = time.time() - (job.heartbeat_at or job.started_at or 0) > SILENT_SECONDS
    watched = now - since
    return watched >= SILENT_SECONDS or (old and watched >= CONFIRM_SECONDS)


def _restart(project: Project, job: JobRecord) -> None:
    """Start a waiting job again whose starter died before its process came up."""
    if not project.settings.start_workers or time.time() - job.created_at < START_SECONDS:
        return
    last = _started.get(_key(project, job.id))
    if last is None or time.monotonic() - last > START_SECONDS:
        start(project, job.id)


def _fail(project: Project, job: JobRecord, reason: str) -> bool:
    """Mark a running job failed; False when it ended meanwhile."""
    with project.store.write() as unit:
        return finish(unit, job.id, "failed", error=reason)


def _abandon(project: Project, job_id: int, reason: str) -> None:
    """Mark a job failed that nobody has claimed."""
    with project.store.write() as unit:
        if unit.jobs.abandon(job_id, reason):
            _end_round(unit, job_id, "failed", reason)


def finish(
    unit: Unit,
    job_id: int,
    state: EndState,
    result: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> bool:
    """End a running job and, unless it is done, its round; False when it is not running."""
    ended = unit.jobs.finish(job_id, state, result=result, error=error)
    if ended and state != "done":
        _end_round(unit, job_id, state, error)
    return ended


def _end_round(unit: Unit, job_id: int, state: EndState, error: str | None) -> None:
    """End the round, or the synthesis run, that a job did not bring to its end."""
    round_ = unit.rounds.by_job(job_id)
    if round_ is not None and round_.state == "running":
        unit.rounds.finish(round_.id, state, error=error)
    synthesis = unit.synthetic.by_job(job_id)
    if synthesis is not None and state != "done":
        unit.synthetic.finish(synthesis.id, state, error)


def _reason(project: Project, job_id: int, how: str) -> str:
    """Put the end of a job process into words, with the last line of its log."""
    line = last_line(log_file(project, job_id))
    return f"The job process {how}." + (f" Last log line: {line}" if line else "")


def _key(project: Project, job_id: int) -> tuple[str, int]:
    return project.id, job_id
