"""The round: features, train, calibrate, evaluate, predict, select, queue. Runs as a job."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from labeller.errors import JobLost, RoundError
from labeller.learning import device, interrupted, picker, round_model, selection, tidy
from labeller.learning.features import Features, Scaling
from labeller.learning.objective import Objective
from labeller.learning.round_context import RoundContext
from labeller.learning.round_features import prepared
from labeller.learning.round_model import Finished
from labeller.learning.selection import Known, Wish
from labeller.learning.snapshot import lacking, take
from labeller.learning.stopwatch import Stopwatch
from labeller.learning.training import training_mode
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import originals, rounds, streams_audit
from store.records import JobRecord, ModelRecord, NewModel, NewQueueEntry
from strategies.registry import StrategyInfo


def run_round_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Train on the labels there are, predict every item and replace the queue.

    Without enough labels for a model the queue becomes a cold start, and the message says what is
    missing. Nothing that a page shows changes before the last transaction, but the splits of
    near-duplicates; a process killed before it leaves files that the next round removes, and
    checkpoints from which it goes on.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; its params are ``strategy`` and ``batch``.
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``round``, ``model``, ``strategy``, ``queued``, ``audit_accuracy``,
        ``audit_interval``, ``audit_labels``, ``message``, ``unreadable``, ``device``, ``timings``.

    Raises
    ------
    LabellerError
        With what went wrong and its mend; the round is then marked by whoever ends the job.
    """
    watch = Stopwatch(progress, {"start": max(0.0, time.time() - job.created_at)})
    strategy = rounds.chosen(project, str(job.params.get("strategy") or project.settings.strategy))
    batch = int(job.params.get("batch") or project.settings.batch)
    chosen = device.choose(project.settings.device)
    training_mode(project.settings.training, chosen, 0)  # a wrong setting is said at once
    Objective.of(project.settings)
    tidy.leftovers(project)
    snapshot = take(project)
    if not len(snapshot.ids):
        raise RoundError("There are no images yet. Import some, then start a round.")
    possible = lacking(snapshot, snapshot.part("train")) is None
    expected = picker.named(strategy, possible)
    with project.store.write() as unit:
        record = unit.rounds.start(expected.name, batch, job.id, snapshot.labels, snapshot.spent)
    work = project.models / f".round-{record.number:04d}"
    work.mkdir()
    context = RoundContext(project, job, progress, watch, record, snapshot, chosen, work)
    try:
        return _run(context, strategy)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(context: RoundContext, strategy: StrategyInfo) -> dict[str, Any]:
    """Do all stages."""
    features, scaling = prepared(context)
    interrupted.take_up(context, features)
    snapshot = context.snapshot
    labels = snapshot.part("train").among(features.having(snapshot.label_ids))
    lack = lacking(snapshot, labels)
    finished = round_model.made(context, features, scaling, labels) if lack is None else None
    with context.watch.stage("select"):
        used, entries = _select(context, strategy, features, scaling, finished, lack)
    with context.watch.stage("queue"):
        model, queued = _finish(context, finished, entries)
    context.progress.update("queue", 1, 1, context.message)
    metrics: Mapping[str, Any] = model.metrics if model else {}
    return {
        "round": context.record.number,
        "model": model.id if model else None,
        "strategy": used.name,
        "queued": queued,
        "audit_accuracy": metrics.get("accuracy"),
        "audit_interval": metrics.get("interval"),
        "audit_labels": metrics.get("n"),
        "message": context.message,
        "unreadable": context.unreadable,
        "device": context.device.text,
        "timings": dict(context.watch.timings),
    }


def _select(
    context: RoundContext,
    strategy: StrategyInfo,
    features: Features,
    scaling: Scaling,
    finished: Finished | None,
    lack: str | None,
) -> tuple[StrategyInfo, list[NewQueueEntry]]:
    """Pick from what is unlabelled now."""
    model = finished.model if finished else None
    predictions = finished.predictions if finished else None
    readable = selection.readable(context.snapshot.label_ids, features, predictions)
    labelled = context.snapshot.part("train", "valid").among(readable)
    classes = len(context.snapshot.classes)
    known = Known(features, scaling, labelled, model, predictions, classes)
    used = picker.named(strategy, finished is not None)
    acting = picker.acting(used, finished is not None, len(labelled), classes)
    context.notes += picker.told(strategy, used, lack, len(labelled), classes)
    found = selection.candidates(context.project, known)
    if limit := selection.thinned(acting, found, known):
        context.notes.append(
            f"{acting.name} chose among {limit:,} of the {len(found.free):,} unlabelled "
            f"images, drawn at random."
        )
    settings = context.project.settings
    wish = Wish.of(settings, acting, context.record.batch, context.project.vectors)
    rng = np.random.default_rng([settings.seed, context.record.number])
    entries = selection.choose(wish, found, known, rng, context.progress)
    entries = streams_audit.mixed_in(context.project, entries, rng)
    entries = _visible(context, entries)
    if not entries:
        context.notes.append("No unlabelled image is left to ask for.")
    return used, entries


def _visible(context: RoundContext, entries: list[NewQueueEntry]) -> list[NewQueueEntry]:
    """Ask for no image whose file holds another one by now."""
    replaced = originals.list_replaced(context.project, [one.item_id for one in entries])
    if replaced:
        told = originals.describe_replaced(list(replaced.values()), "not queued")
        context.notes.append(told)
    return [one for one in entries if one.item_id not in replaced]


def _finish(
    context: RoundContext, finished: Finished | None, entries: list[NewQueueEntry]
) -> tuple[ModelRecord | None, int]:
    """Register the model and replace the queue in one transaction, then tidy up."""
    context.progress.check()
    model, old = None, []
    with context.project.store.write() as unit:
        if not unit.jobs.beat(context.job.id):
            raise JobLost(f"Job {context.job.id} was taken from this process; it stops.")
        if finished is not None:
            model = unit.models.add(_new_model(context, finished), context.record.id)
            file = finished.predictions.path.relative_to(context.project.root)
            temperature = finished.model.temperature
            unit.predictions.add(model.id, file.as_posix(), finished.predicted, temperature)
            old = tidy.supersede(unit, model.id)
        queued = unit.queue.replace(entries, context.record.id)
        unit.rounds.finish(
            context.record.id,
            "done",
            model_id=model.id if model else None,
            queued=queued,
            timings=context.watch.timings,
        )
    if finished is not None:
        tidy.delete_forgotten(context.project, old)
        tidy.delete_checkpoints(context.project)
    return model, queued


def _new_model(context: RoundContext, finished: Finished) -> NewModel:
    about = context.about()
    return NewModel(
        path=finished.path.relative_to(context.project.root).as_posix(),
        label_hash=about["label_hash"],
        labels=context.snapshot.labels,
        seed=about["seed"],
        backbone=finished.features.backbone.name,
        device=about["device"],
        class_ids=finished.model.class_ids,
        config=finished.config,
        metrics=finished.metrics,
        timings=dict(context.watch.timings),
        versions=about["versions"],
    )
