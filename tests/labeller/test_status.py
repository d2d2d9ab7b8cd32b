from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from labeller.project import Project, create_project
from labeller.services.status import status
from store.records import NewEvent, NewItem, NewModel, NewQueueEntry, Split


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = create_project(tmp_path / "birds", ["robin", "wren"], budget=10)
    splits: tuple[Split, ...] = ("train", "train", "train", "valid", "audit", "audit")
    items = [
        NewItem(f"{n:064x}", f"/photos/{n}.jpg", False, 8, 8, "JPEG", 100, f"g{n}", split)
        for n, split in enumerate(splits)
    ]
    with made.store.write() as unit:
        unit.items.add(items)
    yield made
    made.store.close()


def label(project: Project, item: int, class_id: int) -> None:
    event = NewEvent(f"e{item}", "label", item, class_id)
    with project.store.write() as unit:
        assert unit.labels.record("ann", "s", "page", [event], 1.0)[0].status == "accepted"


def new_model() -> NewModel:
    metrics = {"accuracy": 0.75, "interval": [0.5, 0.9], "n": 20}
    return NewModel("models/1.pt", "hash", 4, 0, "lite0", "cpu", (1, 2), {}, metrics, {}, {})


def test_an_empty_project(project: Project) -> None:
    data = status(project)
    assert (data["name"], data["path"], data["items"], data["labelled"]) == (
        "birds",
        str(project.root),
        6,
        0,
    )
    assert data["budget"] == {"total": 10.0, "spent": 0.0, "reserved": 0.0, "left": 10.0}
    assert data["queue"] == {"waiting": 0, "leased": 0, "done": 0, "total": 0}
    assert (data["model"], data["jobs"], data["rounds"]) == (None, [], [])
    assert [c["name"] for c in data["classes"]] == ["robin", "wren"]


def test_labels_leases_rounds_and_the_model_are_counted(project: Project) -> None:
    label(project, 1, 1)
    label(project, 5, 2)
    with project.store.write() as unit:
        entries = [NewQueueEntry(2, "margin", 0.5), NewQueueEntry(3, "margin", 0.4)]
        record = unit.rounds.start("margin", 2, None, 2, 2.0)
        unit.queue.replace(entries, record.id)
        model = unit.models.add(new_model(), record.id)
        unit.rounds.finish(record.id, "done", model_id=model.id, queued=2, timings={"train": 1.5})
        assert len(unit.queue.claim("ann", "s", 1, 60, 1.0)) == 1
    label(project, 4, 1)
    data = status(project)
    assert (data["items"], data["labelled"], data["unlabelled"]) == (6, 3, 3)
    assert data["budget"] == {"total": 10.0, "spent": 3.0, "reserved": 1.0, "left": 7.0}
    assert (data["queue"]["waiting"], data["queue"]["leased"]) == (1, 1)
    assert {c["name"]: c["labels"] for c in data["classes"]} == {"robin": 2, "wren": 1}
    shown = data["model"]
    assert (shown["id"], shown["audit_accuracy"], shown["audit_interval"]) == (1, 0.75, [0.5, 0.9])
    assert (shown["behind"], shown["audit_labels"], shown["round"]) == (1, 20, 0)
    (round_,) = data["rounds"]
    assert (round_["strategy"], round_["queued"], round_["audit_accuracy"]) == ("margin", 2, 0.75)
    assert round_["timings"] == {"train": 1.5}
    assert json.loads(json.dumps(data)) == data


def test_active_jobs_come_first(project: Project) -> None:
    with project.store.write() as unit:
        old = unit.jobs.add("import", {}, exclusive=False)
        unit.jobs.claim("another-machine", 1, job_id=old.id)
        for _ in range(12):
            job = unit.jobs.add("import", {}, exclusive=False)
            unit.jobs.claim("another-machine", 1, job_id=job.id)
            unit.jobs.finish(job.id, "done")
        dead = unit.jobs.add("import", {}, exclusive=False)
        unit.jobs.claim("another-machine", 1, job_id=dead.id)
    jobs = status(project)["jobs"]
    assert [job["id"] for job in jobs[:2]] == [old.id, dead.id]
    assert all(job["state"] == "done" for job in jobs[2:])
    assert len(jobs) <= 12
