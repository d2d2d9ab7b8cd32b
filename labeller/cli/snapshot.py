"""The command that exports what a model was trained on, and makes a project from it again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from labeller.cli.output import emit, example, json_option, note, typed
from labeller.cli.projects import interruptible
from labeller.errors import StrangerError

IMAGES = ("copy", "reference")


@click.command("snapshot", epilog=example("labeller snapshot birds --to birds-snapshot"))
@click.argument("project", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--to",
    required=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="A new folder: of the snapshot, or of the project with --restore.",
)
@click.option(
    "--images",
    type=click.Choice(IMAGES),
    help="Copy the images, which is done when this is not given, or only refer to them.",
)
@click.option(
    "--restore",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Make a project from this snapshot.",
)
@json_option
def snapshot_command(
    project: Path | None,
    to: Path,
    images: Literal["copy", "reference"] | None,
    restore: Path | None,
    as_json: bool,
) -> None:
    """Export items, labels and settings so that they can be trained again elsewhere.

    A project restored from a snapshot has the same label hash, and a round there gives a model with
    the same metrics. Every image is compared with its hash on the way out and on the way in.
    """
    if (project is None) == (restore is None) or (restore is not None and images is not None):
        raise click.UsageError("Give a PROJECT (with --images if you like), or --restore FOLDER.")
    if project is not None:
        _export(project, to, images or "copy", as_json)
    elif restore is not None:
        _restore(restore, to, as_json)


def _export(project: Path, to: Path, images: Literal["copy", "reference"], as_json: bool) -> None:
    from labeller.project import open_project
    from labeller.services.snapshots import export_snapshot

    opened = open_project(project)
    with interruptible() as progress:
        made = export_snapshot(opened, to, images, progress)
    for text in made.notes:
        note(text)
    model = "with" if made.with_metrics else "without"
    text = (
        f"{made.items:,} items, {made.labels:,} labels ({made.label_hash[:12]}), {model} the "
        f"metrics of a model trained on them, written to {made.folder}."
    )
    emit({name: getattr(made, name) for name in made.__dataclass_fields__}, as_json, text)


def _restore(folder: Path, to: Path, as_json: bool) -> None:
    from labeller.project import open_project
    from labeller.services import recent
    from labeller.services.snapshot_restore import restore_snapshot

    with interruptible() as progress:
        made = restore_snapshot(folder, to, progress)
    for text in made.notes:
        note(text)
    following, trusted = f"Next: labeller round {typed(to)}", True
    try:
        recent.remember(open_project(made.root))
    except StrangerError as error:  # what is asked comes after the work
        following, trusted = str(error), False
    text = (
        f"Made {made.root}: {made.items:,} items, {made.labels:,} labels "
        f"({made.label_hash[:12]}).\n{following}"
    )
    facts = {name: getattr(made, name) for name in made.__dataclass_fields__}
    emit(facts | {"trusted": trusted}, as_json, text)
