"""What strategies are given: only what they need, nothing of the audit set, nothing unreadable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labeller.learning import selection
from labeller.learning.features import features_of
from labeller.learning.predictors import HeadPredictor
from labeller.learning.saved import load_model
from labeller.learning.selection import Known, build_pool, candidates, effective
from labeller.learning.snapshot import take
from labeller.progress import Silent
from labeller.project import Project
from store.vectors import VectorFile
from strategies import registry
from strategies.base import Needs
from tests.labeller.learning.shapes import label, run, shapes

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


def test_a_large_pool_is_thinned_for_strategies_with_much_per_item(
    trained: tuple[Project, Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, known = trained
    monkeypatch.setattr(selection, "HEAVY_ITEMS", 5)
    found = candidates(project, known)
    for name, most in (("typiclust", 5), ("margin", len(found.free))):
        rng = np.random.default_rng(0)
        entries = selection.choose(registry.get(name), 99, 0.0, found, known, rng, Silent())
        assert sum(not entry.blind for entry in entries) == most
    assert "among 5 of the 24 unlabelled images" in run(project, "typiclust")["message"]


@pytest.mark.parametrize(
    ("name", "has_model", "used"),
    [
        ("margin", True, "margin"),
        ("margin", False, "typiclust"),
        ("random", False, "random"),
        ("typiclust", True, "typiclust"),
    ],
)
def test_without_a_model_a_strategy_that_needs_none_picks(
    name: str, has_model: bool, used: str
) -> None:
    cold = registry.get("typiclust")
    assert effective(registry.get(name), cold, has_model).name == used
