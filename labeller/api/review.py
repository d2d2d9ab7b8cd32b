"""Review routes: labels that may be wrong, and what a person decides about them."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from labeller.api.access import FullAccess, LabelAccess, ReadAccess
from labeller.api.jobs import CONFLICT, job_answer
from labeller.api.models import ClassName, Identity, Job, Key, Taken
from labeller.services import cleaning, review_list

router = APIRouter(prefix="/review", tags=["review"])


class SuspectedError(BaseModel):
    """A label to look at again."""

    model_config = ConfigDict(populate_by_name=True)

    item: int
    path: str
    class_: str = Field(alias="class")
    suggested: str | None
    confidence: float | None
    loss: float | None
    kinds: list[str]
    near_duplicate: int | None
    decision: str | None
    by: str | None
    decided_at: float | None


class ReviewAnswer(BaseModel):
    """What the newest search found; `at` is null when there was none."""

    at: float | None
    checked: int = 0
    unjudged: int = 0
    outdated: int = 0
    confirmed: int = 0
    open: int = 0
    suspects: list[SuspectedError] = []


class DecisionRequest(Taken):
    """A decision about one item."""

    session: Key
    item: Identity
    decision: Literal["keep", "relabel", "flag", "put_aside"]
    class_: ClassName | None = Field(
        default=None, alias="class", description="Of `relabel`; the suggested one when left out."
    )


class TakeBackRequest(Taken):
    """Take one's last decision about an item back."""

    session: Key
    item: Identity


@router.get("", response_model=ReviewAnswer)
def review(access: ReadAccess) -> dict[str, Any]:
    """List the labels that may be wrong, as the newest search found them."""
    found = cleaning.review(access.project)
    return {"at": None} if found is None else review_list.to_json(access.project, found)


@router.post("", response_model=Job, status_code=202, responses=CONFLICT)
def search(access: FullAccess) -> dict[str, Any]:
    """Search all labels for errors. Follow it with `GET /jobs/{id}`."""
    return job_answer(cleaning.start(access.project))


@router.post("/decisions", response_model=ReviewAnswer)
def decide(body: DecisionRequest, access: LabelAccess) -> dict[str, Any]:
    """Keep a label, give another, flag the item, or put it aside."""
    review_list.decide_item(
        access.project, body.item, body.decision, access.annotator, body.session, body.class_
    )
    return review(access)


@router.post("/undo", response_model=ReviewAnswer)
def undo(body: TakeBackRequest, access: LabelAccess) -> dict[str, Any]:
    """Take one's own last decision about an item back."""
    review_list.undo_item(access.project, body.item, access.annotator, body.session)
    return review(access)
