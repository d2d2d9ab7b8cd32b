"""Project routes: status, classes, a fresh token, health."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from labeller import tokens
from labeller.api.access import Access
from labeller.api.models import ClassAnswer, Health, Token
from labeller.services import status as service

router = APIRouter(tags=["project"])


@router.get("/status")
def status(access: Access) -> dict[str, Any]:
    """Return items, budget, queue, model and jobs, as ``labeller status --json`` prints them."""
    return service.status(access.project)


@router.get("/classes", response_model=list[ClassAnswer])
def classes(access: Access) -> list[dict[str, Any]]:
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


@router.post("/token", response_model=Token)
def token(access: Access) -> dict[str, Any]:
    """Exchange a good token for a fresh one before it expires."""
    fresh = tokens.make(access.project, access.annotator, access.source)
    return {"token": fresh, "expires_in": access.project.settings.token_hours * 3600}


@router.get("/health", response_model=Health)
def health() -> Health:
    """Say that the server answers; needs no token and tells nothing about any project."""
    return Health()
