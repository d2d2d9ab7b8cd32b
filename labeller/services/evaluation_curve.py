"""The learning curve: how good the model of each round is, by the labels that it took."""

from __future__ import annotations

from dataclasses import dataclass

from labeller.project import Project
from labeller.services.evaluation_scores import Share
from labeller.services.headline import headlines
from store.records import ModelRecord, RoundRecord


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One model on the learning curve.

    `labels` and `spent` are what there was when its round began; `low` and `high` bound the audit
    `accuracy` at 95 %, measured on the audit labels of now like all the others. `strategy` picked
    the queue of this round, `bought_by` the queue before it, and so most of the labels since the
    last point; None when nothing was picked before.
    """

    labels: int
    spent: float
    accuracy: float
    low: float
    high: float
    round: int
    strategy: str
    bought_by: str | None
    audited: int
    model: int


def learning_curve(project: Project) -> list[CurvePoint]:
    """Return accuracy on the audit labels of now against labels, one point per audited model.

    Parameters
    ----------
    project : Project

    Returns
    -------
    list of CurvePoint
        By round.
    """
    with project.store.read() as unit:
        models = {model.id: model for model in unit.models.all()}
        rounds = [r for r in unit.rounds.all() if r.state == "done"]
    measured = headlines(project, models.values())
    points, before = [], None
    for round_ in rounds:
        model = models.get(round_.model_id) if round_.model_id is not None else None
        if model is not None and measured[model.id].n:
            points.append(_point(round_, model, measured[model.id].measured, before))
        if round_.queued:
            before = round_.strategy
    return points


def _point(round_: RoundRecord, model: ModelRecord, found: Share, before: str | None) -> CurvePoint:
    return CurvePoint(
        labels=round_.labels,
        spent=round_.spent,
        accuracy=found.value or 0.0,
        low=found.low,
        high=found.high,
        round=round_.number,
        strategy=round_.strategy,
        bought_by=before,
        audited=found.n,
        model=model.id,
    )
