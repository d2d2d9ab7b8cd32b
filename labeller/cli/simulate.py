"""The command `simulate`: replay the loop on labels that are known."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import emit, example, json_option, note, percent, table
from labeller.cli.projects import interruptible
from labeller.cli.rounds import follow
from labeller.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.import_plan import ImportPlan
    from labeller.services.replays import Plan

IMPORTED = "project"  # the folder, in that of the replay, of the project a source was imported into


@click.command(
    "simulate",
    epilog=example("labeller simulate flowers --strategies margin,badge --budget 200 --out replay"),
)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--strategies",
    default="margin,typiclust",
    show_default=True,
    metavar="A,B,C",
    help="Strategies to compare, mixtures as margin=70+random=30; random is always among them.",
)
@click.option(
    "--budget",
    default=200,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Labels at the end, the first random batch included.",
)
@click.option(
    "--batch",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Labels to buy at a time.",
)
@click.option(
    "--seeds",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="How often to run each strategy.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where curves and tables go; nothing is kept if left out.",
)
@json_option
@click.pass_context
def simulate_command(
    ctx: click.Context,
    source: Path,
    strategies: str,
    budget: int,
    batch: int,
    seeds: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare strategies on labels that are known.

    SOURCE is a folder of class folders (below train, valid and test or not), or a project, whose
    own labels answer in the person's place. Every strategy begins with the same random images and
    learns with the same model; the images it is measured on are never picked. Ctrl-C keeps the runs
    that are finished: the same command goes on from there.
    """
    from labeller.services import replay_files, replays

    names = [name.strip() for name in strategies.split(",") if name.strip()]
    plan = replays.checked(names, budget, batch, seeds)
    with _folder(out) as folder:
        settings = {**replays.written(plan), "source": str(source.absolute())}
        replay_files.prepare(folder, settings)
        project = _project(ctx, source, folder)
        _replay(ctx, project, plan, folder, kept=out is not None)
        result = replay_files.read_result(folder)
    data = {**result, "out": out.absolute() if out else None}
    emit(data, as_json, _text(data))


@contextlib.contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Return the folder of the replay; a temporary one is gone afterwards."""
    from labeller.trust import forget_project
    from store.scratch import make_temporary

    if out is not None:
        yield out.absolute()
        return
    with make_temporary("replay") as made:
        yield Path(made)
    forget_project(Path(made) / IMPORTED)


def _project(ctx: click.Context, source: Path, folder: Path) -> Project:
    """Open the project that answers; a labelled folder is imported into one."""
    from labeller.errors import ReplayError
    from labeller.project import create_project, is_project, open_project
    from labeller.services.importing import import_sources

    if is_project(source):
        return open_project(source)
    root = folder / IMPORTED
    # no audit set: the replay holds out a stratified share itself
    project = open_project(root) if is_project(root) else create_project(root, [], audit_share=0.0)
    with interruptible() as progress:
        report = import_sources(
            project, [source], progress=progress, labels="folders", announce=_announce
        )
    if report.cancelled:
        note("Stopped while importing; the same command goes on from there.")
        ctx.exit(INTERRUPTED)
    if report.failed:
        note(f"{report.failed:,} files could not be read and were left out.")
    if not report.labelled and not report.known:
        raise ReplayError(
            f"{source}: is neither a project nor a folder of class folders with images."
        )
    return project


def _announce(plan: ImportPlan) -> None:
    """Say what the folders of the source are taken for."""
    for text in plan.describe():
        note(text)


def _replay(ctx: click.Context, project: Project, plan: Plan, folder: Path, kept: bool) -> None:
    """Run the job and wait for it; Ctrl-C cancels it."""
    from labeller.services import replays

    job, interrupted = follow(project, replays.start(project, plan, folder))
    if job.state == "done":
        return
    if job.state == "cancelled":
        note(f"Stopped. Finished runs are kept in {folder}." if kept else "Stopped.")
    if interrupted:
        ctx.exit(INTERRUPTED)
    raise click.ClickException(f"Replay {job.state}: {job.error or f'job {job.id}'}")


def _text(data: dict[str, Any]) -> str:
    """Lay the outcome of a replay out for reading."""
    rows = [("rank", "strategy", "mean", "final", "to random's final", "against random")]
    rows += [
        (
            str(row["rank"]),
            row["strategy"],
            percent(row["area"]),
            percent(row["final"]),
            _labels(row["labels_to_random_final"]),
            _difference(row),
        )
        for row in data["strategies"]
    ]
    lines = [
        f"{data['budget']:,} labels by {data['batch']:,}, {data['seeds']} seeds, "
        f"{data['pool']:,} images to choose from.",
        table(rows),
        *data["notes"],
        *data["bias"],
    ]
    return "\n".join([*lines, f"Written to {data['out']}"] if data["out"] else lines)


def _labels(value: float | None) -> str:
    return "not reached" if value is None else f"{value:,.0f} labels"


def _difference(row: dict[str, Any]) -> str:
    """Write the paired difference of the areas, in points, with its interval."""
    if row["difference"] is None:
        return "-"
    points = f"{100 * row['difference']:+.1f}"
    if row["difference_interval"] is None:
        return f"{points} ({row['verdict']})"
    low, high = (100 * bound for bound in row["difference_interval"])
    return f"{points} ({low:+.1f} to {high:+.1f}): {row['verdict']}"
