"""Large pools are picked from sample by sample, no item twice."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray
from strategies.sampling import in_samples


def recorded(calls: list[tuple[int, int, int]]) -> object:
    def pick(some: IntArray, wanted: int, taken: IntArray) -> tuple[IntArray, FloatArray]:
        assert not set(some.tolist()) & set(taken.tolist())
        calls.append((len(some), wanted, len(taken)))
        return np.arange(wanted), np.full(wanted, float(len(some)))

    return pick


def test_small_pools_are_picked_from_at_once() -> None:
    calls: list[tuple[int, int, int]] = []
    rng = np.random.default_rng(0)
    rows, _ = in_samples(50, 20, 50, rng, recorded(calls))  # type: ignore[arg-type]
    assert calls == [(50, 20, 0)]
    assert rows.tolist() == list(range(20))


def test_large_pools_are_picked_from_a_tenth_at_a_time() -> None:
    calls: list[tuple[int, int, int]] = []
    rng = np.random.default_rng(0)
    rows, _ = in_samples(1000, 12, 50, rng, recorded(calls))  # type: ignore[arg-type]
    assert calls == [(50, 5, 0), (50, 5, 5), (50, 2, 10)]
    assert len(set(rows.tolist())) == 12


def test_to_the_last_item() -> None:
    calls: list[tuple[int, int, int]] = []
    rng = np.random.default_rng(0)
    rows, scores = in_samples(70, 70, 50, rng, recorded(calls))  # type: ignore[arg-type]
    assert sorted(rows.tolist()) == list(range(70))
    assert (np.diff(scores) <= 0).all()


def test_every_item_may_be_in_a_sample() -> None:
    calls: list[tuple[int, int, int]] = []
    rng = np.random.default_rng(0)
    firsts = [
        int(in_samples(60, 1, 20, rng, recorded(calls))[0][0])  # type: ignore[arg-type]
        for _ in range(300)
    ]
    assert len(set(firsts)) > 10  # the first of a sorted sample: low ones, not only the lowest
