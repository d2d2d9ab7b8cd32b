"""Suspicions about labels: hand-made cases, and brute force for near-duplicates."""

from __future__ import annotations

import numpy as np
import pytest

from labeller.errors import JobCancelled
from labeller.learning.cleaning_job import OutOfFold, folds, ranked
from labeller.learning.snapshot import Labels
from labeller.learning.suspects import contradictions, label_errors, losses
from labeller.perceptual_hash import mirrored
from labeller.services.cleaning import LABEL_ERROR, LOSS, TWIN


def confident(columns: np.ndarray, classes: int, sure: float = 0.9) -> np.ndarray:
    """Return probabilities that are `sure` of the given columns."""
    probs = np.full((len(columns), classes), (1 - sure) / (classes - 1))
    probs[np.arange(len(columns)), columns] = sure
    return probs


def test_confident_learning_finds_the_planted_errors() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 3], 40)  # class 2 has no label at all
    probs = confident(truth, 4, 0.9) * rng.uniform(0.9, 1.1, (120, 4))
    probs /= probs.sum(axis=1, keepdims=True)
    given = truth.copy()
    planted = [3, 50, 51, 100]
    given[planted] = [1, 3, 0, 0]
    assert sorted(label_errors(given, probs).tolist()) == planted
    assert label_errors(np.zeros(5, np.int64), probs[:5]).tolist() == []


def test_losses_by_hand() -> None:
    probs = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    found = losses(np.array([0, 0, 1]), probs)
    assert found[:2] == pytest.approx([np.log(2), np.log(4)])
    assert np.isfinite(found[2])
    assert found[2] > 20


def test_contradictions_against_brute_force() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=(30, 8))
    points = np.concatenate([base, base[:10] + rng.normal(scale=0.01, size=(10, 8))])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    columns = rng.integers(0, 2, 40)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    wanted = {
        (i, j)
        for i in range(40)
        for j in range(i + 1, 40)
        if gaps[i, j] <= 0.1 and columns[i] != columns[j]
    }
    found = contradictions(points.astype(np.float32), columns, 0.1)
    assert set(found) == wanted
    assert wanted, "the case has pairs"
    assert [gaps[p] for p in found] == sorted(gaps[p] for p in found)
    assert contradictions(points[:1].astype(np.float32), columns[:1], 0.1) == []


def test_of_very_many_copies_a_few_pairs_each_are_told() -> None:
    """3,000 copies, labelled one way and the other, were 9 million pairs and 48 seconds."""
    looks: list[bytes | None] = [bytes(32)] * 3_000
    columns = np.arange(3_000) % 2
    same = np.tile(np.array([1.0, 0.0], np.float32), (3_000, 1))
    for found in (
        contradictions(same, columns, 0.3),
        contradictions(np.eye(3_000, dtype=np.float32), columns, 0.3, looks),
    ):
        assert {row for pair in found for row in pair} == set(range(3_000))
        assert len(found) <= 5 * 3_000
        assert all(columns[one] != columns[other] for one, other in found)


def test_one_wrong_label_among_copies_is_found() -> None:
    """More than five nearer copies are labelled alike: they do not hide the one that is not."""
    points = np.stack([np.cos(np.arange(20) / 100), np.sin(np.arange(20) / 100)], axis=1)
    found = contradictions(points.astype(np.float32), (np.arange(20) == 19).astype(np.int64), 0.3)
    assert found == [(row, 19) for row in reversed(range(19))]


def test_the_comparison_can_be_stopped() -> None:
    def stop() -> None:
        raise JobCancelled

    for looks, rows in (([bytes(32)], 1), ([], 4)):
        with pytest.raises(JobCancelled):
            contradictions(np.eye(4, dtype=np.float32)[:rows], np.arange(rows), 0.3, looks, stop)


def test_what_looks_the_same_contradicts_too() -> None:
    """Hashes find what embeddings do not: a copy, and a mirrored one."""
    rng = np.random.default_rng(2)
    looks: list[bytes | None] = [rng.bytes(32) for _ in range(6)]
    looks[3], looks[4], looks[5] = looks[0], mirrored(looks[1] or b""), None
    columns = np.array([0, 0, 0, 1, 1, 1])
    apart = np.eye(6, dtype=np.float32)
    assert contradictions(apart, columns, 0.3, looks) == [(0, 3), (1, 4)]
    apart[5] = apart[2]
    assert contradictions(apart, columns, 0.3, looks) == [(0, 3), (1, 4), (2, 5)]
    assert contradictions(apart, np.zeros(6, np.int64), 0.3, looks) == []


def test_one_entry_for_each_item_worst_first() -> None:
    columns = np.repeat([0, 1], 10)
    probs = confident(columns, 2)
    probs[4] = [0.02, 0.98]  # surely wrong
    probs[12] = [0.55, 0.45]  # only doubtful
    judgement = OutOfFold(probs.astype(np.float32), np.ones(20, bool))
    found = ranked(Labels(np.arange(100, 120), columns), judgement, [(2, 15)])
    assert [one["item"] for one in found] == [104, 102, 115, 112]
    assert found[0]["kinds"] == [LABEL_ERROR, LOSS]
    assert (found[0]["label"], found[0]["suggested"]) == (0, 1)
    assert found[0]["confidence"] == pytest.approx(0.98)
    assert (found[1]["kinds"], found[1]["twin"], found[2]["twin"]) == ([TWIN], 115, 102)
    assert found[3]["kinds"] == [LOSS]


def test_labels_that_no_model_could_judge_are_suspects_by_a_near_duplicate_alone() -> None:
    columns = np.repeat([0, 1, 2], 10)
    probs = confident(columns, 3)
    probs[20:] = [0.6, 0.4, 0.0]  # models that never saw class 2
    judgement = OutOfFold(probs.astype(np.float32), columns < 2)
    found = ranked(Labels(np.arange(100, 130), columns), judgement, [(3, 25)])
    assert [one["item"] for one in found] == [103, 125]
    assert found[1]["kinds"] == [TWIN]
    assert [found[1][name] for name in ("suggested", "confidence", "loss")] == [None] * 3
    assert found[0]["suggested"] == 0
    nothing = OutOfFold(probs.astype(np.float32), np.zeros(30, bool))
    assert ranked(Labels(np.arange(30), columns), nothing, []) == []


def test_folds_take_any_seed() -> None:
    columns, groups = np.tile([0, 1], 10), [str(i) for i in range(20)]
    large, small = (folds(columns, groups, seed) for seed in (2**32 + 3, 3))
    for one, other in zip(large, small, strict=True):
        assert one[1].tolist() == other[1].tolist()


def test_folds_keep_groups_whole() -> None:
    columns = np.tile([0, 1], 30)
    groups = [f"g{i // 3}" for i in range(60)]
    parts = folds(columns, groups, seed=0)
    assert sorted(np.concatenate([outside for _, outside in parts]).tolist()) == list(range(60))
    for inside, outside in parts:
        assert not {groups[i] for i in inside} & {groups[i] for i in outside}
    # One group has all of a class: without it there is nothing to learn.
    lonely = folds(np.array([0, 0, 0, 0, 1, 1]), ["a", "b", "c", "d", "e", "e"], seed=0)
    assert all(4 not in outside for _, outside in lonely)
