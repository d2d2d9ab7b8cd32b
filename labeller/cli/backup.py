"""The commands that back a project up and restore it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from labeller.cli.output import emit, example, json_option, note, project_argument, typed
from labeller.cli.projects import interruptible
from labeller.errors import StrangerError


@click.command("backup", epilog=example("labeller backup birds --to /backups/birds.zip"))
@project_argument
@click.option(
    "--to",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A new file; in the project's folder backups/ if left out.",
)
@click.option("--without-models", is_flag=True, help="Leave trained models out.")
@click.option(
    "--without-vectors",
    is_flag=True,
    help="Leave features and predictions out: a round makes them.",
)
@json_option
def backup_command(
    project: Path, to: Path | None, without_models: bool, without_vectors: bool, as_json: bool
) -> None:
    """Back PROJECT up in one file, while it is in use if need be, and read the file back.

    Images that lie outside the project's folder are not in it. The signing key, thumbnails and logs
    are not either: they are made anew.
    """
    from labeller.project import open_project
    from labeller.services.backups import make_backup, propose_file

    opened = open_project(project)
    target = to or propose_file(opened)
    with interruptible() as progress:
        made = make_backup(opened, target, not without_models, not without_vectors, progress)
    for problem in made.problems:
        note(f"Not as it should be: {problem}")
    if made.elsewhere:
        note(f"{made.elsewhere:,} images lie outside the project and are not in the backup.")
    counts = made.counts
    text = (
        f"{counts['items']:,} items, {counts['labels']:,} labels, {counts['events']:,} events in "
        f"{made.files:,} files, {made.bytes:,} bytes, read back: {made.file}"
    )
    emit(asdict(made), as_json, text)
    if made.problems:
        raise click.ClickException(
            f"{len(made.problems):,} images are gone or changed; the backup is made without them."
        )


@click.command("restore", epilog=example("labeller restore /backups/birds.zip --to birds-again"))
@click.argument("backup", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--to",
    required=True,
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="A new folder for the project.",
)
@json_option
def restore_command(backup: Path, to: Path, as_json: bool) -> None:
    """Make a project from the backup FILE.

    Every file is compared with its hash. Tokens of the project that was backed up do not open it.
    """
    from labeller.services import recent
    from labeller.services.backups import restore_backup

    try:
        with interruptible() as progress:
            project = restore_backup(backup, to, progress)
    except StrangerError as error:  # what is asked comes after the work
        emit({"project": error.folder, "trusted": False}, as_json, f"Made it. {error}")
        return
    recent.remember(project)
    with project.store.read() as unit:
        counts = unit.items.count()
    text = (
        f"Made {project.root}: {counts.items:,} items, {counts.labelled:,} labels.\n"
        f"Next: labeller run {typed(to)}"
    )
    facts = {"project": project.root, "id": project.id, "items": counts.items}
    emit({**facts, "labelled": counts.labelled}, as_json, text)
