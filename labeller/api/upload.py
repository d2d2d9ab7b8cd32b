"""The upload route: images that join the project, and a stream that follows."""

from __future__ import annotations

from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from labeller.api import forms
from labeller.api.access import FullAccess
from labeller.api.models import Problem
from labeller.project import Project
from labeller.services import uploading, watching
from store.records import JobRecord

router = APIRouter(tags=["items"])


class ReceivedFile(BaseModel):
    """One image that arrived; `item` is its number when the project had it already."""

    name: str
    sha256: str
    item: int | None


class Uploaded(BaseModel):
    """What arrived; `job` imports it, None while another import is on: it comes next then."""

    files: list[ReceivedFile]
    job: Annotated[int | None, Field(description="Follow it at `/jobs/{job_id}`.")]


@router.post(
    "/items",
    status_code=202,
    response_model=Uploaded,
    responses={
        411: {"model": Problem},
        507: {"model": Problem, "description": "The disk is full, or too much waits already."},
    },
    openapi_extra=forms.body(),
)
async def upload(request: Request, access: FullAccess) -> dict[str, Any]:
    """Send images, up to 100 MB and 200 files at a time; they are imported and never replaced.

    The token is checked before the body is read. New items join a stream that follows.
    """
    async with forms.form(request, most_fields=10) as form:
        files = [
            (one.filename or "", one.file)
            for one in form.getlist(forms.IMAGES)
            if isinstance(one, UploadFile)
        ]
        received, job = await run_in_threadpool(_take_in, access.project, files)
    return {"files": received, "job": job.id if job else None}


def _take_in(
    project: Project, files: list[tuple[str, BinaryIO]]
) -> tuple[list[uploading.Received], JobRecord | None]:
    """Keep what was sent and begin its import, or leave it to the one who watches."""
    received = uploading.receive(project, files)
    job = uploading.import_arrivals(project)
    watching.ensure(project)
    return received, job
