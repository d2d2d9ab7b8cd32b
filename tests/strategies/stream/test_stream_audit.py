"""The audit's sample is fair, stratified, and large enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.stream import StreamError
from strategies.stream.quality.audit import audit_sample


def labels(n: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.choice(4, n, p=[0.6, 0.3, 0.09, 0.01]), rng.beta(8, 1, n)


def test_every_class_and_level_gives_its_share() -> None:
    classes, sure = labels()
    for seed in range(20):
        sample = audit_sample(classes, sure, 0.1, np.random.default_rng(seed))
        assert not sample.extra.any()
        assert abs(len(sample.rows) - 100) <= 1
        for label in range(4):
            own = np.flatnonzero(classes == label)
            levels = own[np.argsort(sure[own])]
            for stretch in [own, *np.array_split(levels, 4)]:
                assert abs(np.isin(sample.rows, stretch).sum() - 0.1 * len(stretch)) <= 1


def test_every_label_has_the_same_chance() -> None:
    classes, sure = labels(60)
    counts = np.zeros(60)
    rng = np.random.default_rng(0)
    for _ in range(4000):
        counts[audit_sample(classes, sure, 0.15, rng).rows] += 1
    # binomial(4000, 0.15): 600, standard deviation 22.6
    assert counts.min() > 600 - 5 * 22.6
    assert counts.max() < 600 + 5 * 22.6


def test_equal_confidences_are_drawn_among_at_random() -> None:
    counts = np.zeros(40)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        rows = audit_sample(np.zeros(40, int), np.ones(40), 0.1, rng).rows
        counts[rows] += 1
        assert len(rows) == 4
    assert counts.min() > 120
    pairs = {tuple(sorted(audit_sample([0] * 6, [1] * 6, 1 / 3, rng).rows)) for _ in range(400)}
    assert len(pairs) == 15  # every pair of six occurs, neighbours too


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), max_size=60),
    st.floats(0, 1),
    st.integers(0, 20),
    st.integers(0, 5),
)
def test_every_class_has_enough_or_all(
    items: list[tuple[int, float]], share: float, least: int, seed: int
) -> None:
    classes = np.array([label for label, _ in items], int)
    sure = np.array([confidence for _, confidence in items], float)
    sample = audit_sample(classes, sure, share, np.random.default_rng(seed), least)
    assert len(set(sample.rows.tolist())) == len(sample.rows) == len(sample.extra)
    fair = sample.rows[~sample.extra]
    assert abs(len(fair) - share * len(items)) <= 1
    for label in range(4):
        total = int((classes == label).sum())
        have = int((classes[sample.rows] == label).sum())
        assert have >= min(least, total)
        if have > least:
            assert not sample.extra[classes[sample.rows] == label].any()


def test_none_and_all() -> None:
    classes, sure = labels(50)
    rng = np.random.default_rng(0)
    assert len(audit_sample(classes, sure, 0, rng).rows) == 0
    assert sorted(audit_sample(classes, sure, 1, rng).rows) == list(range(50))
    assert len(audit_sample([], [], 0.5, rng, least=9).rows) == 0


def test_the_order_says_nothing_about_class_or_confidence() -> None:
    classes, sure = np.repeat([0, 1], 500), np.linspace(0, 1, 1000)
    rows = audit_sample(classes, sure, 0.2, np.random.default_rng(1)).rows
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.25


def test_refuses_what_cannot_be() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(StreamError, match="as many confidences"):
        audit_sample([1, 2], [0.5], 0.1, rng)
    for share, least in ((1.2, 0), (-0.1, 0), (0.1, -1)):
        with pytest.raises(StreamError, match="Cannot audit"):
            audit_sample([1], [0.5], share, rng, least)
