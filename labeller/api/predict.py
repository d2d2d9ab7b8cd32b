"""The prediction route: images in, one line of JSON for each out."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile

from labeller.api import forms
from labeller.api.access import Access
from labeller.api.models import Problem
from labeller.project import Project
from labeller.services.prediction_service import resident
from labeller.services.uploading import MOST_FILES

router = APIRouter(tags=["predictions"])
KEYS = "keys"
LONGEST_KEY = 1_000
JSON_LINES = "application/x-ndjson"
_KEYS_SCHEMA = {
    "type": "array",
    "items": {"type": "string", "maxLength": LONGEST_KEY},
    "description": "A key for each image; else its file name.",
}
Given = list[tuple[str, BinaryIO]]


@router.post(
    "/predict",
    response_class=StreamingResponse,
    responses={
        200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}},
        411: {"model": Problem},
        409: {"model": Problem, "description": "There is no model yet."},
    },
    openapi_extra=forms.body(**{KEYS: _KEYS_SCHEMA}),
)
async def predict(request: Request, access: Access) -> StreamingResponse:
    """Predict images by the model in use, up to 100 MB and 200 files at a time.

    The answer is a line of JSON for each image, in any order: `key`, `class`, `confidence`,
    `probabilities`, `energy` and `model`; an image that cannot be read has `error` and `mend`. The
    first request waits for the model to be loaded, the next are answered at once.
    """
    async with forms.form(request, most_fields=MOST_FILES + 10) as form:
        files = [one for one in form.getlist(forms.IMAGES) if isinstance(one, UploadFile)]
        keys = [one for one in form.getlist(KEYS) if isinstance(one, str)]
        given = _keyed(files, keys)
        lines = await run_in_threadpool(_begun, access.project, given)
    return StreamingResponse(lines, media_type=JSON_LINES)


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


def _begun(project: Project, given: Given) -> Iterator[str]:
    """Keep the images until they are predicted, and wait for the first line: what fails, fails."""
    folder = tempfile.mkdtemp(prefix="labeller-predict-")
    rows = _rows(project, given, Path(folder))
    return itertools.chain([next(rows)], rows)


def _rows(project: Project, given: Given, folder: Path) -> Iterator[str]:
    try:
        files = []
        for number, (key, file) in enumerate(given):
            path = folder / str(number)
            with path.open("wb") as copy:
                shutil.copyfileobj(file, copy)
            files.append((key, str(path)))
        for row in resident(project).predict(project, files):
            yield _line(row)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
