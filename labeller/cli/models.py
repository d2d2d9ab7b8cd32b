"""The command about trained models: list, put in use, delete, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import (
    emit,
    example,
    json_option,
    note,
    number,
    percent,
    project_argument,
    table,
)
from labeller.cli.rounds import follow
from labeller.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.model_shelf import Shelved

FORMATS = ("onnx", "int8", "fastai")


@click.command("models", epilog=example("labeller models birds --export 3 --format onnx"))
@project_argument
@click.option("--use", "use", metavar="N", type=int, help="Put model N in use.")
@click.option("--delete", "delete", metavar="N", type=int, help="Delete the files of model N.")
@click.option("--export", "export", metavar="N", type=int, help="Export model N.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help="What to export, more than once if you like; onnx and int8 when not given.",
)
@json_option
@click.pass_context
def models_command(
    ctx: click.Context,
    project: Path,
    use: int | None,
    delete: int | None,
    export: int | None,
    formats: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the trained models; use, delete or export one.

    An export is written to exports/model-N in the project, with a model card; each file is compared
    with the model on the audit set.
    """
    from labeller.project import open_project
    from labeller.services import model_shelf

    if sum(given is not None for given in (use, delete, export)) > 1:
        raise click.UsageError("Give one of --use, --delete and --export.")
    opened = open_project(project)
    if use is not None:
        model_shelf.use(opened, use)
    elif delete is not None:
        note(f"Freed {model_shelf.delete(opened, delete):,} bytes.")
    elif export is not None:
        _export(ctx, opened, export, formats or FORMATS[:2])
    shelf = model_shelf.shelf(opened)
    emit({"models": [_data(one) for one in shelf]}, as_json, _text(shelf))


def _export(ctx: click.Context, project: Project, model: int, formats: tuple[str, ...]) -> None:
    """Wait for the export; Ctrl-C cancels it."""
    from labeller.services import model_shelf

    job, interrupted = follow(project, model_shelf.start_export(project, model, formats))
    if interrupted:
        note(f"Job {job.id}: {job.state}.")
        ctx.exit(INTERRUPTED)
    if job.state != "done":
        raise click.ClickException(f"Export {job.state}: {job.error or f'job {job.id}'}")


def _data(one: Shelved) -> dict[str, Any]:
    model = one.model
    return {
        "model": model.id,
        "round": one.round_number,
        "in_use": model.in_use,
        "deleted": model.deleted_at is not None,
        "labels": model.labels,
        "label_hash": model.label_hash,
        "accuracy": model.metrics.get("accuracy"),
        "interval": model.metrics.get("interval"),
        "audited": model.metrics.get("n"),
        "bytes": one.bytes,
        "export": one.export,
    }


def _text(shelf: list[Shelved]) -> str:
    if not shelf:
        return "No model yet. Label some images, then: labeller round PROJECT"
    head = ("model", "round", "state", "labels", "audit accuracy", "bytes", "export")
    rows = [
        (
            str(one.model.id),
            str(one.round_number),
            "deleted" if one.model.deleted_at else "in use" if one.model.in_use else "",
            number(one.model.labels),
            percent(one.model.metrics.get("accuracy")),
            number(one.bytes),
            str(one.export.folder) if one.export else "",
        )
        for one in shelf
    ]
    return table([head, *rows])
