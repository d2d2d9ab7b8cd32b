"""What strategies are given: only what they need, nothing of the audit set, nothing unreadable."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from labeller.learning import device, picker, selection
from labeller.learning.extraction import compute_missing
from labeller.learning.features import features_of
from labeller.learning.kept_distances import KeptDistances
from labeller.learning.predictors import HeadPredictor
from labeller.learning.saved import load_model
from labeller.learning.selection import Candidates, Known, Wish, build_pool, candidates
from labeller.learning.snapshot import take
from labeller.progress import Silent
from labeller.project import Project, change_settings, open_project
from labeller.services.feature_recipes import Recipe
from store.records import NewEvent, NewItem, NewQueueEntry
from store.vectors import VectorFile
from strategies import registry
from strategies.base import Needs
from strategies.nearest import measure
from strategies.pool import auto
from tests.labeller.learning.shapes import add_shapes, label, picture, run, shapes

ALL = (
    Needs.PROBS
    | Needs.LOGITS
    | Needs.MC_PROBS
    | Needs.EMBEDDINGS
    | Needs.LABELLED
    | Needs.LABELLED_PROBS
)


@pytest.fixture
def trained(tmp_path: Path, quick: None) -> tuple[Project, Known]:
    """A project after one round, and what is known of its pool."""
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 31))
    result = run(project, batch=10)
    with project.store.read() as unit:
        record = unit.models.get(result["model"])
        prediction = unit.predictions.get(record.id)
    assert prediction is not None
    model = load_model(project, record)
    assert isinstance(model.predictor, HeadPredictor)
    features = features_of(project, model.predictor.features.recipe)
    snapshot = take(project)
    file = VectorFile.open(project.file(prediction.file), 3, "float32", "round-0000")
    labelled = snapshot.part("train", "valid")
    return project, Known(features, features.scaling(snapshot.pool_ids), labelled, model, file)


def test_a_pool_meets_every_need(trained: tuple[Project, Known]) -> None:
    project, known = trained
    found = candidates(project, known)
    rng = np.random.default_rng(0)
    pool = build_pool(ALL, found.free, found.pending, known, rng, Silent())
    assert pool.given == ALL
    n, m = len(found.free), len(known.labelled)
    assert pool.mc_probs is not None
    assert pool.mc_probs.shape == (selection.SAMPLES, n, 3)
    assert pool.embeddings is not None
    assert np.allclose(np.linalg.norm(pool.embeddings, axis=1), 1, atol=1e-5)
    assert pool.embeddings.dtype == np.float32
    assert pool.labelled_embeddings is not None
    assert pool.labelled_embeddings.shape == (m, pool.embeddings.shape[1])
    assert pool.labelled_classes is not None
    assert pool.labelled_classes.tolist() == [(i - 1) % 3 for i in known.labelled.ids]
    assert pool.logits is not None
    assert pool.probs is not None
    softmax = np.exp(pool.logits) / np.exp(pool.logits).sum(axis=1, keepdims=True)
    assert np.allclose(softmax, pool.probs, atol=1e-5)
    assert pool.mc_probs.std(axis=0).max() > 0


def test_embeddings_are_close_for_images_that_look_alike(trained: tuple[Project, Known]) -> None:
    _, known = trained
    ids = np.arange(1, 61)
    vectors = known.features.embeddings(ids, known.scaling)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    assert (likeness.argmax(axis=1) % 3 == np.arange(60) % 3).mean() > 0.9


def test_a_pool_has_nothing_that_is_not_needed(trained: tuple[Project, Known]) -> None:
    project, known = trained
    found = candidates(project, known)
    rng = np.random.default_rng(0)
    pool = build_pool(Needs.PROBS, found.free, found.pending, known, rng, Silent())
    assert pool.given == Needs.PROBS
    assert build_pool(Needs.NOTHING, found.free, found.pending, known, rng, Silent()).probs is None


def test_candidates_are_free_readable_and_outside_the_audit_set(
    trained: tuple[Project, Known],
) -> None:
    project, known = trained
    with project.store.write() as unit:
        held = {entry.item_id for entry in unit.queue.claim("anna", "page", 4, 60, 1.0)}
        items = unit.items.many(range(1, 61))
    found = candidates(project, known)
    splits = {i: item.split for i, item in items.items() if item.state == "unlabelled"}
    free = {i for i, split in splits.items() if split != "audit"}
    assert set(found.free.tolist()) == free - held
    assert set(found.audit.tolist()) == set(splits) - free - held
    assert set(found.pending.tolist()) == held & free
    assert all(items[i].split != "audit" for i in known.labelled.ids.tolist())


def wish(name: str, batch: int = 10, share: float = 0.0, **more: Any) -> Wish:
    return Wish(registry.get(name), batch, share, **more)


def pick(wished: Wish, found: Candidates, known: Known, seed: int = 0) -> list[NewQueueEntry]:
    entries = selection.choose(wished, found, known, np.random.default_rng(seed), Silent())
    return [entry for entry in entries if not entry.blind]


def test_a_large_pool_is_thinned_for_strategies_with_much_per_item(
    trained: tuple[Project, Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, known = trained
    monkeypatch.setattr(picker, "HEAVY_ITEMS", 5)
    found = candidates(project, known)
    for name, shown in (("typiclust", 5), ("margin", len(found.free)), ("bald", 5)):
        assert len(pick(wish(name, 99), found, known)) == shown
    assert "among 5 of the 24 unlabelled images" in run(project, "typiclust")["message"]


def test_time_limits_how_many_a_strategy_is_shown_but_for_k_center() -> None:
    assert most("k_center") == 2**31 // (4 * 472) > 1_000_000
    assert most("k_center", width=2**20) == 2**9
    assert most("badge") == picker.HEAVY_ITEMS
    assert most("random") == math.inf
    assert most("margin=1+random=1") == 2**31 // (4 * 3)
    assert most("margin=1+badge=1") == picker.HEAVY_ITEMS


def most(name: str, width: int = 472, classes: int = 3, opinions: int = 20) -> float:
    return picker.most(registry.get(name), width, classes, opinions)


@pytest.mark.parametrize("name", ["margin", "energy", "badge", "bald", "drop_query", "k_center"])
@pytest.mark.parametrize(("classes", "opinions"), [(3, 20), (1_000, 20), (1_000, 3), (30_000, 20)])
def test_the_arrays_of_a_pool_never_take_more_than_their_share_of_memory(
    name: str, classes: int, opinions: int
) -> None:
    needs, limit = registry.get(name).needs, most(name, 472, classes, opinions)
    numbers = 472 * (Needs.EMBEDDINGS in needs) + classes * (
        (Needs.PROBS in needs) + (Needs.LOGITS in needs) + opinions * (Needs.MC_PROBS in needs)
    )
    by_memory = 2**31 // (4 * numbers)
    assert limit == (
        min(by_memory, 50_000) if needs & picker.HEAVY and name != "k_center" else by_memory
    )


def test_many_classes_thin_the_pool_of_a_round(
    trained: tuple[Project, Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, known = trained
    found = candidates(project, known)
    for opinions in ("bald", 6 * 3 * 4 * 20), ("margin", 6 * 3 * 4):
        name, room = opinions
        monkeypatch.setattr(picker, "POOL_BYTES", room)
        assert selection.thinned(registry.get(name), found, known) == 6
        assert len(pick(wish(name, 99), found, known)) == 6


def test_the_pool_knows_the_number_of_classes_before_any_model(
    trained: tuple[Project, Known],
) -> None:
    project, known = trained
    known = dataclasses.replace(known, model=None, predictions=None, classes=7)
    found = candidates(project, known)
    rng = np.random.default_rng(0)
    pool = build_pool(Needs.EMBEDDINGS, found.free, found.pending, known, rng, Silent())
    assert pool.classes == 7


@pytest.mark.parametrize("name", ["margin", "random", "max_herding", "margin=50+k_center=50"])
def test_no_two_of_a_batch_are_closer_than_the_distance(
    trained: tuple[Project, Known], name: str
) -> None:
    project, known = trained
    found = candidates(project, known)

    def closest(entries: list[NewQueueEntry]) -> float:
        ids = np.array([entry.item_id for entry in entries])
        likeness = known.embeddings(ids) @ known.embeddings(ids).T
        np.fill_diagonal(likeness, -1)
        return float(np.sqrt(2 - 2 * likeness.max()))

    for seed in range(5):
        apart = pick(wish(name, 4, distance=0.6), found, known, seed)
        assert len(apart) == 4
        assert closest(apart) >= 0.6 - 1e-3
    everything = pick(wish(name, 99, distance=0.6), found, known)
    assert {entry.item_id for entry in everything} == set(found.free.tolist())
    assert closest(everything) < 0.6


def test_the_setting_keeps_near_duplicates_out_of_a_round(tmp_path: Path, quick: None) -> None:
    project = shapes(tmp_path / "p", 20, ["train"], audit_share=0.0, distinct_distance=0.0)
    label(project, range(1, 21))
    alike = Image.fromarray(picture(0, 39))
    for number in range(18):  # items 21 to 38: one picture in files that differ
        note = PngInfo()
        note.add_text("number", str(number))
        add_file(project, f"alike{number}.png", alike, note)
    add_shapes(project, [38], ["train"])  # item 39 is another picture
    add_file(project, "alike.png", alike, PngInfo())

    def asked(name: str) -> set[int]:
        run(project, name, 2)
        with project.store.read() as unit:
            return {entry.item_id for entry in unit.queue.entries(99)}

    assert 39 not in asked("random")  # two of the 19 copies
    change_settings(project, distinct_distance=0.3)
    project = open_project(project.root)
    for name in ("random", "margin", "typiclust"):
        assert 39 in asked(name)


def add_file(project: Project, name: str, image: Image.Image, note: PngInfo) -> None:
    """Add an item of a picture with a text in its file."""
    path = project.root / "images" / name
    image.save(path, pnginfo=note)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    side, size = image.width, path.stat().st_size
    new = NewItem(digest, f"images/{name}", True, side, side, "PNG", size, digest, "train")
    with project.store.write() as unit:
        unit.items.add([new])


def undone(project: Project, item: int) -> None:
    """Take the label of an item back."""
    with project.store.write() as unit:
        (event,) = [e for e in unit.labels.history(item) if e.kind == "label"]
        undo = NewEvent(key=f"undo {item}", kind="undo", undoes=event.key)
        (result,) = unit.labels.record("anna", "session", "page", [undo], 1.0)
    assert result.status == "accepted"


def test_kept_distances_change_no_pick_whatever_is_labelled_or_undone(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def counting(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        measured.append(len(vectors) * len(centres))
        return measure(vectors, centres)

    monkeypatch.setattr("strategies.nearest.measure", counting)
    project = shapes(tmp_path / "p", 60, ["train"])
    for labelled, taken_back in (([1, 2, 3, 4, 5], []), ([9, 10], []), ([], [3, 4]), ([4], [])):
        label(project, labelled)
        for item in taken_back:
            undone(project, item)
        features = features_of(project, Recipe("efficientnet_lite0", 64, ("mids", "raw", "hog")))
        compute_missing(project, features, np.arange(1, 61), device.choose("cpu"), Silent())
        scaling = features.scaling(np.arange(1, 61))
        known = Known(features, scaling, take(project).part("train", "valid"))
        found = candidates(project, known)
        for distance in (0.0, 0.5):
            plain = pick(wish("k_center", distance=distance), found, known)
            measured.clear()
            kept = pick(wish("k_center", distance=distance, folder=project.vectors), found, known)
            assert [e.item_id for e in kept] == [e.item_id for e in plain]
            assert [e.score for e in kept] == pytest.approx([e.score for e in plain])
    assert measured
    assert sum(measured) == 0  # the second pick of a round finds everything measured
    (file,) = project.vectors.glob("nearest-*.npz")
    other = dataclasses.replace(scaling, spread=2 * scaling.spread)
    KeptDistances(project.vectors, features, other).pick(
        build_pool(
            registry.get("k_center").needs,
            found.free,
            found.pending,
            dataclasses.replace(known, scaling=other),
            np.random.default_rng(0),
            Silent(),
        ),
        3,
        np.random.default_rng(0),
    )
    (new,) = project.vectors.glob("nearest-*")
    assert new != file


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04 half"])
def test_a_damaged_file_of_distances_is_measured_anew(
    trained: tuple[Project, Known], damage: bytes
) -> None:
    project, known = trained
    found = candidates(project, known)
    plain = pick(wish("k_center"), found, known)
    kept = wish("k_center", folder=project.vectors)
    pick(kept, found, known)
    (file,) = project.vectors.glob("nearest-*.npz")
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert pick(kept, found, known) == plain
    assert file.read_bytes() == whole
    np.savez(file, ids=np.arange(3.0), squared=np.zeros(2), nearest_ids=1, labelled_ids=2)
    assert pick(kept, found, known) == plain


def test_distances_that_a_power_cut_left_in_pieces_are_measured_anew(
    trained: tuple[Project, Known],
) -> None:
    project, known = trained
    found = candidates(project, known)
    plain = pick(wish("k_center"), found, known)
    kept = wish("k_center", folder=project.vectors)
    pick(kept, found, known)
    (file,) = project.vectors.glob("nearest-*.npz")
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for place in sorted(rng.integers(0, len(whole), 12).tolist()):
        for damage in (
            whole[:place],
            whole[:place] + bytes(64) + whole[place + 64 :],
            whole[:place] + rng.bytes(64) + whole[place + 64 :],
        ):
            file.write_bytes(damage)
            assert pick(kept, found, known) == plain, place


@pytest.mark.parametrize(
    ("name", "has_model", "used"),
    [
        ("margin", True, "margin"),
        ("margin", False, picker.COLD_START),
        ("random", False, "random"),
        ("random=1+max_herding=1", False, "random=1+max_herding=1"),
        ("random=1+margin=1", False, picker.COLD_START),
        ("typiclust", True, "typiclust"),
        ("auto", False, "auto"),
    ],
)
def test_without_a_model_a_strategy_that_needs_none_picks(
    name: str, has_model: bool, used: str
) -> None:
    assert picker.named(registry.get(name), has_model).name == used
    assert not registry.get(picker.COLD_START).needs & ~picker.WITHOUT_MODEL


@pytest.mark.parametrize(
    ("has_model", "labels"), [(False, 0), (False, 5), (True, 5), (True, 299), (True, 300)]
)
def test_auto_leaves_the_picking_to_another(has_model: bool, labels: int) -> None:
    chosen = picker.acting(registry.get("auto"), has_model, labels, 3)
    assert chosen.name == auto.choice(labels if has_model else 0, 3)
    assert has_model or not chosen.needs & ~picker.WITHOUT_MODEL
    assert picker.acting(registry.get("entropy"), has_model, labels, 3).name == "entropy"


def test_a_round_by_auto_says_who_picked_and_why(tmp_path: Path, quick: None) -> None:
    project = shapes(tmp_path / "p", 60)
    first = run(project, "auto", 6)
    assert first["strategy"] == "auto"
    assert "auto picked by max_herding (0 labels, margin from 300)" in first["message"]
    label(project, range(1, 31))
    second = run(project, "auto", 6)
    labels = len(take(project).part("train", "valid"))
    told = f"auto picked by uncertainty_herding ({labels} labels, margin from 300)."
    assert told in second["message"]
    with project.store.read() as unit:
        record = unit.rounds.latest()
        entries = unit.queue.entries(99)
    assert record is not None
    assert record.strategy == "auto"
    assert {e.strategy for e in entries if not e.blind} == {"uncertainty_herding"}


def test_a_round_by_a_mixture_keeps_which_part_picked_what(tmp_path: Path, quick: None) -> None:
    project = shapes(tmp_path / "p", 60, ["train"], audit_share=0.0)
    label(project, range(1, 31))
    result = run(project, "margin:70,typiclust:20,random:10", 10)
    assert result["strategy"] == "margin=70+typiclust=20+random=10"
    with project.store.read() as unit:
        parts = Counter(entry.strategy for entry in unit.queue.entries(99))
    assert parts == {"margin": 7, "typiclust": 2, "random": 1}
