"""What the sidebar needs to know, read in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labeller.project import Project
from labeller.services import headline, labelling, rounds
from labeller.services.evaluation_scores import Share
from store.records import Counts, JobRecord, ModelRecord, QueueCounts, RoundRecord
from store.records_budget import BudgetRecord

DISMISSED = "dismissed_jobs"
_LOOK_BACK = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of a project as the sidebar shows it.

    `queue_by` counts the present queue by what picked the images, `queue_round` is the round that
    made it; `trainable` says whether a round would have a model.
    """

    counts: Counts
    classes: int
    budget: BudgetRecord
    queue: QueueCounts
    queue_by: Mapping[str, int]
    queue_round: int | None
    trainable: bool
    model: ModelRecord | None
    measured: Share | None
    model_round: int | None
    latest_round: RoundRecord | None
    behind: int
    active: tuple[JobRecord, ...]
    failed: tuple[JobRecord, ...]

    def job(self, kind: str) -> JobRecord | None:
        """Return the active job of a kind."""
        return next((job for job in self.active if job.kind == kind), None)


def gather(project: Project) -> Facts:
    """Read the state of a project in one transaction, and measure its model."""
    behind = rounds.behind(project)
    with project.store.read() as unit:
        model = unit.models.in_use()
    measured = headline.headline(project, model).measured if model else None
    with project.store.read() as unit:
        latest = unit.rounds.latest()
        trained_in = unit.rounds.get(model.round_id) if model else None
        dismissed = set(unit.settings.get(DISMISSED, []))
        return Facts(
            counts=unit.items.count(),
            classes=len(unit.classes.all()),
            budget=unit.budget.get(),
            queue=unit.queue.counts(),
            queue_by=unit.queue.made_by(),
            queue_round=labelling.queue_round(unit),
            trainable=rounds.trainable(unit),
            model=model,
            measured=measured,
            model_round=trained_in.number if trained_in else None,
            latest_round=latest,
            behind=behind,
            active=tuple(unit.jobs.active()),
            failed=failures(unit.jobs.all(_LOOK_BACK), dismissed),
        )


def failures(jobs: list[JobRecord], dismissed: set[int]) -> tuple[JobRecord, ...]:
    """Return the jobs whose failure is still news: the latest of their kind, not dismissed."""
    latest: dict[str, JobRecord] = {}
    for job in jobs:
        if job.kind not in latest or job.id > latest[job.kind].id:
            latest[job.kind] = job
    return tuple(
        job for job in latest.values() if job.state == "failed" and job.id not in dismissed
    )


def dismiss(project: Project, job_id: int) -> None:
    """Note that somebody has read why a job failed."""
    with project.store.write() as unit:
        known = unit.settings.get(DISMISSED, [])
        unit.settings.set(DISMISSED, [*known, job_id][-_LOOK_BACK:])


def repeats_last(facts: Facts, strategy: str, batch: int) -> bool:
    """Whether a round now would do the same as the last one: see `view.retrain_hindrance`."""
    last = facts.latest_round
    return (
        last is not None
        and last.state == "done"
        and facts.model is not None
        and facts.behind == 0
        and (last.strategy, last.batch) == (strategy, batch)
        and facts.queue.done == 0
        and facts.queue.total > 0
    )
