"""The command of label propagation: label the rest of the pool, audit it, accept or roll back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import emit, example, json_option, note, project_argument, table
from labeller.cli.projects import person
from labeller.cli.rounds import follow as follow_job
from labeller.cli.signals import INTERRUPTED
from labeller.cli.stream import audit_text

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.propagation import PropagationPlan
    from store.records import JobRecord
    from store.records_made import Verdict

VERDICTS: dict[str, Verdict] = {
    "accept": "accepted",
    "roll_back": "rolled_back",
    "reopen": "open",
}
ACTIONS = ("go_on", "end", "audit", *VERDICTS)


def _run_option(name: str, text: str) -> Callable[[Any], Any]:
    return click.option(name, metavar="RUN", type=click.IntRange(min=1), help=text)


@click.command("propagate", epilog=example("labeller propagate birds --confidence 0.98 --dry-run"))
@project_argument
@click.option(
    "--method",
    metavar="NAME",
    default="model",
    show_default=True,
    help="`model` (the one in use) or `spreading` (labels spread over embeddings).",
)
@click.option(
    "--confidence",
    metavar="P",
    default=0.95,
    show_default=True,
    type=float,
    help="Calibrated confidence from which an item gets a generated label.",
)
@click.option(
    "--audit-share",
    metavar="SHARE",
    default=0.05,
    show_default=True,
    type=float,
    help="Share of the generated labels that a person is asked about, blind.",
)
@click.option("--seed", metavar="N", type=click.IntRange(min=0), help="The project's if left out.")
@click.option("--dry-run", is_flag=True, help="Say what to expect, and write nothing.")
@_run_option("--go-on", "Go on with a run that stands still.")
@_run_option("--end", "End a run that stands still.")
@_run_option("--audit", "Ask 59 labels of every class of a run, blind, and say what is found.")
@_run_option("--accept", "Accept all generated labels of a run.")
@_run_option("--roll-back", "Take back all generated labels of a run.")
@_run_option("--reopen", "Bring a run's labels back, neither accepted nor rolled back.")
@json_option
@click.pass_context
def propagate_command(
    ctx: click.Context, /, project: Path, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """Give the rest of the unlabelled items generated labels, where they are sure enough.

    Nobody is asked, except in the audit. The audit set and items that wait in the queue are left
    alone. Generated labels are no labels until a run is accepted, are marked wherever they show,
    and are exported with the provenance `propagation`.
    """
    from labeller.project import open_project
    from labeller.services.propagation import PropagationPlan

    opened = open_project(project)
    asked = [(name, given.pop(name)) for name in ACTIONS]
    actions = [(name, run) for name, run in asked if run is not None]
    if len(actions) > 1 or (actions and dry_run):
        raise click.UsageError("Give one of --dry-run and the options that name a RUN, not more.")
    if not actions:
        _start(ctx, opened, PropagationPlan(**given), dry_run, as_json)
    else:
        _act(ctx, opened, *actions[0], as_json)


def _start(
    ctx: click.Context, project: Project, plan: PropagationPlan, dry_run: bool, as_json: bool
) -> None:
    """Say what to expect, or start a propagation and wait for it."""
    from labeller.services import propagation

    found = propagation.outlook(project, plan)
    if found.why_not is not None:
        raise click.ClickException(found.why_not)
    for text in found.notes:
        note(text)
    if not dry_run:
        run = propagation.start(project, plan)
        _wait(ctx, project, run.id, _job_of(project, run.id), as_json)
        return
    data = {
        "items": found.items,
        "accepted": found.accepted if found.classes else None,
        "expected_errors": found.wrong if found.classes else None,
        "classes": found.classes,
    }
    rows = [(one.name, f"{one.accepted:,}", f"{one.errors:.1f}") for one in found.classes]
    text = f"Nothing was written. Of {found.items:,} items {found.accepted:,} would get a label.\n"
    if not found.classes:
        text = f"Nothing was written. {found.items:,} items; spreading judges them when it runs."
    else:
        text += table([("class", "generated", "expected wrong"), *rows])
    emit(data, as_json, text)


def _job_of(project: Project, run_id: int) -> JobRecord:
    """Return the newest job of a run."""
    with project.store.read() as unit:
        return next(
            job
            for job in unit.jobs.all(50)
            if job.kind == "propagation" and job.params.get("run") == run_id
        )


def _act(ctx: click.Context, project: Project, action: str, run_id: int, as_json: bool) -> None:
    """Do what names a run."""
    from labeller.services import propagation, streams

    propagation.view_of(project, run_id)  # a stream is none of ours
    if action == "go_on":
        _wait(ctx, project, run_id, propagation.go_on(project, run_id), as_json)
        return
    if action == "audit":
        queued = streams.ask_audit(project, run_id)
        report = streams.audit(project, run_id)
        text = f"{queued:,} audits queued, {report.open:,} wait for an answer.\n"
        data = {"run": run_id, "queued": queued, "audit": report}
        emit(data, as_json, text + audit_text(report))
        return
    if action == "end":
        streams.finish(project, run_id)
    else:
        streams.decide(project, run_id, VERDICTS[action], person())
    data = _data(project, run_id)
    emit(data, as_json, _text(project, data))


def _wait(ctx: click.Context, project: Project, run_id: int, job: JobRecord, as_json: bool) -> None:
    """Show a propagation's job until it ends, and what came of it."""
    job, interrupted = follow_job(project, job)
    data = _data(project, run_id) | {"job": job.id}
    if job.state == "done":
        emit(data, as_json, _text(project, data))
        return
    if interrupted:
        again = f"labeller propagate {project.root} --go-on {run_id}"
        note(f"Run {run_id} stands still. Go on: {again}")
        ctx.exit(INTERRUPTED)
    raise click.ClickException(f"Propagation {job.state}: {job.error or f'job {job.id}'}")


def _data(project: Project, run_id: int) -> dict[str, Any]:
    """Return a run as JSON values."""
    from labeller.services import propagation, streams

    view = propagation.view_of(project, run_id)
    run = view.run
    return {
        "run": run.id,
        "state": run.state,
        "reason": run.reason,
        "verdict": run.verdict,
        "verdict_by": run.verdict_by,
        "method": run.strategy,
        "confidence": view.plan.options[propagation.CONFIDENCE],
        "model_round": view.model_round,
        "accepted": run.accepted,
        **run.machine,
        "audit": streams.audit(project, run_id),
    }


def _text(project: Project, data: dict[str, Any]) -> str:
    """Put a run into words."""
    lines = [
        f"Run {data['run']} ({data['method']}, confidence from {data['confidence']:g}): "
        f"{data['state']}, {data['verdict'].replace('_', ' ')}. {data['reason'] or ''}".rstrip(),
        f"{data['passed']:,} items looked at, {data['accepted']:,} generated labels, "
        f"{data['audit'].open:,} audits wait in the queue.",
    ]
    if data["verdict"] == "open" and data["accepted"]:
        lines.append(
            f"Next: label the queue, then accept or roll back: "
            f"labeller propagate {project.root} --accept {data['run']}"
        )
    return "\n".join(lines)
