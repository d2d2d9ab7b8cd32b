"""The API as one FastAPI application; `app.py` mounts it at ``/api/v1``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse

from labeller.api import (
    docs,
    items,
    jobs,
    labels,
    overview,
    predict,
    predictions,
    queue,
    review,
    rounds,
    synthetic,
    upload,
)
from labeller.api.limits import Limits
from labeller.api.models import Problem
from labeller.errors import (
    BudgetError,
    JobError,
    LabellerError,
    PredictionError,
    RoundError,
    ScopeError,
    TokenError,
)
from store.errors import Conflict, JobActive, NotFound, StoreError

RETRY_SECONDS = 2
SUMMARY = """Claim items, label them, take labels back, follow rounds and jobs.

Every route but `/health` needs a project's token: `Authorization: Bearer <token>`. Events carry
a key made by the client; sending one again changes nothing, so a client may retry until answered.
"""


def create_api() -> FastAPI:
    """Return the API application.

    Returns
    -------
    FastAPI
        Synchronous routes, run in the server's thread pool, so that a slow disk never blocks the
        pages. No CORS headers: other sites' scripts cannot read it.
    """
    api = FastAPI(
        title="Labelling workbench",
        version=_version(),
        description=SUMMARY,
        docs_url=None,
        redoc_url=None,
        responses={code: {"model": Problem} for code in (400, 401, 403, 413, 422, 503)},
    )
    predicting, judging = (predict, predictions), (synthetic, review)
    for module in (queue, labels, items, upload, *predicting, rounds, jobs, *judging, overview):
        api.include_router(module.router)
    api.add_middleware(Limits)
    api.add_exception_handler(LabellerError, _labeller_error)
    api.add_exception_handler(StoreError, _store_error)
    api.add_exception_handler(RequestValidationError, _invalid)

    @api.get("/docs", include_in_schema=False)
    def documentation() -> HTMLResponse:
        return HTMLResponse(docs.page(api.openapi()))

    return api


def _version() -> str:
    try:
        return version("labeller")
    except PackageNotFoundError:
        return "0"


def _labeller_error(_: Request, error: Exception) -> JSONResponse:
    """Turn an error meant for a person into its status code and text."""
    status, headers = 400, {}
    if isinstance(error, TokenError):
        status, headers = 401, {"WWW-Authenticate": "Bearer"}
    elif isinstance(error, ScopeError):
        status = 403
    elif isinstance(error, BudgetError | JobError | PredictionError | RoundError):
        status = 409
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)


def _store_error(_: Request, error: Exception) -> JSONResponse:
    """Turn an error of the store into its status code; a busy or full one may be over soon."""
    if isinstance(error, NotFound):
        status = 404
    else:
        status = 409 if isinstance(error, Conflict | JobActive) else 503
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Name the first wrong field; what was sent is not echoed."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    text = f"{where}: {first['msg']}".encode("utf-8", "replace").decode("utf-8")
    return JSONResponse({"detail": text}, status_code=422)
