"""Pools of random numbers that the tests of strategies share."""

from __future__ import annotations

from typing import Any

import numpy as np

from strategies.base import Pool


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return softmax over the last axis."""
    powers: np.ndarray = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def make_pool(
    n: int = 60,
    classes: int = 4,
    labelled: int = 12,
    dimension: int = 8,
    samples: int = 5,
    seed: int = 0,
    dtype: Any = np.float64,
) -> Pool:
    """Return a pool with every array: blobs of embeddings and a linear model's probabilities."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=2, size=(classes, dimension))
    truth = rng.integers(classes, size=n + labelled)
    vectors = (centres[truth] + rng.normal(size=(n + labelled, dimension))).astype(dtype)
    logits = vectors @ centres.T.astype(dtype)
    noise = rng.normal(size=(samples, n, classes)).astype(dtype)
    return Pool(
        ids=rng.permutation(10 * n)[:n],
        probs=softmax(logits[:n]),
        logits=logits[:n],
        mc_probs=softmax(logits[:n] + noise),
        embeddings=vectors[:n],
        labelled_embeddings=vectors[n:],
        labelled_classes=truth[n:],
        labelled_probs=softmax(logits[n:]),
        labelled_ids=10 * n + np.arange(labelled),
    )
