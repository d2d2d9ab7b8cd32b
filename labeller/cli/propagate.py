"""The command of label propagation: label the rest of the pool, audit it, accept or roll back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli import generated
from labeller.cli.output import emit, example, json_option, note, project_argument, table

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.propagation import PropagationPlan
    from labeller.services.streams import RunView
    from store.records import JobRecord


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
@generated.audit_share_option
@click.option("--seed", metavar="N", type=click.IntRange(min=0), help="The project's if left out.")
@click.option("--dry-run", is_flag=True, help="Say what to expect, and write nothing.")
@generated.run_options
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
    action = generated.take_action(given, dry_run)
    if action is None:
        _start(ctx, opened, PropagationPlan(**given), dry_run, as_json)
    else:
        generated.act(ctx, FAMILY, opened, action, as_json)


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
        generated.wait_for_new(ctx, FAMILY, project, run.id, as_json)
        return
    data = {
        "items": found.items,
        "accepted": found.accepted if found.classes else None,
        "expected_errors": found.wrong and found.wrong.expected,
        "expected_errors_interval": found.wrong and [found.wrong.low, found.wrong.high],
        "audit_labels": found.wrong and found.wrong.checked,
        "classes": found.classes,
    }
    rows = [(one.name, f"{one.accepted:,}", f"{one.errors:.1f}") for one in found.classes]
    text = f"Nothing was written. Of {found.items:,} items {found.accepted:,} would get a label.\n"
    if found.wrong is None:
        text = f"Nothing was written. {found.items:,} items; spreading judges them when it runs."
    else:
        text += f"{generated.wrong_line(found.wrong)}\n"
        text += table([("class", "generated", "expected wrong"), *rows])
    emit(data, as_json, text)


def _go_on(project: Project, run_id: int) -> JobRecord:
    from labeller.services import propagation

    return propagation.go_on(project, run_id)


def _told(_project: Project, view: RunView) -> dict[str, Any]:
    from labeller.services import propagation

    return {
        "method": view.run.strategy,
        "confidence": view.plan.options[propagation.CONFIDENCE],
        **view.run.machine,
    }


def _named(data: dict[str, Any]) -> str:
    return f"{data['method']}, confidence from {data['confidence']:g}"


def _counted(data: dict[str, Any]) -> str:
    return (
        f"{data['passed']:,} items looked at, {data['accepted']:,} generated labels, "
        f"{data['audit'].open:,} audits wait in the queue."
    )


FAMILY = generated.Family("propagation", "propagate", _go_on, _told, _named, _counted)
