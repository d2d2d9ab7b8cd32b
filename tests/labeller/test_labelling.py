"""The labelling service: what a client is told and what it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeller.project import Project
from labeller.services import classes, labelling
from labeller.services.labelling import Act
from store.records import NewQueueEntry, QueueEntry
from tests.cards import labels_of, queued_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return queued_project(tmp_path / "p", items=12, suggest=True, budget=10)


def act(key: str, item: int, label: int | str = "cat") -> Act:
    return Act(key=key, kind="label", item=item, label=label)


def test_claim_gives_items_once_and_counters(project: Project) -> None:
    first = labelling.claim(project, "anna", "one", 4)
    second = labelling.claim(project, "anna", "two", 4)
    names = [item["name"] for item in first["items"] + second["items"]]
    assert names == [f"{n:04d}.jpg" for n in range(8)]
    assert second["queue"] == {"waiting": 4, "leased": 8, "done": 0, "total": 12}
    assert second["budget"] == {"total": 10, "spent": 0, "reserved": 8, "left": 10, "price": 1}
    assert (second["round"], second["lease_seconds"], second["empty"]) == (0, 120, None)
    again = labelling.claim(project, "anna", "one", 4)
    assert again["items"] == first["items"], "claiming again returns what is held"


def test_blind_items_tell_nothing_of_model_and_strategy(project: Project) -> None:
    items = labelling.claim(project, "anna", "one", 8)["items"]
    blind = [item for item in items if item["blind"]]
    assert [item["name"] for item in blind] == ["0003.jpg", "0007.jpg"]
    assert all(item["suggestion"] is None and item["strategy"] is None for item in blind)
    seen = next(item for item in items if not item["blind"])
    cat = classes.listed(project)[0].id
    assert seen["suggestion"] == {"class": cat, "confidence": 0.75}
    assert seen["strategy"] == "margin"
    assert not {"split", "group", "audit"} & {key for item in items for key in item}


def test_a_suggestion_follows_a_merged_class_and_drops_an_archived_one(project: Project) -> None:
    cat, dog, horse, _ = classes.listed(project)
    classes.merge(project, cat.id, dog.id)
    first = labelling.claim(project, "anna", "one", 1)["items"][0]
    assert first["suggestion"]["class"] == dog.id
    classes.archive(project, dog.id)
    assert labelling.claim(project, "anna", "one", 1)["items"][0]["suggestion"] is None
    assert horse.id


def test_record_takes_names_and_ids_and_answers_in_order(project: Project) -> None:
    items = [item["item"] for item in labelling.claim(project, "anna", "one", 4)["items"]]
    dog = classes.listed(project)[1].id
    acts = [act("k1", items[0], "cat"), act("k2", items[1], "cow"), act("k3", items[2], dog)]
    answer = labelling.record(project, "anna", "one", "api", acts)
    assert [(r["key"], r["status"]) for r in answer["results"]] == [
        ("k1", "accepted"),
        ("k2", "refused"),
        ("k3", "accepted"),
    ]
    assert "no class 'cow'" in answer["results"][1]["reason"]
    assert answer["budget"]["spent"] == 2
    assert labels_of(project) == {"0000.jpg": "cat", "0002.jpg": "dog"}
    repeated = labelling.record(project, "anna", "one", "api", acts[:1])
    assert repeated["results"][0]["status"] == "duplicate"
    assert repeated["budget"]["spent"] == 2


def test_undo_brings_the_item_back_to_the_session(project: Project) -> None:
    item = labelling.claim(project, "anna", "one", 1)["items"][0]["item"]
    labelling.record(project, "anna", "one", "page", [act("k1", item)])
    undo = Act(key="u1", kind="undo", undoes="k1")
    answer = labelling.record(project, "anna", "one", "page", [undo])
    assert answer["results"][0]["status"] == "accepted"
    assert answer["budget"]["spent"] == 0
    assert labelling.claim(project, "anna", "one", 1)["items"][0]["item"] == item
    assert labels_of(project) == {}


def test_release_and_renew_count_leases(project: Project) -> None:
    items = [item["item"] for item in labelling.claim(project, "anna", "one", 5)["items"]]
    assert labelling.renew(project, "anna", "one")["renewed"] == 5
    assert labelling.release(project, "anna", "one", items[:2])["released"] == 2
    assert labelling.renew(project, "anna", "one")["renewed"] == 3
    answer = labelling.release(project, "anna", "one")
    assert (answer["released"], answer["queue"]["leased"]) == (3, 0)


def test_the_round_is_that_of_the_queue_not_of_the_one_running(project: Project) -> None:
    with project.store.write() as unit:
        running = unit.rounds.start("margin", 10, None, 0, 0)
    assert labelling.claim(project, "anna", "one", 1)["round"] == 0
    with project.store.write() as unit:
        unit.rounds.finish(running.id, "failed", error="x")
    assert labelling.claim(project, "anna", "one", 1)["round"] == 0
    with project.store.write() as unit:
        done = unit.rounds.start("margin", 10, None, 0, 0)
        unit.rounds.finish(done.id, "done")
    assert labelling.claim(project, "anna", "one", 1)["round"] == 2


def test_an_image_has_another_address_when_its_pixels_would_differ(
    project: Project, tmp_path: Path
) -> None:
    """Browsers keep images for ever by address, and item numbers begin at 1 in every project."""
    other = queued_project(tmp_path / "q", items=1, side=64)
    here = labelling.claim(project, "anna", "one", 1)["items"][0]
    there = labelling.claim(other, "anna", "one", 1)["items"][0]
    assert here["item"] == there["item"]
    assert here["image"] != there["image"]


@pytest.mark.parametrize(
    ("options", "prepare", "reason"),
    [
        ({"items": 0}, None, "no_images"),
        ({"items": 2, "classes": ()}, None, "no_classes"),
        ({"items": 2, "budget": 0}, None, "budget"),
        ({"items": 4, "budget": 2}, "held", "reserved"),
        ({"items": 4}, "held", "leased"),
        ({"items": 2}, "labelled", "all_labelled"),
        ({"items": 3}, "replaced", "done"),
        ({"items": 3}, "emptied", "no_queue"),
    ],
)
def test_why_there_is_nothing(
    tmp_path: Path, options: dict[str, object], prepare: str | None, reason: str
) -> None:
    project = queued_project(tmp_path / "p", **options)  # type: ignore[arg-type]
    if prepare == "held":
        labelling.claim(project, "eve", "other", 10)
    if prepare == "labelled":
        label_all(project)
    if prepare in ("replaced", "emptied"):
        with project.store.write() as unit:
            kept = unit.queue.entries()[:1] if prepare == "replaced" else []
            unit.queue.replace([as_new(entry) for entry in kept], None)
        label_all(project)
    answer = labelling.claim(project, "anna", "one", 10)
    assert answer["items"] == []
    assert answer["empty"]["reason"] == reason


def label_all(project: Project) -> None:
    items = [item["item"] for item in labelling.claim(project, "anna", "first", 10)["items"]]
    labelling.record(project, "anna", "first", "page", [act(f"k{i}", i) for i in items])


def as_new(entry: QueueEntry) -> NewQueueEntry:
    return NewQueueEntry(entry.item_id, entry.strategy, entry.score)
