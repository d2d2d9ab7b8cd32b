"""The prediction route: keys come back, bad images have their own lines, what fails is said."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from labeller.project import Project
from labeller.services import predicting
from labeller.services.prediction_service import resident
from store.records import NewModel

# A worker that knows two classes, and an image from a file of another kind.
WORKER = """
import json, sys
config = json.loads(sys.stdin.readline())
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
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
