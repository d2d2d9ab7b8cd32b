"""The command of streams: try one, run one, go on with it, audit it, accept it or roll it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli import generated
from labeller.cli.output import emit, example, json_option, note, project_argument, table

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.streams import DryRun, RunView, StreamPlan
    from store.records import JobRecord


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
@generated.audit_share_option
@click.option("--follow", is_flag=True, help="Let items that arrive later join.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), help="The project's if left out.")
@click.option("--dry-run", is_flag=True, help="Count what would happen, and write nothing.")
@generated.run_options
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
    action = generated.take_action(given, dry_run)
    if action is None:
        _start(ctx, opened, _plan(**given), dry_run, as_json)
    else:
        generated.act(ctx, FAMILY, opened, action, as_json)


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
    generated.wait_for_new(ctx, FAMILY, project, run.id, as_json)


def _go_on(project: Project, run_id: int) -> JobRecord:
    from labeller.services import streams

    return streams.go_on(project, run_id)


def _told(project: Project, view: RunView) -> dict[str, Any]:
    from labeller.services import streams

    run = view.run
    return {
        "strategy": run.strategy,
        "follow": run.follow,
        "asked": run.asked,
        "deferred": run.deferred,
        "unreached": streams.unreached(project, run.id),
        "labels_left": view.left,
    }


def _named(data: dict[str, Any]) -> str:
    return f"{data['strategy']}, model of round {data['model_round']}"


def _counted(data: dict[str, Any]) -> str:
    return (
        f"{data['asked']:,} asked, {data['accepted']:,} generated labels, "
        f"{data['deferred']:,} left in the pool, {data['unreached']:,} not reached."
    )


FAMILY = generated.Family("stream", "stream", _go_on, _told, _named, _counted)


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
