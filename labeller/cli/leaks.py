"""The command about near-duplicates across splits: what the guard did, and taking it back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import emit, example, json_option, project_argument, table

if TYPE_CHECKING:
    from labeller.services.leak_guard import Guarded, Twin
    from store.records_leaks import RegroupingRecord

SHOWN = 1000


@click.command("leaks", epilog=example("labeller leaks birds --show 2"))
@project_argument
@click.option("--show", "show", metavar="N", type=click.IntRange(min=1), help="List regrouping N.")
@click.option(
    "--undo", "undo", metavar="N", type=click.IntRange(min=1), help="Take regrouping N back."
)
@click.option(
    "--redo",
    "redo",
    metavar="N",
    type=click.IntRange(min=1),
    help="Do what was taken back of N again.",
)
@json_option
def leaks_command(
    project: Path, show: int | None, undo: int | None, redo: int | None, as_json: bool
) -> None:
    """Show how near-duplicates were kept from lying in two splits.

    Images that look the same share a split from their import on; a round also compares embeddings
    (setting leak_distance). The oldest image of a group decides. Labelled audit images that leave
    the audit set train from then on; images that a group would draw into the audit set are unused:
    nobody is asked about them, and they neither train nor measure. More images that look alike
    than a burst has (20, or 5 % of all), as those of a camera that never moves, are spread over the
    splits in pieces of what looks most alike. What was taken back is not brought together again,
    but by --redo: as a regrouping of its own.
    """
    from labeller.project import open_project
    from labeller.services import leak_guard

    if sum(one is not None for one in (show, undo, redo)) > 1:
        raise click.UsageError("Give one of --show, --undo and --redo.")
    opened = open_project(project)
    if undo is not None:
        leak_guard.undo(opened, undo)
    if redo is not None:
        leak_guard.redo(opened, redo)
    found = leak_guard.overview(opened)
    data = _data(found, opened.settings.leak_distance)
    if show is None:
        emit(data, as_json, _text(found, opened.settings.leak_distance))
        return
    listed = leak_guard.twins(opened, show, limit=SHOWN)
    emit(data | {"changes": [_change(one) for one in listed]}, as_json, _listed(listed))


def _data(found: Guarded, distance: float) -> dict[str, Any]:
    return {
        "distance": distance,
        "links": found.links,
        "apart": found.apart,
        "unused": found.unused,
        "unused_labels": found.unused_labels,
        "regroupings": list(found.runs),
    }


def _text(found: Guarded, distance: float) -> str:
    lines = [
        f"distance   {distance:g}" if distance else "The leak guard is off (leak_distance = 0).",
        f"found      {found.links.get('hash', 0):,} by looks, "
        f"{found.links.get('mirror', 0):,} mirrored, "
        f"{found.links.get('embedding', 0):,} by embeddings",
        f"apart      {found.apart:,} pairs in two splits: too large together, or taken back",
        f"unused     {found.unused:,} items, {found.unused_labels:,} of them labelled",
    ]
    if not found.runs:
        return "\n".join([*lines, "Nothing had to be regrouped so far."])
    head = ("regrouping", "when", "joined", "moved", "unused", "left apart", "state")
    rows = [
        (
            str(run.id),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(run.at)),
            f"{run.joined:,}",
            f"{run.moved:,}",
            f"{run.unused:,}",
            f"{run.apart:,}",
            ""
            if not run.undone
            else "taken back"
            if run.undone >= run.joined
            else "partly taken back",
        )
        for run in found.runs
    ]
    return "\n".join([*lines, table([head, *rows])])


def _state(run: RegroupingRecord) -> str:
    if not run.undone:
        return ""
    return "taken back" if run.undone >= run.joined else f"{run.undone:,} taken back"


def _change(twin: Twin) -> dict[str, Any]:
    return {
        "item": twin.item.id,
        "path": twin.item.path,
        "twin": twin.other.path if twin.other else None,
        "method": twin.link.method if twin.link else None,
        "distance": twin.link.distance if twin.link else None,
        "split_before": twin.change.split_before,
        "split_after": twin.change.split_after,
        "taken_back": twin.change.undone_at is not None,
    }


def _listed(listed: list[Twin]) -> str:
    if not listed:
        return "That regrouping changed nothing, or there is none of this number."
    rows = [
        (
            one.item.path,
            f"{one.change.split_before} > {one.change.split_after}",
            one.other.path if one.other else "-",
            "-" if one.link is None else f"{one.link.method} {one.link.distance:.3g}",
        )
        for one in listed
    ]
    return table([("image", "split", "looks like", "by"), *rows])
