"""The one way in: every request and websocket is looked at before any page or route sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labeller.gate import sign_in
from labeller.gate.hosts import Host, parse_host, parse_origin
from labeller.gate.page import sign_in_page
from labeller.gate.server import Server, is_foreign

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
API = "/api/v1/"
_NO_TOKEN = ("health", "docs", "openapi.json", "redoc")  # routes that ask for none
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_READS = ("GET", "HEAD", "OPTIONS")
_LONGEST_FORM = 10_000
_HEADERS = {
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is refused; pass the others on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        if answer is None:
            await self._app(scope, receive, _marked(scope, send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "sign in first"})
        else:
            answer.headers.update(_HEADERS)
            await answer(scope, receive, send)

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
            any(name in headers for name in _FORWARDED),
        )
        path = _path(scope)
        if path == SIGN_IN and scope["type"] == "http":
            return await self._sign_in(Request(scope, receive))
        if path == SIGN_OUT and scope["type"] == "http":
            return _sign_out(scope)
        if not server.needs_sign_in(foreign) or await run_in_threadpool(_is_signed_in, headers):
            return None
        if _brings_a_token(path, headers):
            return None  # which the route checks
        return _ask_to_sign_in(scope, path, headers)

    async def _sign_in(self, request: Request) -> Response:
        """Take a code from the address or the form, once."""
        code = request.query_params.get("code", "")
        if request.method == "POST":
            code = await _read_code(request)
        elif request.method != "GET":  # what only looks whether a link works must not use it up
            return Response(status_code=200)
        if not code:
            return HTMLResponse(sign_in_page())
        if not await run_in_threadpool(sign_in.use_code, code.strip()):
            _log.warning("A sign-in with a code that is not good was refused.")
            return HTMLResponse(sign_in_page(refused=True), 403)
        answer = Response(status_code=303, headers={"Location": _home(request.scope)})
        _set_cookie(answer, request.scope, await run_in_threadpool(sign_in.make_cookie))
        return answer


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
    if acts and "origin" in headers:
        origin = parse_origin(headers["origin"])
        return origin is not None and server.hosts.allows_origin(origin, host, scheme)
    site = headers.get("sec-fetch-site", "none")
    steps = headers.get("sec-fetch-mode") == "navigate" and not acts
    framed = headers.get("sec-fetch-dest") in ("iframe", "frame", "embed", "object")
    return site in ("none", "same-origin") or (steps and not framed)


def _is_signed_in(headers: Headers) -> bool:
    cookies = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return False
    cookie = cookies.get(sign_in.cookie_name())
    return cookie is not None and sign_in.check_cookie(cookie.value)


def _brings_a_token(path: str, headers: Headers) -> bool:
    """Whether the API will check a token: programs have one instead of a cookie."""
    if not path.startswith(API) or path.removeprefix(API).strip("/") in _NO_TOKEN:
        return False
    return headers.get("authorization", "").lower().startswith("bearer ")


def _ask_to_sign_in(scope: Scope, path: str, headers: Headers) -> Response:
    if path.startswith(API):
        text = f"Sign in at {SIGN_IN}, or send a token: Authorization: Bearer <token>"
        return JSONResponse({"detail": text}, 401, {"WWW-Authenticate": "Bearer"})
    if "text/html" in headers.get("accept", "") and scope["type"] == "http":
        return HTMLResponse(sign_in_page(), 401)
    return PlainTextResponse("Sign in first.\n", 401)


def _sign_out(scope: Scope) -> Response:
    answer = HTMLResponse(sign_in_page(ended=True))
    answer.delete_cookie(sign_in.cookie_name(), path=_home(scope))
    return answer


def _set_cookie(answer: Response, scope: Scope, value: str) -> None:
    answer.set_cookie(
        sign_in.cookie_name(),
        value,
        max_age=sign_in.COOKIE_SECONDS,
        path=_home(scope),
        secure=scope.get("scheme") == "https",
        httponly=True,
        samesite="lax",
    )


def _home(scope: Scope) -> str:
    """Return the address path of the first page: a server may have a base path."""
    path = str(scope["path"])
    for place in (SIGN_IN, SIGN_OUT):
        path = path.rstrip("/").removesuffix(place)
    return f"{path}/" if path and not path.startswith("//") else "/"


def _path(scope: Scope) -> str:
    """Return the path without a slash at its end; below a base path only ours are found."""
    path = str(scope["path"]).rstrip("/")
    for place in (SIGN_IN, SIGN_OUT):
        if path.endswith(place):
            return place
    return path


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
