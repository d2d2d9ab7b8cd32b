"""`batch_bald` by hand, by brute force over all configurations, and against scikit-activeml."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from skactiveml.pool import batch_bald as their_batch_bald

from strategies.base import Pool, needed
from strategies.pool import batch_bald as module
from strategies.pool.bald import bald
from strategies.pool.batch_bald import Joint, batch_bald
from tests.strategies.pools import make_pool


def test_by_hand() -> None:
    # items 0 and 1 split the four samples alike, item 2 across them, item 3 not at all
    yes, no = [1.0, 0.0], [0.0, 1.0]
    samples = np.array([[yes, yes, no, no], [yes, yes, no, no], [yes, no, yes, no], [yes] * 4])
    pool = Pool(np.array([10, 11, 12, 13]), mc_probs=samples.transpose(1, 0, 2))
    for seed in range(10):
        selection = batch_bald(pool, 4, np.random.default_rng(seed))
        assert 12 in selection.ids[:2].tolist()  # never 10 and 11 together first
        np.testing.assert_allclose(selection.scores, [math.log(2), math.log(2), 0, 0], atol=1e-12)


def information(samples: np.ndarray, rows: list[int]) -> float:
    """I(labels of the rows; model), from the definition."""
    total = 0.0
    for labels in itertools.product(range(samples.shape[2]), repeat=len(rows)):
        each = np.prod([samples[:, row, c] for row, c in zip(rows, labels, strict=True)], axis=0)
        total -= each.mean() * math.log(each.mean())
    entropies = -(samples[:, rows] * np.log(samples[:, rows])).sum(axis=(1, 2))
    return total - float(entropies.mean())


@pytest.mark.parametrize("seed", range(4))
def test_as_the_definition(seed: int) -> None:
    pool = make_pool(n=12, classes=3, samples=6, dimension=2, seed=seed)
    samples = needed(pool.mc_probs)
    selection = batch_bald(pool, 5, np.random.default_rng(0))
    rows: list[int] = []
    for item, score in zip(selection.ids, selection.scores, strict=True):
        before = information(samples, rows) if rows else 0.0
        added = [information(samples, [*rows, r]) - before for r in range(12) if r not in rows]
        assert score == pytest.approx(max(added), abs=1e-9)
        rows.append(int(np.flatnonzero(pool.ids == item)[0]))
        assert information(samples, rows) - before == pytest.approx(max(added), abs=1e-9)


@pytest.mark.parametrize("classes", [2, 5])
def test_same_picks_as_scikit_activeml(classes: int) -> None:
    rng = np.random.default_rng(classes)
    samples = rng.dirichlet(np.ones(classes), size=(8, 40)) * 0.98 + 0.02 / classes
    utilities = their_batch_bald(samples.copy(), 4, n_MC_samples=10_000, random_state=0)
    theirs = [int(np.nanargmax(row)) for row in utilities]
    pool = Pool(np.arange(40), mc_probs=samples)
    selection = batch_bald(pool, 4, np.random.default_rng(0), configurations=10_000)
    assert selection.ids.tolist() == theirs
    np.testing.assert_allclose(
        selection.scores.cumsum(), [np.nanmax(row) for row in utilities], atol=1e-6
    )


def test_drawn_configurations_estimate_the_exact_entropy() -> None:
    pool = make_pool(n=30, classes=3, samples=10, dimension=2)
    samples = needed(pool.mc_probs)
    picked, others = samples[:, :5], samples[:, 5:]
    exact = Joint(picked, 3**5, np.random.default_rng(0))
    drawn = Joint(picked, 3**5 - 1, np.random.default_rng(0))
    assert exact.probs.shape == (243, 10)
    assert exact.probs.mean(axis=1).sum() == pytest.approx(1)
    estimates = np.array(
        [
            Joint(picked, 200, np.random.default_rng(seed)).entropy_added(others)
            for seed in range(60)
        ]
    )
    assert drawn.probs.shape == (250, 10)
    error = estimates.mean(axis=0) - exact.entropy_added(others)
    spread = estimates.std(axis=0) / math.sqrt(60)
    assert (abs(error) < 5 * spread + 1e-3).all()


def test_one_pick_is_bald() -> None:
    pool = make_pool(n=200)
    first, highest = (f(pool, 1, np.random.default_rng(0)) for f in (batch_bald, bald))
    assert first.ids.tolist() == highest.ids.tolist()
    np.testing.assert_allclose(first.scores, highest.scores)


def test_large_batches_are_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER", 2)
    monkeypatch.setattr(module, "CANDIDATES", 10)
    pool = make_pool(n=50)
    highest = bald(pool, 10, np.random.default_rng(0))
    selection = batch_bald(pool, 10, np.random.default_rng(0))
    assert set(selection.ids.tolist()) == set(highest.ids.tolist())  # only the candidates
    assert len(batch_bald(pool, 30, np.random.default_rng(0))) == 30
    # each group begins with the highest BALD score of those left
    left = dict(zip(highest.ids.tolist(), highest.scores.tolist(), strict=True))
    for start in range(0, 10, 2):
        first = int(selection.ids[start])
        assert left[first] == max(left.values())
        for item in selection.ids[start : start + 2].tolist():
            del left[item]
