"""A propagation that runs: some hundred items at a time, each step whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labeller.errors import JobLost
from labeller.project import Project
from labeller.services.propagation import CONFIDENCE
from labeller.services.streams_pool import Judged
from store.records_made import GeneratedRunRecord, NewDecision
from store.store import Unit

STEP = 500  # items looked at in one transaction
PASSED = "All items have been looked at."


def advance(
    project: Project,
    job_id: int,
    run_id: int,
    judged: Judged,
    class_ids: tuple[int, ...],
    upto: int,
    size: int = STEP,
) -> GeneratedRunRecord | None:
    """Give the next items of a run a generated label, where they are sure enough.

    Labels and the place that was reached appear together; a process killed at any point leaves a
    run that goes on from there. Items below the confidence stay in the pool, without a row.

    Parameters
    ----------
    project : Project
    job_id : int
        The job that runs it.
    run_id : int
    judged : Judged
        What is said of items up to `upto`, in order of id; others cannot be read.
    class_ids : tuple of int
        The classes of the columns.
    upto : int
        The last item to look at.
    size : int
        How many items at most.

    Returns
    -------
    GeneratedRunRecord or None
        None when nothing is left up to there.

    Raises
    ------
    JobLost
        When the job was taken from this process.
    """
    with project.store.write() as unit:
        _beat(unit, job_id)
        run = unit.generated.hold(run_id)
        ids = unit.generated_labels.arrivals(run.cursor, upto, size).tolist()
        if not ids:
            return None
        free = set(ids)
        least = float(run.params["plan"]["options"][CONFIDENCE])
        usable = _usable(unit, class_ids)
        rows = zip(
            judged.ids.tolist(), judged.columns.tolist(), judged.confidences.tolist(), strict=True
        )
        decisions = [
            NewDecision(item, "accept", class_ids[column], sure)
            for item, column, sure in rows
            if item in free and sure >= least and class_ids[column] in usable
        ]
        machine = {**run.machine, "passed": int(run.machine["passed"]) + len(ids)}
        return unit.generated.record(run_id, decisions, machine, ids[-1])


def _beat(unit: Unit, job_id: int) -> None:
    if not unit.jobs.beat(job_id):
        raise JobLost(f"Job {job_id} was taken from this process; it stops.")


def _usable(unit: Unit, class_ids: tuple[int, ...]) -> set[int]:
    """Return the classes whose labels count: those that are, or were merged into, one in use."""
    targets = unit.classes.targets()
    current = {one.id for one in unit.classes.all()}
    return {one for one in class_ids if targets[one] in current}


def describe(
    project: Project, job_id: int, run_id: int, about: Mapping[str, Any]
) -> GeneratedRunRecord:
    """Keep how the labels are made, as JSON values, with the run."""
    with project.store.write() as unit:
        _beat(unit, job_id)
        run = unit.generated.hold(run_id)
        return unit.generated.record(run_id, [], {**run.machine, **about}, run.cursor)


def settle(project: Project, job_id: int, run_id: int) -> bool:
    """End a run that has looked at everything; False when more items came meanwhile."""
    with project.store.write() as unit:
        _beat(unit, job_id)
        run = unit.generated.hold(run_id)
        if len(unit.generated_labels.arrivals(run.cursor, limit=1)):
            return False
        unit.generated.set_state(run_id, "finished", reason=PASSED)
        return True
