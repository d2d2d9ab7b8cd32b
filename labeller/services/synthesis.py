"""Synthesis: new training examples made from labelled ones, paid for from the budget.

What pages and commands use; no torch, and no AugLy in this process. The parts: what is set and
shown (`synthesis_plan`), what to expect (`synthesis_outlook`), how children would look
(`synthesis_preview`), and making them in the job (`synthesis_making`, `synthesis_rendering`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from labeller import jobs
from labeller.errors import ImageError, SynthesisError
from labeller.project import Project
from labeller.services import thumbnails
from labeller.services.synthesis_files import folder
from labeller.services.synthesis_outlook import check
from labeller.services.synthesis_outlook import outlook as outlook
from labeller.services.synthesis_outlook import strategies as strategies
from labeller.services.synthesis_plan import KIND, SEEDS
from labeller.services.synthesis_plan import ClassOutlook as ClassOutlook
from labeller.services.synthesis_plan import Outlook as Outlook
from labeller.services.synthesis_plan import Preview as Preview
from labeller.services.synthesis_plan import RunView as RunView
from labeller.services.synthesis_plan import StrategyView as StrategyView
from labeller.services.synthesis_plan import SynthesisPlan as SynthesisPlan
from labeller.services.synthesis_plan import groups as groups
from labeller.services.synthesis_preview import preview as preview
from store.errors import Conflict, NotFound
from store.records import ItemRecord, JobRecord
from store.records_made import ChildVerdict, SynthesisRunRecord, SyntheticRecord

STOPPED = ("failed", "cancelled")


def start(project: Project, plan: SynthesisPlan) -> JobRecord:
    """Start the job that makes new items; one at a time.

    Parameters
    ----------
    project : Project
    plan : SynthesisPlan
        Without a seed it gets one that no run had so far.

    Returns
    -------
    JobRecord
        Of kind ``synthesis``; its `detail` tells ``run``, ``made``, ``failed`` and ``unchanged``.

    Raises
    ------
    SynthesisError
        When something stands in the way; see :func:`outlook`.
    JobError
        When such a job is on already.
    """
    check(project, plan)
    if plan.seed is None:
        with project.store.read() as unit:
            used = {run.seed for run in unit.synthetic.runs()}
        first = project.settings.seed % SEEDS
        free = next(s for s in range(first, first + len(used) + 1) if s not in used)
        plan = replace(plan, seed=free % SEEDS)
    return jobs.submit(project, KIND, {"plan": plan.to_json()})


def resume(project: Project, run_id: int) -> JobRecord:
    """Start the job that makes what is missing of a run that was stopped.

    Raises
    ------
    SynthesisError
        When there is no such run, or it cannot go on.
    JobError
        When such a job is on already.
    """
    jobs.reap(project)
    run = _run(project, run_id)
    if run.state not in STOPPED:
        raise SynthesisError(f"Synthesis run {run_id} cannot go on: it is {run.state}.")
    return jobs.submit(project, KIND, {"run": run_id})


def job(project: Project) -> JobRecord | None:
    """Return the job that makes items now or waits to, None when there is none."""
    with project.store.read() as unit:
        return next(iter(unit.jobs.active(KIND)), None)


def cancel(project: Project) -> JobRecord:
    """Ask the job to stop; what is made by then stays, and can be gone on with.

    Raises
    ------
    SynthesisError
        When nothing is being made.
    JobError
        When it has ended meanwhile.
    """
    active = job(project)
    if active is None:
        raise SynthesisError("No items are being made.")
    return jobs.cancel(project, active.id)


def runs(project: Project) -> list[RunView]:
    """Return the runs, newest first; those that were deleted have the state ``deleted``."""
    with project.store.read() as unit:
        active = next(iter(unit.jobs.active(KIND)), None)
        return [
            RunView(
                run,
                SynthesisPlan.from_json(run.params),
                unit.synthetic.counts(run.id),
                active if active is not None and active.id == run.job_id else None,
                run.state in STOPPED and run.made < run.planned,
            )
            for run in unit.synthetic.runs()
        ]


def children(
    project: Project,
    run_id: int,
    verdict: ChildVerdict | Literal["none"] | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[SyntheticRecord]:
    """Return one page of a run's children in order of id.

    Parameters
    ----------
    project : Project
    run_id : int
    verdict : {"keep", "drop", "none"}, optional
        Only those judged so; ``"none"`` for those nobody judged.
    after : int
        The last id of the page before.
    limit : int
    """
    with project.store.read() as unit:
        return unit.synthetic.page(run_id, verdict=verdict, after=after, limit=limit)


def picture(
    project: Project, child: SyntheticRecord, size: thumbnails.Size = "thumb"
) -> tuple[Path, str]:
    """Return a file that a browser can show, and its media type; made on first use.

    Parameters
    ----------
    project : Project
    child : SyntheticRecord
        One with a picture; mixtures have none.
    size : {"thumb", "card", "full"}

    Raises
    ------
    SynthesisError
        When it is a mixture.
    ImageError
        When the file is gone or changed.
    """
    if child.path is None or child.sha256 is None:
        raise SynthesisError("A mixture of embeddings has no picture.")
    width, height, size_on_disk = child.width or 0, child.height or 0, child.bytes or 0
    stands_for = ItemRecord(
        child.id,
        child.sha256,
        child.path,
        True,
        width,
        height,
        "PNG",
        size_on_disk,
        child.sha256,
        "train",
        0.0,
        "labelled",
    )
    return thumbnails.thumbnail(project, stands_for, size, _find_picture)


def _find_picture(project: Project, child: ItemRecord) -> Path:
    """Return the file of a child, which is no item: nobody but this program writes it."""
    path = project.file(child.path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ImageError(f"the file is gone ({error.strerror})", "Put it back.") from error
    if size != child.bytes:
        raise ImageError("the file has changed since it was made", "Put the old one back.")
    return path


def judge(project: Project, ids: Sequence[int], verdict: ChildVerdict | None, by: str) -> int:
    """Note whether children still show their class; the dropped ones teach no model any more.

    Parameters
    ----------
    project : Project
    ids : sequence of int
        Of synthetic items.
    verdict : {"keep", "drop"} or None
        None takes back what was said.
    by : str
        The annotator.

    Returns
    -------
    int
        How many of them there are.

    Raises
    ------
    SynthesisError
        When the annotator has no name.
    """
    if not by.strip():
        raise SynthesisError("Say who judges: the annotator's name is empty.")
    with project.store.write() as unit:
        return unit.synthetic.judge(ids, verdict, by.strip())


def delete(project: Project, run_id: int) -> int:
    """Delete a run's children with their files, and give back what they cost.

    Returns
    -------
    int
        How many there were.

    Raises
    ------
    SynthesisError
        When there is no such run, or it still runs.
    """
    jobs.reap(project)
    _run(project, run_id)
    try:
        with project.store.write() as unit:
            count = sum(unit.synthetic.counts(run_id).values())
            doomed = [
                thumbnails.kept_path(project.thumbnails, pixels, one.sha256)
                for one in unit.synthetic.page(run_id, limit=count)
                if one.sha256 is not None
                for pixels in (project.settings.thumbnail_pixels, project.settings.card_pixels)
            ]
            unit.synthetic.delete(run_id)
    except Conflict as error:
        raise SynthesisError(str(error)) from error
    for file in doomed:
        file.unlink(missing_ok=True)
    shutil.rmtree(folder(project, run_id), ignore_errors=True)
    return count


def _run(project: Project, run_id: int) -> SynthesisRunRecord:
    try:
        with project.store.read() as unit:
            return unit.synthetic.run(run_id)
    except NotFound as error:
        raise SynthesisError(str(error)) from error
