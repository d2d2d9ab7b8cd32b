"""scikit-activeml's strategies as strategies of ours, for benchmarks only.

They see the same embeddings, labels and calibrated probabilities, in the same loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from skactiveml import pool as peer
from skactiveml.base import SkactivemlClassifier

from strategies import registry
from strategies.base import FloatArray, IntArray, Needs, Pool, Selection, needed
from strategies.registry import StrategyInfo

PREFIX = "skactiveml "
SHOWN = Needs.PROBS | Needs.EMBEDDINGS | Needs.LABELLED

Query = Callable[[Pool, int, int], IntArray]


class Given(SkactivemlClassifier):  # type: ignore[misc]
    """A classifier that returns probabilities which are known; fitting does nothing."""

    def __init__(self, classes: list[int], probs: FloatArray) -> None:
        super().__init__(classes=classes)
        self.probs = probs

    def fit(self, X: Any, y: Any) -> Given:  # noqa: ARG002
        """Return itself."""
        return self

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return the probabilities of the pool (N, C), which `X` is; of a sample, even ones."""
        same = len(X) == len(self.probs)
        return self.probs if same else np.full((len(X), len(self.classes)), 1 / len(self.classes))


def _confident(query: Callable[..., Any]) -> Query:
    """Make a query of one that reads a model and sees the unlabelled items only."""

    def call(pool: Pool, k: int, seed: int) -> IntArray:
        probs = needed(pool.probs).astype(np.float64)
        model = Given(list(range(probs.shape[1])), probs)
        nothing = np.full(len(pool), np.nan)
        vectors = needed(pool.embeddings)
        return np.asarray(
            query(seed).query(vectors, nothing, model, fit_clf=False, batch_size=k), np.int64
        )

    return call


def _covering(query: Callable[[int, int], Any]) -> Query:
    """Make a query of one that sees labelled and unlabelled items, and no model."""

    def call(pool: Pool, k: int, seed: int) -> IntArray:
        labelled = needed(pool.labelled_classes)
        vectors = np.concatenate([pool.covered, needed(pool.embeddings)])
        known = np.concatenate([labelled.astype(float), np.full(len(pool), np.nan)])
        picked = np.asarray(query(seed, pool.classes).query(vectors, known, batch_size=k))
        return picked.astype(np.int64) - len(labelled)

    return call


PEERS: dict[str, Query] = {
    "margin": _confident(
        lambda seed: peer.UncertaintySampling(method="margin_sampling", random_state=seed)
    ),
    "badge": _confident(lambda seed: peer.Badge(random_state=seed)),
    "typiclust": _covering(lambda seed, _: peer.TypiClust(random_state=seed)),
    "max_herding": _covering(
        lambda seed, _: peer.MaxHerding(metric_dict={"gamma": 1.0}, random_state=seed)
    ),
    "prob_cover": _covering(
        lambda seed, classes: peer.ProbCover(n_classes=classes, random_state=seed)
    ),
    "k_center": _covering(lambda seed, _: peer.CoreSet(random_state=seed)),
}


def register() -> tuple[str, ...]:
    """Add the peers to the registry of this process, and return their names."""
    registry.names()  # ours first
    for name, query in PEERS.items():
        registry.add(_info(PREFIX + name, query))
    return tuple(PREFIX + name for name in PEERS)


def _info(name: str, query: Query) -> StrategyInfo:
    def pick(pool: Pool, k: int, rng: np.random.Generator, /) -> Selection:
        rows = query(pool, k, int(rng.integers(2**31)))
        return Selection(pool.ids[rows], np.zeros(len(rows)))

    return StrategyInfo(name, "pool", SHOWN, "scikit-activeml", f"{name} as it is there", pick)
