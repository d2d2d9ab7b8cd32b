"""The synthesis job: plan new items, render them in parallel, store and pay for them.

What needs torch is imported only for the strategies that need a model or embeddings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from labeller.errors import SynthesisError
from labeller.learning.images import Ints
from labeller.learning.snapshot import Labels, Snapshot, take
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import synthesis_making as making
from labeller.services.synthesis_files import Planned, affordable, read_plans, write_plans
from labeller.services.synthesis_outlook import check
from labeller.services.synthesis_plan import SynthesisPlan, narrowed
from store.records import JobRecord
from store.records_made import SynthesisRunRecord
from strategies.base import Needs
from strategies.synthesis import Parents, Plan, SynthesisInfo, strategy_called

STAGE = "plan"


def run_synthesis_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Make the items of a new run, or what is missing of one that was stopped.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; its params are ``plan`` (as `SynthesisPlan.to_json` writes it, with a seed), or
        ``run``, the number of a stopped one.
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``run``, ``strategy``, ``seed``, ``planned``, ``made``, ``failed``,
        ``unchanged``, ``errors``, ``spent``, ``message``; ``cancelled`` when it was stopped.

    Raises
    ------
    SynthesisError
        When nothing can be planned or made; what is made by then stays.
    JobCancelled
        When the job was stopped before the first item.
    """
    if "run" in job.params:
        planned = read_plans(project, int(job.params["run"]))
        with project.store.write() as unit:
            run = unit.synthetic.resume(int(job.params["run"]), job.id)
    else:
        run, planned = _begun(project, job, progress)
    made = making.make(project, job, run, planned, progress)
    with project.store.read() as unit:
        return making.result(unit.synthetic.run(run.id), made)


def _begun(
    project: Project, job: JobRecord, progress: Progress
) -> tuple[SynthesisRunRecord, Planned]:
    """Plan a new run and enter it, its plans beside it."""
    plan = SynthesisPlan.from_json(job.params["plan"])
    if plan.seed is None:
        raise SynthesisError("A synthesis job needs a seed in its plan.")
    check(project, plan)
    info = strategy_called(plan.strategy)
    progress.update(STAGE, 0, None)
    plans, model_id = _plans(project, info, plan, progress)
    progress.check()
    planned = Planned(plans, info.pictures)
    with project.store.write() as unit:
        run = unit.synthetic.start(
            info.name, plan.to_json(), plan.seed, len(plans), model_id, job.id
        )
        write_plans(project, run.id, planned)
    return run, planned


def _plans(
    project: Project, info: SynthesisInfo, plan: SynthesisPlan, progress: Progress
) -> tuple[tuple[Plan, ...], int | None]:
    """Return what the strategy plans, and the model that it asked."""
    snapshot = take(project)
    labels = _wanted(snapshot, plan)
    with project.store.read() as unit:
        free = unit.budget.get().free
        synthetic = unit.synthetic.trainable()
    limit = affordable(free, project.settings.synthetic_price)
    k = plan.count if limit is None else min(plan.count, limit)
    parents = Parents(
        ids=labels.ids,
        classes=labels.columns,
        class_count=len(snapshot.classes),
        recipes=narrowed(plan.recipes) if info.pictures else (),
        counts=_counts(snapshot, [one.class_id for one in synthetic]),
    )
    model_id = None
    if info.needs & (Needs.EMBEDDINGS | Needs.LABELLED_PROBS | Needs.TRIAL_PROBS):
        from labeller.learning import synthesis_arrays

        arrays = synthesis_arrays.Arrays(project, snapshot, int(plan.seed or 0), progress)
        parents, model_id = arrays.given(parents, info.needs)
    plans = info.plan(parents, k, np.random.default_rng(plan.seed))
    if not plans:
        raise SynthesisError(
            f"{info.name} finds nothing to make new items of: a mixture needs two labelled "
            f"training images that can be read, interpolation two of one class. Label some more."
        )
    return plans, model_id


def _wanted(snapshot: Snapshot, plan: SynthesisPlan) -> Labels:
    """Return the labelled training items of the chosen classes."""
    labels = snapshot.part("train")
    if plan.classes is None:
        return labels
    columns = [place for place, one in enumerate(snapshot.classes) if one.id in plan.classes]
    kept = np.isin(labels.columns, columns)
    return Labels(labels.ids[kept], labels.columns[kept])


def _counts(snapshot: Snapshot, synthetic: list[int]) -> Ints:
    """Return how many training examples (C,) each class has, by people and synthetic ones."""
    size = len(snapshot.classes)
    counts = np.bincount(snapshot.part("train").columns, minlength=size)
    column = {one.id: place for place, one in enumerate(snapshot.classes)}
    made = [column[class_id] for class_id in synthetic if class_id in column]
    total: Ints = counts + np.bincount(np.array(made, np.int64), minlength=size)
    return total
