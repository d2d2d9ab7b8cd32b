"""The leak guard inside a round: near-duplicates that embeddings find end up in one split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeller.config import Settings
from labeller.errors import JobLost, LeakError
from labeller.learning import guarding
from labeller.learning.extraction import compute_missing
from labeller.learning.features import open_features
from labeller.progress import Silent
from labeller.project import Project, change_settings
from labeller.services import leak_guard, mergers, near_duplicates
from labeller.services.mergers import Mergers
from store.records import ItemRecord, NewItem, Split
from store.records_leaks import LinkRecord
from store.regroupings import Regroupings
from store.store import Unit
from tests.labeller.learning.shapes import Told, add_shapes, job, label, picture, run, shapes

TURN: tuple[Split, ...] = ("train", "valid", "audit")


def copies(project: Project, of: dict[int, Split]) -> dict[int, int]:
    """Add a slightly darker copy of shapes in other splits; returns the copies by original."""
    made = []
    for seed, split in of.items():
        path = project.root / "images" / f"copy-{seed}.png"
        Image.fromarray(np.clip(picture(seed % 3, seed), 2, 255) - np.uint8(2)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        item = NewItem(digest, f"images/{path.name}", True, 28, 28, "PNG", size, digest, split)
        made.append(item)
    with project.store.write() as unit:
        return dict(zip((seed + 1 for seed in of), unit.items.add(made), strict=True))


def of(project: Project, *ids: int) -> list[ItemRecord]:
    with project.store.read() as unit:
        found = unit.items.many(ids)
    return [found[i] for i in ids]


def guarded(root: Path, number: int = 45) -> Project:
    """Make a project whose shapes are told apart by embeddings, with the guard on."""
    return shapes(root, number, TURN, leak_distance=0.1)


def test_near_duplicates_end_up_in_the_split_of_the_oldest(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p")
    with project.store.read() as unit:
        own = {split: unit.items.ids(split=split).tolist() for split in TURN}
    noise = {s: [i for i in own[s] if (i - 1) % 3 == 2] for s in TURN}  # unlike each other
    trained, measured = noise["train"][0], noise["audit"][:2]
    twins = copies(
        project, {trained - 1: "audit", measured[0] - 1: "train", measured[1] - 1: "train"}
    )
    label(project, [*own["train"], *own["valid"], *own["audit"]])
    kind = 2
    label(project, [twins[trained], twins[measured[0]]], [kind, kind])
    told = Told()
    result = run(project, batch=6, progress=told)

    assert told.stages.index("guard") < told.stages.index("train")
    was_audit, was_train, unseen = of(
        project, twins[trained], twins[measured[0]], twins[measured[1]]
    )
    assert was_audit.split == "train", "its label trains now"
    assert was_train.split == "unused", "its label was no random one"
    assert unseen.split == "unused", "nor would its label be, of what a strategy passed over"
    for original, twin in twins.items():
        assert of(project, twin)[0].group == of(project, original)[0].group
    assert "Leak guard: 1 near-duplicate moved to the split of its twin." in result["message"]
    assert "2 near-duplicates of audit images are in no split any more." in result["message"]

    with project.store.read() as unit:
        model, record = unit.models.in_use(), unit.rounds.latest()
        label_hash = unit.labels.set_hash()
    assert model is not None
    assert record is not None
    assert model.label_hash == label_hash, "the hash is that of the labels after the guard"
    assert model.metrics["train_n"] == len(own["train"]) + 1
    assert model.metrics["n"] == len(own["audit"])
    assert record.labels == model.labels
    (regrouping,) = leak_guard.overview(project).runs
    assert (regrouping.joined, regrouping.moved, regrouping.unused) == (3, 1, 2)
    assert regrouping.job_id == record.job_id


@pytest.mark.usefixtures("quick")
def test_a_second_round_compares_only_what_is_new(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    label(project, range(1, 21))
    run(project)
    known = leak_guard.overview(project).checked
    assert known is not None
    assert (known.item, known.distance) == (30, 0.1)
    seen: list[int] = []
    real = near_duplicates.close_pairs

    def counted(read, total, distance, new, tick):  # type: ignore[no-untyped-def]
        seen.append(int(new.sum()))
        return real(read, total, distance, new, tick)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guarding, "close_pairs", counted)
        run(project)
        assert seen == []
        add_shapes(project, range(100, 104), TURN)
        run(project)
        assert seen == [4]
        # closer than before is known; further than before is not
        run(change_settings(project, leak_distance=0.05))
        assert seen == [4]
        run(change_settings(project, leak_distance=0.12))
        assert seen == [4, 34]


@pytest.mark.usefixtures("quick")
def test_an_image_that_could_not_be_read_is_compared_when_it_can(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    with project.store.read() as unit:
        trained = next(i for i in unit.items.ids(split="train").tolist() if (i - 1) % 3 == 2)
    twins = copies(project, {trained - 1: "audit"})
    add_shapes(project, [200], TURN)
    label(project, range(1, 21))
    file = project.root / "images" / f"copy-{trained - 1}.png"
    file.rename(tmp_path / "away.png")
    run(project)
    known = leak_guard.overview(project).checked
    assert known is not None
    assert (known.item, known.left) == (32, (twins[trained],))
    (tmp_path / "away.png").rename(file)
    run(project)
    assert of(project, twins[trained])[0].group == of(project, trained)[0].group


@pytest.mark.usefixtures("quick")
def test_what_was_taken_back_stays_apart(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    with project.store.read() as unit:
        trained = next(i for i in unit.items.ids(split="train").tolist() if (i - 1) % 3 == 2)
    twins = copies(project, {trained - 1: "audit"})
    label(project, range(1, 21))
    run(project)
    assert of(project, twins[trained])[0].split == "train"
    (regrouping,) = leak_guard.overview(project).runs
    assert leak_guard.undo(project, regrouping.id) == regrouping.joined
    run(change_settings(project, leak_distance=0.11))
    assert of(project, twins[trained])[0].group != of(project, trained)[0].group


@pytest.mark.usefixtures("quick")
def test_links_of_an_import_are_taken_up(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    label(project, range(1, 21))
    with project.store.write() as unit:
        unit.leaks.link([LinkRecord(27, 3, "hash", 2.0)], checked=False)
    run(project)
    first, second = of(project, 3, 27)
    assert first.group == second.group
    assert first.split == second.split


def test_a_guard_that_was_killed_halfway_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_guard, "BATCH", 4)
    project = guarded(tmp_path / "p", 30)
    with project.store.write() as unit:  # bursts of three, each in one split
        number = unit.regroupings.start(0.1)
        for first in range(1, 31, 3):
            facts = unit.leaks.groups(range(first, first + 3))
            others = [facts[i].key for i in range(first + 1, first + 3)]
            unit.regroupings.join(number, [(facts[first], others)])
    links = [LinkRecord(i + 5, i, "embedding", 0.01) for i in (1, 7, 13, 19, 25)]
    real, calls = Regroupings.join, []

    def killed(self: Regroupings, *given: Any) -> None:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Regroupings, "join", killed)
        with pytest.raises(KeyboardInterrupt):
            leak_guard.regroup(project, links)
    halfway = of(project, *range(1, 31))
    assert 5 < len({item.group for item in halfway}) < 10
    for group in {item.group for item in halfway}:
        inside = {item.split for item in halfway if item.group == group} - {"unused"}
        assert len(inside) == 1, "no group is half in two splits"
    leak_guard.regroup(project, links)
    assert len({item.group for item in of(project, *range(1, 31))}) == 5


def test_what_comes_in_meanwhile_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import adds to a burst, and links a look-alike, after the plan was made."""
    project = guarded(tmp_path / "p", 30)
    burst = of(project, 21)[0]
    real = leak_guard._plan

    def late(unit: Unit, settings: Settings, links: Sequence[LinkRecord]) -> Mergers:
        found = real(unit, settings, links)
        monkeypatch.setattr(leak_guard, "_plan", real)
        (number,) = add_shapes(project, [300], TURN)
        with project.store.write() as other:
            run = other.regroupings.start(0.1)
            facts = other.leaks.groups([21, number])
            other.regroupings.join(run, [(facts[21], [facts[number].key])])
            other.leaks.link([LinkRecord(25, 24, "hash", 3.0)], checked=False)
        return found

    monkeypatch.setattr(leak_guard, "_plan", late)
    leak_guard.regroup(project, [LinkRecord(21, 2, "embedding", 0.01)])
    joined, came = of(project, 21, 31)
    assert joined.group == came.group == of(project, 2)[0].group != burst.group
    with project.store.read() as unit:
        assert [one.item_id for one in unit.leaks.unchecked()] == [25]


def test_a_job_that_lost_its_row_moves_nothing(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    lost = job(project)
    with project.store.write() as unit:
        unit.jobs.finish(lost.id, "failed", error="reaped")
    before = of(project, *range(1, 31))
    with pytest.raises(JobLost):
        leak_guard.regroup(project, [LinkRecord(21, 2, "embedding", 0.01)], lost.id)
    assert of(project, *range(1, 31)) == before


def test_groups_too_large_together_stay_apart_until_they_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mergers, "LARGE", 3)
    project = guarded(tmp_path / "p", 30)
    links = [LinkRecord(i + 1, i, "embedding", 0.01 * i) for i in range(1, 6)]
    run_ = leak_guard.regroup(project, links)
    assert run_ is not None
    assert (run_.joined, run_.apart) == (4, 1)
    assert leak_guard.overview(project).apart == 1
    assert leak_guard.regroup(project, []) is None, "nothing is new"
    monkeypatch.setattr(mergers, "LARGE", 9)
    assert leak_guard.regroup(project, []) is not None
    assert len({item.group for item in of(project, *range(1, 7))}) == 1
    assert leak_guard.overview(project).apart == 0


def test_what_was_parted_stays_parted_whoever_its_group_joins(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    link = LinkRecord(20, 10, "embedding", 0.01)
    first = leak_guard.regroup(project, [link])
    assert first is not None
    assert leak_guard.undo(project, first.id, 10) == 1
    assert leak_guard.regroup(project, [link]) is None
    leak_guard.regroup(project, [LinkRecord(10, 5, "embedding", 0.01)])
    assert leak_guard.regroup(project, [link]) is None
    assert leak_guard.regroup(project, [LinkRecord(20, 5, "embedding", 0.02)]) is None
    joined = leak_guard.regroup(project, [LinkRecord(20, 8, "embedding", 0.02)])
    assert joined is not None, "another twin is another matter"


def test_an_older_regrouping_is_taken_back_after_the_newer_one(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    before = of(project, *range(1, 31))
    first = leak_guard.regroup(project, [LinkRecord(16, 10, "embedding", 0.01)])
    second = leak_guard.regroup(project, [LinkRecord(10, 5, "embedding", 0.01)])
    assert first is not None
    assert second is not None
    for anchor in (None, 10):
        with pytest.raises(LeakError, match="Take regrouping 2 back first"):
            leak_guard.undo(project, first.id, anchor)
    assert [run.undone for run in leak_guard.overview(project).runs] == [0, 0]
    assert leak_guard.undo(project, second.id) == 2
    assert leak_guard.undo(project, first.id) == 1
    assert of(project, *range(1, 31)) == before
    with pytest.raises(LeakError, match="Regrouping 1 was taken back already"):
        leak_guard.undo(project, first.id)


def test_taking_back_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_guard, "BATCH", 2)
    project = guarded(tmp_path / "p", 30)
    before = of(project, *range(1, 31))
    links = [LinkRecord(i + 3, i, "embedding", 0.01) for i in (1, 2, 3, 7, 8, 9)]
    found = leak_guard.regroup(project, [*links, LinkRecord(13, 1, "embedding", 0.02)])
    assert found is not None
    real, calls = Regroupings.undo, []

    def killed(self: Regroupings, number: int, anchors: Sequence[int]) -> int:
        calls.append(list(anchors))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, number, anchors)

    with monkeypatch.context() as patch:
        patch.setattr(Regroupings, "undo", killed)
        with pytest.raises(KeyboardInterrupt):
            leak_guard.undo(project, found.id)
    assert calls == [[1], [2, 3], [7, 8]], "each group whole"
    assert leak_guard.overview(project).runs[0].undone == 4
    assert leak_guard.undo(project, found.id) == 3
    assert of(project, *range(1, 31)) == before


def test_what_was_parted_is_brought_together_by_no_third(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    before = of(project, 10, 16)
    first = leak_guard.regroup(project, [LinkRecord(16, 10, "embedding", 0.01)])
    assert first is not None
    leak_guard.undo(project, first.id)
    near = [LinkRecord(25, 10, "embedding", 0.01), LinkRecord(25, 16, "embedding", 0.02)]
    second = leak_guard.regroup(project, near)
    assert second is not None
    assert (second.joined, second.apart) == (1, 1)
    trained, measured, third = of(project, 10, 16, 25)
    assert [trained, measured] == before
    assert third.group == trained.group
    assert leak_guard.overview(project).apart == 2, "the pair taken back, and what hangs on it"
    assert leak_guard.regroup(project, near) is None, "nothing is new"


def test_no_image_of_different_shapes_is_joined(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 90)
    with project.store.read() as unit:
        ids = unit.items.ids()
    features = open_features(project, ids)
    from labeller.learning import device

    compute_missing(project, features, ids, device.choose("cpu"), Silent())
    found = guarding._links(
        features, features.scaling(ids), ids, 0.25, np.ones(len(ids), bool), Silent()
    )
    kinds = {((one.item_id - 1) % 3, (one.other_id - 1) % 3) for one in found}
    assert all(a == b for a, b in kinds)
