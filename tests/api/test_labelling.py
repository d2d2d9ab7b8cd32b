"""Claim, label, undo through the API."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from labeller.project import Project
from store.records import NewQueueEntry
from tests.cards import labels_of

Headers = dict[str, str]


def claim(client: TestClient, session: str = "s1", n: int = 4, **options: object) -> list[int]:
    """Claim and return the item numbers."""
    answer = client.post("/queue/claim", json={"session": session, "n": n}, **options)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return [item["item"] for item in answer.json()["items"]]


def label(key: str, item: int, name: str | int = "cat") -> dict[str, object]:
    return {"key": key, "kind": "label", "item": item, "class": name}


def test_the_loop(client: TestClient, project: Project) -> None:
    items = claim(client)
    events = [label("a1", items[0]), label("a2", items[1], 2)]
    events += [{"key": "a3", "kind": "skip", "item": items[2]}]
    events += [{"key": "a4", "kind": "flag", "item": items[3], "reason": "blurred"}]
    answer = client.post("/labels", json={"session": "s1", "events": events}).json()
    assert [r["status"] for r in answer["results"]] == ["accepted"] * 4
    assert answer["queue"] == {"waiting": 8, "leased": 0, "done": 4, "total": 12}
    assert labels_of(project) == {"0000.jpg": "cat", "0001.jpg": "dog"}
    undo = {"session": "s1", "events": [{"key": "u1", "undoes": "a2"}]}
    assert client.post("/undo", json=undo).json()["results"][0]["status"] == "accepted"
    assert client.post("/undo", json=undo).json()["results"][0]["status"] == "duplicate"
    assert labels_of(project) == {"0000.jpg": "cat"}
    with project.store.read() as unit:
        assert {event.source for event in unit.labels.recent(limit=9)} == {"api"}
        assert {event.annotator for event in unit.labels.recent(limit=9)} == {"anna"}


def test_redo_does_again_what_was_taken_back(client: TestClient, project: Project) -> None:
    (item,) = claim(client, n=1)
    client.post("/labels", json={"session": "s1", "events": [label("a", item)]})
    client.post("/undo", json={"session": "s1", "events": [{"key": "u", "undoes": "a"}]})
    redo = {"session": "s1", "events": [{"key": "r", "redoes": "a"}]}
    assert client.post("/redo", json=redo).json()["results"][0]["status"] == "accepted"
    assert client.post("/redo", json=redo).json()["results"][0]["status"] == "duplicate"
    assert labels_of(project) == {"0000.jpg": "cat"}
    with project.store.read() as unit:
        kinds = [(event.key, event.kind) for event in unit.labels.history(item)]
    assert kinds == [("a", "label"), ("u", "undo"), ("r", "label")]


def test_the_version_tells_a_replaced_and_a_longer_queue(
    client: TestClient, project: Project
) -> None:
    def version() -> dict[str, object]:
        answer: dict[str, object] = client.get("/queue/version").json()
        return answer

    first = version()
    items = claim(client, n=2)
    client.post("/labels", json={"session": "s1", "events": [label("a", items[0])]})
    second = version()
    assert second["version"] == first["version"], "a label is no other queue"
    assert second["at"] >= first["at"]  # type: ignore[operator]
    assert second["budget"]["spent"] == 1  # type: ignore[index]
    with project.store.write() as unit:
        open_ids = [int(i) for i in unit.items.ids(state="unlabelled")]
        round_ = unit.rounds.start("entropy", 3, None, 1, 1.0)
        unit.queue.replace([NewQueueEntry(i, "entropy", 0.1) for i in open_ids[:3]], round_.id)
        unit.rounds.finish(round_.id, "done", queued=3)
    third = version()
    assert third["version"] != second["version"]
    with project.store.write() as unit:
        unit.queue.append([NewQueueEntry(open_ids[5], "stream", None)], None)
    assert version()["version"] != third["version"]


def test_a_retried_batch_is_stored_once(client: TestClient, project: Project) -> None:
    body = {"session": "s1", "events": [label("a1", i) for i in claim(client, n=1)]}
    first = client.post("/labels", json=body).json()
    second = client.post("/labels", json=body).json()
    assert first["results"][0]["status"] == "accepted"
    assert second["results"][0]["status"] == "duplicate"
    assert second["budget"]["spent"] == 1


def test_the_budget_holds_against_two_clients(
    client: TestClient, project: Project, headers: Callable[..., Headers]
) -> None:
    mine = claim(client, "s1", 8)
    other = claim(client, "s2", 8, headers=headers("eve"))
    assert (len(mine), len(other)) == (8, 2)
    assert not set(mine) & set(other)
    events = [label(f"x{i}", i) for i in range(1, 13)]
    answer = client.post("/labels", json={"session": "s1", "events": events}).json()
    statuses = [r["status"] for r in answer["results"]]
    assert answer["budget"]["spent"] <= 10
    assert statuses.count("accepted") == answer["budget"]["spent"]
    assert any("budget" in (r["reason"] or "").lower() for r in answer["results"])


def test_threads_never_get_the_same_item(
    client: TestClient, headers: Callable[..., Headers]
) -> None:
    got: list[list[int]] = []

    def work(n: int) -> None:
        got.append(claim(client, f"s{n}", 2, headers=headers(f"a{n % 2}")))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    items = [item for one in got for item in one]
    assert len(items) == len(set(items)) == 10


def test_release_gives_to_others(client: TestClient, headers: Callable[..., Headers]) -> None:
    first = claim(client, "s1", 3)
    body = {"session": "s1", "items": first[:1]}
    assert client.post("/queue/release", json=body).json()["released"] == 1
    assert client.post("/queue/renew", json={"session": "s1"}).json()["renewed"] == 2
    assert claim(client, "s2", 1, headers=headers("eve")) == first[:1]


def test_one_bad_event_does_not_stop_the_others(client: TestClient, project: Project) -> None:
    item = claim(client, n=1)[0]
    events = [label("b1", 999), label("b2", item, "cow"), label("b3", item)]
    answer = client.post("/labels", json={"session": "s1", "events": events})
    assert [r["status"] for r in answer.json()["results"]] == ["refused", "refused", "accepted"]
    assert labels_of(project) == {"0000.jpg": "cat"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/queue/claim", {"session": "s", "n": 51}),
        ("/queue/claim", {"session": "s", "n": 0}),
        ("/queue/claim", {"session": "s" * 65, "n": 1}),
        ("/queue/claim", {"session": "two words", "n": 1}),
        ("/queue/claim", {"session": "s", "n": 1, "extra": 1}),
        ("/labels", {"session": "s", "events": []}),
        ("/labels", {"session": "s", "events": [label(f"k{n}", 1) for n in range(201)]}),
        ("/labels", {"session": "s", "events": [label("k" * 65, 1)]}),
        ("/labels", {"session": "s", "events": [label("k", 2**70)]}),
        ("/labels", {"session": "s", "events": [{**label("k", 1), "reason": "x" * 501}]}),
        ("/labels", {"session": "s", "events": [{**label("k", 1), "reason": "\x00"}]}),
        ("/labels", {"session": "s", "events": [{**label("k", 1), "kind": "clear"}]}),
        ("/rounds", {"batch": 0}),
    ],
)
def test_requests_over_the_limits_are_refused(
    client: TestClient, path: str, body: dict[str, object]
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert list(answer.json()) == ["detail"]
    assert isinstance(answer.json()["detail"], str)


def test_lone_surrogates_are_refused_in_readable_text(client: TestClient) -> None:
    text = (
        '{"session": "s", "events": [{"key": "k", "kind": "flag", "item": 1, "reason": "\\ud800"}]}'
    )
    answer = client.post("/labels", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "reason" in answer.json()["detail"]


def test_a_body_over_a_megabyte_is_not_read(client: TestClient) -> None:
    answer = client.post("/labels", content=b"x" * 1_000_001)
    assert answer.status_code == 413
    pieces = (b"y" * 100_000 for _ in range(11))
    assert client.post("/labels", content=pieces).status_code == 413
