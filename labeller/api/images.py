"""What the routes of images share: what they are asked, and how long an answer may be kept."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Header, Query

from labeller.api.models import Problem

FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
GONE: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem},
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The image the client has is still right."},
    410: {"model": Problem, "description": "The file is gone or cannot be read any more."},
}
Size = Literal["thumb", "card", "full"]
Version = Annotated[
    str | None, Query(max_length=64, description="From `image`: lets the answer be kept.")
]
IfNoneMatch = Annotated[str | None, Header(max_length=1_000)]


def caching(
    version: str, size: str, asked: str | None, known: str | None
) -> tuple[dict[str, str], bool]:
    """Return the headers of an image's answer, and whether the client has it already.

    Parameters
    ----------
    version, size : str
        Of the image as it is now.
    asked : str or None
        The version in the request's address.
    known : str or None
        The request's header ``If-None-Match``.
    """
    tag = f'"{version}-{size}"'
    headers = {"ETag": tag, "Cache-Control": FOR_EVER if asked == version else ASK_AGAIN}
    return headers, known is not None and tag in (one.strip() for one in known.split(","))
