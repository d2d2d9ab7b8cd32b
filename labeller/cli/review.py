"""The command that searches labels for errors and decides about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from labeller.cli.output import emit, example, json_option, note, percent, project_argument, table
from labeller.cli.projects import person
from labeller.cli.rounds import follow
from labeller.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from labeller.services.cleaning import Decision

DECISIONS = ("keep", "relabel", "flag", "put_aside")


@click.command("review", epilog=example("labeller review birds --decide 41 relabel --class owl"))
@project_argument
@click.option("--search", is_flag=True, help="Search all labels anew, as a job.")
@click.option(
    "--decide",
    nargs=2,
    metavar="ITEM DECISION",
    help="Decide about an item: keep, relabel, flag or put_aside.",
)
@click.option(
    "--class",
    "class_name",
    metavar="NAME",
    help="The new class of relabel; what the models suggest if left out.",
)
@click.option(
    "--undo", metavar="ITEM", type=click.IntRange(min=1), help="Take your last decision back."
)
@click.option("--annotator", metavar="NAME", help="Who decides.")
@json_option
@click.pass_context
def review_command(
    ctx: click.Context,
    project: Path,
    search: bool,
    decide: tuple[str, str] | None,
    class_name: str | None,
    undo: int | None,
    annotator: str | None,
    as_json: bool,
) -> None:
    """List labels that may be wrong, and decide about them; what the Review page does.

    Each decision is an event of its own, and can be taken back by who made it.
    """
    from labeller.project import open_project
    from labeller.services import cleaning, review_list

    if sum((search, decide is not None, undo is not None)) > 1:
        raise click.UsageError("Give one of --search, --decide and --undo.")
    if class_name is not None and (decide is None or decide[1] != "relabel"):
        raise click.UsageError("--class goes with --decide ITEM relabel.")
    opened = open_project(project)
    who = annotator or person()
    if search:
        job, interrupted = follow(opened, cleaning.start(opened))
        if interrupted:
            note(f"Job {job.id}: {job.state}.")
            ctx.exit(INTERRUPTED)
        if job.state != "done":
            raise click.ClickException(f"Search {job.state}: {job.error or f'job {job.id}'}")
    elif decide is not None:
        item, decision = _decision(decide)
        review_list.decide_item(opened, item, decision, who, class_name=class_name)
    elif undo is not None:
        review_list.undo_item(opened, undo, who)
    found = cleaning.review(opened)
    if found is None:
        raise click.ClickException("Nothing was searched yet. Start it with --search.")
    data = review_list.to_json(opened, found)
    emit(data, as_json, _text(data))


def _decision(given: tuple[str, str]) -> tuple[int, Decision]:
    item, decision = given[0], given[1].replace("-", "_")
    if not item.isdecimal():
        raise click.UsageError(f"--decide: {item!r} is no number of an item.")
    if decision not in DECISIONS:
        raise click.UsageError(f"--decide: {given[1]!r} is none of {', '.join(DECISIONS)}.")
    return int(item), cast("Decision", decision)


def _text(data: dict[str, Any]) -> str:
    rows = [
        ("item", "class", "suggested", "sure", "why", "decision", "path"),
        *map(_row, data["suspects"]),
    ]
    head = f"{data['checked']:,} labels checked, {data['open']:,} suspected errors undecided."
    if data["outdated"]:
        head += f" {data['outdated']:,} labels were given since; --search looks at them too."
    return f"{head}\n{table(rows)}" if data["suspects"] else head


def _row(suspect: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(suspect["item"]),
        suspect["class"],
        suspect["suggested"] or "-",
        percent(suspect["confidence"]),
        ", ".join(suspect["kinds"]),
        suspect["decision"] or "-",
        suspect["path"],
    )
