"""BatchBALD: the items that together say most about the model."""

from __future__ import annotations

import numpy as np

from strategies.base import FloatArray, IntArray, Needs, Pool, Selection, needed
from strategies.greedy import lazy_greedy
from strategies.pool.bald import mutual_information
from strategies.pool.entropy import shannon
from strategies.ranking import top
from strategies.registry import pool_strategy
from strategies.vectors import BLOCK_VALUES, samplewise

TOGETHER = 10  # the joint entropy of more items cannot be told from so few samples of the model
CANDIDATES = 2_000  # those with the highest BALD scores; no other item is looked at
CONFIGURATIONS = 2_000  # of labels of the items picked: all of them, or so many at random
TINY = np.finfo(np.float64).tiny  # 0 · log 0 counts as 0


@pool_strategy("batch_bald", needs=Needs.MC_PROBS, ordered=False)
def batch_bald(
    pool: Pool, k: int, rng: np.random.Generator, *, configurations: int = CONFIGURATIONS
) -> Selection:
    """Pick the items whose labels together would say most about the model's parameters.

    `bald` counts what two picks say of the same thing twice; this counts it once. It is slow, and
    meant for batches of up to ten: larger ones are made of groups of ten that know nothing of each
    other, and `power_bald` does as well.

    Parameters
    ----------
    pool : Pool
        With `mc_probs` (S, N, C) from dropout passes or an ensemble.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        Breaks ties; draws label configurations when there are too many to go through.
    configurations : int
        How many label configurations of the picked items to go through: exact while C to the power
        of the picks is no more than this.

    Returns
    -------
    Selection
        Scores are the mutual information in nats that each pick adds to those before it in its
        group.

    References
    ----------
    Kirsch, A., van Amersfoort, J. and Gal, Y. BatchBALD: Efficient and Diverse Batch Acquisition
    for Deep Bayesian Active Learning. NeurIPS 2019.

    Notes
    -----
    What an item adds never grows as the batch grows (submodularity), so an old gain is an upper
    bound, and only items whose bound is the highest are measured again. The picks are from the
    2,000 items (or k, if more) with the highest BALD scores.
    """
    samples = needed(pool.mc_probs)
    scores = samplewise(mutual_information, samples)
    candidates = top(scores, min(len(pool), max(k, CANDIDATES)), rng)
    rows, gains = np.empty(0, np.int64), np.empty(0)
    while len(rows) < k:
        left = np.setdiff1d(candidates, rows)
        some = samples[:, left].astype(np.float64)
        wanted = min(TOGETHER, k - len(rows))
        picked, added = _group(some, scores[left], wanted, configurations, rng)
        rows, gains = np.append(rows, left[picked]), np.append(gains, added)
    return Selection(pool.ids[rows], gains)


def _group(
    samples: FloatArray,
    scores: FloatArray,
    k: int,
    configurations: int,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """Pick k of the items of `samples` (S, n, C), each for what it adds to those before it."""
    conditional = shannon(samples).mean(axis=0)
    picked: list[int] = []
    joint = Joint(samples[:, picked], configurations, rng)

    def measure(rows: IntArray) -> FloatArray:
        added = joint.entropy_added(samples[:, rows])
        added -= conditional[rows]
        return added

    def take(row: int) -> None:
        nonlocal joint
        picked.append(row)
        if len(picked) < k:
            joint = Joint(samples[:, picked], configurations, rng)

    return lazy_greedy(scores, measure, take, k, rng)


class Joint:
    """The joint distribution of the labels of the items picked, under each sample of the model.

    Parameters
    ----------
    picked : array of float, shape (S, b, C)
        Probabilities of the b items picked.
    configurations : int
        How many configurations of their labels to go through: all C ** b, or so many drawn.
    rng : numpy.random.Generator
        Draws configurations.

    Attributes
    ----------
    probs : array of float, shape (m, S)
        The probability of each configuration under each sample.
    weights : array of float, shape (m,)
        What each configuration counts: 1, or for drawn ones 1 / (m · its probability).
    """

    def __init__(self, picked: FloatArray, configurations: int, rng: np.random.Generator) -> None:
        samples, items, classes = picked.shape
        if classes**items <= configurations:
            self.probs = np.ones((1, samples))
            for item in range(items):
                grown = self.probs[:, None, :] * picked[:, item].T[None]
                self.probs = grown.reshape(-1, samples)
            self.weights = np.ones(len(self.probs))
            return
        each = -(-configurations // samples)
        self.probs = np.ones((each * samples, samples))
        for item in range(items):
            sums = picked[:, item].cumsum(axis=1)
            drawn = rng.random((samples, each)) * sums[:, -1:]
            labels = (drawn[:, :, None] >= sums[:, None, :-1]).sum(axis=2).ravel()
            self.probs *= picked[:, item, labels].T
        self.weights = 1 / (len(self.probs) * self.probs.mean(axis=1))

    def entropy_added(self, samples: FloatArray) -> FloatArray:
        """Return H(picked, item) − H(picked) for the items of `samples` (S, n, C), shape (n,)."""
        marginal = self.probs.mean(axis=1)
        alone = -(self.weights * marginal * np.log(np.maximum(marginal, TINY))).sum()
        n, classes = samples.shape[1:]
        added: FloatArray = np.empty(n)
        step = max(1, BLOCK_VALUES // (len(self.probs) * classes))
        for start in range(0, n, step):
            some = samples[:, start : start + step]
            both = self.probs @ some.reshape(len(samples), -1) / len(samples)
            both = both.reshape(len(self.probs), -1, classes)
            logs = np.log(np.maximum(both, TINY))
            added[start : start + step] = -np.einsum("m,mnc,mnc->n", self.weights, both, logs)
        added -= alone
        return added
