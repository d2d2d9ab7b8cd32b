"""`class_balance` by hand, by dealing one at a time, and for what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.base import Pool
from strategies.pool.class_balance import class_balance
from strategies.pool.margin import closeness


def pool_of(predicted: list[int], certainty: list[float], labels: list[int], classes: int) -> Pool:
    """A pool whose item i is taken for a class with some probability, the rest shared evenly."""
    probs = np.empty((len(predicted), classes))
    for row, (c, p) in enumerate(zip(predicted, certainty, strict=True)):
        probs[row] = (1 - p) / (classes - 1)
        probs[row, c] = p
    return Pool(
        np.arange(len(predicted)),
        probs=probs,
        labelled_embeddings=np.zeros((len(labels), 1)),
        labelled_classes=np.array(labels, np.int64),
    )


def test_by_hand() -> None:
    # class 0 has three labels (weight 1/4), class 1 none (weight 1)
    pool = pool_of([0, 0, 0, 1, 1, 1], [0.6, 0.7, 0.8, 0.9, 0.8, 0.95], [0, 0, 0], 2)
    selection = class_balance(pool, 5, np.random.default_rng(0))
    # quotients: class 1: 1, 1/3, 1/5; class 0: 1/4, 1/12
    assert selection.ids.tolist() == [4, 3, 0, 5, 1]
    np.testing.assert_allclose(selection.scores, [1, 1 / 3, 1 / 4, 1 / 5, 1 / 12])


@pytest.mark.parametrize("seed", range(5))
def test_as_dealt_one_at_a_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs, labelled = rng.dirichlet(np.ones(5), 80), rng.integers(5, size=15)
    pool = Pool(
        np.arange(80),
        probs=probs,
        labelled_embeddings=np.zeros((15, 1)),
        labelled_classes=labelled,
    )
    predicted, close = probs.argmax(axis=1), closeness(probs)
    left = {c: sorted(np.flatnonzero(predicted == c), key=lambda i: -close[i]) for c in range(5)}
    given = dict.fromkeys(range(5), 0)
    expected = []
    for _ in range(40):
        quotients = {
            c: 1 / ((labelled == c).sum() + 1) / (2 * given[c] + 1) for c in range(5) if left[c]
        }
        expected.append(max(quotients.values()))
        chosen = max(quotients, key=lambda c: quotients[c])
        left[chosen].pop(0)
        given[chosen] += 1
    selection = class_balance(pool, 40, np.random.default_rng(0))
    np.testing.assert_allclose(selection.scores, expected)
    for c in range(5):  # within a class the closest calls, in their order
        rows = [int(np.flatnonzero(pool.ids == item)[0]) for item in selection.ids]
        mine = [row for row in rows if predicted[row] == c]
        assert mine == sorted(np.flatnonzero(predicted == c), key=lambda i: -close[i])[: len(mine)]


def test_shares_follow_the_quota() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.integers(3, size=3000).tolist()
    certainty = rng.uniform(0.4, 1, size=3000).tolist()
    pool = pool_of(predicted, certainty, [0] * 1 + [1] * 5 + [2] * 11, 3)
    picked = class_balance(pool, 90, rng).ids
    counts = np.bincount(np.array(predicted)[picked], minlength=3)
    # weights 1/2, 1/6, 1/12: shares 6 : 2 : 1
    assert counts.tolist() == [60, 20, 10]


def test_a_class_that_runs_out_leaves_its_share_to_the_others() -> None:
    pool = pool_of([0, 1, 1, 1], [0.9, 0.6, 0.7, 0.8], [1, 1, 1, 1], 2)
    assert class_balance(pool, 3, np.random.default_rng(0)).ids.tolist() == [0, 1, 2]
