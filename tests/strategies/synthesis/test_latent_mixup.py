"""Latent mixup draws pairs and weights as the paper says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from strategies.synthesis import SynthesisError, blend
from strategies.synthesis.latent_mixup import latent_mixup
from tests.strategies.synthesis.makers import make_parents


def test_never_with_itself_and_everybody_with_everybody() -> None:
    parents = make_parents(m=4)
    plans = latent_mixup(parents, 1200, np.random.default_rng(0))
    pairs = Counter((plan.parent, plan.values["partner"]) for plan in plans)
    assert len(pairs) == 12
    assert min(pairs.values()) > 60
    assert set(Counter(plan.parent for plan in plans).values()) == {300}


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_weights_are_those_of_the_beta_distribution_folded(alpha: float) -> None:
    plans = latent_mixup(make_parents(), 3000, np.random.default_rng(0), alpha=alpha)
    weights = np.array([plan.values["weight"] for plan in plans], float)
    assert weights.min() >= 0.5
    beta = stats.beta(alpha, alpha)
    folded = stats.kstest(weights, lambda w: beta.cdf(w) - beta.cdf(1 - w))
    assert folded.pvalue > 0.01


def test_blended_by_hand() -> None:
    parents = make_parents(m=2, columns=3, embeddings=np.array([[0.0, 8.0], [4.0, 0.0]]))
    plan = latent_mixup(parents, 1, np.random.default_rng(0))[0]
    weight = float(plan.values["weight"])
    vectors, targets = blend([plan], parents)
    own = {int(item): row for row, item in enumerate(parents.ids)}
    first, second = own[plan.parent], own[int(plan.values["partner"])]
    expected = weight * np.array([[0, 8], [4, 0]])[first]
    expected += (1 - weight) * np.array([[0, 8], [4, 0]])[second]
    np.testing.assert_allclose(vectors, [expected], rtol=1e-6)
    target = np.zeros(3)
    target[parents.classes[first]] += weight
    target[parents.classes[second]] += 1 - weight
    np.testing.assert_allclose(targets, [target], rtol=1e-6)


def test_one_parent_alone_mixes_with_nobody() -> None:
    assert latent_mixup(make_parents(m=1), 5, np.random.default_rng(0)) == ()


def test_refuses_an_alpha_of_nothing() -> None:
    with pytest.raises(SynthesisError, match="alpha must be above 0"):
        latent_mixup(make_parents(), 5, np.random.default_rng(0), alpha=0)
