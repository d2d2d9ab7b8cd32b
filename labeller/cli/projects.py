"""Commands that fill a project and take labels out: init, import, label, export, demo."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import click

from labeller.cli.output import (
    TerminalProgress,
    emit,
    example,
    json_option,
    note,
    number,
    project_argument,
    seconds,
    typed,
)
from labeller.cli.signals import INTERRUPTED, handled

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.import_plan import ImportPlan, SourcePlan
    from labeller.services.importing import ImportReport
    from store.records import ImportProblem

PAGE = 1_000


def person() -> str:
    """Return the annotator when none was given: ``LABELLER_ANNOTATOR``, or the user's name."""
    if name := os.environ.get("LABELLER_ANNOTATOR"):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "someone"


@click.command("init", epilog=example("labeller init birds --classes robin,wren --budget 500"))
@project_argument
@click.option("--classes", default="", metavar="A,B,C", help="Class names, separated by commas.")
@click.option(
    "--budget",
    metavar="N",
    type=click.FloatRange(min=0),
    help="Labels that may be bought.",
)
@click.option(
    "--name", metavar="NAME", default="", help="Name on screen; the folder's name if left out."
)
@json_option
def init_command(
    project: Path, classes: str, budget: float | None, name: str, as_json: bool
) -> None:
    """Make a new, empty project in the folder PROJECT.

    Classes may be left out when an import of a folder of classes brings them.
    """
    from labeller.project import create_project
    from labeller.services import recent

    names = [part.strip() for part in classes.split(",") if part.strip()]
    made = create_project(project, names, budget, name)
    recent.remember(made)
    limit = "no limit" if budget is None else f"a budget of {number(budget)}"
    text = (
        f"Made {made.root} with {len(names)} classes and {limit}.\n"
        f"Next: labeller import {typed(project)} FOLDER_WITH_IMAGES"
    )
    emit(_created(made), as_json, text)


def _created(project: Project) -> dict[str, Any]:
    """Return what `init` and `demo` print as JSON."""
    with project.store.read() as unit:
        classes = [record.name for record in unit.classes.all()]
        counts, queue, budget = unit.items.count(), unit.queue.counts(), unit.budget.get()
    return {
        "path": project.root,
        "id": project.id,
        "name": project.name,
        "classes": classes,
        "budget": budget.total,
        "items": counts.items,
        "labelled": counts.labelled,
        "queued": queue.waiting,
    }


@click.command("import", epilog=example("labeller import birds ~/photos more.zip"))
@project_argument
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path(path_type=Path)
)
@click.option("--copy", is_flag=True, help="Copy the images in; else point to them.")
@click.option(
    "--labels",
    type=click.Choice(["auto", "folders", "none"]),
    default="auto",
    show_default=True,
    help="Whether the folders are labels; auto takes them when they look like classes.",
)
@click.option(
    "--dry-run", is_flag=True, help="Say what folders and names would mean, and store nothing."
)
@json_option
@click.pass_context
def import_command(
    ctx: click.Context,
    project: Path,
    sources: tuple[Path, ...],
    copy: bool,
    labels: Literal["auto", "folders", "none"],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add images from folders, CSV files or zip files.

    In a folder of class folders the folder is the label, and folders called train, valid and test
    are splits; what is taken for what, and why, is said before anything is stored. A CSV or JSON
    Lines file has the column path, and optionally label, group and split, under these or other
    usual names (docs/data.md). Files that cannot be read are listed with the reason. Ctrl-C keeps
    what is in.
    """
    from labeller.project import open_project
    from labeller.services.importing import import_sources

    opened = open_project(project)
    if dry_run:
        _preview(opened, sources, labels, as_json)
        return
    told: list[str] = []

    def announce(plan: ImportPlan) -> None:
        told.extend(plan.describe())
        for text in told:
            note(text)

    with interruptible() as progress:
        report = import_sources(opened, sources, copy, progress, labels, announce)
    problems = _all_problems(opened, report.import_id)
    for problem in problems:
        note(f"left out: {problem.path}: {problem.reason} {problem.mend}".rstrip())
    for conflict in report.conflicts:
        note(f"kept {conflict.label}: {conflict.path}, which came as {conflict.wanted}")
    for text in report.notes[len(told) :]:
        note(text)
    if not (report.added or report.known or report.failed or report.cancelled):
        note("Warning: no image was found there. Look at the path, and at what is in it.")
    decided = [_decided(plan) for plan in report.sources]
    data = {"project": opened.root, **_fields(report), "problems": problems, "sources": decided}
    emit(data, as_json, _imported(report))
    if report.cancelled:
        ctx.exit(INTERRUPTED)
    if report.failed and not report.added and not report.known:
        raise click.ClickException("None of the files is an image that can be read; see above.")


def _preview(
    project: Project,
    sources: Sequence[Path],
    labels: Literal["auto", "folders", "none"],
    as_json: bool,
) -> None:
    """Print what an import would take the names of folders for."""
    from labeller.services.import_plan import preview_import

    with interruptible() as progress:
        plan = preview_import(project, sources, labels, progress)
    data = {
        "project": project.root,
        "dry_run": True,
        "files": plan.files,
        "new_classes": plan.new_classes,
        "sources": [_decided(one) for one in plan.sources],
        "notes": plan.describe(),
    }
    lines = [*plan.describe(), f"{plan.files:,} files would be read. Nothing was stored."]
    if plan.new_classes:
        lines.insert(-1, f"Classes would be made: {', '.join(plan.new_classes)}.")
    emit(data, as_json, "\n".join(lines))


def _decided(plan: SourcePlan) -> dict[str, Any]:
    """Return what was decided about a source as JSON; of very many folders the first ones."""
    decided = {
        "source": plan.source,
        "files": plan.survey.files,
        "passed_over": dict(plan.survey.passed),
    }
    if plan.decision is None:
        return decided | {"folders": None}
    fields = _fields(plan.decision)
    counts = {name: dict(fields[name]) for name in ("classes", "splits")}
    return decided | fields | counts | {"folders": plan.decision.folders[:PAGE]}


def _all_problems(project: Project, import_id: int) -> list[ImportProblem]:
    """Return every file that an import left out."""
    found: list[ImportProblem] = []
    while True:
        with project.store.read() as unit:
            page = unit.imports.problems(import_id, PAGE, len(found))
        found += page
        if len(page) < PAGE:
            return found


def _fields(report: object) -> dict[str, Any]:
    """Return the fields of a service's report."""
    names: tuple[str, ...] = tuple(getattr(report, "__dataclass_fields__", {}))
    return {name: getattr(report, name) for name in names}


def _imported(report: ImportReport) -> str:
    state = "Stopped; what was read is in. " if report.cancelled else ""
    return (
        f"{state}{report.added:,} added, {report.known:,} known already, "
        f"{report.labelled:,} labelled, {report.failed:,} left out, in {seconds(report.seconds)}."
    )


@contextlib.contextmanager
def interruptible() -> Iterator[TerminalProgress]:
    """Show progress; the first Ctrl-C asks the work to stop, the second one ends it."""
    progress = TerminalProgress()

    def note_interrupt(_number: int, _frame: FrameType | None) -> None:
        if progress.interrupted:
            raise KeyboardInterrupt
        progress.interrupted = True

    try:
        with handled(note_interrupt, signal.SIGINT):
            yield progress
    finally:
        progress.bar.close()


@click.command("label", epilog=example("labeller label birds labels.csv --annotator ann"))
@project_argument
@click.argument("labels", metavar="LABELS", type=click.Path(path_type=Path))
@click.option("--annotator", metavar="NAME", help="Whose labels they are where the file is silent.")
@click.option(
    "--again",
    is_flag=True,
    help="Apply rows that were applied before and changed by hand since, too.",
)
@json_option
def label_command(
    project: Path, labels: Path, annotator: str | None, again: bool, as_json: bool
) -> None:
    """Apply a CSV or JSON Lines file of labels, all of it or nothing.

    Its columns are path or sha256, label, and optionally annotator, under these or other usual
    names (docs/data.md). Rows without a label are counted and passed over. A row that says what the
    last one for its image and annotator said changes nothing; another annotator's is a second
    opinion. Each label costs of the budget; a file that costs more than what is left is refused
    whole.
    """
    from labeller.project import open_project
    from labeller.services import budget, leak_guard
    from labeller.services.label_files import label_from_csv

    opened = open_project(project)
    report = label_from_csv(opened, labels, annotator or person(), again)
    for text in report.notes:
        note(text)
    left = budget.meter(opened).left
    text = (
        f"{report.rows:,} rows: {report.labelled:,} labelled, {report.changed:,} changed, "
        f"{report.unchanged:,} known already, {report.second_opinions:,} second opinions, "
        f"{report.empty:,} without a label. Cost {number(report.cost)}, "
        f"{'no limit' if left is None else f'{number(left)} left'}."
    )
    emit({"project": opened.root, **_fields(report), "budget_left": left}, as_json, text)
    if report.labelled and (told := leak_guard.tell_put_aside(opened)):
        note(told)


@click.command("export", epilog=example("labeller export birds --to labels.csv"))
@project_argument
@click.option(
    "--to",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A .csv or .jsonl file.",
)
@click.option(
    "--generated",
    is_flag=True,
    help="Add the generated labels of accepted runs, with provenance and confidence.",
)
@json_option
def export_command(project: Path, to: Path, generated: bool, as_json: bool) -> None:
    """Write the current labels to a CSV or JSON Lines file."""
    from labeller.project import open_project
    from labeller.services.exporting import export_labels

    opened = open_project(project)
    report = export_labels(opened, to, generated)
    for told in report.notes:
        note(told)
    path = to.absolute()
    data = {"path": path, "rows": report.rows, "notes": report.notes}
    emit(data, as_json, f"{report.rows:,} labels written to {path}.")


@click.command("demo", epilog=example("labeller demo fashion"))
@project_argument
@json_option
def demo_command(project: Path, as_json: bool) -> None:
    """Make a project of real images, ready to label.

    They are a sample of Fashion-MNIST; no network is needed.
    """
    from labeller.services import recent
    from labeller.services.demo import create_demo

    made = create_demo(project)
    recent.remember(made)
    data = _created(made)
    text = (
        f"Made {made.root}: {data['items']:,} images, {data['labelled']:,} labelled, "
        f"{data['queued']:,} in the queue.\nNext: labeller run {typed(project)}"
    )
    emit(data, as_json, text)
