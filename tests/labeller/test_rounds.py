"""Starting rounds, queues without a model, and the share of the audit set."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeller.errors import JobError, RoundError
from labeller.project import Project, create_project
from labeller.services import rounds
from store.records import NewEvent, NewItem, NewModel, NewQueueEntry, Split
from strategies import registry
from strategies.pool import auto


def project_of(root: Path, splits: list[Split], **settings: Any) -> Project:
    project = create_project(root, ["a", "b"], start_workers=False, **settings)
    with project.store.write() as unit:
        unit.items.add(
            [
                NewItem(f"{i:064}", f"images/{i}.png", True, 9, 9, "PNG", 9, f"g{i}", split)
                for i, split in enumerate(splits)
            ]
        )
    return project


def label(project: Project, item: int) -> None:
    with project.store.write() as unit:
        class_id = unit.classes.all()[0].id
        event = NewEvent(key=f"k{item}", kind="label", item_id=item, class_id=class_id)
        (result,) = unit.labels.record("anna", "s", "page", [event], 1.0)
    assert result.status == "accepted"


def test_a_round_becomes_a_job_with_the_projects_defaults(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", ["train"], strategy="entropy", batch=7)
    job = rounds.start_round(project)
    assert (job.kind, job.state) == ("round", "waiting")
    assert job.params == {"strategy": "entropy", "batch": 7}
    with pytest.raises(JobError, match="already"):
        rounds.start_round(project, "random", 3)


def test_a_mixture_is_a_strategy_like_any_other(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", ["train"], strategy="mixture", mixture="random:3,bald:1")
    job = rounds.start_round(project)
    assert job.params["strategy"] == "random=3+bald=1"
    other = project_of(tmp_path / "q", ["train"])
    assert rounds.start_round(other, "margin:70,random:30").params["strategy"] == (
        "margin=70+random=30"
    )


def test_what_is_offered_holds_the_project_s_own_mixture(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", [], strategy="margin:1,random:1", mixture="badge:1,bald:3")
    offered = rounds.offered(project)
    assert {"badge=1+bald=3", "margin=1+random=1"} <= set(offered)
    assert set(registry.names("pool")) - {"mixture"} <= set(offered)
    assert "mixture" not in offered
    assert len(set(offered)) == len(offered)
    wrong = project_of(tmp_path / "q", [], strategy="luck", mixture="margin=70")
    assert rounds.offered(wrong) == [name for name in registry.names("pool") if name != "mixture"]


@pytest.mark.parametrize(
    ("labels", "classes", "has_model"),
    [(0, 10, True), (37, 10, True), (999, 10, True), (1000, 10, True), (50, 3, False)],
)
def test_what_auto_does_now_can_be_told_before_the_round(
    labels: int, classes: int, has_model: bool
) -> None:
    choice = rounds.auto_choice(labels, classes, has_model)
    assert choice.name == auto.choice(labels if has_model else 0, classes)
    assert choice.reason == f"{labels:,} labels, margin from {auto.MANY * classes:,}"
    assert auto.choice(choice.switch - 1, classes) != "margin"
    assert auto.choice(choice.switch, classes) == "margin"


@pytest.mark.parametrize(
    ("strategy", "batch", "said"),
    [
        ("magic", 10, r"'magic' is no strategy\. Choose one of: .*margin"),
        ("split", 10, "split is a stream strategy and picks from no pool"),
        ("margin=70+luck=3", 10, "'luck' is no strategy"),
        ("margin=70", 10, "two parts at least"),
        ("margin=70+random=0", 10, "must be above 0"),
        ("margin", 0, "A batch of 0 cannot be"),
        ("margin", 100_001, "1 to 100,000"),
    ],
)
def test_what_cannot_be_is_refused_with_the_mend(
    tmp_path: Path, strategy: str, batch: int, said: str
) -> None:
    project = project_of(tmp_path / "p", ["train"])
    with pytest.raises(RoundError, match=said):
        rounds.start_round(project, strategy, batch)
    with project.store.read() as unit:
        assert unit.jobs.all() == []


def test_a_round_without_images_is_refused(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", [])
    with pytest.raises(RoundError, match="Import some"):
        rounds.start_round(project)


def test_the_first_queue_is_random_with_its_share_of_blind_audit_items(tmp_path: Path) -> None:
    splits: list[Split] = ["audit" if i % 10 == 0 else "train" for i in range(300)]
    project = project_of(tmp_path / "p", splits, batch=50)
    assert rounds.first_queue(project) == 50
    with project.store.read() as unit:
        entries = unit.queue.entries(100)
        items = unit.items.many([e.item_id for e in entries])
        record = unit.rounds.latest()
    assert record is not None
    assert (record.number, record.state, record.strategy, record.queued) == (
        0,
        "done",
        "random",
        50,
    )
    blind = [e.position for e in entries if e.blind]
    assert len(blind) == 5
    assert blind != list(range(5))
    assert blind != list(range(45, 50))
    assert all((items[e.item_id].split == "audit") == e.blind for e in entries)
    assert {e.strategy for e in entries if e.blind} == {"audit"}
    picked = [e.item_id for e in entries if not e.blind]
    assert picked != sorted(picked)


def test_the_first_queue_leaves_a_queue_that_waits_alone(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", ["train"] * 30, batch=10)
    assert rounds.first_queue(project) == 10
    assert rounds.first_queue(project) == 0
    with project.store.read() as unit:
        assert len(unit.rounds.all()) == 1


def test_there_is_no_first_queue_of_nothing(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", ["train", "audit"])
    label(project, 1)
    label(project, 2)
    assert rounds.first_queue(project) == 0
    with project.store.read() as unit:
        assert unit.rounds.all() == []


def test_two_first_queues_at_once_make_one(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", ["train"] * 30, batch=10)
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.append(rounds.first_queue(project))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 0, 0, 10]


@pytest.mark.parametrize(
    ("batch", "share", "audit", "others", "quota"),
    [
        (100, 0.1, 50, 500, 10),
        (100, 0.1, 4, 500, 4),
        (100, 0.0, 50, 500, 0),
        (100, 0.1, 50, 70, 30),
        (100, 0.1, 8, 0, 8),
        (10, 0.1, 0, 0, 0),
    ],
)
def test_audit_quota(batch: int, share: float, audit: int, others: int, quota: int) -> None:
    rng = np.random.default_rng(0)
    assert rounds.audit_quota(batch, share, audit, others, rng) == quota


def test_small_batches_keep_the_share_on_average() -> None:
    rng = np.random.default_rng(0)
    quotas = [rounds.audit_quota(3, 0.1, 50, 50, rng) for _ in range(4000)]
    assert set(quotas) == {0, 1}
    assert np.mean(quotas) == pytest.approx(0.3, abs=0.03)


def test_audit_items_land_anywhere_and_the_order_of_the_picks_stays() -> None:
    picked = [NewQueueEntry(i, "margin", -float(i)) for i in range(8)]
    audit = np.arange(100, 120)
    places, drawn = np.zeros(10), set()
    for seed in range(600):
        mixed = rounds.mix_audit(picked, audit, 2, np.random.default_rng(seed))
        assert [e.item_id for e in mixed if not e.blind] == list(range(8))
        sealed = [(place, e) for place, e in enumerate(mixed) if e.blind]
        assert len(sealed) == 2
        for place, entry in sealed:
            assert (entry.strategy, entry.score, entry.suggestion_class_id) == ("audit", None, None)
            places[place] += 1
            drawn.add(entry.item_id)
    assert places.min() > 70
    assert drawn == set(audit.tolist())


def test_behind_counts_the_labels_since_the_model_took_its_own(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", ["train"] * 9)
    assert rounds.behind(project) == 0
    label(project, 1)
    with project.store.read() as unit:
        at = unit.labels.recent()[0].at + 1e-4
    for item in (2, 3):
        label(project, item)
    with project.store.write() as unit:
        round_ = unit.rounds.start("margin", 5, None, 1, 1.0)
        new = NewModel("m", "0" * 64, 1, 0, "b", "CPU", (1, 2), {"labels_at": at}, {}, {}, {})
        unit.models.add(new, round_.id)
    assert rounds.behind(project) == 2
