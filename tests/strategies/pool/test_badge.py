"""`badge` by hand, against explicit gradients, for its odds, and against scikit-activeml."""

from __future__ import annotations

import numpy as np
import pytest
from skactiveml.pool import Badge

from strategies.base import Pool, needed
from strategies.pool import badge as module
from strategies.pool.badge import Gradients, badge, draw
from tests.strategies.peers import Linear
from tests.strategies.pools import make_pool


def explicit(probs: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The gradients of the last layer, one row of C · D numbers each."""
    factors = probs - np.eye(probs.shape[1])[probs.argmax(axis=1)]
    gradients: np.ndarray = factors[:, :, None] * vectors[:, None, :]
    return gradients.reshape(len(probs), -1)


def test_by_hand() -> None:
    # gradients (p − 1) ⊗ x: lengths √2 · 0.4, 0, √2 · 0.3 · 2
    pool = Pool(
        np.array([7, 8, 9]),
        probs=np.array([[0.6, 0.4], [1.0, 0.0], [0.3, 0.7]]),
        embeddings=np.array([[1.0, 0.0], [5.0, 5.0], [0.0, 2.0]]),
    )
    selection = badge(pool, 1, np.random.default_rng(0))
    assert selection.ids.tolist() == [9]
    assert selection.scores[0] == pytest.approx(np.sqrt(2) * 0.6)
    # then 7 is at √(0.72 + 0.32) from it and 8 at √0.72
    first = [badge(pool, 2, np.random.default_rng(seed)).ids[1] for seed in range(2000)]
    assert abs(first.count(7) - 2000 * 1.04 / 1.76) < 90


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_are_those_of_the_explicit_gradients(dtype: type) -> None:
    rng = np.random.default_rng(0)
    probs: np.ndarray = rng.dirichlet(np.ones(4), 50).astype(dtype)
    vectors: np.ndarray = rng.normal(size=(50, 6)).astype(dtype)
    gradients = explicit(probs.astype(float), vectors.astype(float))
    factored = Gradients(probs, vectors)
    np.testing.assert_allclose(factored.norms, (gradients**2).sum(axis=1), rtol=1e-5)
    apart = ((gradients[:, None] - gradients[None]) ** 2).sum(axis=2)
    ours = factored.squared_distances(slice(None), np.arange(50))
    np.testing.assert_allclose(ours, apart, atol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize(("waiting", "refused"), [(1, 1), (32, 64), (1000, 1000)])
def test_every_draw_is_in_proportion_to_squared_distances(
    waiting: int, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when old distances are used to draw: nearly no refresh, or one for each pick."""
    monkeypatch.setattr(module, "WAITING", waiting)
    monkeypatch.setattr(module, "REFUSED", refused)
    data = np.random.default_rng(3)
    probs, vectors = data.dirichlet(np.ones(3), 6), data.normal(size=(6, 2))
    gradients = explicit(probs, vectors)
    factored, rng = Gradients(probs, vectors), np.random.default_rng(0)
    drawn = [tuple(draw(factored, 3, rng)[0].tolist()) for _ in range(4000)]
    first = int((gradients**2).sum(axis=1).argmax())
    apart = ((gradients[:, None] - gradients[None]) ** 2).sum(axis=2)
    for second in set(range(6)) - {first}:
        share = apart[first, second] / apart[first].sum()
        for third in set(range(6)) - {first, second}:
            near = np.minimum(apart[first], apart[second])
            expected = 4000 * share * near[third] / near.sum()
            count = drawn.count((first, second, third))
            assert abs(count - expected) < 4.5 * np.sqrt(expected) + 4


def test_weights_as_scikit_activeml() -> None:
    """Theirs keeps the origin as one more centre; with it the weights are the same."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(90, 5))
    truth = np.where(np.arange(90) < 10, 0, np.nan)
    model = Linear(classes=[0, 1, 2, 3])
    theirs, utilities = Badge(random_state=0).query(
        vectors, truth, model, fit_clf=False, batch_size=6, return_utilities=True
    )
    probs = model.predict_proba(vectors[10:])
    factored = Gradients(probs, vectors[10:])
    pool = Pool(np.arange(10, 90), probs=probs, embeddings=vectors[10:])
    assert badge(pool, 1, rng).ids[0] == theirs[0]
    weights = factored.norms.copy()
    for turn in range(6):
        ours = weights / weights.sum()
        picked = np.array(theirs[:turn], int) - 10
        ours[picked] = np.nan
        np.testing.assert_allclose(ours, utilities[turn, 10:], atol=1e-9)
        factored.shorten(weights, np.array([theirs[turn] - 10]))


def test_far_fewer_alike_than_by_uncertainty() -> None:
    rng = np.random.default_rng(0)
    blob = np.repeat(np.arange(20), [400] + [10] * 19)
    vectors = np.eye(20)[blob] + rng.normal(scale=0.05, size=(len(blob), 20))
    pool = Pool(np.arange(len(blob)), probs=np.full((len(blob), 2), 0.5), embeddings=vectors)
    picked = blob[badge(pool, 20, rng).ids]
    assert len(set(picked.tolist())) >= 17


def test_scores_are_distances_to_the_nearest_pick_before() -> None:
    pool = make_pool(n=80, dimension=3)
    gradients = explicit(needed(pool.probs), needed(pool.embeddings))
    selection = badge(pool, 10, np.random.default_rng(0))
    rows = [int(np.flatnonzero(pool.ids == item)[0]) for item in selection.ids]
    for turn in range(1, 10):
        near = min(np.linalg.norm(gradients[rows[turn]] - gradients[row]) for row in rows[:turn])
        assert selection.scores[turn] == pytest.approx(near, rel=1e-6)


def test_when_the_model_is_certain_of_all_the_draw_is_random() -> None:
    pool = Pool(np.arange(30), probs=np.eye(3)[np.arange(30) % 3], embeddings=np.ones((30, 2)))
    seconds = {int(badge(pool, 2, np.random.default_rng(seed)).ids[1]) for seed in range(60)}
    assert len(seconds) > 20
