"""The prediction route: keys come back, bad images have their own lines, what fails is said."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from labeller.api.app import create_api
from labeller.api.predict import MOST_REQUESTS
from labeller.project import Project
from labeller.services import predicting
from labeller.services.prediction_service import resident
from store.records import NewModel

# A worker that knows two classes, and an image from a file of another kind; no faster than a model.
WORKER = """
import json, sys, time
config = json.loads(sys.stdin.readline())
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    time.sleep(0.01)
    data = open(json.loads(line)["path"], "rb").read()
    good = {"probs": [0.25, 0.75], "energy": -1.5}
    bad = {"reason": "it is text, no image", "mend": "Remove it."}
    print(json.dumps(good if data[:4] == b"\\x89PNG" else bad), flush=True)
"""


@pytest.fixture
def model(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A registered model whose process is the small worker above."""
    monkeypatch.setattr(predicting, "COMMAND", (sys.executable, "-c", WORKER))
    with project.store.write() as unit:
        classes = tuple(one.id for one in unit.classes.all())[:2]
        started = unit.rounds.start("margin", 6, None, 0, 0)
        made = NewModel("models/1", "a" * 64, 9, 0, "b", "CPU", classes, {}, {}, {}, {})
        number = unit.models.add(made, started.id).id
    yield number
    resident(project).close()


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return buffer.getvalue()


def rows(client: TestClient, **form: Any) -> dict[str, dict[str, Any]]:
    answer = client.post("/predict", **form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    found = [json.loads(line) for line in answer.text.splitlines()]
    return {row["key"]: row for row in found}


def test_each_image_has_its_line(client: TestClient, project: Project, model: int) -> None:
    files = [
        ("images", ("a.png", png())),
        ("images", ("../b.txt", b"hello")),
        ("images", ("ä.png", png())),
    ]
    found = rows(client, files=files)
    with project.store.read() as unit:
        first, second, *_ = (one.name for one in unit.classes.all())
    assert len(found) == 3
    good = found["a.png"]
    assert (good["class"], good["confidence"], good["energy"]) == (second, 0.75, -1.5)
    assert good["probabilities"] == {first: 0.25, second: 0.75}
    assert (good["model"], good["error"]) == (model, None)
    (bad,) = (row for row in found.values() if row["error"])
    assert (bad["error"], bad["mend"], bad["class"]) == ("it is text, no image", "Remove it.", None)
    keyed = rows(client, files=files[:1], data={"keys": ["row 17"]})
    assert list(keyed) == ["row 17"]


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"json": {}}, "Send a form"),
        ({"files": [("other", ("a.png", b"x"))]}, "Send images in the field"),
        ({"files": [("images", ("a", b"x"))], "data": {"keys": ["a", "b"]}}, "1 images came with"),
        ({"files": [("images", ("a", b"x")), ("images", ("a", b"y"))]}, "the same key"),
        ({"files": [("images", ("a", b"x"))], "data": {"keys": [""]}}, "A key has 1 to"),
    ],
)
def test_a_form_that_is_none(client: TestClient, model: int, form: Any, why: str) -> None:
    answer = client.post("/predict", **form)
    assert answer.status_code == 422
    assert why in answer.json()["detail"]


def test_without_a_model(client: TestClient) -> None:
    answer = client.post("/predict", files=[("images", ("a.png", png()))])
    assert answer.status_code == 409
    assert "has no model yet" in answer.json()["detail"]


def test_a_worker_that_cannot_start(
    client: TestClient, model: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "COMMAND", (sys.executable, "-c", "import no_such_module"))
    answer = client.post("/predict", files=[("images", ("a.png", png()))])
    assert answer.status_code == 400
    assert "no_such_module" in answer.json()["detail"]


def test_without_a_token(client: TestClient, model: int) -> None:
    files = [("images", ("a.png", png()))]
    answer = client.post("/predict", files=files, headers={"Authorization": ""})
    assert answer.status_code == 401


@pytest.fixture
def server(project: Project, model: int, headers: Callable[..., Any]) -> Iterator[httpx.Client]:
    """A client of the API as it is served: connections can break, requests come at once."""
    config = uvicorn.Config(create_api(), port=0, log_level="critical", lifespan="off")
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    while not served.started:
        thread.join(0.01)
    port = served.servers[0].sockets[0].getsockname()[1]
    limits = httpx.Limits(max_connections=None)
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, headers=headers(), timeout=30, limits=limits) as client:
        yield client
    served.should_exit = True
    served.force_exit = True
    thread.join(10)


def many(number: int) -> list[tuple[str, tuple[str, bytes]]]:
    return [("images", (f"{n}.png", png())) for n in range(number)]


def test_a_client_that_goes_away_stops_nobody(server: httpx.Client) -> None:
    with server.stream("POST", "/predict", files=many(200)) as answer:
        next(answer.iter_lines())
    with pytest.raises(httpx.ReadTimeout):
        server.post("/predict", files=many(100), timeout=httpx.Timeout(30, read=0.1))
    after = server.post("/predict", files=many(1))
    assert (after.status_code, len(after.text.splitlines())) == (200, 1)


def test_requests_that_wait_keep_no_thread_from_other_routes(server: httpx.Client) -> None:
    begun = threading.Barrier(61)

    def ask() -> httpx.Response:
        begun.wait()
        return server.post("/predict", files=many(10))

    with ThreadPoolExecutor(60) as pool:
        asked = [pool.submit(ask) for _ in range(60)]
        begun.wait()
        health = [server.get("/health").status_code for _ in range(5)]
        claimed = server.post("/queue/claim", json={"session": "s", "n": 3})
        assert not all(one.done() for one in asked), "they were to be on while others asked"
        answers = [one.result() for one in asked]
    assert health == [200] * 5
    assert len(claimed.json()["items"]) == 3
    refused = [one for one in answers if one.status_code == 503]
    good = [one for one in answers if one.status_code == 200]
    assert len(good) >= MOST_REQUESTS
    assert len(refused) == 60 - len(good) > 0
    assert all(int(one.headers["Retry-After"]) > 0 for one in refused)
    assert all("wait already" in one.json()["detail"] for one in refused)
    assert all(len(one.text.splitlines()) == 10 for one in good)
    assert server.post("/predict", files=many(1)).status_code == 200
