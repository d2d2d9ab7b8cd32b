"""What is put into every page's HTML, and what is left alone."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from labeller.ui.first_view import FirstView

PAGE = "<html><head></head><body><p>" + "a page " * 200 + "</p></body></html>"


async def page(request: Request) -> Response:
    if request.headers.get("if-none-match"):
        return Response(status_code=304)
    return HTMLResponse(PAGE, headers={"etag": '"old"'})


async def data(_request: Request) -> Response:
    return JSONResponse({"body": "</body>"})


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/", page), Route("/images", page), Route("/data", data), Route("/api/x", page)]
    app = Starlette(routes=routes, middleware=[Middleware(FirstView), Middleware(GZipMiddleware)])
    return TestClient(app, headers={"accept": "text/html,*/*"})


@pytest.mark.parametrize("address", ["/", "/images?project=x"])
def test_a_page_gets_styles_and_patience(client: TestClient, address: str) -> None:
    answer = client.get(address, headers={"if-none-match": '"old"'})
    assert answer.status_code == 200, "a copy of before may have other styles"
    before, _, after = answer.text.partition("</body>")
    assert before.startswith(PAGE.partition("</body>")[0])
    assert ".lb-meter" in before
    assert "lb-drawn" in before
    assert "MaterialSymbols-Rounded" in before
    assert after == "</html>"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "etag" not in answer.headers


def test_other_answers_are_left_alone(client: TestClient) -> None:
    assert client.get("/data").json() == {"body": "</body>"}
    assert client.get("/api/x").text == PAGE
    assert client.get("/images", headers={"accept": "*/*"}).text == PAGE
