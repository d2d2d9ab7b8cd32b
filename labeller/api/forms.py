"""Forms with images (multipart/form-data): how they are described, and read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import HTTPException, Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException as FormError

from labeller.services.uploading import MOST_FILES

IMAGES = "images"


def body(**others: dict[str, Any]) -> dict[str, Any]:
    """Return how OpenAPI describes a form with images and `others`, a schema for each field."""
    images = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "maxItems": MOST_FILES,
    }
    schema = {"type": "object", "required": [IMAGES], "properties": {IMAGES: images, **others}}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


@asynccontextmanager
async def form(request: Request, most_fields: int) -> AsyncIterator[FormData]:
    """Give the form of a request; its files are gone when the block ends.

    Raises
    ------
    HTTPException
        With status 422, when it is no form or cannot be read.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(422, f"Send a form (multipart/form-data) with the field `{IMAGES}`.")
    try:
        async with request.form(max_files=MOST_FILES, max_fields=most_fields) as given:
            yield given
    except FormError as error:
        if isinstance(error, HTTPException):
            raise
        raise HTTPException(422, f"The form cannot be read: {error.detail}") from error
