"""Status, classes, rounds and jobs through the API, and the whole of it under a fuzzer."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from labeller import tokens
from labeller.api.app import create_api
from labeller.project import Project
from tests.cards import queued_project


def test_classes_come_with_keys_and_counts(client: TestClient) -> None:
    event = {"key": "k", "kind": "label", "item": 1, "class": "dog"}
    client.post("/labels", json={"session": "s", "events": [event]})
    found = client.get("/classes").json()
    assert [(c["name"], c["key"], c["labels"]) for c in found] == [
        ("cat", "1", 0),
        ("dog", "2", 1),
        ("horse", "3", 0),
        ("ship", "4", 0),
    ]


def test_status_is_that_of_the_command_line(client: TestClient) -> None:
    status = client.get("/status").json()
    assert (status["items"], status["labelled"]) == (12, 0)
    assert status["budget"]["total"] == 10
    assert status["queue"]["total"] == 12
    assert status["model"] is None


def test_a_round_is_started_followed_and_cancelled(client: TestClient) -> None:
    started = client.post("/rounds", json={"strategy": "margin", "batch": 5})
    assert started.status_code == 202
    number = started.json()["id"]
    assert client.get(f"/jobs/{number}").json()["state"] == "waiting"
    assert [job["id"] for job in client.get("/jobs").json()] == [number]
    second = client.post("/rounds", json={})
    assert second.status_code == 409
    assert client.post(f"/jobs/{number}/cancel").json()["state"] in ("cancelled", "waiting")
    assert client.get(f"/jobs/{number}").json()["state"] == "cancelled"


def test_an_unknown_strategy_is_named(client: TestClient) -> None:
    answer = client.post("/rounds", json={"strategy": "luck"})
    assert answer.status_code == 409
    assert "luck" in answer.json()["detail"]
    assert "margin" in answer.json()["detail"]


def test_rounds_are_listed_and_found(client: TestClient) -> None:
    listed = client.get("/rounds").json()
    assert [(r["number"], r["state"], r["queued"]) for r in listed] == [(0, "done", 12)]
    assert client.get(f"/rounds/{listed[0]['id']}").json() == listed[0]


@pytest.mark.parametrize("path", ["/rounds/77", "/jobs/77"])
def test_what_is_not_there_is_404(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "77" in answer.json()["detail"]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return queued_project(tmp_path_factory.mktemp("fuzz") / "p", items=6, budget=4, suggest=True)


schema = schemathesis.openapi.from_asgi("/openapi.json", create_api())


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_server(case: schemathesis.Case[Any], fuzzed: Project) -> None:
    """Whatever is sent, the answer is one that the schema names."""
    case.headers["Authorization"] = f"Bearer {tokens.make(fuzzed, 'fuzz')}"
    answer = case.call()
    checks = [not_a_server_error, response_schema_conformance]
    checks += [status_code_conformance, content_type_conformance]
    case.validate_response(answer, checks=checks)
    if "Authorization" in answer.request.headers:  # the fuzzer leaves it out now and then
        assert answer.status_code != 401


def test_the_fuzzer_sees_every_route() -> None:
    paths = create_api().openapi()["paths"]
    expected = {
        "/queue/claim", "/queue/renew", "/queue/release", "/labels", "/undo", "/items/{item_id}",
        "/items/{item_id}/image", "/rounds", "/rounds/{round_id}", "/jobs", "/jobs/{job_id}",
        "/jobs/{job_id}/cancel", "/status", "/classes", "/token", "/health", "/items", "/predict",
        "/predictions/{number}/images/{row}",
        "/budget", "/evaluation", "/redo", "/queue/version",
        "/review", "/review/decisions", "/review/undo",
        "/synthetic", "/synthetic/verdicts", "/synthetic/{synthetic_id}/image",
    }  # fmt: skip
    assert set(paths) == expected
