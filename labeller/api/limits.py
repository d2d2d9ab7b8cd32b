"""Middleware: request bodies stay small, and no answer is guessed to be another type."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 1_000_000
UPLOADS = ("/items", "/predict")
MOST_UPLOAD_BYTES = 100_000_000
MOST_RECEIVED_BYTES = 2_000_000_000  # of all uploads that are being received or answered
SPARE_BYTES = 300_000_000  # of the disk
RETRY_SECONDS = 5


class Limits:
    """Refuse bodies over `most` bytes with 413, whether their length is said or not.

    Uploads of images may be larger, and have to say their length. They are not read here but
    counted: one that sends more than it may is ended, and all together have a limit too.
    """

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES) -> None:
        self.app = app
        self.most = most
        self.received = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on once its body is in and small enough."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        if scope["method"] == "POST" and scope["path"].endswith(UPLOADS):
            refused = _refuse_upload(said)
            await (refused or _Upload(self, int(said)))(scope, receive, send)
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


class _UploadError(Exception):
    """Raised where the body is read, with the answer."""

    def __init__(self, answer: JSONResponse) -> None:
        super().__init__("the upload is refused")
        self.answer = answer


class _Upload:
    """Passes an upload on and counts what comes of it."""

    def __init__(self, limits: Limits, length: int) -> None:
        self._limits = limits
        self._length = length
        self._came = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one upload on; answer it when it becomes too large."""

        async def counted() -> Message:
            message = await receive()
            self._count(len(message.get("body", b"")))
            return message

        try:
            await _Marked(self._limits.app)(scope, counted, send)
        except _UploadError as error:
            await error.answer(scope, receive, send)
        finally:
            self._limits.received -= self._came

    def _count(self, size: int) -> None:
        self._came += size
        self._limits.received += size
        if self._came > self._length:
            raise _UploadError(_too_large(self._length))
        if self._limits.received > MOST_RECEIVED_BYTES:
            raise _UploadError(
                JSONResponse(
                    {"detail": "Many other images are being received. Try again in a moment."},
                    503,
                    {"Retry-After": str(RETRY_SECONDS), "Connection": "close"},
                )
            )


def _refuse_upload(said: str) -> JSONResponse | None:
    """Return the answer to an upload that says no length, or too large a one, or finds no room."""
    if not (said.isascii() and said.isdigit()):
        return JSONResponse({"detail": "Say the Content-Length of the images."}, status_code=411)
    if int(said) > MOST_UPLOAD_BYTES:
        return _too_large(MOST_UPLOAD_BYTES)
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if free < int(said) + SPARE_BYTES:
        text = f"{folder}: only {free / 1e6:,.0f} MB are free on the server. Free some space there."
        return JSONResponse({"detail": text}, 507)
    return None


def _too_large(most: int) -> JSONResponse:
    text = f"The images are larger than {most:,} bytes. Send fewer at a time."
    return JSONResponse({"detail": text}, 413, {"Connection": "close"})
