"""`contrastive` by hand, by brute force, and against scikit-activeml."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skactiveml.pool import ContrastiveAL

from strategies.base import Pool, needed
from strategies.pool.contrastive import contrastive
from tests.strategies.peers import Linear
from tests.strategies.pools import make_pool


def test_by_hand() -> None:
    # both items lie on labelled item 0, which is predicted [0.9, 0.1]
    pool = Pool(
        np.array([7, 8]),
        probs=np.array([[0.9, 0.1], [0.5, 0.5]]),
        embeddings=np.zeros((2, 1)),
        labelled_embeddings=np.array([[0.0], [9.0]]),
        labelled_classes=np.array([0, 1]),
        labelled_probs=np.array([[0.9, 0.1], [0.2, 0.8]]),
    )
    selection = contrastive(pool, 2, np.random.default_rng(0), neighbours=1)
    assert selection.ids.tolist() == [8, 7]
    expected = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    np.testing.assert_allclose(selection.scores, [expected, 0], atol=1e-12)


@pytest.mark.parametrize("neighbours", [1, 4, 100])
def test_as_computed_one_by_one(neighbours: int) -> None:
    pool = make_pool(n=50, dimension=2)
    vectors, labelled = needed(pool.embeddings), needed(pool.labelled_embeddings)
    probs, known = needed(pool.probs), needed(pool.labelled_probs)
    expected = {}
    for row, item in enumerate(pool.ids.tolist()):
        apart = [math.dist(vectors[row], other) for other in labelled]
        near = sorted(range(len(labelled)), key=lambda j: apart[j])[:neighbours]
        each = [(known[j] * np.log(known[j] / probs[row])).sum() for j in near]
        expected[item] = np.mean(each)
    selection = contrastive(pool, 50, np.random.default_rng(0), neighbours=neighbours)
    np.testing.assert_allclose(
        selection.scores, [expected[item] for item in selection.ids.tolist()], rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize("neighbours", [1, 5, 10])
def test_as_scikit_activeml(neighbours: int) -> None:
    rng = np.random.default_rng(neighbours)
    vectors = rng.normal(size=(120, 6))
    truth = np.where(np.arange(120) < 30, rng.integers(4, size=120), np.nan)
    model = Linear(classes=[0, 1, 2, 3])
    peer = ContrastiveAL(nearest_neighbors_dict={"n_neighbors": neighbours}, random_state=0)
    _, theirs = peer.query(vectors, truth, model, fit_clf=False, return_utilities=True)
    pool = Pool(
        np.arange(30, 120),
        probs=model.predict_proba(vectors[30:]),
        embeddings=vectors[30:],
        labelled_embeddings=vectors[:30],
        labelled_classes=truth[:30].astype(int),
        labelled_probs=model.predict_proba(vectors[:30]),
    )
    selection = contrastive(pool, 90, rng, neighbours=neighbours)
    np.testing.assert_allclose(selection.scores, theirs[0][selection.ids], atol=1e-6)


def test_without_labels_it_is_a_random_draw() -> None:
    pool = make_pool(labelled=0)
    first = {int(contrastive(pool, 1, np.random.default_rng(s)).ids[0]) for s in range(40)}
    assert len(first) > 20
