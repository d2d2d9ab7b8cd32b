"""Project routes: status, classes, a fresh token, health."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from labeller import tokens
from labeller.api.access import FullAccess, ReadAccess
from labeller.api.models import (
    LARGEST_ID,
    Budget,
    BudgetRequest,
    ClassAnswer,
    Health,
    Problem,
    Token,
)
from labeller.services import budget as budget_service
from labeller.services import evaluation_json
from labeller.services import status as service
from labeller.services.evaluation_report import evaluate

router = APIRouter(tags=["project"])


@router.get("/status")
def status(access: ReadAccess) -> dict[str, Any]:
    """Return items, budget, queue, model and jobs, as ``labeller status --json`` prints them."""
    return service.status(access.project)


@router.get("/classes", response_model=list[ClassAnswer])
def classes(access: ReadAccess) -> list[dict[str, Any]]:
    """List the classes in their order, with keys, colours and numbers of labels."""
    with access.project.store.read() as unit:
        found = unit.classes.all()
        counts = unit.labels.counts_by_class()
    return [
        {
            "id": record.id,
            "name": record.name,
            "key": record.key,
            "colour": record.colour,
            "labels": counts.get(record.id, 0),
        }
        for record in found
    ]


@router.get("/budget", response_model=Budget)
def budget(access: ReadAccess) -> dict[str, Any]:
    """Return the labelling budget."""
    meter = budget_service.meter(access.project)
    return {
        "total": meter.total,
        "spent": meter.spent,
        "reserved": meter.reserved,
        "left": meter.free,
        "price": access.project.settings.label_price,
    }


@router.put("/budget", response_model=Budget, responses={409: {"model": Problem}})
def set_budget(body: BudgetRequest, access: FullAccess) -> dict[str, Any]:
    """Set the whole budget, what is spent already included."""
    budget_service.set_total(access.project, body.total)
    return budget(access)


@router.get("/evaluation")
def evaluation(
    access: ReadAccess,
    model: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    against: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    labels: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> dict[str, Any]:
    """Say how good a model is, as ``labeller evaluate --json`` prints it."""
    facts = evaluate(access.project, model, against)
    return evaluation_json.as_json(facts, labels or access.project.settings.batch)


@router.post("/token", response_model=Token)
def token(access: ReadAccess) -> dict[str, Any]:
    """Exchange a good token for a fresh one before it expires."""
    fresh, seconds = tokens.renew(access)
    return {"token": fresh, "expires_in": seconds}


@router.get("/health", response_model=Health)
async def health() -> Health:
    """Say that the server answers; needs no token and tells nothing about any project."""
    return Health()
