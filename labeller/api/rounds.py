"""Round routes: the rounds there were, and starting the next one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from labeller.api.access import FullAccess, ReadAccess
from labeller.api.jobs import CONFLICT, job_answer
from labeller.api.models import LARGEST_ID, Job, Problem, Round, RoundRequest
from labeller.services import rounds as service
from store.records import ModelRecord, RoundRecord

router = APIRouter(prefix="/rounds", tags=["rounds"])


@router.get("", response_model=list[Round])
def rounds(access: ReadAccess) -> list[dict[str, Any]]:
    """List all rounds, oldest first."""
    with access.project.store.read() as unit:
        found = unit.rounds.all()
        models = {model.id: model for model in unit.models.all()}
    return [_answer(record, models.get(record.model_id or 0)) for record in found]


@router.get("/{round_id}", response_model=Round, responses={404: {"model": Problem}})
def one_round(
    round_id: Annotated[int, Path(ge=1, le=LARGEST_ID)], access: ReadAccess
) -> dict[str, Any]:
    """Return one round with its model's figures."""
    with access.project.store.read() as unit:
        record = unit.rounds.get(round_id)
        model = unit.models.get(record.model_id) if record.model_id else None
    return _answer(record, model)


@router.post("", response_model=Job, status_code=202, responses=CONFLICT)
def start(body: RoundRequest, access: FullAccess) -> dict[str, Any]:
    """Start a round: retrain, predict, replace the queue. Follow it with `GET /jobs/{id}`."""
    return job_answer(service.start_round(access.project, body.strategy, body.batch))


def _answer(record: RoundRecord, model: ModelRecord | None) -> dict[str, Any]:
    return {
        "id": record.id,
        "number": record.number,
        "state": record.state,
        "strategy": record.strategy,
        "batch": record.batch,
        "job": record.job_id,
        "model": record.model_id,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "labels": record.labels,
        "spent": record.spent,
        "queued": record.queued,
        "timings": dict(record.timings),
        "error": record.error,
        "metrics": dict(model.metrics) if model else None,
    }
