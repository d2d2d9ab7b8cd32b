"""Label propagation as a job: judge the rest of the pool, label what is sure enough, audit."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from labeller.errors import JobCancelled, JobLost, StreamRunError
from labeller.learning import device, spreading, stream_predict
from labeller.learning.extraction import compute_missing
from labeller.learning.features import Features, Scaling, open_features
from labeller.learning.images import Ints
from labeller.learning.snapshot import lacking, take
from labeller.learning.spreading import Spread
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import propagation_run, streams_audit, streams_run
from labeller.services.propagation import SPREADING
from labeller.services.streams_plan import plan_of
from labeller.services.streams_pool import PAGE, Judged, Source, arriving, source_of
from store.records import JobRecord
from store.records_made import GeneratedRunRecord

STAGE = "propagate"


class Judge(Protocol):
    """Who says what items show; `notes` name what it could not learn from."""

    class_ids: tuple[int, ...]
    notes: list[str]

    def about(self) -> dict[str, Any]:
        """Return, as JSON values, how it judges."""

    def judge(self, ids: Ints) -> Judged:
        """Return what it says of those of the items (n,) that can be read."""


def run_propagation_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Look at all items without a label, in order, and give the sure ones a generated label.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; its parameter is ``run``.
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``run``, ``state``, ``reason``, ``passed``, ``accepted`` and ``audits`` newly
        queued.

    Raises
    ------
    LabellerError
        When the run has ended, its model or predictions are gone, or labels are missing.
    JobCancelled
        When somebody pressed Cancel; the run is paused then, and can go on. One by spreading
        spreads the labels of then.
    """
    run = streams_run.take_on(project, job)
    try:
        judge = _judge(project, run, progress)
        run = propagation_run.describe(project, job.id, run.id, judge.about())
        audits = _pass(project, job, judge, run, progress)
    except JobLost:
        raise
    except JobCancelled:
        streams_run.leave(project, run.id, streams_run.STOPPED)
        raise
    except Exception as error:
        streams_run.leave(project, run.id, str(error))
        raise
    with project.store.read() as unit:
        run = unit.generated.get(run.id)
    return {
        "run": run.id,
        "state": run.state,
        "reason": run.reason,
        "passed": int(run.machine["passed"]),
        "accepted": run.accepted,
        "audits": audits,
        "message": " ".join(judge.notes),
    }


def _judge(project: Project, run: GeneratedRunRecord, progress: Progress) -> Judge:
    """Return who judges in a run."""
    if run.strategy == SPREADING:
        return Spreader(project, run, progress)
    with project.store.read() as unit:
        source = source_of(project, unit, run.model_id)
    return Predicted(project, source, progress)


def _pass(
    project: Project, job: JobRecord, judge: Judge, run: GeneratedRunRecord, progress: Progress
) -> int:
    """Look at items page by page; return how many audits were queued."""
    audits = 0
    while True:
        with project.store.read() as unit:
            ids = unit.generated_labels.arrivals(run.cursor, limit=PAGE)
            total = int(run.machine["passed"]) + unit.generated_labels.arrivals_count(run.cursor)
        if not len(ids):
            audits += streams_audit.draw(project, run.id, None, 0).asked
            if propagation_run.settle(project, job.id, run.id):
                return audits
            continue
        judged, upto = judge.judge(ids), int(ids[-1])
        while step := propagation_run.advance(
            project, job.id, run.id, judged, judge.class_ids, upto
        ):
            run = step
            text = f"{run.accepted:,} generated"
            progress.update(STAGE, int(run.machine["passed"]), total, text)
            progress.check()


class Predicted:
    """The run's model: by its predictions, made first for items that are newer."""

    def __init__(self, project: Project, source: Source, progress: Progress) -> None:
        self.class_ids = source.model.class_ids
        self._project = project
        self._source = source
        self._progress = progress
        self._model: Any = None
        self.notes: list[str] = []

    def about(self) -> dict[str, Any]:
        """Return nothing: the model's own record says how it was calibrated."""
        return {}

    def judge(self, ids: Ints) -> Judged:
        """Return the predictions of items (n,)."""
        missing = ids[~self._source.has(ids)]
        if len(missing):
            if self._model is None:
                self._model = stream_predict.load(self._project, self._source)
            stream_predict.predict(
                self._project, self._model, self._source, missing, self._progress
            )
        return self._source.read(ids)


class Spreader:
    """The labels of training, spread over embeddings of all that is unlabelled now."""

    def __init__(self, project: Project, run: GeneratedRunRecord, progress: Progress) -> None:
        snapshot = take(project)
        features = open_features(project, snapshot.ids)
        self._features = features.leaving_out_replaced(project, snapshot.label_ids)
        self.notes = self._features.notes()
        with project.store.read() as unit:
            pages = list(arriving(unit, run.cursor))
        pool = np.concatenate([snapshot.ids[:0], *pages])
        where = device.choose(project.settings.device)
        wanted = np.union1d(snapshot.label_ids, pool)
        compute_missing(project, self._features, wanted, where, progress)
        readable = self._features.having(snapshot.label_ids)
        train = snapshot.part("train").among(readable)
        lack = lacking(snapshot, train)
        if lack is not None:
            raise StreamRunError(lack)
        self._scaling: Scaling = _scaling(self._features, snapshot.pool_ids)
        self.class_ids = snapshot.class_ids
        plan = plan_of(run)
        seed = project.settings.seed if plan.seed is None else plan.seed
        progress.update("graph", 0, None, "Spreading labels")
        self._spread: Spread = spreading.spread(
            train,
            snapshot.part("valid").among(readable),
            self._features.having(pool),
            len(self.class_ids),
            self._embed,
            np.random.default_rng([seed, run.id]),
        )
        self._labels = len(train)

    def about(self) -> dict[str, Any]:
        """Return size and calibration of the graph."""
        found = self._spread
        return {
            "nodes": len(found.nodes),
            "labels": self._labels,
            "temperature": found.temperature,
            "valid_n": found.valid_n,
            "valid_accuracy": found.valid_accuracy,
        }

    def judge(self, ids: Ints) -> Judged:
        """Return the likeliest class of items (n,) with its calibrated share."""
        known = self._features.having(ids)
        probs = self._spread.probs(known, self._embed)
        columns = probs.argmax(axis=1)
        sure = probs[np.arange(len(known)), columns].astype(np.float64)
        return Judged(known, columns, np.clip(sure, 0.0, 1.0))

    def _embed(self, ids: Ints) -> Any:
        return self._features.embeddings(ids, self._scaling)


def _scaling(features: Features, pool: Ints) -> Scaling:
    return features.scaling(features.having(pool))
