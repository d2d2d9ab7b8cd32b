"""The command recover: what to do when a project's database is gone or damaged."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labeller.cli.output import emit, example, json_option, project_argument

if TYPE_CHECKING:
    from labeller.services.recovery import DatabaseCopy


@click.command(
    "recover", epilog=example("labeller recover birds --from birds/labeller.db.before-0004")
)
@project_argument
@click.option(
    "--from",
    "copy",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Put this database in the place of the project's own.",
)
@click.option("--anew", is_flag=True, help="Begin with an empty database instead.")
@json_option
def recover_command(project: Path, copy: Path | None, anew: bool, as_json: bool) -> None:
    """List the databases that can be put back, or put one back.

    For a project whose database is gone, empty, damaged or another project's. What is replaced is
    renamed, never deleted.
    """
    from labeller.services import recovery

    if copy is not None and anew:
        raise click.UsageError("--from and --anew are two things. Do one of them.")
    if copy is None and not anew:
        copies = recovery.find_copies(project)
        lines = [_line(found) for found in copies] or ["No database lies in the project's folder."]
        emit({"copies": copies}, as_json, "\n".join(lines))
        return
    opened = recovery.begin_anew(project) if anew else recovery.put_back(project, copy or project)
    with opened.store.read() as unit:
        labelled = unit.items.count().labelled
    text = f"{opened.name} is open again, with {labelled:,} labels."
    emit({"project": opened.root, "labelled": labelled}, as_json, text)


def _line(copy: DatabaseCopy) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(copy.changed_at))
    holds = copy.problem or f"{copy.labels:,} labels of {copy.items:,} images"
    return f"{copy.path}  {when}  {holds}"
