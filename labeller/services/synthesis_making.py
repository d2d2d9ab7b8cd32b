"""Make the children of a run: render, store, and pay for tens at a time; go on after a kill.

A child's file gets its name once it is on the disk, then one short transaction stores its row and
pays. So a process killed at any moment leaves rows with files, and files without rows: these cost
nothing, and are made again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labeller.errors import JobCancelled, JobLost
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.synthesis_files import FOLDER, PLANS, Planned, affordable, folder
from labeller.services.synthesis_rendering import Answer, Wanted, rendered
from store.durable import make_folder, sync_file
from store.records import JobRecord
from store.records_made import NewSyntheticItem, SynthesisRunRecord
from store.store import Unit
from strategies.synthesis import Plan

STAGE = "synthesis"
BATCH = 32  # children per transaction
SHOWN = 5
BUDGET_SPENT = "The budget is spent; what is made stays. Raise it to go on."


@dataclass(slots=True)
class Made:
    """What became of the plans of a run, in this job: `made` ones are stored and paid.

    `unchanged` ones would have been the parent once more; `failed` ones could not be made, and the
    first `errors` say why. `stopped` says what ended the run before its end.
    """

    made: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    stopped: str | None = None

    def note(self, why: str) -> None:
        """Count a child that could not be made."""
        self.failed += 1
        if len(self.errors) < SHOWN and why not in self.errors:
            self.errors.append(why)


def make(
    project: Project,
    job: JobRecord,
    run: SynthesisRunRecord,
    planned: Planned,
    progress: Progress,
) -> Made:
    """Make what is missing of a run, and end it.

    Parameters
    ----------
    project : Project
    job : JobRecord
        The one that runs.
    run : SynthesisRunRecord
        Running.
    planned : Planned
        Its plans.
    progress : Progress

    Returns
    -------
    Made
        With ``stopped`` set when the job was cancelled or the budget is spent.

    Raises
    ------
    SynthesisError
        When nothing can be rendered or written.
    JobLost
        When the job or the run is no longer this process's own.
    """
    work = _Making(project, job, run, planned, progress)
    make_folder(work.folder)
    try:
        work.all()
    except JobCancelled:
        work.store()
        work.told.stopped = "cancelled"
    work.finish()
    return work.told


@dataclass(slots=True)
class _Making:
    """One job's work on a run."""

    project: Project
    job: JobRecord
    run: SynthesisRunRecord
    planned: Planned
    progress: Progress
    told: Made = field(default_factory=Made)
    ready: list[tuple[int, Answer]] = field(default_factory=list)
    done: int = 0
    before: int = 0

    @property
    def folder(self) -> Path:
        """Where the run's files lie."""
        return folder(self.project, self.run.id)

    def all(self) -> None:
        """Make every child that is not there yet, in the order of the plans."""
        with self.project.store.read() as unit:
            there = unit.synthetic.places(self.run.id)
        places = [place for place in range(len(self.planned.plans)) if place not in there]
        self.done = self.before = len(there)
        self._tell()
        with contextlib.closing(self._answers(places)) as answers:
            for place, answer in answers:
                self.done += 1
                if "reason" in answer:
                    self.told.note(f"{answer['reason']} {answer['mend']}".strip())
                elif "unchanged" in answer:
                    self.told.unchanged += 1
                else:
                    self.ready.append((place, answer))
                if len(self.ready) >= BATCH:
                    self.store()
                self._tell()
                if self.told.stopped:
                    return
        self.store()

    def _answers(self, places: Sequence[int]) -> Generator[tuple[int, Answer]]:
        """Yield what becomes of each place; mixtures need no picture."""
        plans = self.planned.plans
        if not self.planned.pictures:
            for place in places:
                self.progress.check()
                yield place, {}
            return
        with self.project.store.read() as unit:
            items = unit.items.many(sorted({plans[place].parent for place in places}))
        wanted = (
            Wanted(items[plans[p].parent], plans[p], self.folder / f"{p}.png") for p in places
        )
        found = rendered(self.project, wanted, len(places), self.progress)
        with contextlib.closing(found) as answers:
            for one, answer in answers:
                assert one.target is not None
                if "reason" in answer:
                    answer["reason"] = f"{one.item.path}: {answer['reason'].rstrip('.')}."
                yield int(one.target.stem), answer

    def _tell(self) -> None:
        self.progress.update(
            STAGE,
            self.done,
            len(self.planned.plans),
            run=self.run.id,
            made=self.before + self.told.made,
            failed=self.told.failed,
            unchanged=self.told.unchanged,
        )

    def store(self) -> None:
        """Store what is ready and pay for it: as much as the budget can."""
        if not self.ready:
            return
        if self.planned.pictures:
            sync_file(self.folder)  # the names; the files themselves are on the disk
        price = self.project.settings.synthetic_price
        with self.project.store.write() as unit:
            self._own(unit)
            items = self._items(unit)
            limit = affordable(unit.budget.get().free, price)
            paid = items if limit is None else items[:limit]
            if paid:
                unit.synthetic.add(self.run.id, paid, price)
        self.ready.clear()
        self.told.made += len(paid)
        if len(paid) < len(items):
            self.told.stopped = "budget"

    def _own(self, unit: Unit) -> None:
        """Refuse to store for a job or a run that was ended meanwhile."""
        running = unit.synthetic.run(self.run.id)
        if not unit.jobs.beat(self.job.id) or running.state != "running":
            raise JobLost(f"Job {self.job.id} was taken from this process; it stops.")
        if running.job_id != self.job.id:
            raise JobLost(f"Synthesis run {self.run.id} belongs to another job; this one stops.")

    def _items(self, unit: Unit) -> list[NewSyntheticItem]:
        """Return what is ready as rows, with the labels that the parents have now."""
        found = []
        for place, answer in self.ready:
            plan = self.planned.plans[place]
            label = unit.labels.current(plan.parent)
            if label is None or not _trained(unit, plan):
                self.told.note("Its parent is no labelled training image any more.")
                continue
            path = f"{FOLDER}/{self.run.id}/{place}.png" if self.planned.pictures else None
            found.append(
                NewSyntheticItem(
                    place, plan.parent, label.class_id, plan.recipe, plan.to_json(), path, **answer
                )
            )
        return found

    def finish(self) -> None:
        """End the run, and delete the files that no row speaks of."""
        stopped = self.told.stopped
        text = BUDGET_SPENT if stopped == "budget" else None
        with self.project.store.write() as unit:
            self._own(unit)
            lost = self.told.failed + self.told.unchanged
            unit.synthetic.add(self.run.id, [], 0.0, failed=lost)
            unit.synthetic.finish(self.run.id, "cancelled" if stopped else "done", text)
            there = unit.synthetic.places(self.run.id) if self.planned.pictures else set()
        sweep(self.folder, {f"{place}.png" for place in there})


def _trained(unit: Unit, plan: Plan) -> bool:
    """Whether parent and partner are training items, and the partner has a label."""
    partner = plan.values.get("partner")
    ids = [plan.parent] if partner is None else [plan.parent, int(partner)]
    items = unit.items.many(ids)
    labelled = partner is None or unit.labels.current(int(partner)) is not None
    return labelled and all(i in items and items[i].split == "train" for i in ids)


def sweep(place: Path, kept: set[str]) -> None:
    """Delete the files of a run's folder that are not among the `kept`, but for its plan."""
    for file in place.iterdir():
        if file.name not in kept | {PLANS}:
            file.unlink(missing_ok=True)


def result(run: SynthesisRunRecord, made: Made) -> dict[str, Any]:
    """Return what a job says of the run that it worked on, as JSON values."""
    told = {
        "run": run.id,
        "strategy": run.strategy,
        "seed": run.seed,
        "planned": run.planned,
        "made": run.made,
        "failed": made.failed,
        "unchanged": made.unchanged,
        "errors": made.errors,
        "spent": run.spent,
        "message": _message(made),
    }
    return {**told, "cancelled": True} if made.stopped == "cancelled" else told


def _message(made: Made) -> str:
    """Say what a person should know of the outcome."""
    parts = []
    if made.unchanged:
        parts.append(f"{made.unchanged:,} would have changed nothing, and were left out.")
    if made.failed:
        parts.append(f"{made.failed:,} could not be made: {made.errors[0]}")
    if made.stopped == "budget":
        parts.append("The budget is spent.")
    return " ".join(parts)
