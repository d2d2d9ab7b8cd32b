"""What every page's HTML gets before Streamlit's scripts run: our style sheet, a font, patience.

Styles that a page brings itself arrive after its first parts, which then jump to their places. And
those parts come one by one, each first as a grey box of another size: the first view of a page is
shown when it is whole.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from html import escape
from pathlib import Path
from typing import Any

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STYLE = Path(__file__).parent / "style.css"
_MEDIA = Path(streamlit.__file__).parent / "static" / "static" / "media"
_END = b"</body>"  # after Streamlit's own styles, which would win else
_LONGEST = 12_000  # milliseconds of drawing; what is not there by then comes in sight of all
_CALM = 8  # looks in a row at a page that is whole: the last parts come after the run has ended
_PATIENCE = f"""<script>
(() => {{
  let calm = 0, since = null;
  const drawing = "[data-testid=stSkeleton], [data-testid=stPlotlyChart]:not(:has(.main-svg))";
  const look = () => {{
    const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
    if (state === "running") since ??= performance.now();
    const pictures = [...document.querySelectorAll(".stMain img:not([loading=lazy])")];
    const whole = state === "notRunning" && !document.querySelector(drawing)
      && pictures.every((picture) => picture.complete);
    calm = whole ? calm + 1 : 0;
    const late = performance.now() - (since ?? performance.now()) > {_LONGEST};
    if (calm < {_CALM} && !late) setTimeout(look, 40);
    else {{
      mend();
      setInterval(mend, 1000);
      document.documentElement.classList.add("lb-drawn");
    }}
  }};
  // On a phone the navigation is a list of groups, each with its items: no list as HTML knows it.
  const mend = () => {{
    for (const list of document.querySelectorAll("[data-testid=stSidebarNavItems]")) {{
      list.setAttribute("role", "group");
      for (const item of list.querySelectorAll("li:not([role])")) item.setAttribute("role", "none");
    }}
  }};
  look();
}})();
</script>"""
# Of a page that is put together there is no copy to compare with, and no compressed one.
_UNFIT = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")


class FirstView:
    """Middleware that puts our parts into Streamlit's page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; only pages are changed."""
        if not _asks_for_a_page(scope):
            await self._app(scope, receive, send)
            return
        headers = [one for one in scope["headers"] if one[0] not in _UNFIT]
        await self._app({**scope, "headers": headers}, receive, _Page(send).send)


class _Page:
    """One answer: kept until it is whole, then sent with our parts."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: MutableMapping[str, Any] = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish()
        else:
            await self._send(message)

    async def _finish(self) -> None:
        headers = MutableHeaders(scope=self._start)
        if headers.get("content-type", "").startswith("text/html") and _END in self._body:
            self._body = self._body.replace(_END, parts().encode() + _END, 1)
            headers["content-length"] = str(len(self._body))
            headers["cache-control"] = "no-cache"
            for name in ("etag", "last-modified"):
                if name in headers:
                    del headers[name]
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": self._body})


def _asks_for_a_page(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and "text/html" in Headers(scope=scope).get("accept", "")
        and not any(part in scope["path"] for part in ("/api/", "/static/", "/media/"))
    )


def parts() -> str:
    """Return what goes into the page; the icons' font is wanted at once."""
    fonts = "".join(
        f'<link rel="preload" href="./static/media/{escape(font.name, quote=True)}" as="font" '
        'type="font/woff2" crossorigin>'
        for font in sorted(_MEDIA.glob("MaterialSymbols-Rounded.*.woff2"))
    )
    return f"{fonts}<style>{STYLE.read_text(encoding='utf-8')}</style>{_PATIENCE}"
