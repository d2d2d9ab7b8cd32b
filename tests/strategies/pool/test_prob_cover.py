"""`prob_cover` by hand, by brute force, and against scikit-activeml."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from skactiveml.pool import ProbCover

from strategies.base import Pool, needed
from strategies.kmeans import kmeans
from strategies.pool import prob_cover as module
from strategies.pool.prob_cover import cover, prob_cover, pure_radius
from strategies.vectors import unit
from tests.strategies.pools import make_pool

NOTHING = np.empty(0, np.int64)


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def test_by_hand() -> None:
    pool = Pool(
        np.array([10, 11, 12, 13, 14, 15]),
        embeddings=on_circle(0, 5, 10, 15, 90, 180) * np.arange(1, 7)[:, None],
        labelled_embeddings=on_circle(185),
        labelled_classes=np.array([0]),
    )
    reach = 2 * math.sin(math.radians(5.5) / 2)  # a chord of five and a half degrees
    selection = prob_cover(pool, 6, np.random.default_rng(0), radius=reach)
    # 11 and 12 cover three each; whichever comes first, one is left beside it; 15 is covered
    assert selection.ids[0] in (11, 12)
    assert selection.scores.tolist() == [3, 1, 1, 0, 0, 0]
    assert 14 in selection.ids[1:3].tolist()
    waiting = dataclasses.replace(pool, pending_embeddings=on_circle(5))
    assert prob_cover(waiting, 6, np.random.default_rng(0), radius=reach).scores[0] == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("radius", [0.3, 0.7])
def test_as_the_definition(seed: int, radius: float) -> None:
    pool = make_pool(n=130, seed=seed)
    vectors, centres = unit(needed(pool.embeddings)), unit(needed(pool.labelled_embeddings))
    near = np.linalg.norm(vectors[:, None] - vectors[None], axis=2) <= radius
    uncovered = (np.linalg.norm(vectors[:, None] - centres[None], axis=2) > radius).all(axis=1)
    rows, gains = cover(vectors, centres, radius, 60, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 60
    for turn, row in enumerate(rows.tolist()):
        counts = (near & uncovered).sum(axis=1)
        counts[rows[:turn]] = -1
        assert gains[turn] == counts[row] == counts.max()
        uncovered &= ~near[row]


def test_the_radius_is_the_largest_that_is_pure_enough() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(200, 3)))
    labels = kmeans(vectors, 4, np.random.default_rng(7)).labels
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)

    def share_pure(radius: float) -> float:
        impure = (apart <= radius) & (labels[:, None] != labels[None])
        return float(1 - impure.any(axis=1).mean())

    for purity in (0.5, 0.9, 0.95):
        radius = pure_radius(vectors, 4, purity, np.random.default_rng(7))
        assert share_pure(radius - 1e-9) >= purity
        assert share_pure(radius + 1e-9) < purity


def test_the_radius_fits_the_blobs() -> None:
    rng = np.random.default_rng(0)
    blob = rng.integers(8, size=400)
    vectors = np.eye(8)[blob] + rng.normal(scale=0.05, size=(400, 8))
    pool = Pool(
        np.arange(400),
        embeddings=vectors,
        labelled_embeddings=vectors[:0],
        labelled_classes=NOTHING,
        class_count=8,
    )
    picked = prob_cover(pool, 8, rng).ids
    assert sorted(blob[picked]) == list(range(8))


@pytest.mark.filterwarnings("ignore:The maximum purity")  # they look for no radius either
@pytest.mark.parametrize("labelled", [2, 40])
@pytest.mark.parametrize("radius", [0.3, 0.9])
def test_gains_as_scikit_activeml(labelled: int, radius: float) -> None:
    rng = np.random.default_rng(labelled)
    vectors = unit(rng.normal(size=(300, 6)))
    truth = np.where(np.arange(300) < labelled, np.arange(300) % 2, np.nan)
    peer = ProbCover(n_classes=2, deltas=[radius], random_state=0)
    theirs, utilities = peer.query(vectors, truth, batch_size=20, return_utilities=True)
    pool = Pool(
        np.arange(labelled, 300),
        embeddings=vectors[labelled:],
        labelled_embeddings=vectors[:labelled],
        labelled_classes=truth[:labelled].astype(int),
    )
    for turn in range(20):  # ties are broken otherwise there: follow their picks
        given = dataclasses.replace(pool, pending_embeddings=vectors[theirs[:turn]])
        selection = prob_cover(given, 1, rng, radius=radius)
        assert selection.scores[0] == np.nanmax(utilities[turn])
        if selection.scores[0] > 0:
            assert utilities[turn, selection.ids[0]] == selection.scores[0]


def test_large_pools_are_covered_sample_by_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 100)
    rng = np.random.default_rng(0)
    blob = rng.integers(12, size=2000)
    vectors = np.eye(12)[blob] + rng.normal(scale=0.02, size=(2000, 12))
    pool = Pool(
        np.arange(2000),
        embeddings=vectors,
        labelled_embeddings=vectors[:0],
        labelled_classes=NOTHING,
    )
    picked = prob_cover(pool, 12, rng, radius=0.5).ids  # two samples: 10 picks, then 2
    assert sorted(blob[picked]) == list(range(12))
