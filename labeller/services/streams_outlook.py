"""Before a stream: what it would ask, generate and get wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labeller.errors import StreamRunError
from labeller.project import Project
from labeller.services.streams_dry_run import expect
from labeller.services.streams_plan import StreamPlan
from labeller.services.streams_prepare import Prepared, prepare, why_not
from labeller.services.streams_shown import ClassOutlook, Operating, Outlook
from strategies import stream as streaming
from strategies.stream import Forecast

BINS = 20


def outlook(project: Project, plan: StreamPlan) -> Outlook:
    """Say what a stream would cost and bring, or why there can be none. Nothing is written.

    Parameters
    ----------
    project : Project
    plan : StreamPlan

    Returns
    -------
    Outlook
        With `why_not` instead of an error.
    """
    try:
        with project.store.read() as unit:
            prepared = prepare(project, unit, plan)
        prepared.machine(project, plan)
    except StreamRunError as error:
        return Outlook(why_not=str(error))
    pool, source = prepared.pool, prepared.source
    sure = pool.judged.confidences
    curve = streaming.forecast(sure, chances=prepared.evidence.reliability.chances(sure))
    bins = np.histogram(sure, np.linspace(0, 1, BINS + 1))[0]
    shown = Outlook(
        why_not=why_not(prepared, plan),
        notes=prepared.notes,
        model_id=source.model.id,
        model_round=source.round_number,
        items=pool.items,
        sample=pool.seen,
        new_items=pool.unjudged,
        labels_left=prepared.labels_left,
        audits=prepared.audits,
        budget_left=prepared.budget_left,
        thresholds=curve.thresholds,
        questions=np.rint(curve.questions * pool.scale).astype(np.int64),
        errors=curve.errors * pool.scale,
        error_rates=curve.error_rates,
        confidences=np.rint(bins * pool.scale).astype(np.int64),
        expected=expect(project, plan, prepared),
        classes=_classes(prepared),
    )
    return replace(shown, operating=_operating(shown, curve, pool.scale))


def _operating(shown: Outlook, curve: Forecast, scale: float) -> Operating | None:
    """Return the highest threshold whose questions the labels left can pay."""
    if not shown.sample - shown.new_items:
        return None
    place = int(np.searchsorted(shown.questions, shown.labels_left, side="right")) - 1
    return Operating(
        float(shown.thresholds[place]),
        int(shown.questions[place]),
        round(float(curve.generated[place]) * scale),
        float(shown.error_rates[place]),
    )


def _classes(prepared: Prepared) -> tuple[ClassOutlook, ...]:
    """Return what to expect of each class."""
    judged, scale = prepared.pool.judged, prepared.pool.scale
    limits, known = np.array(prepared.limits), prepared.evidence.reliability
    rows = []
    for class_id, name, columns in prepared.source.classes:
        among = np.isin(judged.columns, columns)
        sure = judged.confidences[among]
        taken = sure[sure >= limits[judged.columns[among]]]
        lowest = min(prepared.limits[column] for column in columns)
        rows.append(
            ClassOutlook(
                class_id=class_id,
                name=name,
                predicted=round(len(sure) * scale),
                accept_from=None if lowest == streaming.NEVER else lowest,
                accepted=round(len(taken) * scale),
                errors=float((1 - known.chances(taken)).sum()) * scale,
            )
        )
    return tuple(rows)
