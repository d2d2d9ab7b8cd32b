"""What the label efficiency benchmark is made of: its tests, its head, its features, its peers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp

from benchmarks.efficiency import head as plain
from benchmarks.efficiency import tables
from benchmarks.efficiency.features import reduced
from benchmarks.efficiency.peers import PEERS
from benchmarks.efficiency.tables import Outcome, holm, lower_tail
from labeller.learning import device, replay_ground
from labeller.learning.features import Scaling
from labeller.learning.fitting import Labelled
from labeller.learning.head_training import fit_head
from labeller.learning.heads import HeadConfig
from labeller.learning.snapshot import take
from labeller.progress import Silent
from labeller.services import replays
from labeller.services.replay_results import Run
from strategies.base import Pool
from strategies.pool.k_center import k_center
from strategies.pool.margin import margin
from tests.labeller.learning.shapes import label, shapes
from tests.strategies.pools import softmax


def test_the_lower_tail_is_students() -> None:
    rng = np.random.default_rng(0)
    for shift in (-1, 0, 2):
        values = rng.normal(shift, 1, 5)
        expected = ttest_1samp(values, 0, alternative="less").pvalue
        assert lower_tail(values) == pytest.approx(expected)
    assert lower_tail(np.zeros(5)) == 0.5
    assert lower_tail(np.full(5, -0.1)) == 0
    assert lower_tail(np.full(5, 0.1)) == 1


def test_holm_by_hand() -> None:
    # smallest times 3, next times 2, and never less than the one before
    assert holm([0.02, 0.01, 0.3]) == pytest.approx([0.04, 0.03, 0.3])
    assert holm([0.01, 0.011]) == pytest.approx([0.02, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def outcome(name: str, better: float) -> Outcome:
    """Return random and auto over three budgets and three seeds, auto better by so much."""
    noise = np.random.default_rng(0).normal(0, 0.001, (3, 3))
    curve = np.array([0.5, 0.6, 0.7])
    runs = [Run("random", seed, (10, 20, 30), tuple(curve), 1.0) for seed in range(3)]
    runs += [
        Run("auto", seed, (10, 20, 30), (0.5, *(curve[1:] + better + noise[seed, 1:])), 1.0)
        for seed in range(3)
    ]
    return Outcome(name, 100, 50, tuple(runs))


def test_the_promise_names_where_auto_fails() -> None:
    good = tables.promise([outcome("a", 0.1)], 30)
    assert "below at none; with" in good
    assert "20 (a) labels; 20 on the median data set" in good
    bad = tables.promise([outcome("a", 0.1), outcome("b", -0.1)], 30)
    assert "b at 20 (-" in bad
    assert "a at" not in bad
    assert "not (b)" in bad
    header, rows = tables.strategies_table([outcome("a", 0.1), outcome("b", -0.1)])
    assert {len(row) for row in rows} == {len(header)}
    assert [row[-1] for row in rows if row[0] == "`auto`"] == ["2 of 4"]


def test_the_sooner_head_learns_what_the_products_does() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 40)) * 0.6
    truth = rng.integers(3, size=700)
    rows = (centres[truth] + rng.normal(size=(700, 40))).astype(np.float32)
    x, y = torch.from_numpy(rows), torch.from_numpy(truth)
    scaling = Scaling(rows.mean(axis=0), rows.std(axis=0))
    right = []
    for fit in (fit_head, plain.fit_plain):
        head = fit(
            Labelled(x[:100], y[:100]),
            None,
            3,
            scaling,
            seed=0,
            device=device.choose("cpu"),
            progress=Silent(),
        )
        assert not head.training
        with torch.inference_mode():
            right.append(float((head(x[100:]).argmax(1) == y[100:]).float().mean()))
    assert right[0] > 0.8
    assert right[1] == pytest.approx(right[0], abs=0.03)


def test_a_pass_sees_every_example_but_those_that_fill_no_batch() -> None:
    config = HeadConfig(epochs=2, steps=4)
    steps = plain._batches(130, config)
    assert [len(step) for step in steps] == [65] * 4
    assert sorted(torch.cat(steps[:2]).tolist()) == list(range(130))


@pytest.mark.usefixtures("quick")
def test_reduced_features_keep_distances_and_embeddings(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 60)
    label(project, range(1, 61))
    plan = replays.checked(["margin"], 12, 4, 1)
    ground = replay_ground.prepare(project, take(project), plan, Silent())
    fewer, kept = reduced(ground, 36)  # one fewer than there are images would do
    assert kept == pytest.approx(1, abs=1e-3)
    ids = ground.pool.ids[[3, 0, 7]]
    full = (ground.features.read(ids) - ground.scaling.mean) / ground.scaling.spread
    full = full.clip(-10, 10)
    rows = fewer.features.read(ids)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        apart = np.linalg.norm(full[i] - full[j])
        assert np.linalg.norm(rows[i] - rows[j]) == pytest.approx(apart, rel=1e-2)
    own = ground.features.embeddings(ids, ground.scaling)
    np.testing.assert_array_equal(fewer.features.embeddings(ids, fewer.scaling), own)


def test_peers_pick_what_they_should_from_what_they_are_shown() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pool = Pool(
        np.arange(100, 150),
        probs=softmax(rng.normal(size=(50, 3))),
        embeddings=vectors[10:],
        labelled_embeddings=vectors[:10],
        labelled_classes=rng.integers(3, size=10),
    )
    for name, query in PEERS.items():
        rows = query(pool, 6, 0)
        assert len(set(rows.tolist())) == 6, name
        assert 0 <= rows.min() <= rows.max() < 50, name
    closest = set(margin(pool, 6, rng).ids - 100)
    assert set(PEERS["margin"](pool, 6, 0)) == closest
    farthest = k_center(pool, 6, rng).ids - 100
    assert PEERS["k_center"](pool, 6, 0).tolist() == farthest.tolist()
