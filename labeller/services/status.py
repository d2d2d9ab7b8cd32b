"""The state of a project in one dictionary: what `labeller status --json` and the API print."""

from __future__ import annotations

from typing import Any

from labeller import jobs
from labeller.project import Project, is_readable_by_others
from labeller.services import rounds
from labeller.services.headline import Headline, headlines, summary
from store.records import JobRecord, ModelRecord, RoundRecord
from store.records_budget import BudgetRecord

SHOWN_JOBS = 10


def status(project: Project) -> dict[str, Any]:
    """Return what a person or a script wants to know about a project.

    Parameters
    ----------
    project : Project

    Returns
    -------
    dict
        JSON values only. ``model`` is None before the first trained round; ``jobs`` holds the
        active ones first, then the latest. Times are UTC seconds since the epoch, amounts of budget
        are in units of the label price; ``total`` and ``left`` are None without a limit.
    """
    jobs.reap(project)
    with project.store.read() as unit:
        counts = unit.items.count()
        queue = unit.queue.counts()
        budget = unit.budget.get()
        model = unit.models.in_use()
        all_rounds = unit.rounds.all()
        numbers = {r.id: r.number for r in all_rounds}
        listed = {job.id: job for job in [*unit.jobs.active(), *unit.jobs.all(SHOWN_JOBS)]}
        by_class = unit.labels.counts_by_class()
        classes = unit.classes.all()
        models = unit.models.all()
        made = [run for run in unit.synthetic.runs() if run.state != "deleted" and run.made]
    measured = headlines(project, models)
    by_round = {one.round_id: measured[one.id] for one in models}
    return {
        "name": project.name,
        "path": str(project.root),
        "id": project.id,
        "readable_by_others": is_readable_by_others(project),
        "items": counts.items,
        "labelled": counts.labelled,
        "unlabelled": counts.unlabelled,
        "skipped": counts.skipped,
        "flagged": counts.flagged,
        "classes": [
            {"name": c.name, "key": c.key, "labels": by_class.get(c.id, 0)} for c in classes
        ],
        "budget": budget_json(budget),
        "queue": {
            "waiting": queue.waiting,
            "leased": queue.leased,
            "done": queue.done,
            "total": queue.total,
        },
        "synthetic": {"items": sum(run.made for run in made), "runs": len(made)},
        "model": model_json(model, measured[model.id], numbers, rounds.behind(project))
        if model
        else None,
        "jobs": [job_json(job) for job in listed.values()],
        "rounds": [round_json(r, by_round.get(r.id)) for r in all_rounds],
    }


def budget_json(budget: BudgetRecord) -> dict[str, float | None]:
    """Return the budget as JSON values."""
    return {
        "total": budget.total,
        "spent": budget.spent,
        "reserved": budget.reserved,
        "left": budget.left,
    }


def model_json(
    model: ModelRecord, found: Headline, numbers: dict[int, int], behind: int
) -> dict[str, Any]:
    """Return the model in use; `numbers` maps round ids to what people call the rounds.

    ``audit_accuracy`` is None below 20 audit labels: ``audit_text`` then says what is known.
    """
    return {
        "id": model.id,
        "round": numbers.get(model.round_id),
        "labels": model.labels,
        "behind": behind,
        "audit_accuracy": found.value,
        "audit_interval": found.interval,
        "audit_labels": found.n,
        "audit_text": summary(found.measured),
        "backbone": model.backbone,
        "device": model.device,
        "created_at": model.created_at,
    }


def round_json(round_: RoundRecord, found: Headline | None) -> dict[str, Any]:
    """Return one round as JSON values."""
    ended = round_.finished_at
    return {
        "round": round_.number,
        "state": round_.state,
        "strategy": round_.strategy,
        "batch": round_.batch,
        "labels": round_.labels,
        "spent": round_.spent,
        "queued": round_.queued,
        "audit_accuracy": found.value if found else None,
        "seconds": None if ended is None else round(ended - round_.started_at, 3),
        "timings": dict(round_.timings),
        "error": round_.error,
    }


def job_json(job: JobRecord) -> dict[str, Any]:
    """Return one job as JSON values."""
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "progress": round(job.progress, 4),
        "stage": job.stage,
        "message": job.message,
        "eta": job.detail.get("eta") if job.active else None,
        "error": job.error,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "cancel_requested": job.cancel_requested,
    }
