"""Streams: unlabelled items pass one by one; each is asked about, gets a generated label, or waits.

What pages, commands and the API use; no torch. The parts are in the modules ``streams_*``: what is
set (`plan`), what is shown (`shown`), which items pass (`pool`), what a stream starts from
(`prepare`), what to expect (`outlook`, `dry_run`), the run itself (`run`), its audit (`audit`).
"""

from __future__ import annotations

import time

from labeller import jobs
from labeller.errors import JobError, StreamRunError
from labeller.project import Project
from labeller.services import change_log
from labeller.services.change_log import Logged
from labeller.services.streams_audit import ask_audit as ask_audit
from labeller.services.streams_audit import audit as audit
from labeller.services.streams_audit import queue_open, run_of, withdraw_open
from labeller.services.streams_dry_run import dry_run as dry_run
from labeller.services.streams_outlook import outlook as outlook
from labeller.services.streams_plan import StreamPlan as StreamPlan
from labeller.services.streams_plan import names as names
from labeller.services.streams_plan import plan_of
from labeller.services.streams_pool import source_of
from labeller.services.streams_prepare import prepare, why_not
from labeller.services.streams_run import KIND, WAITS, machine_of, recover, refuse_ended
from labeller.services.streams_shown import AuditReport as AuditReport
from labeller.services.streams_shown import AuditRow as AuditRow
from labeller.services.streams_shown import ClassDecisions as ClassDecisions
from labeller.services.streams_shown import ClassOutlook as ClassOutlook
from labeller.services.streams_shown import DryRun as DryRun
from labeller.services.streams_shown import Expected as Expected
from labeller.services.streams_shown import Operating as Operating
from labeller.services.streams_shown import Outlook as Outlook
from labeller.services.streams_shown import RunView as RunView
from store.errors import Conflict, NotFound
from store.records import JobRecord
from store.records_made import GeneratedKind, GeneratedRunRecord, Verdict
from store.store import Unit

ENDED = "Ended by a person."
ROLLED_BACK = "Rolled back."
VERDICTS: tuple[Verdict, ...] = ("open", "accepted", "rolled_back")
VERDICT_WORDS: dict[Verdict, str] = {
    "open": "reopened",
    "accepted": "accepted",
    "rolled_back": "rolled back",
}
RETRY_SECONDS = 5.0  # a job that has just paused its stream ends within moments


def current(project: Project, kind: GeneratedKind = KIND) -> GeneratedRunRecord | None:
    """Return the newest run of a kind that is not finished, None when there is none."""
    recover(project)
    with project.store.read() as unit:
        return unfinished(unit, kind)


def unfinished(unit: Unit, kind: GeneratedKind = KIND) -> GeneratedRunRecord | None:
    """Return what :func:`current` does, as it is in a transaction."""
    return next((run for run in unit.generated.all(kind) if run.state != "finished"), None)


def runs(project: Project, kind: GeneratedKind = KIND) -> list[RunView]:
    """Return the runs of a kind, newest first.

    Parameters
    ----------
    project : Project
    kind : {"stream", "propagation"}
    """
    recover(project)
    with project.store.read() as unit:
        numbers = {one.id: one.number for one in unit.rounds.all()}
        models = {one.id: one for one in unit.models.all()}
        active = {job.params.get("run"): job for job in unit.jobs.active(kind)}
        return [
            RunView(
                run=run,
                plan=plan_of(run),
                model_round=numbers.get(models[run.model_id].round_id, 0),
                outdated=not models[run.model_id].in_use,
                job=active.get(run.id),
                items=int(run.params["items"]),
                left=int(run.machine.get("left", 0)),
            )
            for run in unit.generated.all(kind)
        ]


def get_run(project: Project, run_id: int, kind: GeneratedKind = KIND) -> GeneratedRunRecord:
    """Return one run; raises `StreamRunError` when there is none of this number and kind."""
    with project.store.read() as unit:
        try:
            found = unit.generated.get(run_id)
        except NotFound as error:
            raise StreamRunError(str(error)) from error
    if found.kind != kind:
        raise StreamRunError(f"Run {run_id} is a {found.kind}, no {kind}.")
    return found


def view_of(project: Project, run_id: int, kind: GeneratedKind = KIND) -> RunView:
    """Return one of :func:`runs`; raises what :func:`get_run` does."""
    get_run(project, run_id, kind)
    return next(one for one in runs(project, kind) if one.run.id == run_id)


def unreached(project: Project, run_id: int) -> int:
    """Return how many items could still pass in a run: unlabelled now, and not decided by it."""
    with project.store.read() as unit:
        run = unit.generated.get(run_id)
        return unit.generated_labels.arrivals_count(run.cursor)


def start(project: Project, plan: StreamPlan) -> GeneratedRunRecord:
    """Begin a stream and submit its job.

    Parameters
    ----------
    project : Project
    plan : StreamPlan

    Returns
    -------
    GeneratedRunRecord
        Paused until the job takes it on.

    Raises
    ------
    StreamRunError
        When there is no model, no budget or no item left, another stream is not finished, or the
        plan cannot be used.
    JobError
        When a stream job is active.
    """
    recover(project)
    with project.store.read() as unit:
        refuse_second(unit)
        prepared = prepare(project, unit, plan)
    machine = prepared.machine(project, plan)
    refused = why_not(prepared, plan)
    if refused is not None:
        raise StreamRunError(refused)
    params = {
        "plan": plan.to_json(),
        "items": prepared.pool.items,
        "labels_left": prepared.labels_left,
        "audits": prepared.audits,
        "classes": list(prepared.source.model.class_ids),
        "machine": machine.to_json(),
    }
    with project.store.write() as unit:
        refuse_second(unit)
        run = unit.generated.start(
            KIND,
            prepared.source.model.id,
            plan.strategy,
            params,
            machine.to_json(),
            follow=plan.follow,
        )
    _submit(project, run)
    with project.store.read() as unit:
        return unit.generated.get(run.id)


def refuse_second(unit: Unit, kind: GeneratedKind = KIND) -> None:
    """Raise `StreamRunError` when a run of a kind is not finished."""
    other = unfinished(unit, kind)
    if other is not None:
        raise StreamRunError(
            f"Run {other.id} is not finished. Let it go on, or end it, before another starts."
        )


def _submit(project: Project, run: GeneratedRunRecord) -> JobRecord:
    return jobs.submit(project, KIND, {"run": run.id})


def go_on(project: Project, run_id: int) -> JobRecord:
    """Submit the job that takes a paused stream on.

    Raises
    ------
    StreamRunError
        When there is no such stream, it is finished, or its model or its predictions are gone.
    JobError
        When a stream job is active already.
    """
    recover(project)
    run = get_run(project, run_id)
    refuse_ended(run)
    machine_of(run)
    with project.store.read() as unit:
        source_of(project, unit, run.model_id)
    return _submit(project, run)


def finish(project: Project, run_id: int) -> GeneratedRunRecord:
    """End a stream for good; the items that it has not reached stay in the pool.

    Raises
    ------
    StreamRunError
        When there is no such run, or its job is active.
    """
    recover(project)
    with project.store.write() as unit:
        run = run_of(unit, run_id)
        _refuse_active(unit, run)
        return unit.generated.set_state(run_id, "finished", reason=ENDED)


def _refuse_active(unit: Unit, run: GeneratedRunRecord) -> None:
    """Raise when a job runs a stream, or is about to."""
    if any(job.params.get("run") == run.id for job in unit.jobs.active(run.kind)):
        raise StreamRunError(f"Run {run.id} is running. Cancel its job first.")


def decide(project: Project, run_id: int, verdict: Verdict, by: str) -> GeneratedRunRecord:
    """Accept a stream's generated labels, roll them back, or open the question again.

    One step for all its labels, and reversible. Rolling back ends the stream and takes the audits
    out of the queue that nobody has begun; another verdict brings labels and audits back.

    Parameters
    ----------
    project : Project
    run_id : int
    verdict : {"open", "accepted", "rolled_back"}
    by : str
        Who decides.

    Raises
    ------
    StreamRunError
        When there is no such run, the verdict is none, nobody is named, its job is active, or it
        cannot come back because a later run labelled some of its items.
    """
    _check_verdict(verdict, by)
    recover(project)
    with project.store.write() as unit:
        before = run_of(unit, run_id).verdict
        decided = _decide(unit, run_id, verdict, by)
        if before != verdict:
            change_log.note(unit, _log(run_id), by.strip(), VERDICT_WORDS[verdict], before, verdict)
        return decided


def next_steps(project: Project, run_id: int) -> tuple[Logged | None, Logged | None]:
    """Return which verdict on a run would be taken back, and which given again, next."""
    with project.store.read() as unit:
        log = _log(run_id)
        return change_log.next_undo(unit, log), change_log.next_redo(unit, log)


def undo_verdict(project: Project, run_id: int, by: str) -> str:
    """Take the last verdict on a run back: the one before holds again; return what it was.

    Raises
    ------
    StreamRunError
        When there is none, and as :func:`decide` does.
    """
    _check_verdict("open", by)
    recover(project)
    with project.store.write() as unit:
        last = change_log.next_undo(unit, _log(run_id))
        if last is None:
            raise StreamRunError(f"There is no verdict on run {run_id} to take back.")
        _decide(unit, run_id, last.before, by)
        change_log.note_undo(unit, _log(run_id), last.number, by.strip())
        return last.text


def redo_verdict(project: Project, run_id: int, by: str) -> str:
    """Give the verdict again that was taken back last; return what it was.

    Raises
    ------
    StreamRunError
        When there is none or another was given since, and as :func:`decide` does.
    """
    _check_verdict("open", by)
    recover(project)
    with project.store.write() as unit:
        last = change_log.next_redo(unit, _log(run_id))
        if last is None:
            raise StreamRunError(f"There is no verdict on run {run_id} to give again.")
        _decide(unit, run_id, last.after, by)
        change_log.note_redo(unit, _log(run_id), last.number, by.strip())
        return last.text


def _log(run_id: int) -> str:
    return f"verdicts_{run_id}"


def _check_verdict(verdict: str, by: str) -> None:
    if verdict not in VERDICTS:
        raise StreamRunError(f"{verdict!r} is no verdict. Choose one of: {', '.join(VERDICTS)}.")
    if not by.strip():
        raise StreamRunError("A verdict needs the name of who gives it.")


def _decide(unit: Unit, run_id: int, verdict: Verdict, by: str) -> GeneratedRunRecord:
    """Give a verdict, with what follows from it."""
    run = run_of(unit, run_id)
    _refuse_active(unit, run)
    if verdict == "rolled_back":
        withdraw_open(unit, run_id)
        unit.generated.set_state(run_id, "finished", reason=run.reason or ROLLED_BACK)
    try:
        decided = unit.generated.decide(run_id, verdict, by.strip())
    except Conflict as error:
        raise StreamRunError(str(error)) from error
    if run.verdict == "rolled_back" and verdict != "rolled_back":
        queue_open(unit, run_id)
    return decided


def followed(project: Project) -> bool:
    """Whether a stream takes the items that arrive: nobody need put them into the queue."""
    run = current(project)
    return run is not None and run.follow


def follow_arrivals(project: Project) -> JobRecord | None:
    """Take on the stream that waits for new items, if there are any.

    Call it when items came in. A stream that a person stopped stays stopped.

    Returns
    -------
    JobRecord or None
        The job, when one was submitted.
    """
    recover(project)
    until = time.monotonic() + RETRY_SECONDS
    while True:
        with project.store.read() as unit:
            run = unfinished(unit)
            if run is None or not run.follow or (run.state, run.reason) != ("paused", WAITS):
                return None
            if not len(unit.generated_labels.arrivals(run.cursor, limit=1)):
                return None
        try:
            return _submit(project, run)
        except JobError:  # the job that has just left the run has not ended yet
            if time.monotonic() > until:
                return None
            time.sleep(0.2)
