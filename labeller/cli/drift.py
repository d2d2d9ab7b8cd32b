"""The command that compares later predictions with the audit set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from labeller.cli.output import emit, example, json_option, number, percent, plain, project_argument
from labeller.cli.output import table as laid_out

if TYPE_CHECKING:
    from labeller.services.drift import Drift, Shift

VERDICTS = {
    "unknown": "Too few images to compare.",
    "none": "No drift found.",
    "small": "A small shift, under a tenth: watch it.",
    "drift": "DRIFT: the audit accuracy may not hold for these images.",
}


@click.command("drift", epilog=example("labeller drift birds predictions.csv"))
@project_argument
@click.argument("predictions", metavar="PREDICTIONS")
@click.option(
    "--queue",
    metavar="N",
    type=click.IntRange(1),
    help="Import the N least sure images and put them first in the queue.",
)
@json_option
def drift_command(project: Path, predictions: str, queue: int | None, as_json: bool) -> None:
    """Compare later predictions with those for the audit set.

    PREDICTIONS is the number of a prediction of the project, or a file that `predict` wrote. What
    the model says (confidences, energies, classes) is compared with what it said of the audit set,
    with tests that hold at 5 % together. To queue images, give a number: a file does not say where
    they lie.
    """
    from labeller.project import open_project
    from labeller.services.doubtful import queue_doubtful
    from labeller.services.drift import compare_file, compare_prediction

    kept = predictions.isdecimal()
    if queue is not None and not kept:
        raise click.UsageError("--queue takes the number of a prediction of the project.")
    opened = open_project(project)
    found, _ = (
        compare_prediction(opened, int(predictions))
        if kept
        else compare_file(opened, Path(predictions))
    )
    text = _text(found)
    data = plain(found)
    if queue is not None:
        images = queue_doubtful(opened, int(predictions), queue)
        data["images"] = plain(images)
        text += f"\n{images.text}"
    emit(data, as_json, text)


def _text(found: Drift) -> str:
    lines = [VERDICTS[found.verdict], *found.reasons]
    rows: list[tuple[str, ...]] = [("", "audit set", "here", "distance", "p")]
    for name, shift, write in (
        ("median confidence", found.confidence, percent),
        ("median energy", found.energy, _energy),
    ):
        if shift is not None:
            rows.append(_row(name, shift, write(shift.audit_median), write(shift.later_median)))
    if found.classes is not None:
        shift_of = found.classes
        shares = percent(shift_of.audit_share), percent(shift_of.later_share)
        rows.append((shift_of.name, *shares, f"{shift_of.distance:.2f}", f"{shift_of.p_value:.3g}"))
    rows.append(("images", number(found.audit_n), number(found.later_n), "", ""))
    return "\n".join([*lines, laid_out(rows)])


def _row(name: str, shift: Shift, audit: str, later: str) -> tuple[str, ...]:
    return name, audit, later, f"{shift.distance:.2f}", f"{shift.p_value:.3g}"


def _energy(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
