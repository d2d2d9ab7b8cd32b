"""Job routes: how far they are, and cancelling them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from labeller import jobs as service
from labeller.api.access import FullAccess, ReadAccess
from labeller.api.models import LARGEST_ID, Job, Problem
from labeller.project import Project
from store.records import JobRecord

router = APIRouter(prefix="/jobs", tags=["jobs"])
JobId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}
CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": Problem}}


@router.get("", response_model=list[Job])
def jobs(
    access: ReadAccess, limit: Annotated[int, Query(ge=1, le=1_000)] = 50
) -> list[dict[str, Any]]:
    """List the latest jobs, newest first; those whose process died are found out first."""
    service.reap(access.project)
    with access.project.store.read() as unit:
        return [job_answer(record) for record in unit.jobs.all(limit)]


@router.get("/{job_id}", response_model=Job, responses=MISSING)
def one_job(job_id: JobId, access: ReadAccess) -> dict[str, Any]:
    """Return one job."""
    service.reap(access.project)
    return job_answer(_job(access.project, job_id))


@router.post("/{job_id}/cancel", response_model=Job, responses={**MISSING, **CONFLICT})
def cancel(job_id: JobId, access: FullAccess) -> dict[str, Any]:
    """Ask a job to stop; it does so at its next step."""
    _job(access.project, job_id)
    service.cancel(access.project, job_id)
    return job_answer(_job(access.project, job_id))


def _job(project: Project, job_id: int) -> JobRecord:
    """Return a job; one that is not there is answered with 404."""
    with project.store.read() as unit:
        return unit.jobs.get(job_id)


def job_answer(record: JobRecord) -> dict[str, Any]:
    """Return a job as the API shows it; where it runs stays inside."""
    return {
        "id": record.id,
        "kind": record.kind,
        "state": record.state,
        "progress": record.progress,
        "stage": record.stage,
        "message": record.message,
        "detail": dict(record.detail),
        "result": None if record.result is None else dict(record.result),
        "error": record.error,
        "created_at": record.created_at,
        "started_at": record.started_at,
        "heartbeat_at": record.heartbeat_at,
        "finished_at": record.finished_at,
        "cancel_requested": record.cancel_requested,
    }
