"""Middleware: a request whose body does not come on is ended, so that it holds nothing for long."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

IDLE_SECONDS = 30.0  # without a byte of the body
LEAST_RATE = 10_000  # bytes a second, which the slowest of links has
GRACE_SECONDS = 60.0


class Patience:
    """Answer 408 to requests whose body stops, or comes so slowly that it would never end.

    The headers come before any application is asked: of those only the server can grow tired.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and end it when its body is late."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        body = _Body(receive, int(said) if said.isdigit() else 0)
        answered = False

        async def answer(message: Message) -> None:
            nonlocal answered
            if body.late and not answered:
                return  # what it says of a client that went away: this one did not
            answered = True
            await send(message)

        try:
            await self.app(scope, body.next, answer)
        except Exception:
            if not body.late:
                raise
        if body.late and not answered:
            text = "The body of the request did not come on. Send it again, faster."
            response = JSONResponse({"detail": text}, 408, {"Connection": "close"})
            with suppress(OSError):
                await response(scope, receive, send)


@dataclass(slots=True)
class _Body:
    """The messages of a body; one that is late is told as a client that went away."""

    receive: Receive
    length: int
    late: bool = False
    _whole: bool = False
    _begun: float = field(default_factory=time.monotonic)

    async def next(self) -> Message:
        """Return the next message."""
        if self._whole or self.late:
            return await self.receive()
        left = self._begun + GRACE_SECONDS + self.length / LEAST_RATE - time.monotonic()
        try:
            message = await asyncio.wait_for(self.receive(), max(0.0, min(IDLE_SECONDS, left)))
        except TimeoutError:
            self.late = True
            return {"type": "http.disconnect"}
        self._whole = not message.get("more_body")
        return message
