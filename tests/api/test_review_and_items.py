"""What the pages can do, by the API: lists of items, the budget, the evaluation, the review."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from labeller.cli import cli
from labeller.project import Project
from labeller.services import cleaning


def label(client: TestClient, item: int, name: str) -> None:
    event = {"key": f"k{item}{name}", "kind": "label", "item": item, "class": name}
    answer = client.post("/labels", json={"session": "s", "events": [event]})
    assert answer.json()["results"][0]["status"] == "accepted", answer.text


def test_items_are_listed_filtered_and_paged(client: TestClient) -> None:
    for item, name in ((1, "cat"), (2, "dog"), (3, "dog")):
        label(client, item, name)
    dogs = client.get("/items", params={"class": "dog", "order": "oldest"}).json()
    assert [row["item"] for row in dogs["items"]] == [2, 3]
    assert (dogs["total"], dogs["after"]) == (2, None)
    assert dogs["items"][0]["label"]["name"] == "dog"
    seen: list[int] = []
    after: dict[str, Any] = {}
    while True:
        page = client.get("/items", params={"limit": 5, "order": "oldest", **after}).json()
        seen += [row["item"] for row in page["items"]]
        if page["after"] is None:
            break
        after = {"after": page["after"]}
    assert seen == list(range(1, 13))
    path = dogs["items"][0]["path"]
    found = client.get("/items", params={"text": path.upper()}).json()
    assert [row["path"] for row in found["items"]] == [path]
    assert client.get("/items", params={"state": "labelled"}).json()["total"] == 3
    blind = client.get("/items", params={"split": "audit"}).json()
    assert {row["split"] for row in blind["items"]} <= {"audit"}


@pytest.mark.parametrize(
    ("params", "status", "word"),
    [
        ({"class": "unicorn"}, 400, "unicorn"),
        ({"state": "lost"}, 422, "state"),
        ({"limit": 0}, 422, "limit"),
        ({"order": "luck"}, 422, "order"),
    ],
)
def test_what_cannot_be_listed_is_told(
    client: TestClient, params: dict[str, Any], status: int, word: str
) -> None:
    answer = client.get("/items", params=params)
    assert answer.status_code == status
    assert word in answer.json()["detail"]


def test_the_budget_is_read_and_set(client: TestClient) -> None:
    assert client.get("/budget").json()["total"] == 10
    label(client, 1, "cat")
    assert client.put("/budget", json={"total": 25}).json() == {
        "total": 25.0,
        "spent": 1.0,
        "reserved": 0.0,
        "left": 24.0,
        "price": 1.0,
    }
    low = client.put("/budget", json={"total": 0})
    assert low.status_code == 409
    assert "already spent" in low.json()["detail"]
    assert client.put("/budget", json={"total": None}).json()["left"] is None
    for body in ({}, {"total": -1}, {"total": "lots"}, {"total": 5, "more": 1}):
        assert client.put("/budget", json=body).status_code == 422


def test_an_evaluation_without_a_model(client: TestClient) -> None:
    found = client.get("/evaluation").json()
    assert (found["model"], found["ablation"], found["unfamiliar"]) == (None, None, None)


@pytest.fixture
def suspected(project: Project, client: TestClient) -> Project:
    """A project whose items 1 to 3 are cats, and suspected to be dogs."""
    for item in (1, 2, 3):
        label(client, item, "cat")
    with project.store.write() as unit:
        cat, dog = (record.id for record in unit.classes.all()[:2])
        job = unit.jobs.add(cleaning.KIND, {}, exclusive=True)
        assert unit.jobs.claim("here", 1, job_id=job.id) is not None
        find = {"label": cat, "suggested": dog, "confidence": 0.9, "loss": 2.3, "twin": None}
        suspects = [{**find, "item": item, "kinds": [cleaning.LABEL_ERROR]} for item in (1, 2, 3)]
        result = {"at": time.time(), "checked": 3, "suspects": suspects}
        assert unit.jobs.finish(job.id, "done", result)
    return project


def test_a_review_begins_with_a_search(client: TestClient) -> None:
    assert client.get("/review").json()["at"] is None
    started = client.post("/review")
    assert (started.status_code, started.json()["kind"]) == (202, cleaning.KIND)
    assert client.post("/review").status_code == 409


def test_suspected_errors_are_decided_and_taken_back(
    client: TestClient, suspected: Project
) -> None:
    def decide(item: int, decision: str, **more: Any) -> dict[int, Any]:
        body = {"session": "s", "item": item, "decision": decision, **more}
        answer = client.post("/review/decisions", json=body)
        assert answer.status_code == 200, answer.text
        return {row["item"]: row for row in answer.json()["suspects"]}

    found = client.get("/review").json()
    assert (found["open"], found["suspects"][0]["suggested"]) == (3, "dog")
    assert decide(1, "relabel")[1]["decision"] == "relabel"
    assert client.get("/items/1").json()["label"]["name"] == "dog"
    decide(2, "relabel", **{"class": "horse"})
    assert client.get("/items/2").json()["label"]["name"] == "horse"
    assert decide(3, "keep")[3]["by"] == "anna"
    undone = client.post("/review/undo", json={"session": "s", "item": 1})
    assert undone.json()["open"] == 1
    assert client.get("/items/1").json()["label"]["name"] == "cat"
    for body, word in (
        ({"item": 9, "decision": "keep"}, "not among"),
        ({"item": 1, "decision": "relabel", "class": "unicorn"}, "unicorn"),
    ):
        refused = client.post("/review/decisions", json={"session": "s", **body})
        assert refused.status_code == 400
        assert word in refused.json()["detail"]
    twice = client.post("/review/undo", json={"session": "s", "item": 1})
    assert "Nobody has decided" in twice.json()["detail"]


def test_the_commands_do_the_same(client: TestClient, suspected: Project) -> None:
    def run(*given: str) -> Any:
        args = [given[0], str(suspected.root), *given[1:], "--json"]
        done = CliRunner().invoke(cli, args)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert run("items", "--class", "cat")["total"] == 3
    assert run("budget", "--add", "5")["total"] == 15
    assert run("budget", "--set", "12")["left"] == 9
    assert run("budget", "--no-limit")["total"] is None
    decided = run("review", "--decide", "1", "relabel", "--class", "ship", "--annotator", "ben")
    assert decided["open"] == 2
    assert client.get("/items/1").json()["label"]["name"] == "ship"
    assert run("review", "--undo", "1", "--annotator", "ben")["open"] == 3
    text = CliRunner().invoke(cli, ["review", str(suspected.root)])
    assert "3 suspected errors undecided" in text.output
    listed = CliRunner().invoke(cli, ["items", str(suspected.root), "--limit", "2"])
    assert "12 in all; go on with --after" in listed.output
    for given in (
        ["review", str(suspected.root), "--decide", "x", "keep"],
        ["review", str(suspected.root), "--decide", "1", "hope"],
        ["review", str(suspected.root), "--class", "cat"],
        ["budget", str(suspected.root), "--add", "1", "--no-limit"],
    ):
        assert CliRunner().invoke(cli, given).exit_code == 2
    none = CliRunner().invoke(cli, ["budget", str(suspected.root), "--add", "1"])
    assert none.exit_code == 1
    assert "no limit" in none.output
