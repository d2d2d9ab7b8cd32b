"""Label routes: record what was done, take it back. A retry with the same keys is harmless."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from labeller.api.access import LabelAccess
from labeller.api.models import LabelsRequest, Recorded, RedoRequest, UndoRequest
from labeller.services import labelling
from labeller.services.labelling import Act

router = APIRouter(tags=["labelling"])


@router.post("/labels", response_model=Recorded)
def labels(body: LabelsRequest, access: LabelAccess) -> dict[str, Any]:
    """Label, skip or flag items; each event is answered on its own."""
    acts = [
        Act(
            key=event.key,
            kind=event.kind,
            item=event.item,
            label=event.class_,
            class_id=event.class_id,
            reason=event.reason,
            duration_ms=event.duration_ms,
            client_at=event.client_at,
        )
        for event in body.events
    ]
    return labelling.record(access.project, access.annotator, body.session, access.source, acts)


@router.post("/undo", response_model=Recorded)
def undo(body: UndoRequest, access: LabelAccess) -> dict[str, Any]:
    """Take events back; each item returns to the session's queue."""
    acts = [Act(key=event.key, kind="undo", undoes=event.undoes) for event in body.events]
    return labelling.record(access.project, access.annotator, body.session, access.source, acts)


@router.post("/redo", response_model=Recorded)
def redo(body: RedoRequest, access: LabelAccess) -> dict[str, Any]:
    """Do again what was taken back, as new events; refused where somebody has decided since."""
    acts = [Act(key=event.key, kind="redo", redoes=event.redoes) for event in body.events]
    return labelling.record(access.project, access.annotator, body.session, access.source, acts)
