"""The command `synthesise`: new training examples made from labelled images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labeller.cli.output import (
    emit,
    example,
    json_option,
    note,
    number,
    plain,
    project_argument,
    table,
    typed,
)
from labeller.cli.rounds import follow
from labeller.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from labeller.project import Project
    from labeller.services.synthesis import Outlook, SynthesisPlan
    from store.records import JobRecord


@click.command(
    "synthesise", epilog=example("labeller synthesise birds --count 40 --recipe blur --seed 7")
)
@project_argument
@click.option(
    "--strategy",
    metavar="NAME",
    default="balance",
    show_default=True,
    help="Whom to make new items of: balance, disagreement, weak_spots, latent_mixup, interpolate.",
)
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many to make; what the budget can pay, at most.",
)
@click.option(
    "--recipe",
    "recipes",
    metavar="NAME",
    multiple=True,
    help="Use this recipe; may be given again. The usual ones if left out.",
)
@click.option(
    "--class",
    "classes",
    metavar="NAME",
    multiple=True,
    help="Make items of this class; may be given again. All classes if left out.",
)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    help="The same seed and labels give the same bytes; a new one if left out.",
)
@click.option("--dry-run", is_flag=True, help="Say what it would cost and bring; make nothing.")
@click.option("--resume", metavar="RUN", type=int, help="Go on with a run that was stopped.")
@click.option(
    "--delete", metavar="RUN", type=int, help="Delete a run's items and give back what they cost."
)
@json_option
@click.pass_context
def synthesise_command(
    ctx: click.Context,
    project: Path,
    strategy: str,
    count: int,
    recipes: tuple[str, ...],
    classes: tuple[str, ...],
    seed: int | None,
    dry_run: bool,
    resume: int | None,
    delete: int | None,
    as_json: bool,
) -> None:
    """Make new training examples from labelled images.

    Pictures come from AugLy's augmentations, the strategies latent_mixup and interpolate mix
    embeddings instead. All stay in the training split of their parent; each costs the setting
    synthetic_price. The next round learns from them and says on the audit set whether they helped.
    Waits for the job; Ctrl-C cancels it and keeps what is made.
    """
    from labeller.project import open_project
    from labeller.services import synthesis

    if sum((dry_run, resume is not None, delete is not None)) > 1:
        raise click.UsageError("--dry-run, --resume and --delete exclude each other.")
    opened = open_project(project)
    if delete is not None:
        _delete(opened, delete, as_json)
        return
    if resume is not None:
        _make(ctx, opened, synthesis.resume(opened, resume), as_json)
        return
    plan = synthesis.SynthesisPlan(
        strategy=strategy,
        count=count,
        recipes={name: {} for name in recipes},
        seed=seed,
        classes=_class_ids(opened, classes),
    )
    if dry_run:
        _foretell(opened, plan, as_json)
        return
    _make(ctx, opened, synthesis.start(opened, plan), as_json)


def _class_ids(project: Project, names: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return the classes of some names, None for all of them."""
    from labeller.errors import ClassError

    if not names:
        return None
    with project.store.read() as unit:
        known = {one.name: one.id for one in unit.classes.all()}
    missing = [name for name in names if name not in known]
    if missing:
        raise ClassError(f"There is no class {missing[0]!r}. Classes: {', '.join(known)}.")
    return tuple(known[name] for name in names)


def _foretell(project: Project, plan: SynthesisPlan, as_json: bool) -> None:
    """Print what a run would cost and bring; exit code 1 when there can be none."""
    from labeller.services import synthesis

    found = synthesis.outlook(project, plan)
    if found.why_not is not None:
        raise click.ClickException(found.why_not)
    classes = [{**plain(one), "after": one.after} for one in found.classes]
    data = {"project": project.root, **plain(found), "classes": classes}
    emit(data, as_json, _outlook_text(plan, found))


def _outlook_text(plan: SynthesisPlan, found: Outlook) -> str:
    """Lay out what a run would cost and bring."""
    rows = [("class", "labels", "synthetic", "after")]
    rows += [
        (
            one.name,
            f"{one.labels:,}",
            f"{one.synthetic:,}",
            "?" if one.after is None else f"{one.after:,}",
        )
        for one in found.classes
    ]
    left = "no limit" if found.left is None else f"{number(found.left)} left"
    lines = [
        f"{plan.strategy}: {found.possible:,} items of {found.parents:,} labelled training images, "
        f"for {number(found.cost)} ({number(found.price)} each; {left}).",
        *found.notes,
        table(rows),
    ]
    if found.recipes:
        lines.append(f"Recipes: {', '.join(found.recipes)}")
    return "\n".join(lines)


def _make(ctx: click.Context, project: Project, job: JobRecord, as_json: bool) -> None:
    """Wait for the job and print what it made."""
    began = time.monotonic()
    job, interrupted = follow(project, job)
    data = _data(project, job, time.monotonic() - began)
    if job.state == "done":
        emit(data, as_json, _text(data, project))
        return
    if data["run"] is not None:
        note(
            f"Run {data['run']}: {data['made']:,} of {data['planned']:,} items are made and stay. "
            f"Go on: labeller synthesise {typed(project.root)} --resume {data['run']}"
        )
    if interrupted:
        ctx.exit(INTERRUPTED)
    raise click.ClickException(f"Synthesis {job.state}: {job.error or f'job {job.id}'}")


def _data(project: Project, job: JobRecord, waited: float) -> dict[str, Any]:
    """Return the outcome: the run's row is the truth, the job's result adds to it."""
    with project.store.read() as unit:
        run = unit.synthetic.by_job(job.id)
        left = unit.budget.get().left
    told = dict(job.result or {})
    told.pop("cancelled", None)
    return {
        "project": project.root,
        **told,
        "run": run.id if run else None,
        "state": run.state if run else job.state,
        "strategy": run.strategy if run else None,
        "seed": run.seed if run else None,
        "planned": run.planned if run else 0,
        "made": run.made if run else 0,
        "spent": run.spent if run else 0.0,
        "budget_left": left,
        "job": job.id,
        "seconds": round(waited, 3),
    }


def _text(data: dict[str, Any], project: Project) -> str:
    """Put the outcome into words."""
    lines = [
        f"Run {data['run']} ({data['strategy']}, seed {data['seed']}): {data['made']:,} of "
        f"{data['planned']:,} items made, for {number(data['spent'])}, in {data['seconds']:.1f} s.",
        str(data.get("message") or ""),
        f"The next round learns from them: labeller round {typed(project.root)}",
    ]
    return "\n".join(filter(None, lines))


def _delete(project: Project, run_id: int, as_json: bool) -> None:
    """Delete a run and say what came back."""
    from labeller.services import synthesis

    with project.store.read() as unit:
        before = unit.budget.get().spent
    count = synthesis.delete(project, run_id)
    with project.store.read() as unit:
        back = before - unit.budget.get().spent
    data = {"project": project.root, "run": run_id, "deleted": count, "refunded": back}
    emit(data, as_json, f"Deleted run {run_id}: {count:,} items; {number(back)} given back.")
