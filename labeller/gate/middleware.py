"""The one way in: every request and websocket is looked at before any page or route sees it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labeller import tokens
from labeller.gate import sign_in
from labeller.gate.hosts import Host, parse_host, parse_origin
from labeller.gate.page import sign_in_page
from labeller.gate.server import Server, is_foreign
from labeller.state import state_folder

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
API = "/api/v1/"
_NO_TOKEN = ("health", "docs", "openapi.json", "redoc")  # routes that ask for none
# What proxies add, each its own: a browser sends none of them.
_FORWARDED = ("x-forwarded-", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip")
_FORWARDED_WHOLE = ("forwarded", "via")
_READS = ("GET", "HEAD", "OPTIONS")
_LONGEST_FORM = 10_000
_MOST_WRONG_CODES = 30  # a minute
_HEADERS = {
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
_SIGN_IN_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
_log = logging.getLogger("labeller")


class Gate:
    """Middleware that refuses foreign hosts and origins, and asks for a sign-in where one is due.

    Parameters
    ----------
    app : ASGI application
    describe : callable
        Returns the server, which is known once it listens.
    """

    def __init__(self, app: ASGIApp, describe: Callable[[], Server]) -> None:
        self._app = app
        self._describe = describe
        self._wrong_codes: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is refused; pass the others on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except OSError as error:
            answer = _say_no_state(error)
        if answer is None:
            await self._pass_on(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "sign in first"})
        else:
            answer.headers.update(_HEADERS | _SIGN_IN_HEADERS)
            await answer(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in; a websocket that a cookie opened stays as long as the cookie."""
        headers = Headers(scope=scope)
        if scope["type"] == "websocket" and await run_in_threadpool(_stays_signed_in, headers):
            connection = _Connection(headers, receive, send)
            await self._app(scope, connection.receive, connection.send)
        else:
            await self._app(scope, receive, _marked(scope, send))

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """Return what to say instead of what was asked for; None to let it pass."""
        server, headers = self._describe(), Headers(scope=scope)
        named = headers.getlist("host")
        host = parse_host(named[0]) if len(named) == 1 else None
        if host is None or not server.hosts.allows(host):
            return _refuse_host(host, server)
        if not _same_site(scope, headers, host, server):
            return PlainTextResponse("Another site's page asked for this. It is refused.\n", 403)
        foreign = is_foreign(
            _end(scope, "client"),
            _end(scope, "server"),
            host,
            any(_is_forwarded(name) for name in headers),
        )
        path = str(scope["path"]).removeprefix(server.base)
        if path.rstrip("/") == SIGN_IN and scope["type"] == "http":
            return await self._sign_in(Request(scope, receive), server)
        if path.rstrip("/") == SIGN_OUT and scope["type"] == "http":
            return await run_in_threadpool(_sign_out, headers, server)
        if not server.needs_sign_in(foreign) or await run_in_threadpool(_is_signed_in, headers):
            return None
        if _brings_a_token(path, headers):
            return None  # which the route checks
        return _ask_to_sign_in(scope, path, headers, server)

    async def _sign_in(self, request: Request, server: Server) -> Response:
        """Take a code from the address or the form, once."""
        code = request.query_params.get("code", "")
        if request.method == "POST":
            code = await _read_code(request)
        elif request.method != "GET":  # what only looks whether a link works must not use it up
            return Response(status_code=200)
        elif "prefetch" in request.headers.get("sec-purpose", ""):  # nor a browser that guesses
            return Response(status_code=503)
        if not code:
            return HTMLResponse(sign_in_page(server.base))
        if not await run_in_threadpool(sign_in.use_code, code.strip()):
            return self._refuse_code(server)
        answer = Response(status_code=303, headers={"Location": f"{server.base}/"})
        secure = request.scope.get("scheme") == "https"
        _set_cookie(answer, server, secure, await run_in_threadpool(sign_in.make_cookie))
        return answer

    def _refuse_code(self, server: Server) -> Response:
        """Refuse a wrong code; many are not even noted: a good one works all the while."""
        now = time.monotonic()
        self._wrong_codes = [at for at in self._wrong_codes if at > now - 60]
        if len(self._wrong_codes) >= _MOST_WRONG_CODES:
            text = "Too many codes that are not good. Wait a minute.\n"
            return PlainTextResponse(text, 429, {"Retry-After": "60"})
        self._wrong_codes.append(now)
        _log.warning("A sign-in with a code that is not good was refused.")
        return HTMLResponse(sign_in_page(server.base, refused=True), 403)


class _Connection:
    """A websocket of a browser that is signed in: its next message after that ended ends it."""

    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self._headers, self._receive, self._send = headers, receive, send
        self._over = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return message
        if await run_in_threadpool(_stays_signed_in, self._headers):
            return message
        await self.send({"type": "websocket.close", "code": 1008, "reason": "signed out"})
        self._over = True
        return {"type": "websocket.disconnect", "code": 1008}

    async def send(self, message: Message) -> None:
        if not self._over:  # pages that still draw write into the void
            await self._send(message)


async def _read_code(request: Request) -> str:
    """Return the form's field; the form is small, and no other media type is read."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_FORM:
            return "too long"
    return parse_qs(body.decode("utf-8", "replace")).get("code", [""])[0]


def _refuse_host(host: Host | None, server: Server) -> Response:
    name = host.name if host is not None else "none"
    return PlainTextResponse(
        f"This server does not answer to the host {name[:200]!r}. If it is meant to, start it with "
        f"LABELLER_ALLOWED_HOSTS set to that name, or labeller run --allow-host. "
        f"It answers to: {', '.join(sorted({'localhost', *server.hosts.names}))}.\n",
        403,
    )


def _same_site(scope: Scope, headers: Headers, host: Host, server: Server) -> bool:
    """Whether a request is this site's own, or a person's step from elsewhere to a page."""
    scheme = scope.get("scheme", "http")
    acts = scope["type"] == "websocket" or scope["method"] not in _READS
    if "origin" in headers:  # of what only reads too: its answer may be readable by any site
        origin = parse_origin(headers["origin"])
        return origin is not None and server.hosts.allows_origin(origin, host, scheme)
    site = headers.get("sec-fetch-site", "none")
    steps = headers.get("sec-fetch-mode") == "navigate" and not acts
    framed = headers.get("sec-fetch-dest") in ("iframe", "frame", "embed", "object")
    return site in ("none", "same-origin") or (steps and not framed)


def _say_no_state(error: OSError) -> Response:
    return PlainTextResponse(
        f"Nobody can sign in: {state_folder()} cannot be used ({error.strerror or error}). "
        f"Give it back to the account of the server, or start it with LABELLER_STATE set to "
        f"a folder of its own.\n",
        503,
    )


def _is_forwarded(header: str) -> bool:
    return header in _FORWARDED_WHOLE or header.startswith(_FORWARDED)


def _read_cookie(headers: Headers) -> str:
    """Return the browser's sign-in, empty when it has none; other cookies may be malformed."""
    return sign_in.find_cookie(cookie_parser(headers.get("cookie", "")))


def _is_signed_in(headers: Headers) -> bool:
    cookie = _read_cookie(headers)
    return bool(cookie) and sign_in.check_cookie(cookie)


def _stays_signed_in(headers: Headers) -> bool:
    """Whether a browser is signed in; not when that cannot be told."""
    try:
        return _is_signed_in(headers)
    except OSError:
        return False


def _brings_a_token(path: str, headers: Headers) -> bool:
    """Whether the API will check a token: programs have one instead of a cookie.

    A page's token is for a browser that is signed in: it ends with the sign-in.
    """
    if not path.startswith(API) or path.removeprefix(API).strip("/") in _NO_TOKEN:
        return False
    kind, _, token = headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and not tokens.says_page(token.strip())


def _ask_to_sign_in(scope: Scope, path: str, headers: Headers, server: Server) -> Response:
    if path.startswith(API):
        text = f"Sign in at {server.base}{SIGN_IN}. Programs send: Authorization: Bearer <token>"
        return JSONResponse({"detail": text}, 401, {"WWW-Authenticate": "Bearer"})
    if "text/html" in headers.get("accept", "") and scope["type"] == "http":
        return HTMLResponse(sign_in_page(server.base), 401)
    return PlainTextResponse("Sign in first.\n", 401)


def _sign_out(headers: Headers, server: Server) -> Response:
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return PlainTextResponse("Another site's page asked for this. It is refused.\n", 403)
    if cookie := _read_cookie(headers):
        sign_in.end_cookie(cookie)
    answer = HTMLResponse(sign_in_page(server.base, ended=True))
    answer.delete_cookie(sign_in.cookie_name(), path=f"{server.base}/")
    return answer


def _set_cookie(answer: Response, server: Server, secure: bool, value: str) -> None:
    answer.set_cookie(
        sign_in.cookie_name(),
        value,
        max_age=sign_in.COOKIE_SECONDS,
        path=f"{server.base}/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def _end(scope: Scope, name: str) -> str | None:
    end = scope.get(name)
    return str(end[0]) if end else None


def _marked(scope: Scope, send: Send) -> Send:
    """Return a `send` that keeps other sites from framing pages."""

    async def mark(message: Message) -> None:
        if scope["type"] == "http" and message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return mark
