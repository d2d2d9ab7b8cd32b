"""`auto` switches where it says, shows by what it picks, and picks the same."""

from __future__ import annotations

import numpy as np
import pytest

from strategies import registry
from strategies.base import Pool
from strategies.pool.auto import auto, choice
from tests.strategies.pools import softmax


@pytest.mark.parametrize(
    ("labelled", "classes", "name"),
    [
        (0, 10, "max_herding"),
        (1, 10, "uncertainty_herding"),
        (999, 10, "uncertainty_herding"),
        (1000, 10, "margin"),
        (199, 2, "uncertainty_herding"),
        (200, 2, "margin"),
    ],
)
def test_the_switch(labelled: int, classes: int, name: str) -> None:
    assert choice(labelled, classes) == name
    rng = np.random.default_rng(0)
    pool = Pool(
        np.arange(50),
        probs=softmax(rng.normal(size=(50, classes))),
        embeddings=rng.normal(size=(50, 5)),
        labelled_embeddings=rng.normal(size=(labelled, 5)),
        labelled_classes=rng.integers(classes, size=labelled),
    )
    selection = auto(pool, 8, np.random.default_rng(1))
    assert selection.parts == (name,) * 8
    chosen = registry.get(name)(pool, 8, np.random.default_rng(1))
    assert selection.ids.tolist() == chosen.ids.tolist()
    np.testing.assert_array_equal(selection.scores, chosen.scores)
