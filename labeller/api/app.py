"""The API as one FastAPI application; `app.py` mounts it at ``/api/v1``."""

from __future__ import annotations

import errno
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
from labeller.api.patience import Patience
from labeller.errors import (
    BudgetError,
    ImageBusy,
    JobError,
    LabellerError,
    NoRoomError,
    PredictionError,
    RoundError,
    ScopeError,
    StrangerError,
    TokenError,
    TooManyOpenFiles,
)
from store.errors import Conflict, JobActive, NotFound, StoreError, StoreReadOnly

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
        responses={code: {"model": Problem} for code in (400, 401, 403, 408, 413, 422, 503)},
    )
    predicting, judging = (predict, predictions), (synthetic, review)
    for module in (queue, labels, items, upload, *predicting, rounds, jobs, *judging, overview):
        api.include_router(module.router)
    api.add_middleware(Limits)
    api.add_middleware(Patience)
    api.add_exception_handler(LabellerError, _labeller_error)
    api.add_exception_handler(StoreError, _store_error)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(OSError, _exhausted)

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
    elif isinstance(error, ScopeError | StrangerError):
        status = 403
    elif isinstance(error, BudgetError | JobError | PredictionError | RoundError):
        status = 409
    elif isinstance(error, ImageBusy | TooManyOpenFiles):
        return _later(f"{error}. {error.mend}")
    elif isinstance(error, NoRoomError):
        status = 507
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)


def _exhausted(_: Request, error: Exception) -> JSONResponse:
    """Say what the machine has no more of; other errors of the system are faults of this program.

    Raises
    ------
    OSError
        The error, when it is another one.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return _later(f"{TooManyOpenFiles()}. {TooManyOpenFiles().mend}")
    if number in (errno.ENOSPC, errno.EDQUOT):
        text = "The server's disk is full. Free some space there, then try again."
        return JSONResponse({"detail": text}, 507)
    raise error


def _later(text: str) -> JSONResponse:
    return JSONResponse({"detail": text}, 503, {"Retry-After": str(RETRY_SECONDS)})


def _store_error(_: Request, error: Exception) -> JSONResponse:
    """Turn an error of the store into its status code; a busy or full one may be over soon."""
    if isinstance(error, StoreReadOnly):
        status = 403
    elif isinstance(error, NotFound):
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
