"""A stream that runs: some hundred items at a time, each step whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from labeller import jobs
from labeller.errors import JobLost, StreamRunError
from labeller.project import Project
from labeller.services.streams_pool import Source, payable
from store.records import JobRecord, NewQueueEntry
from store.records_made import GeneratedRunRecord, NewDecision
from store.store import Unit
from strategies import stream as streaming
from strategies.base import StrategyError
from strategies.stream import Decision, StreamState

KIND: Final = "stream"
STEP = 500  # items decided in one transaction
SPENT = "The labels it might ask for are spent."
PASSED = "All items have passed."
WAITS = "All items have passed; new ones join when they arrive."
STOPPED = "Stopped by a person."


def machine_of(run: GeneratedRunRecord) -> StreamState:
    """Return the state after the last item of a run.

    Raises
    ------
    StreamRunError
        When it cannot go on with this version.
    """
    try:
        return StreamState.from_json(run.machine)
    except StrategyError as error:
        raise StreamRunError(
            f"Run {run.id} cannot go on: {error} Finish it and start another."
        ) from error


def take_on(project: Project, job: JobRecord) -> GeneratedRunRecord:
    """Note that a job runs a stream from now on.

    Raises
    ------
    StreamRunError
        When the run has ended.
    """
    with project.store.write() as unit:
        run = unit.generated.hold(int(job.params["run"]))
        refuse_ended(run)
        return unit.generated.set_state(run.id, "running", job.id)


def refuse_ended(run: GeneratedRunRecord) -> None:
    """Raise when a run cannot go on."""
    if run.state == "finished":
        raise StreamRunError(
            f"Run {run.id} is finished: {run.reason or 'nothing is left to do.'} Start another."
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: the run after it, and how many items passed without a prediction."""

    run: GeneratedRunRecord
    unpredicted: int


def advance(
    project: Project, job_id: int, run_id: int, source: Source, upto: int, size: int = STEP
) -> Step | None:
    """Decide the next items of a run, in one transaction.

    Decisions, generated labels, questions in the queue and the state after them appear together; a
    process killed at any point leaves a run that goes on with the same decisions.

    Parameters
    ----------
    project : Project
    job_id : int
        The job that runs it.
    run_id : int
    source : Source
        The run's model.
    upto : int
        The last item to look at: those up to it have their predictions, or cannot be read.
    size : int
        How many items at most.

    Returns
    -------
    Step or None
        None when nothing is left up to there, or the labels are spent.

    Raises
    ------
    JobLost
        When the job was taken from this process.
    """
    with project.store.write() as unit:
        run = _held(unit, job_id, run_id)
        state = _capped(unit, project.settings.label_price, run)
        ids = unit.generated_labels.arrivals(run.cursor, upto, size)
        if state.finished or not len(ids):
            return None
        judged = source.read(ids)
        rows = zip(
            judged.ids.tolist(), judged.columns.tolist(), judged.confidences.tolist(), strict=True
        )
        made: list[tuple[int, Decision]] = []
        for item, decision, after in streaming.run(state, rows):
            made.append((item, decision))
            state = after
        cursor = made[-1][0] if state.finished else int(ids[-1])
        return Step(
            _keep(unit, run, source, made, state, cursor),
            len(ids) - len(judged.ids) if not state.finished else 0,
        )


def _capped(unit: Unit, price: float, run: GeneratedRunRecord) -> StreamState:
    """Return the run's state, asking no more than the budget can pay by now."""
    state = machine_of(run)
    money = payable(unit, price)
    if money is None:
        return state
    kept_back = max(0, int(run.params["audits"]) - unit.generated_labels.audit_marked(run.id))
    return replace(state, left=min(state.left, max(0, money - kept_back)))


def _keep(
    unit: Unit,
    run: GeneratedRunRecord,
    source: Source,
    made: list[tuple[int, Decision]],
    state: StreamState,
    cursor: int,
) -> GeneratedRunRecord:
    """Store decisions and put the questions among them into the queue."""
    class_ids = source.model.class_ids
    run = unit.generated.record(
        run.id,
        [
            NewDecision(
                item,
                one.outcome.value,
                class_ids[one.predicted],
                one.confidence,
                one.to_json(),
            )
            for item, one in made
        ],
        state.to_json(),
        cursor,
    )
    questions = [
        NewQueueEntry(
            item_id=item,
            strategy=run.strategy,
            score=1 - one.confidence,
            suggestion_class_id=source.targets[one.predicted],
            suggestion_confidence=(
                None if source.targets[one.predicted] is None else one.confidence
            ),
        )
        for item, one in made
        if one.outcome == streaming.Outcome.ASK
    ]
    unit.queue.append(questions, source.model.round_id)
    return run


def settle(project: Project, job_id: int, run_id: int) -> bool:
    """End or pause a run that has nothing to do; False when more items came meanwhile.

    Raises
    ------
    JobLost
        When the job was taken from this process.
    """
    with project.store.write() as unit:
        run = _held(unit, job_id, run_id)
        if _capped(unit, project.settings.label_price, run).finished:
            unit.generated.set_state(run_id, "finished", reason=SPENT)
        elif len(unit.generated_labels.arrivals(run.cursor, limit=1)):
            return False
        elif run.follow:
            unit.generated.set_state(run_id, "paused", reason=WAITS)
        else:
            unit.generated.set_state(run_id, "finished", reason=PASSED)
        return True


def leave(project: Project, run_id: int, reason: str) -> None:
    """Note that a run stands still until somebody lets it go on."""
    with project.store.write() as unit:
        unit.generated.set_state(run_id, "paused", reason=reason)


def recover(project: Project) -> None:
    """Note which runs stand still because their job was killed."""
    jobs.reap(project)
    with project.store.read() as unit:
        running = [run for run in unit.generated.all() if run.state == "running"]
        ended = [
            (run, job)
            for run in running
            if run.job_id is not None and not (job := unit.jobs.get(run.job_id)).active
        ]
    for run, job in ended:
        with project.store.write() as unit:
            again = unit.generated.hold(run.id)
            if again.state == "running" and again.job_id == job.id:
                reason = STOPPED if job.state == "cancelled" else job.error
                unit.generated.set_state(run.id, "paused", reason=reason)


def _held(unit: Unit, job_id: int, run_id: int) -> GeneratedRunRecord:
    """Beat for a job and return its run, held until the end of the transaction."""
    if not unit.jobs.beat(job_id):
        raise JobLost(f"Job {job_id} was taken from this process; it stops.")
    return unit.generated.hold(run_id)
