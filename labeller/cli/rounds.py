"""Commands of the loop: round, queue, status."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import (
    Bar,
    emit,
    example,
    json_option,
    note,
    number,
    percent,
    project_argument,
    seconds,
    table,
    typed,
)
from labeller.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from labeller.project import Project
    from store.records import ClassRecord, ItemRecord, JobRecord, QueueEntry

POLL_SECONDS = 0.2


@click.command("round", epilog=example("labeller round birds --strategy margin --batch 50"))
@project_argument
@click.option(
    "--strategy",
    metavar="NAME",
    help="How to pick the next items: a name of `labeller strategies`, or a mixture such as "
    "margin:70,random:30.",
)
@click.option("--batch", metavar="N", type=click.IntRange(min=1), help="How many items to pick.")
@json_option
@click.pass_context
def round_command(
    ctx: click.Context, project: Path, strategy: str | None, batch: int | None, as_json: bool
) -> None:
    """Train, predict the pool and fill the queue anew.

    Waits for the job and shows its progress; Ctrl-C cancels it. Before the first labels it fills
    the queue with items that cover the pool.
    """
    from labeller.project import open_project
    from labeller.services import rounds

    opened = open_project(project)
    began = time.monotonic()
    job = rounds.start_round(opened, strategy, batch)
    job, interrupted = follow(opened, job)
    if job.state == "done":
        data = _round_data(opened, job, time.monotonic() - began)
        emit(data, as_json, _round_text(data))
        return
    if interrupted:
        note(f"Job {job.id}: {job.state}.")
        ctx.exit(INTERRUPTED)
    raise click.ClickException(f"Round {job.state}: {job.error or f'job {job.id}'}")


def follow(project: Project, job: JobRecord) -> tuple[JobRecord, bool]:
    """Show a job until it ends; Ctrl-C cancels it. Returns its row, and whether that happened."""
    from labeller import jobs
    from labeller.jobs.control import get

    if not project.settings.start_workers:
        note(f"Job {job.id} waits for a worker: labeller worker {typed(project.root)}")
    bar, interrupted = Bar(), False
    while job.active:
        try:
            bar.draw(job.progress, job.stage or job.state, _job_text(job))
            time.sleep(POLL_SECONDS)
            jobs.reap(project)
            job = get(project, job.id)
        except KeyboardInterrupt:
            if interrupted:
                bar.close()
                raise
            interrupted = True
            bar.close()
            note(f"Cancelling job {job.id}; Ctrl-C again leaves it to stop by itself.")
            if get(project, job.id).active:
                job = jobs.cancel(project, job.id)
    bar.close()
    return job, interrupted


def _job_text(job: JobRecord) -> str:
    """Put the live numbers of a job beside its bar."""
    detail = job.detail
    parts = []
    if job.stage == "train" and detail.get("epoch") is not None:
        of = f"/{detail['epochs']}" if detail.get("epochs") else ""
        parts.append(f"epoch {detail['epoch']}{of}")
    if job.stage == "train" and isinstance(detail.get("loss"), float):
        parts.append(f"loss {detail['loss']:.3f}")
    if isinstance(detail.get("eta"), float):
        parts.append(f"{seconds(detail['eta'])} left")
    return " · ".join([*parts, *filter(None, [job.message])])


def _round_data(project: Project, job: JobRecord, waited: float) -> dict[str, Any]:
    """Return the outcome of a round: the rows are the truth, the job's result adds to them."""
    from labeller.services.headline import headline, summary
    from labeller.services.status import round_json

    with project.store.read() as unit:
        round_ = unit.rounds.by_job(job.id)
        model = unit.models.get(round_.model_id) if round_ and round_.model_id else None
    found = headline(project, model) if model else None
    base = round_json(round_, found) if round_ else {}
    return {
        "message": job.message,
        "device": None,
        **dict(job.result or {}),
        **base,
        "model": model.id if model else None,
        "audit_interval": found.interval if found else None,
        "audit_labels": found.n if found else None,
        "audit_text": summary(found.measured) if found else None,
        "job": job.id,
        "seconds": round(waited, 3),
    }


def _round_text(data: dict[str, Any]) -> str:
    """Put the outcome of a round into words."""
    lines = [
        f"Round {data['round']} ({data['strategy']}): {data['queued']:,} items in the queue, "
        f"in {data['seconds']:.1f} s."
    ]
    if data["model"] is not None:
        good = data["audit_text"]
        lines.append(f"Model {data['model']} on {data['device']}: audit accuracy {good}.")
    return "\n".join([*lines, *filter(None, [data["message"]])])


@click.command("queue", epilog=example("labeller queue birds --json"))
@project_argument
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    help="Show at most so many; all if left out.",
)
@json_option
def queue_command(project: Path, limit: int | None, as_json: bool) -> None:
    """List the items that wait for a label, in order.

    Items of the audit set are among them and come without strategy and suggestion.
    """
    from labeller.project import open_project

    opened = open_project(project)
    with opened.store.read() as unit:
        counts = unit.queue.counts()
        entries = [e for e in unit.queue.entries(counts.total, 0) if e.state == "waiting"][:limit]
        items = unit.items.many([e.item_id for e in entries])
        classes = {c.id: c for c in unit.classes.all(archived=True)}
    rows = [_entry_json(e, items[e.item_id], opened, classes) for e in entries]
    data = {
        "project": opened.root,
        "waiting": counts.waiting,
        "leased": counts.leased,
        "done": counts.done,
        "total": counts.total,
        "items": rows,
    }
    header = ("#", "strategy", "score", "suggestion", "path")
    lines = [header, *(_entry_row(n, row) for n, row in enumerate(rows, 1))]
    empty = f"The queue is empty. Fill it: labeller round {typed(project)}"
    emit(data, as_json, table(lines) if rows else empty)


def _entry_json(
    entry: QueueEntry, item: ItemRecord, project: Project, classes: dict[int, ClassRecord]
) -> dict[str, Any]:
    """Return one place in the queue; an audit item's strategy and suggestion stay sealed."""
    suggestion = None
    if not entry.blind and entry.suggestion_class_id in classes:
        name = classes[entry.suggestion_class_id].name
        suggestion = {"class": name, "confidence": entry.suggestion_confidence}
    return {
        "item": item.id,
        "path": project.file(item.path),
        "sha256": item.sha256,
        "strategy": None if entry.blind else entry.strategy,
        "score": None if entry.blind else entry.score,
        "suggestion": suggestion,
        "leased": entry.leased_by is not None,
    }


def _entry_row(position: int, row: dict[str, Any]) -> tuple[str, ...]:
    suggestion, score = row["suggestion"], row["score"]
    guess = f"{suggestion['class']} {percent(suggestion['confidence'])}" if suggestion else "-"
    return (
        str(position),
        row["strategy"] or "-",
        "-" if score is None else f"{score:.4f}",
        guess,
        str(row["path"]),
    )


@click.command("status", epilog=example("labeller status birds"))
@project_argument
@json_option
def status_command(project: Path, as_json: bool) -> None:
    """Show items, labels, budget, queue, model and jobs."""
    from labeller.project import open_project
    from labeller.services.status import status

    data = status(open_project(project))
    emit(data, as_json, _status_text(data))


def _status_text(data: dict[str, Any]) -> str:
    """Lay the status out for reading."""
    budget, queue, model = data["budget"], data["queue"], data["model"]
    limit = f"{number(budget['spent'])} spent, no limit"
    if budget["total"] is not None:
        limit = (
            f"{number(budget['spent'])} of {number(budget['total'])} spent, "
            f"{number(budget['left'])} left, {number(budget['reserved'])} of it reserved"
        )
    classes = ", ".join(f"{c['name']} {c['labels']:,}" for c in data["classes"])
    lines = [
        f"{data['name']}  ({data['path']})",
        f"items    {data['items']:,}: {data['labelled']:,} labelled, "
        f"{data['unlabelled']:,} unlabelled, {data['skipped']:,} skipped, "
        f"{data['flagged']:,} flagged",
        f"classes  {classes or 'none yet'}",
        f"budget   {limit}",
        f"queue    {queue['waiting']:,} waiting, {queue['leased']:,} leased, "
        f"{queue['done']:,} done",
        f"model    {_model_text(model)}",
        f"rounds   {len(data['rounds'])}",
    ]
    if data["synthetic"]["items"]:
        lines.append(f"made     {data['synthetic']['items']:,} synthetic items")
    if data["readable_by_others"]:
        lines.append("access   other accounts can enter the folder: chmod 700 it, unless they may")
    return "\n".join([*lines, *(_job_line(job) for job in data["jobs"])])


def _model_text(model: dict[str, Any] | None) -> str:
    if model is None:
        return "none yet"
    return (
        f"{model['id']} of round {model['round']}: audit accuracy {model['audit_text']}; "
        f"{model['behind']:,} labels behind"
    )


def _job_line(job: dict[str, Any]) -> str:
    text = f"job {job['id']:<4} {job['kind']}: {job['state']}"
    if job["state"] == "running":
        text += f", {job['stage']} {job['progress']:.0%}"
    return f"{text}. {job['error']}" if job["error"] else text
