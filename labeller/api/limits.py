"""Middleware: request bodies stay small, and no answer is guessed to be another type."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 1_000_000
UPLOADS = ("/items", "/predict")
MOST_UPLOAD_BYTES = 100_000_000


class Limits:
    """Refuse bodies over `most` bytes with 413, whether their length is said or not.

    Uploads of images may be larger; they have to say their length, and are not read here.
    """

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on once its body is in and small enough."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        if scope["method"] == "POST" and scope["path"].endswith(UPLOADS):
            refused = _too_large(said)
            await (refused or _Marked(self.app))(scope, receive, send)
            return
        messages = None if said.isdigit() and int(said) > self.most else await self._body(receive)
        if messages is None:
            text = f"The request is larger than {self.most:,} bytes. Send fewer events at a time."
            await JSONResponse({"detail": text}, status_code=413)(scope, receive, send)
            return

        async def replayed() -> Message:
            return messages.pop(0) if messages else await receive()

        await _Marked(self.app)(scope, replayed, send)

    async def _body(self, receive: Receive) -> list[Message] | None:
        """Read the body's messages; None once they are too large."""
        messages: list[Message] = []
        read = 0
        while not messages or messages[-1].get("more_body"):
            messages.append(await receive())
            read += len(messages[-1].get("body", b""))
            if read > self.most:
                return None
        return messages


class _Marked:
    """Forbids browsers to guess the type of an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and mark its answer."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, marked)


def _too_large(said: str) -> JSONResponse | None:
    """Return the answer to an upload that says no length, or too large a one."""
    if not said.isdigit():
        return JSONResponse({"detail": "Say the Content-Length of the images."}, status_code=411)
    if int(said) > MOST_UPLOAD_BYTES:
        text = f"The images are larger than {MOST_UPLOAD_BYTES:,} bytes. Send fewer at a time."
        return JSONResponse({"detail": text}, status_code=413)
    return None
