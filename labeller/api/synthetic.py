"""Synthetic item routes: those to judge, their pictures, and what a person says of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from labeller.api.access import LabelAccess, ReadAccess
from labeller.api.images import GONE, IfNoneMatch, Size, Version, caching
from labeller.api.models import LARGEST_ID, MOST_EVENTS, Identity, Problem, Taken
from labeller.errors import ImageError
from labeller.services import checking, child_verdicts, labelling, synthesis
from labeller.services.checking import Pair

router = APIRouter(prefix="/synthetic", tags=["synthetic"])
SyntheticId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}


class Child(BaseModel):
    """A synthetic item, and the image that it was made of."""

    model_config = ConfigDict(populate_by_name=True)

    synthetic: int
    run: int
    class_: str = Field(alias="class", description="The name of the class that it should be of.")
    colour: str
    recipe: str
    parameters: dict[str, float | int | str]
    width: int
    height: int
    image: str = Field(description="Below the API's root; add `&size=thumb|card|full`.")
    parent: int
    parent_name: str
    parent_width: int
    parent_height: int
    parent_image: str


class ToCheck(BaseModel):
    """The next synthetic items that nobody judged."""

    items: list[Child]
    left: int = Field(description="How many come after `after`, these included.")


class Verdict(Taken):
    """What a person says of one synthetic item."""

    synthetic: Identity
    verdict: Literal["keep", "drop"] | None = Field(
        description="`keep`: still of its class; `drop`: not to be learned from; null: unjudged."
    )
    own: bool = Field(
        default=False,
        description="For undo and redo: what somebody else has said since stays as it is.",
    )


class VerdictsRequest(Taken):
    """A batch of verdicts, in the order they were given."""

    verdicts: list[Verdict] = Field(min_length=1, max_length=MOST_EVENTS)


class Judged(BaseModel):
    """How many synthetic items were found and judged."""

    judged: int
    others: list[int] = Field(description="Those that somebody else has judged and that keep that.")


@router.get("", response_model=ToCheck)
def to_check(
    access: ReadAccess,
    run: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
) -> dict[str, Any]:
    """List pictures that nobody judged and whose parents still have the label they inherited."""
    found, left = checking.waiting(access.project, run, after, limit)
    return {"items": [_child(access, pair) for pair in found], "left": left}


@router.post("/verdicts", response_model=Judged)
def verdicts(body: VerdictsRequest, access: LabelAccess) -> dict[str, Any]:
    """Say of synthetic items whether they are still of their class; the last word counts."""
    said = {one.synthetic: (one.verdict, one.own) for one in body.verdicts}
    judged = 0
    others: list[int] = []
    for verdict, own in set(said.values()):
        ids = [number for number, given in said.items() if given == (verdict, own)]
        if own:
            count, left = child_verdicts.judge_own(access.project, ids, verdict, access.annotator)
            others += left
        else:
            count = synthesis.judge(access.project, ids, verdict, access.annotator)
        judged += count
    return {"judged": judged, "others": sorted(others)}


@router.get("/{synthetic_id}/image", response_class=FileResponse, responses=GONE)
def image(
    synthetic_id: SyntheticId,
    access: ReadAccess,
    size: Size = "card",
    v: Version = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Send a synthetic item's picture: a thumbnail, or all its pixels."""
    with access.project.store.read() as unit:
        record = unit.synthetic.get(synthetic_id)
    if record is None:
        raise HTTPException(404, f"There is no synthetic item {synthetic_id} in this project.")
    headers, known = caching(checking.image_version(access.project, record), size, v, if_none_match)
    if known:
        return Response(status_code=304, headers=headers)
    try:
        path, media_type = synthesis.picture(access.project, record, size)
        found = path.stat()
    except (ImageError, OSError) as error:
        reason = getattr(error, "reason", None) or f"it cannot be read ({error})"
        text = f"Synthetic item {record.id}: {reason.rstrip('.')}. Delete its run and make it anew."
        raise HTTPException(410, text) from error
    return FileResponse(path, media_type=media_type, headers=headers, stat_result=found)


def _child(access: ReadAccess, pair: Pair) -> dict[str, Any]:
    """Return a pair as the API shows it."""
    child, parent = pair.child, pair.parent
    return {
        "synthetic": child.id,
        "run": child.run_id,
        "class": pair.class_.name,
        "colour": pair.class_.colour,
        "recipe": child.recipe,
        "parameters": dict(child.plan.get("parameters", {})),
        "width": child.width,
        "height": child.height,
        "image": checking.image_url(access.project, child),
        "parent": parent.id,
        "parent_name": labelling.item_name(parent),
        "parent_width": parent.width,
        "parent_height": parent.height,
        "parent_image": labelling.image_url(access.project, parent),
    }
