"""Disagreement ranks pairs of recipe and parent by their divergence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from strategies.synthesis import Parents
from strategies.synthesis.disagreement import disagreement, divergences
from tests.strategies.synthesis.makers import SOME, make_parents


def test_by_hand() -> None:
    certain, half = [0.9, 0.1], [0.5, 0.5]
    parents = Parents(
        np.array([7, 8]),
        np.array([0, 1]),
        2,
        SOME[:2],
        probs=np.array([certain, half]),
        child_probs=np.array([[half, half], [certain, [0.8, 0.2]]]),
    )
    plans = disagreement(parents, 4, np.random.default_rng(0))
    first = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    second = 0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2)
    assert [(plan.parent, plan.recipe) for plan in plans[:2]] == [(7, "brightness"), (8, "rotate")]
    assert [plan.score for plan in plans] == pytest.approx([first, second, 0, 0])


@pytest.mark.parametrize("each", [1, 2, 3, 10])
@pytest.mark.parametrize("k", [1, 5, 40, 120, 121, 300])
def test_against_ranking_in_loops(each: int, k: int) -> None:
    parents = make_parents()
    plans = disagreement(parents, k, np.random.default_rng(0), each=each)
    probs, children = parents.probs, parents.child_probs
    assert probs is not None
    assert children is not None
    pairs = []
    for row, item in enumerate(parents.ids):
        own = []
        for column, recipe in enumerate(SOME):
            terms = zip(probs[row], children[column, row], strict=True)
            own.append((sum(p * math.log(p / q) for p, q in terms), int(item), recipe.name))
        own.sort(reverse=True)
        pairs += [(-(i // each), *pair) for i, pair in enumerate(own)]
    pairs.sort(reverse=True)
    expected = [pairs[i % len(pairs)] for i in range(k)]
    assert [(plan.parent, plan.recipe) for plan in plans] == [pair[2:] for pair in expected]
    assert [plan.score for plan in plans] == pytest.approx([pair[1] for pair in expected])


def test_over_again_the_parameters_are_others() -> None:
    parents = make_parents(m=2)
    plans = disagreement(parents, 16, np.random.default_rng(0))
    again = [(a, b) for a, b in zip(plans[:8], plans[8:], strict=True) if a.recipe != "grayscale"]
    assert all((a.parent, a.recipe) == (b.parent, b.recipe) for a, b in again)
    assert all(a.parameters != b.parameters for a, b in again)
    assert len({plan.seed for plan in plans}) == 16


def test_ties_are_broken_by_the_generator() -> None:
    same = np.full((20, 4), 0.25)
    parents = make_parents(m=20, probs=same, child_probs=np.stack([same] * 4))
    firsts = {
        (plan.parent, plan.recipe)
        for seed in range(100)
        for plan in disagreement(parents, 1, np.random.default_rng(seed))
    }
    assert len(firsts) > 40


def test_certain_probabilities_diverge_finitely() -> None:
    found = divergences(np.array([[1.0, 0.0]]), np.array([[[0.0, 1.0]], [[1.0, 0.0]]]))
    assert found[0, 0] == pytest.approx(math.log(1e7))
    assert found[1, 0] == 0
