"""Item routes: one item, and its image by size."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import FileResponse

from labeller.api.access import ReadAccess
from labeller.api.images import GONE, IfNoneMatch, Size, Version, caching
from labeller.api.models import LARGEST_ID, Item, ItemList, Problem
from labeller.errors import ImageBusy, ImageError, TooManyOpenFiles
from labeller.project import Project
from labeller.services import labelling, thumbnails
from labeller.services.item_list import MOST, ItemFilter, Order, list_items
from store.records import ItemRecord, ItemState, Split

router = APIRouter(prefix="/items", tags=["items"])
ItemId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}


@router.get("", response_model=ItemList)
def items(
    access: ReadAccess,
    state: ItemState | None = None,
    class_: Annotated[str | None, Query(alias="class", max_length=200)] = None,
    split: Split | None = None,
    text: Annotated[str | None, Query(max_length=1_000)] = None,
    generated: bool = False,
    order: Order = "newest",
    after: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> dict[str, Any]:
    """List items, filtered, a page at a time."""
    wanted = ItemFilter(state, class_, split, text, generated, order)
    page = list_items(access.project, wanted, after, limit)
    return {
        "items": [listed.to_json() for listed in page.items],
        "total": page.total,
        "after": page.after,
    }


@router.get("/{item_id}", response_model=Item, responses=MISSING)
def item(item_id: ItemId, access: ReadAccess) -> dict[str, Any]:
    """Return one item and its current label."""
    project = access.project
    with project.store.read() as unit:
        record = unit.items.get(item_id)
        label = unit.labels.current(item_id) if record else None
    if record is None:
        raise HTTPException(404, f"There is no item {item_id} in this project.")
    return {
        "item": record.id,
        "name": labelling.item_name(record),
        "width": record.width,
        "height": record.height,
        "state": record.state,
        "image": labelling.image_url(project, record),
        "label": label
        and {
            "class": label.class_id,
            "name": label.class_name,
            "annotator": label.annotator,
            "at": label.at,
        },
    }


@router.get("/{item_id}/image", response_class=FileResponse, responses=GONE)
def image(
    item_id: ItemId,
    access: ReadAccess,
    size: Size = "card",
    v: Version = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Send the item's image: a thumbnail, one for the labelling card, or all its pixels."""
    project = access.project
    with project.store.read() as unit:
        record = unit.items.get(item_id)
    if record is None:
        raise HTTPException(404, f"There is no item {item_id} in this project.")
    headers, known = caching(labelling.image_version(project, record), size, v, if_none_match)
    if known:
        return Response(status_code=304, headers=headers)
    return _file(project, record, size, headers)


def _file(
    project: Project,
    record: ItemRecord,
    size: Size,
    headers: dict[str, str],
) -> Response:
    """Send the image file, or say why it cannot be had."""
    try:
        path, media_type = thumbnails.thumbnail(project, record, size)
        found = path.stat()
    except (ImageBusy, TooManyOpenFiles):
        raise  # nothing is wrong with the image
    except ImageError as error:
        text = f"{record.path}: {error.reason.rstrip('.')}. {error.mend}".strip()
        raise HTTPException(410, text) from error
    except OSError as error:
        text = f"{record.path}: cannot be read ({error.strerror}). Put the file back, or flag it."
        raise HTTPException(410, text) from error
    return FileResponse(path, media_type=media_type, headers=headers, stat_result=found)
