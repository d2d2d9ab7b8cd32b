"""The prediction route: images in, one line of JSON for each out."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from labeller.api import forms
from labeller.api.access import ReadAccess
from labeller.api.models import Problem
from labeller.project import Project
from labeller.services.prediction_service import resident
from labeller.services.uploading import MOST_FILES
from store.scratch import make_temporary

router = APIRouter(tags=["predictions"])
KEYS = "keys"
LONGEST_KEY = 1_000
MOST_REQUESTS = 16  # of a project, that being answered included; each may keep 100 MB on the disk
RETRY_SECONDS = 5
_KEYS_SCHEMA = {
    "type": "array",
    "items": {"type": "string", "maxLength": LONGEST_KEY},
    "description": "A key for each image; else its file name.",
}
Given = list[tuple[str, BinaryIO]]


class JsonLines(Response):
    """Lines of JSON."""

    media_type = "application/x-ndjson"


class _Queue:
    """The requests to the model of a project: one has its turn, some may wait for theirs.

    They wait in the event loop: threads that wait would leave none to the other routes.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._requests = 0

    def check(self) -> None:
        """Raise `HTTPException` with status 503 when there is no place."""
        if self._requests >= MOST_REQUESTS:
            raise HTTPException(
                503,
                f"{self._requests} requests for predictions wait already. Try again in a moment.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Keep a place in the queue; errors as `check`."""
        self.check()
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1


_queues: dict[Path, _Queue] = {}


@router.post(
    "/predict",
    response_class=Response,  # of no type of its own: errors are JSON, and documented so
    responses={
        200: {"content": {JsonLines.media_type: {"schema": {"type": "string"}}}},
        411: {"model": Problem},
        409: {"model": Problem, "description": "There is no model yet."},
        503: {"model": Problem, "description": "Too many requests wait; see `Retry-After`."},
        507: {"model": Problem, "description": "The server's disk is full."},
    },
    openapi_extra=forms.body(**{KEYS: _KEYS_SCHEMA}),
)
async def predict(request: Request, access: ReadAccess) -> JsonLines:
    """Predict images by the model in use, up to 100 MB and 200 files at a time.

    The answer is a line of JSON for each image, in any order: `key`, `class`, `confidence`,
    `probabilities`, `energy` and `model`; an image that cannot be read has `error` and `mend`. The
    first request waits for the model to be loaded. One request is answered after the other; where
    too many wait, the answer is 503 and `Retry-After` says in how many seconds to ask again.
    """
    queue = _queues.setdefault(access.project.root, _Queue())
    queue.check()
    temporary = make_temporary("predict")
    try:
        # Only who has sent everything takes a place: one who stalls keeps nobody out.
        files = await _received(request, Path(temporary.name))
        async with queue.place(), queue.turn:
            return await run_in_threadpool(_answer, access.project, files)
    finally:
        await run_in_threadpool(temporary.cleanup)


async def _received(request: Request, folder: Path) -> list[tuple[str, str]]:
    """Keep the images of a request in a folder, and return their keys and paths."""
    async with forms.form(request, most_fields=MOST_FILES + 10) as form:
        files = [one for one in form.getlist(forms.IMAGES) if isinstance(one, UploadFile)]
        keys = [one for one in form.getlist(KEYS) if isinstance(one, str)]
        return await run_in_threadpool(_copied, _keyed(files, keys), folder)


def _keyed(files: list[UploadFile], keys: list[str]) -> Given:
    """Give each image its key."""
    if not files:
        raise HTTPException(422, f"Send images in the field `{forms.IMAGES}`.")
    if keys and len(keys) != len(files):
        raise HTTPException(422, f"{len(files)} images came with {len(keys)} keys. Send as many.")
    named = keys or [one.filename or "" for one in files]
    if any(not key or len(key) > LONGEST_KEY for key in named):
        raise HTTPException(422, f"A key has 1 to {LONGEST_KEY:,} characters.")
    if len(set(named)) < len(named):
        raise HTTPException(422, "Two images have the same key. Send `keys` that differ.")
    return [(key, one.file) for key, one in zip(named, files, strict=True)]


def _copied(given: Given, folder: Path) -> list[tuple[str, str]]:
    files = []
    for number, (key, file) in enumerate(given):
        path = folder / str(number)
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        files.append((key, str(path)))
    return files


def _answer(project: Project, files: list[tuple[str, str]]) -> JsonLines:
    rows = resident(project).predict(project, files)
    return JsonLines("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
