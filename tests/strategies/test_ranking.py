"""The best k of many scores, in order, ties drawn at random."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strategies.ranking import best, top


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.data())
def test_top_is_the_sorted_beginning(scores: list[int], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(scores)))
    rng = np.random.default_rng(data.draw(st.integers(0, 5)))
    rows = top(np.array(scores, float), k, rng)
    assert len(set(rows.tolist())) == k
    assert [scores[row] for row in rows] == sorted(scores, reverse=True)[:k]


def test_top_draws_evenly_among_ties_at_the_edge() -> None:
    scores = np.array([5.0, 1, 1, 1, 1, 0])
    drawn = [top(scores, 3, np.random.default_rng(seed)) for seed in range(600)]
    assert all(rows[0] == 0 for rows in drawn)
    counts = np.bincount(np.concatenate([rows[1:] for rows in drawn]), minlength=6)
    # 1,200 draws among four: 300 each
    assert counts[5] == 0
    assert max(abs(counts[1:5] - 300)) < 60


def test_best_draws_evenly_among_ties() -> None:
    scores = np.array([1.0, 3, 2, 3, 3])
    counts = np.bincount([best(scores, np.random.default_rng(seed)) for seed in range(600)])
    assert counts[0] == counts[2] == 0
    assert max(abs(counts[[1, 3, 4]] - 200)) < 50
