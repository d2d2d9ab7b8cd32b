"""Queue routes: claim, renew, release."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from labeller.api.access import LabelAccess, ReadAccess
from labeller.api.models import (
    Claimed,
    ClaimRequest,
    Meters,
    Released,
    ReleaseRequest,
    Renewed,
    RenewRequest,
)
from labeller.services import labelling

router = APIRouter(prefix="/queue", tags=["labelling"])


@router.get("/version", response_model=Meters)
def version(access: ReadAccess) -> dict[str, Any]:
    """Say which queue there is, and how far it and the budget are: cheap, to be asked often."""
    return labelling.version(access.project)


@router.post("/claim", response_model=Claimed)
def claim(body: ClaimRequest, access: LabelAccess) -> dict[str, Any]:
    """Lease up to `n` items to the session: those it holds first, then the next in the queue."""
    return labelling.claim(access.project, access.annotator, body.session, body.n)


@router.post("/renew", response_model=Renewed)
def renew(body: RenewRequest, access: LabelAccess) -> dict[str, Any]:
    """Extend the leases of the session."""
    return labelling.renew(access.project, access.annotator, body.session)


@router.post("/release", response_model=Released)
def release(body: ReleaseRequest, access: LabelAccess) -> dict[str, Any]:
    """Give leased items back, so that others get them at once."""
    return labelling.release(access.project, access.annotator, body.session, body.items)
