"""The route of the images of kept predictions: the number of a row comes in, never a path."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Response
from fastapi.responses import FileResponse

from labeller.api.access import ReadAccess
from labeller.api.images import GONE, IfNoneMatch, Version, caching
from labeller.api.models import LARGEST_ID
from labeller.errors import ImageBusy, ImageError, PredictionError, TooManyOpenFiles
from labeller.services import prediction_plans, predictions, thumbnails

router = APIRouter(prefix="/predictions", tags=["predictions"])


@router.get("/{number}/images/{row}", response_class=FileResponse, responses=GONE)
def image(
    number: Annotated[int, Path(ge=1, le=LARGEST_ID)],
    row: Annotated[int, Path(ge=0, le=LARGEST_ID)],
    access: ReadAccess,
    size: Literal["thumb", "card"] = "card",
    v: Version = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Send an image that was predicted on the Predict page: a thumbnail, or a large one."""
    project = access.project
    try:
        version = prediction_plans.image_version(project, prediction_plans.plan_of(project, number))
        headers, known = caching(version, size, v, if_none_match)
        if known:
            return Response(status_code=304, headers=headers)
        path = predictions.picture(project, number, row, size)
    except (ImageBusy, TooManyOpenFiles):
        raise  # nothing is wrong with the image
    except ImageError as error:
        raise HTTPException(410, f"{error.reason}. {error.mend}".strip()) from error
    except PredictionError as error:
        raise HTTPException(404, str(error)) from error
    if path is None:
        raise HTTPException(404, f"Prediction {number} has no image {row}.")
    return FileResponse(path, media_type=thumbnails.JPEG, headers=headers)
