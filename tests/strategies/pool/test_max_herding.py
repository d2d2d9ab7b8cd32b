"""`max_herding` by hand, by brute force, and against scikit-activeml."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skactiveml.pool import MaxHerding

from strategies import herding
from strategies.base import Pool
from strategies.pool.max_herding import max_herding
from tests.strategies.brute import check_greedy
from tests.strategies.pools import make_pool

NOTHING = np.empty(0, np.int64)


def test_by_hand() -> None:
    # three look east, one north, one west; a label lies in the west
    vectors = np.array([[1.0, 0], [2, 0], [9, 0], [0, 1], [-1, 0]])
    pool = Pool(
        np.array([10, 11, 12, 13, 14]),
        embeddings=vectors,
        labelled_embeddings=np.array([[-3.0, 0]]),
        labelled_classes=np.array([0]),
    )
    selection = max_herding(pool, 3, np.random.default_rng(0))
    assert selection.ids[0] in (10, 11, 12)
    assert selection.ids[1] == 13
    quarter, half = math.exp(-2), math.exp(-4)  # squared distances 2 and 4 of unit vectors
    first = (3 * (1 - half) + 0) / 5  # the north is as near to the west's label
    np.testing.assert_allclose(selection.scores, [first, (1 - quarter) / 5, 0], atol=1e-12)


@pytest.mark.parametrize("labelled", [0, 1, 12])
@pytest.mark.parametrize("width", [0.3, 1.0])
def test_as_the_definition(labelled: int, width: float) -> None:
    pool = make_pool(n=70, labelled=labelled)
    selection = max_herding(pool, 30, np.random.default_rng(0), width=width)
    check_greedy(selection, pool, np.ones(70), width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labelled", [0, 60])
def test_same_picks_as_scikit_activeml(dtype: type, labelled: int) -> None:
    rng = np.random.default_rng(labelled)
    vectors = rng.normal(size=(600, 32)) + rng.normal(size=(20, 32))[rng.integers(20, size=600)]
    vectors = vectors.astype(dtype)
    truth = np.where(np.arange(600) < labelled, 0, np.nan)
    peer = MaxHerding(metric_dict={"gamma": 1.0}, random_state=0)
    theirs, utilities = peer.query(
        vectors.astype(np.float64), truth, batch_size=50, return_utilities=True
    )
    pool = Pool(
        np.arange(labelled, 600),
        embeddings=vectors[labelled:],
        labelled_embeddings=vectors[:labelled],
        labelled_classes=np.zeros(labelled, np.int64),
    )
    selection = max_herding(pool, 50, rng)
    np.testing.assert_allclose(selection.scores, np.nanmax(utilities, axis=1), atol=1e-6)
    differ = np.flatnonzero(selection.ids != theirs)
    assert len(differ) <= 5  # two items that cover nobody but each other gain the same
    for turn in differ[:1]:
        assert utilities[turn, selection.ids[turn]] == pytest.approx(selection.scores[turn])


def test_large_pools_are_herded_sample_by_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herding, "MOST", 50)
    rng = np.random.default_rng(0)
    blob = rng.integers(12, size=2000)
    vectors = np.eye(12)[blob] + rng.normal(scale=0.05, size=(2000, 12))
    pool = Pool(
        np.arange(2000),
        embeddings=vectors,
        labelled_embeddings=vectors[:0],
        labelled_classes=NOTHING,
    )
    picked = max_herding(pool, 12, rng).ids
    assert sorted(blob[picked]) == list(range(12))  # some samples, none asked twice about a blob
    few = pool.take(np.arange(400))
    assert sorted(max_herding(few, 400, rng).ids.tolist()) == list(range(400))
