"""The command that predicts images which need not be in the project."""

from __future__ import annotations

from pathlib import Path

import click

from labeller.cli.output import emit, example, json_option, note, project_argument, seconds
from labeller.cli.projects import interruptible
from labeller.cli.signals import INTERRUPTED
from labeller.errors import JobCancelled


@click.command("predict", epilog=example("labeller predict birds ~/photos --out birds.csv"))
@project_argument
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path(path_type=Path)
)
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A .csv or .jsonl file.",
)
@click.option("--model", metavar="N", type=int, help="Number of the model; else the one in use.")
@click.option("--restart", is_flag=True, help="Begin anew instead of going on where it stopped.")
@json_option
@click.pass_context
def predict_command(
    ctx: click.Context,
    project: Path,
    sources: tuple[Path, ...],
    out: Path,
    model: int | None,
    restart: bool,
    as_json: bool,
) -> None:
    """Predict images from folders, CSV files or zip files.

    Each row has the key of its image (its path in the source, or the column key of a CSV file; of
    several sources, behind the source's name), class, confidence, all probabilities, energy and
    model; an image that cannot be read has an error in its row. Ctrl-C keeps what is predicted, and
    the same command goes on from there.
    """
    from labeller.project import open_project
    from labeller.services.prediction_files import predict_to_file

    opened = open_project(project)
    try:
        with interruptible() as progress:
            report = predict_to_file(opened, sources, out, model, restart, progress)
    except JobCancelled:
        note("Stopped; the same command goes on from here.")
        ctx.exit(INTERRUPTED)
    data = {
        "path": report.path.absolute(),
        "model": report.model,
        "predicted": report.predicted,
        "failed": report.failed,
        "resumed": report.resumed,
        "damaged": report.damaged,
        "seconds": report.seconds,
    }
    text = (
        f"{report.predicted:,} images predicted by model {report.model}, {report.failed:,} could "
        f"not be read, in {seconds(report.seconds)}. Written to {data['path']}."
    )
    if report.damaged:
        text += (
            f" {report.damaged:,} lines that the stopped run had left were damaged, and are made "
            f"again."
        )
    emit(data, as_json, text)
