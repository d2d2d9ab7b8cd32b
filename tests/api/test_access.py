"""No token, no data; and nothing that the API must not tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from labeller import tokens
from labeller.api.app import create_api
from labeller.project import Project, change_settings, replace_secret
from tests.cards import queued_project

Headers = dict[str, str]
OPEN = {"/health"}


def routes() -> list[tuple[str, str]]:
    """Return method and address of every route, with 1 for every number in it."""
    paths = create_api().openapi()["paths"]
    return [
        (method, path.replace("{item_id}", "1").replace("{round_id}", "1").replace("{job_id}", "1"))
        for path, operations in paths.items()
        for method in operations
        if path not in OPEN
    ]


@pytest.mark.parametrize(("method", "path"), routes())
def test_every_route_wants_a_good_token(project: Project, method: str, path: str) -> None:
    token = tokens.make(project, "anna")
    forged = token[:-8] + ("x" if token[-8] != "x" else "y") + token[-7:]
    with TestClient(create_api()) as client:
        for value in (None, "", "Bearer", "Bearer x", f"Basic {token}", f"Bearer {forged}"):
            headers = {} if value is None else {"Authorization": value}
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 401, (value, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert list(answer.json()) == ["detail"]


READS = {
    *(("get", path) for method, path in routes() if method == "get"),
    ("post", "/token"),  # of the same scope
    ("post", "/predict"),  # computes, keeps nothing
}
LABELS = {
    *READS,
    *(("post", f"/queue/{name}") for name in ("claim", "renew", "release")),
    *(("post", path) for path in ("/labels", "/undo", "/redo")),
    *(("post", f"/review{name}") for name in ("/decisions", "/undo")),
    ("post", "/synthetic/verdicts"),
}


@pytest.mark.parametrize(("scope", "allowed"), [("read", READS), ("label", LABELS)])
def test_no_route_goes_beyond_a_tokens_scope(
    project: Project, scope: tokens.Scope, allowed: set[tuple[str, str]]
) -> None:
    token = tokens.make(project, "anna", scope=scope)
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_api(), headers=headers) as client:
        refused = {
            (method, path)
            for method, path in routes()
            if client.request(method, path, json={}).status_code == 403
        }
    assert refused == set(routes()) - allowed


def test_no_route_takes_a_token_that_ended(project: Project) -> None:
    signed_before = tokens.make(project, "anna")
    replace_secret(project.root)
    good = tokens.make(project, "anna", "page")
    revoked = tokens.make(project, "anna")
    tokens.revoke(project, tokens.list_tokens(project)[0].id)
    with TestClient(create_api()) as client:
        for method, path in routes():
            for token in (revoked, signed_before):
                headers = {"Authorization": f"Bearer {token}"}
                assert client.request(method, path, headers=headers).status_code == 401, path
        headers = {"Authorization": f"Bearer {good}"}
        assert client.get("/status", headers=headers).status_code == 200


def test_health_and_docs_need_none_and_tell_nothing(project: Project) -> None:
    with TestClient(create_api()) as client:
        assert client.get("/health").json() == {"status": "ok"}
        page = client.get("/docs").text
        schema = client.get("/openapi.json").text
    for text in (page, schema):
        assert project.name not in text
        assert str(project.root) not in text
    assert "https://" not in page, "the page loads nothing from elsewhere"
    for _, path in routes():
        assert path.rsplit("/1", 1)[0] in page
    assert "POST</b> <code>/queue/claim" in page


def test_a_token_of_another_project_sees_that_project_only(
    client: TestClient, project: Project, tmp_path: Path, headers: Callable[..., Headers]
) -> None:
    other = queued_project(tmp_path / "other", items=1, classes=["x"])
    assert len(client.get("/classes").json()) == 4
    assert len(client.get("/classes", headers=headers("anna", other)).json()) == 1
    answer = client.get("/items/2", headers=headers("anna", other))
    assert answer.status_code == 404


def test_an_expired_token_is_refused(
    client: TestClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_settings(project, token_hours=0.5)
    assert client.get("/classes").status_code == 200
    fresh = client.post("/token").json()
    assert fresh["expires_in"] == 1800
    import time

    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 1_900)
    answer = client.get("/classes")
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]


def test_a_renewed_token_keeps_name_and_source(client: TestClient, project: Project) -> None:
    before = {"Authorization": f"Bearer {tokens.make(project, 'zoe', 'page')}"}
    grant = tokens.check(client.post("/token", headers=before).json()["token"])
    assert (grant.annotator, grant.source) == ("zoe", "page")


def test_who_is_in_the_audit_set_stays_inside(client: TestClient, project: Project) -> None:
    answers = [
        client.post("/queue/claim", json={"session": "s", "n": 12}).text,
        client.get("/items/4").text,
        client.get("/classes").text,
    ]
    for text in answers:
        assert '"split"' not in text
        assert '"audit"' not in text
        assert '"group"' not in text


def test_no_other_site_may_read_answers(client: TestClient) -> None:
    answer = client.get("/classes", headers={"Origin": "https://elsewhere.example"})
    assert not any(name.startswith("access-control") for name in answer.headers)
    preflight = client.options(
        "/classes",
        headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"},
    )
    assert preflight.status_code == 405
    assert answer.headers["x-content-type-options"] == "nosniff"
