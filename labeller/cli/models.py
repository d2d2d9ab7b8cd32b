"""The command about trained models: list, put in use, delete, export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import (
    emit,
    example,
    json_option,
    note,
    number,
    project_argument,
    table,
)
from labeller.cli.rounds import follow
from labeller.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.headline import Headline
    from labeller.services.model_shelf import Shelved
    from store.records import JobRecord

FORMATS = ("onnx", "int8", "fastai")


@click.command("models", epilog=example("labeller models birds --export 3 --format onnx"))
@project_argument
@click.option(
    "--use",
    "use",
    metavar="N",
    type=int,
    help="Put model N in use; it predicts the pool anew if it has to.",
)
@click.option("--delete", "delete", metavar="N", type=int, help="Delete the files of model N.")
@click.option("--export", "export", metavar="N", type=int, help="Export model N.")
@click.option(
    "--delete-features",
    is_flag=True,
    help="Delete features that neither the model in use nor the next round reads.",
)
@click.option(
    "--new-size",
    is_flag=True,
    help="Have the next round read all images anew, at the size that fits those of now.",
)
@click.option("--card", "card", metavar="N", type=int, help="Print the model card of model N.")
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
    delete_features: bool,
    new_size: bool,
    card: int | None,
    formats: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the trained models; use, delete, export or describe one.

    All that are there are measured on the audit labels of now. An export is written to
    exports/model-N in the project, with a model card; each file is compared with the model, and
    one that loses accuracy is warned about.
    """
    from labeller.project import open_project
    from labeller.services import feature_files, feature_recipes, headline, model_shelf

    numbers = sum(given is not None for given in (use, delete, export, card))
    if numbers + delete_features + new_size > 1:
        raise click.UsageError(
            "Give one of --use, --delete, --export, --card, --delete-features and --new-size."
        )
    opened = open_project(project)
    if card is not None:
        text = _card(opened, card)
        emit({"model": card, "card": text}, as_json, text.rstrip())
        return
    if use is not None:
        _use(ctx, opened, use)
    elif delete is not None:
        note(f"Freed {model_shelf.delete(opened, delete):,} bytes.")
    elif delete_features:
        note(f"Freed {feature_files.delete_unused(opened):,} bytes.")
    elif new_size:
        feature_recipes.forget(opened, opened.settings.backbone)
        note("The next round reads all images anew, at the size that fits them.")
    elif export is not None:
        _export(ctx, opened, export, formats or FORMATS[:2])
    shelf = model_shelf.shelf(opened)
    found = headline.headlines(opened, [one.model for one in shelf])
    data = [_data(one, found[one.model.id]) for one in shelf]
    emit({"models": data}, as_json, _text(data))


def _card(project: Project, number: int) -> str:
    from labeller.services import model_card, model_shelf

    shelved = {one.model.id: one for one in model_shelf.shelf(project)}
    if number not in shelved:
        known = ", ".join(map(str, sorted(shelved))) or "none"
        raise click.ClickException(f"There is no model {number}. Models: {known}.")
    return model_card.of(project, shelved[number].model, shelved[number].export)


def _export(ctx: click.Context, project: Project, model: int, formats: tuple[str, ...]) -> None:
    """Wait for the export; Ctrl-C cancels it."""
    from labeller.services import export_check, model_shelf

    result = _follow(ctx, project, model_shelf.start_export(project, model, formats), "Export")
    for file in result["files"]:
        if said := export_check.warning(export_check.Check(**file)):
            note(said)
    if result["failed"]:
        whole = f"The other files are in {result['folder']}."
        raise click.ClickException("\n".join([*result["failed"].values(), whole]))


def _use(ctx: click.Context, project: Project, model: int) -> None:
    """Put a model in use and wait until it has predicted the pool, where that was dropped."""
    from labeller.services import model_shelf, pool_predictions

    model_shelf.use(project, model)
    if (job := pool_predictions.start(project, model)) is not None:
        note(f"Model {model} is in use. It predicts the pool anew.")
        _follow(ctx, project, job, "Prediction")


def _follow(ctx: click.Context, project: Project, job: JobRecord, what: str) -> Mapping[str, Any]:
    """Wait for a job and return its result; without one the command ends. Ctrl-C cancels it."""
    job, interrupted = follow(project, job)
    if interrupted:
        note(f"Job {job.id}: {job.state}.")
        ctx.exit(INTERRUPTED)
    if job.state != "done":
        raise click.ClickException(f"{what} {job.state}: {job.error or f'job {job.id}'}")
    return job.result or {}


def _data(one: Shelved, found: Headline) -> dict[str, Any]:
    """Return what is known of a model, with its accuracy as `found`."""
    from labeller.services import headline

    model = one.model
    return {
        "model": model.id,
        "round": one.round_number,
        "in_use": model.in_use,
        "deleted": model.deleted_at is not None,
        "created_at": model.created_at,
        "labels": model.labels,
        "label_hash": model.label_hash,
        "accuracy": found.value,
        "interval": found.interval,
        "audited": found.n,
        "accuracy_text": headline.summary(found.measured),
        "in_its_round": headline.other(found),
        "backbone": model.backbone,
        "backbone_hash": model.config.get("backbone_hash"),
        "seed": model.seed,
        "device": model.device,
        "config": dict(model.config),
        "timings": dict(model.timings),
        "versions": dict(model.versions),
        "bytes": one.bytes,
        "export": one.export,
    }


def _text(models: list[dict[str, Any]]) -> str:
    if not models:
        return "No model yet. Label some images, then: labeller round PROJECT"
    head = ("model", "round", "state", "labels", "audit accuracy", "audit items", "bytes", "export")
    rows = [
        (
            str(one["model"]),
            str(one["round"]),
            "deleted" if one["deleted"] else "in use" if one["in_use"] else "",
            number(one["labels"]),
            one["accuracy_text"],
            number(one["audited"] or 0),
            number(one["bytes"]),
            str(one["export"].folder) if one["export"] else "",
        )
        for one in models
    ]
    return table([head, *rows])
