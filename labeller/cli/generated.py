"""What the commands of streams and propagations share: their runs of generated labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import emit, note, percent, table
from labeller.cli.projects import person
from labeller.cli.rounds import follow as follow_job
from labeller.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.streams import AuditReport, RunView
    from store.records import JobRecord
    from store.records_made import GeneratedKind, Verdict
    from strategies.stream import Wrong

VERDICTS: dict[str, Verdict] = {
    "accept": "accepted",
    "roll_back": "rolled_back",
    "reopen": "open",
}
ACTIONS = {
    "go_on": "Go on with a run that stands still.",
    "end": "End a run that stands still.",
    "audit": "Ask 59 labels of every class of a run, blind, and say what is found.",
    "accept": "Accept all generated labels of a run.",
    "roll_back": "Take back all generated labels of a run.",
    "reopen": "Bring a run's labels back, neither accepted nor rolled back.",
}


@dataclass(frozen=True, slots=True)
class Family:
    """The runs of one command.

    Attributes
    ----------
    kind : {"stream", "propagation"}
        Of its runs and of their jobs.
    command : str
    go_on : callable
        Submits the job that takes a run on.
    told : callable
        Returns what only these runs tell, as JSON values.
    named, counted : callable
        Put a run's JSON values into words: how it was set, and what it did.
    """

    kind: GeneratedKind
    command: str
    go_on: Callable[[Project, int], JobRecord]
    told: Callable[[Project, RunView], dict[str, Any]]
    named: Callable[[dict[str, Any]], str]
    counted: Callable[[dict[str, Any]], str]

    def line(self, root: Path, action: str, run_id: int) -> str:
        """Return the command line that does something with a run."""
        return f"labeller {self.command} {root} --{action} {run_id}"


audit_share_option = click.option(
    "--audit-share",
    metavar="SHARE",
    default=0.05,
    show_default=True,
    type=float,
    help="Share of the generated labels that a person is asked about, blind.",
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a run."""
    for name, text in reversed(ACTIONS.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, metavar="RUN", type=click.IntRange(min=1), help=text)(
            command
        )
    return command


def take_action(given: dict[str, Any], dry_run: bool) -> tuple[str, int] | None:
    """Take the options that name a run out of those given; return the one that was used."""
    asked = [(name, given.pop(name)) for name in ACTIONS]
    actions = [(name, run) for name, run in asked if run is not None]
    if len(actions) > 1 or (actions and dry_run):
        raise click.UsageError("Give one of --dry-run and the options that name a RUN, not more.")
    return actions[0] if actions else None


def act(
    ctx: click.Context, family: Family, project: Project, action: tuple[str, int], as_json: bool
) -> None:
    """Do what names a run: take it on, end it, audit it, judge it."""
    from labeller.services import streams

    what, run_id = action
    streams.get_run(project, run_id, family.kind)
    if what == "go_on":
        wait(ctx, family, project, run_id, family.go_on(project, run_id), as_json)
        return
    if what == "audit":
        queued = streams.ask_audit(project, run_id)
        report = streams.audit(project, run_id)
        text = f"{queued:,} audits queued, {report.open:,} wait for an answer.\n"
        found = {"run": run_id, "queued": queued, "audit": report}
        emit(found, as_json, text + _audit_text(report))
        return
    if what == "end":
        streams.finish(project, run_id)
    else:
        streams.decide(project, run_id, VERDICTS[what], person())
    data = _data(family, project, run_id)
    emit(data, as_json, _text(family, project, data))


def wait_for_new(
    ctx: click.Context, family: Family, project: Project, run_id: int, as_json: bool
) -> None:
    """Show the job of a run that has just begun until it ends, and what came of it."""
    with project.store.read() as unit:
        job = next(
            one
            for one in unit.jobs.all(50)
            if one.kind == family.kind and one.params.get("run") == run_id
        )
    wait(ctx, family, project, run_id, job, as_json)


def wait(
    ctx: click.Context,
    family: Family,
    project: Project,
    run_id: int,
    job: JobRecord,
    as_json: bool,
) -> None:
    """Show a run's job until it ends, and what came of it."""
    job, interrupted = follow_job(project, job)
    data = _data(family, project, run_id) | {"job": job.id}
    if job.state == "done":
        emit(data, as_json, _text(family, project, data))
        return
    if interrupted:
        note(f"Run {run_id} stands still. Go on: {family.line(project.root, 'go-on', run_id)}")
        ctx.exit(INTERRUPTED)
    why = job.error or f"job {job.id}"
    raise click.ClickException(f"{family.kind.capitalize()} {job.state}: {why}")


def _data(family: Family, project: Project, run_id: int) -> dict[str, Any]:
    """Return a run as JSON values."""
    from labeller.services import streams

    view = streams.view_of(project, run_id, family.kind)
    run = view.run
    return {
        "run": run.id,
        "state": run.state,
        "reason": run.reason,
        "verdict": run.verdict,
        "verdict_by": run.verdict_by,
        "model_round": view.model_round,
        "accepted": run.accepted,
        **family.told(project, view),
        "audit": streams.audit(project, run_id),
    }


def _text(family: Family, project: Project, data: dict[str, Any]) -> str:
    """Put a run into words."""
    verdict = data["verdict"].replace("_", " ")
    lines = [
        f"Run {data['run']} ({family.named(data)}): {data['state']}, {verdict}. "
        f"{data['reason'] or ''}".rstrip(),
        family.counted(data),
    ]
    if data["verdict"] == "open" and data["accepted"]:
        again = family.line(project.root, "accept", data["run"])
        lines.append(f"Next: label the queue, then accept or roll back: {again}")
    return "\n".join(lines)


def wrong_line(wrong: Wrong) -> str:
    """Say how many generated labels are expected to be wrong."""
    number = f"Expected to be wrong: {wrong.expected:,.1f}"
    if not wrong.checked:
        return f"{number}; no audit label bears that out yet."
    alike = "1 audit label" if wrong.checked == 1 else f"{wrong.checked:,} audit labels"
    return f"{number} ({wrong.low:,.0f} to {wrong.high:,.0f} at 95 %, from {alike} alike)."


def _audit_text(report: AuditReport) -> str:
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
