"""The command of streams: try one, run one, go on with it, audit it, accept it or roll it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import emit, example, json_option, note, percent, project_argument, table
from labeller.cli.projects import person
from labeller.cli.rounds import follow as follow_job
from labeller.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.streams import AuditReport, DryRun, StreamPlan
    from store.records import JobRecord

ACTIONS = ("go_on", "end", "audit", "accept", "roll_back", "reopen")


def _run_option(name: str, text: str) -> Callable[[Any], Any]:
    return click.option(name, metavar="RUN", type=click.IntRange(min=1), help=text)


@click.command("stream", epilog=example("labeller stream birds --error 0.02 --ask 100 --dry-run"))
@project_argument
@click.option(
    "--strategy",
    metavar="NAME",
    default="variable_threshold",
    show_default=True,
    help="A stream strategy of `labeller strategies`.",
)
@click.option(
    "--error",
    metavar="SHARE",
    default=0.05,
    show_default=True,
    type=float,
    help="Share of wrong ones allowed among the generated labels.",
)
@click.option(
    "--ask", metavar="N", type=click.IntRange(min=1), help="Ask at most so many; else the budget's."
)
@click.option(
    "--audit-share",
    metavar="SHARE",
    default=0.05,
    show_default=True,
    type=float,
    help="Share of the generated labels that a person is asked about, blind.",
)
@click.option("--follow", is_flag=True, help="Let items that arrive later join.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), help="The project's if left out.")
@click.option("--dry-run", is_flag=True, help="Count what would happen, and write nothing.")
@_run_option("--go-on", "Go on with a run that stands still.")
@_run_option("--end", "End a run that stands still.")
@_run_option("--audit", "Ask 59 labels of every class of a run, blind, and say what is found.")
@_run_option("--accept", "Accept all generated labels of a run.")
@_run_option("--roll-back", "Take back all generated labels of a run.")
@_run_option("--reopen", "Bring a run's labels back, neither accepted nor rolled back.")
@json_option
@click.pass_context
def stream_command(
    ctx: click.Context, /, project: Path, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """Let unlabelled items pass one by one; ask about some, generate labels for others.

    Items of which the model is sure enough get a generated label, doubtful ones join the queue as
    far as the budget goes. Generated labels are no labels until a run is accepted, and are marked
    wherever they show. Ctrl-C leaves a run that can go on.
    """
    from labeller.project import open_project

    opened = open_project(project)
    asked = [(name, given.pop(name)) for name in ACTIONS]
    actions = [(name, run) for name, run in asked if run is not None]
    if len(actions) > 1 or (actions and dry_run):
        raise click.UsageError("Give one of --dry-run and the options that name a RUN, not more.")
    if not actions:
        _start(ctx, opened, _plan(**given), dry_run, as_json)
    elif actions[0][0] == "go_on":
        _go_on(ctx, opened, actions[0][1], as_json)
    else:
        _judge(opened, *actions[0], as_json)


def _plan(
    strategy: str, error: float, ask: int | None, audit_share: float, follow: bool, seed: int | None
) -> StreamPlan:
    from labeller.services.streams import StreamPlan

    return StreamPlan(strategy, error, ask, follow, seed, audit_share)


def _start(
    ctx: click.Context, project: Project, plan: StreamPlan, dry_run: bool, as_json: bool
) -> None:
    """Try a stream, or start one and wait for it."""
    from labeller.services import streams

    for text in streams.outlook(project, plan).notes:
        note(text)
    if dry_run:
        tried = streams.dry_run(project, plan)
        emit(_dry_data(tried), as_json, _dry_text(tried))
        return
    run = streams.start(project, plan)
    _wait(ctx, project, run.id, _job_of(project, run.id), as_json)


def _job_of(project: Project, run_id: int) -> JobRecord:
    """Return the newest job of a run."""
    with project.store.read() as unit:
        return next(
            job
            for job in unit.jobs.all(50)
            if job.kind == "stream" and job.params.get("run") == run_id
        )


def _go_on(ctx: click.Context, project: Project, run_id: int, as_json: bool) -> None:
    """Go on with a run and wait for it."""
    from labeller.services import streams

    _wait(ctx, project, run_id, streams.go_on(project, run_id), as_json)


def _wait(ctx: click.Context, project: Project, run_id: int, job: JobRecord, as_json: bool) -> None:
    """Show a stream's job until it ends, and what came of it."""
    job, interrupted = follow_job(project, job)
    data = _run_data(project, run_id) | {"job": job.id}
    if job.state == "done":
        emit(data, as_json, _run_text(project, data))
        return
    if interrupted:
        note(f"Run {run_id} stands still. Go on: labeller stream {project.root} --go-on {run_id}")
        ctx.exit(INTERRUPTED)
    raise click.ClickException(f"Stream {job.state}: {job.error or f'job {job.id}'}")


def _judge(project: Project, action: str, run_id: int, as_json: bool) -> None:
    """Do what takes no job: end a run, audit it, give a verdict."""
    from labeller.services import streams

    if action == "audit":
        queued = streams.ask_audit(project, run_id)
        report = streams.audit(project, run_id)
        data = {"run": run_id, "queued": queued, "audit": report}
        text = f"{queued:,} audits queued, {report.open:,} wait for an answer.\n"
        emit(data, as_json, text + audit_text(report))
        return
    if action == "end":
        streams.finish(project, run_id)
    elif action == "accept":
        streams.decide(project, run_id, "accepted", person())
    elif action == "roll_back":
        streams.decide(project, run_id, "rolled_back", person())
    else:
        streams.decide(project, run_id, "open", person())
    data = _run_data(project, run_id)
    emit(data, as_json, _run_text(project, data))


def _run_data(project: Project, run_id: int) -> dict[str, Any]:
    """Return a run as JSON values."""
    from labeller.services import streams

    view = next(one for one in streams.runs(project) if one.run.id == run_id)
    run = view.run
    return {
        "run": run.id,
        "state": run.state,
        "reason": run.reason,
        "verdict": run.verdict,
        "verdict_by": run.verdict_by,
        "strategy": run.strategy,
        "model_round": view.model_round,
        "follow": run.follow,
        "asked": run.asked,
        "accepted": run.accepted,
        "deferred": run.deferred,
        "unreached": streams.unreached(project, run_id),
        "labels_left": view.left,
        "audit": streams.audit(project, run_id),
    }


def _run_text(project: Project, data: dict[str, Any]) -> str:
    """Put a run into words."""
    lines = [
        f"Run {data['run']} ({data['strategy']}, model of round {data['model_round']}): "
        f"{data['state']}, {data['verdict'].replace('_', ' ')}. {data['reason'] or ''}".rstrip(),
        f"{data['asked']:,} asked, {data['accepted']:,} generated labels, "
        f"{data['deferred']:,} left in the pool, {data['unreached']:,} not reached.",
    ]
    if data["verdict"] == "open" and data["accepted"]:
        lines.append(
            f"Next: label the queue, then accept or roll back: "
            f"labeller stream {project.root} --accept {data['run']}"
        )
    return "\n".join(lines)


def audit_text(report: AuditReport) -> str:
    """Lay an audit out as a table."""
    header = ("class", "generated", "audited", "wrong", "rate", "at most (95 %)")
    rows = [
        (
            row.name,
            f"{row.generated:,}",
            f"{row.audited:,}",
            f"{row.wrong:,}",
            percent(row.rate) if row.audited else "-",
            percent(row.upper),
        )
        for row in (*report.rows, report.total)
    ]
    return table([header, *rows])


def _dry_data(tried: DryRun) -> dict[str, Any]:
    """Return a dry run as JSON values."""
    names = ("items", "seen", "limit", "asked", "accepted", "deferred", "unreached", "unpredicted")
    curves = ("positions", "asked_curve", "accepted_curve", "deferred_curve", "threshold_curve")
    return {
        **{name: getattr(tried, name) for name in names},
        "labels_left": tried.labels_left,
        "expected_errors": tried.errors,
        "classes": tried.classes,
        "curve": {name.removesuffix("_curve"): getattr(tried, name).tolist() for name in curves},
    }


def _dry_text(tried: DryRun) -> str:
    """Put a dry run into words."""
    header = ("class", "asked", "generated", "left in the pool", "expected wrong")
    rows = [
        (
            one.name,
            f"{one.asked:,}",
            f"{one.accepted:,}",
            f"{one.deferred:,}",
            f"{one.errors:.1f}",
        )
        for one in tried.classes
    ]
    seen = f"{tried.seen:,} of {tried.items:,} items" if tried.limited else f"{tried.seen:,} items"
    return (
        f"Nothing was written. Of {seen}: {tried.asked:,} asked, {tried.accepted:,} generated "
        f"labels, {tried.deferred:,} left in the pool, {tried.unreached:,} not reached.\n"
        + table([header, *rows])
    )
