"""The leak guard inside a round: near-duplicates that embeddings find end up in one split."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeller.learning import guarding
from labeller.learning.extraction import compute_missing
from labeller.learning.features import open_features
from labeller.progress import Silent
from labeller.project import Project, change_settings
from labeller.services import leak_guard, near_duplicates
from store import repository
from store.records import ItemRecord, NewItem, Split
from store.records_leaks import LinkRecord
from tests.labeller.learning.shapes import Told, add_shapes, label, picture, run, shapes

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
    assert unseen.split == "audit", "nobody had looked at it"
    for original, twin in twins.items():
        assert of(project, twin)[0].group == of(project, original)[0].group
    assert "Leak guard: 2 near-duplicates moved to the split of their twin." in result["message"]
    assert "1 near-duplicate of audit images is no longer trained on." in result["message"]

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
    assert (regrouping.joined, regrouping.moved, regrouping.unused) == (3, 2, 1)
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
    assert of(project, twins[trained])[0].split == "audit"
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


def test_a_guard_that_was_killed_halfway_is_finished_by_the_next(tmp_path: Path) -> None:
    project = guarded(tmp_path / "p", 30)
    links = [LinkRecord(i + 1, i, "embedding", 0.01) for i in range(1, 30, 2)]
    real, calls = repository.chunks, []

    def killed(values, size):  # type: ignore[no-untyped-def]
        for part in real(values, 4):
            calls.append(part)
            if len(calls) == 6:  # four parts are links, then groups begin
                raise KeyboardInterrupt
            yield part

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leak_guard, "chunks", killed)
        with pytest.raises(KeyboardInterrupt):
            leak_guard.regroup(project, links)
    halfway = {item.group for item in of(project, *range(1, 31))}
    assert 15 < len(halfway) < 30
    leak_guard.regroup(project, links)
    everyone = of(project, *range(1, 31))
    assert len({item.group for item in everyone}) == 15
    for one, other in zip(everyone[::2], everyone[1::2], strict=True):
        assert (one.group, one.split) == (other.group, other.split)


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
