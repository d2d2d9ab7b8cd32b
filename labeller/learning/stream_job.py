"""The stream as a job: predict what is new, let the items pass, draw the audit."""

from __future__ import annotations

from typing import Any

from labeller.errors import JobCancelled, JobLost
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import streams_audit, streams_run
from labeller.services.streams_pool import PAGE, Source, source_of
from labeller.services.streams_shown import Ints
from store.records import JobRecord
from store.records_made import GeneratedRunRecord

STAGE = "stream"


def run_stream_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Let items pass until all have, or the labels are spent.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; its parameter is ``run``.
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``run``, ``state``, ``reason``, ``asked``, ``accepted``, ``deferred``,
        ``unreached``, ``unpredicted`` (items whose image cannot be read, passed over) and
        ``audits`` newly queued.

    Raises
    ------
    LabellerError
        When the run has ended, or its model or predictions are gone.
    JobCancelled
        When somebody pressed Cancel; the run is paused then, and can go on.
    """
    run = streams_run.take_on(project, job)
    try:
        with project.store.read() as unit:
            source = source_of(project, unit, run.model_id)
        counts = _pass(project, job, source, run, progress)
    except JobLost:
        raise
    except JobCancelled:
        streams_run.leave(project, run.id, streams_run.STOPPED)
        raise
    except Exception as error:
        streams_run.leave(project, run.id, str(error))
        raise
    return _result(project, run.id, counts)


def _pass(
    project: Project, job: JobRecord, source: Source, run: GeneratedRunRecord, progress: Progress
) -> dict[str, int]:
    """Let items pass, page by page; return how many had no prediction, and audits drawn."""
    predictor = _Late(project, source, progress)
    counts = {"unpredicted": 0, "audits": 0}
    with project.store.read() as unit:
        items = run.passed + unit.generated_labels.arrivals_count(run.cursor)
    while True:
        with project.store.read() as unit:
            ids = unit.generated_labels.arrivals(run.cursor, limit=PAGE)
        items = max(items, run.passed + len(ids))
        predictor.complete(ids)
        upto = int(ids[-1]) if len(ids) else run.cursor
        while step := streams_run.advance(project, job.id, run.id, source, upto):
            run = step.run
            counts["unpredicted"] += step.unpredicted
            progress.update(STAGE, run.passed, items, _message(run), **_counted(run))
            progress.check()
        if run.cursor < upto or not len(ids):
            counts["audits"] += streams_audit.draw(project, run.id, None, 0).asked
            if streams_run.settle(project, job.id, run.id):
                return counts


class _Late:
    """The run's model, loaded when an item turns up that it has not judged: torch takes seconds."""

    def __init__(self, project: Project, source: Source, progress: Progress) -> None:
        self._project = project
        self._source = source
        self._progress = progress
        self._model: Any = None

    def complete(self, ids: Ints) -> None:
        """Predict those of the items (n,) that have no prediction; unreadable ones stay without."""
        missing = ids[~self._source.has(ids)]
        if not len(missing):
            return
        from labeller.learning import stream_predict

        if self._model is None:
            self._model = stream_predict.load(self._project, self._source)
        stream_predict.predict(self._project, self._model, self._source, missing, self._progress)


def _result(project: Project, run_id: int, counts: dict[str, int]) -> dict[str, Any]:
    with project.store.read() as unit:
        run = unit.generated.get(run_id)
        unreached = unit.generated_labels.arrivals_count(run.cursor)
    about = {"run": run.id, "state": run.state, "reason": run.reason, "unreached": unreached}
    return about | _counted(run) | counts


def _counted(run: GeneratedRunRecord) -> dict[str, int]:
    return {"asked": run.asked, "accepted": run.accepted, "deferred": run.deferred}


def _message(run: GeneratedRunRecord) -> str:
    return f"{run.asked:,} asked, {run.accepted:,} generated, {run.deferred:,} left in the pool"
