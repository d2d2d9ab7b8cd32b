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


def _options(
    _ctx: click.Context, _given: click.Parameter, texts: tuple[str, ...]
) -> dict[str, float]:
    """Read NAME=NUMBER."""
    read: dict[str, float] = {}
    for text in texts:
        name, sign, number = text.partition("=")
        try:
            read[name.strip()] = int(number) if number.strip().isdigit() else float(number)
        except ValueError:
            sign = ""
        if not (sign and name.strip()):
            raise click.BadParameter(f"{text!r} is not NAME=NUMBER, as step=0.05 is.")
    return read


@click.command("stream", epilog=example("labeller stream birds --error 0.02 --ask 100 --dry-run"))
@project_argument
@click.option(
    "--strategy",
    metavar="NAME",
    help="A stream strategy of `labeller strategies`; budget_ratio, or fixed_threshold where "
    "--threshold is given.",
)
@click.option(
    "--threshold",
    metavar="CONFIDENCE",
    type=float,
    help="Ask about images that are at most so sure; with another strategy, its first threshold.",
)
@click.option(
    "--option",
    "settings",
    metavar="NAME=NUMBER",
    multiple=True,
    callback=_options,
    help="An option of the strategy, as step=0.05; may be given several times.",
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
    strategy: str | None,
    threshold: float | None,
    settings: dict[str, float],
    error: float,
    ask: int | None,
    audit_share: float,
    follow: bool,
    seed: int | None,
) -> StreamPlan:
    from labeller.services.streams import StreamPlan

    usual = StreamPlan().strategy if threshold is None else "fixed_threshold"
    options = settings if threshold is None else {**settings, "threshold": threshold}
    return StreamPlan(strategy or usual, error, ask, follow, seed, audit_share, options)


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
        "expected_errors": tried.wrong.expected,
        "expected_errors_interval": [tried.wrong.low, tried.wrong.high],
        "audit_labels": tried.wrong.checked,
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
        f"{generated.wrong_line(tried.wrong)}\n" + table([header, *rows])
    )
