"""A pool is checked once and read-only; a selection keeps its promises."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.base import NEEDED_FIELDS, Needs, Pool, PoolError, Selection, StrategyError, needed
from tests.strategies.pools import make_pool

NAN = float("nan")


def test_given_names_the_needs_that_are_met() -> None:
    assert Pool(np.arange(2)).given == Needs.NOTHING
    assert Pool(np.arange(2), probs=np.full((2, 2), 0.5)).given == Needs.PROBS
    half = Pool(np.arange(2), labelled_embeddings=np.zeros((0, 3)))
    assert half.given == Needs.NOTHING
    assert set(make_pool().given) == set(NEEDED_FIELDS)


def test_arrays_are_not_copied_and_not_writeable() -> None:
    probs = np.full((3, 2), 0.5, np.float32)
    pool = Pool(np.arange(3), probs=probs)
    assert pool.probs is not None
    assert np.shares_memory(pool.probs, probs)
    with pytest.raises(ValueError, match="read-only"):
        pool.probs[0, 0] = 1
    probs[0] = [0.4, 0.6]  # the caller's own array stays as it was


def test_half_precision_and_whole_numbers_are_converted() -> None:
    half = Pool(np.arange(1), embeddings=np.ones((1, 2), np.float16)).embeddings
    whole = Pool(np.arange(1), probs=np.array([[0, 1]])).probs
    assert half is not None
    assert half.dtype == np.float32
    assert whole is not None
    assert whole.dtype == np.float64


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"ids": [1, 2, 1]}, "ids: 1 is there more than once"),
        ({"ids": [0.5, 1.5]}, "ids must be one row of whole numbers"),
        ({"ids": [[1], [2]]}, "ids must be one row of whole numbers"),
        ({"probs": [[0.5, 0.5]]}, r"probs must have shape \(2, any\), not \(1, 2\)"),
        ({"probs": [0.5, 0.5]}, r"probs must have shape \(2, any\), not \(2,\)"),
        ({"probs": [[0.5, 0.5], [0.2, 0.7]]}, r"probs\[1\] sums to 0.9, not to 1"),
        ({"probs": [[0.5, 0.5], [-0.1, 1.1]]}, r"probs\[1, 0\] is -0.1: a probability cannot be"),
        ({"probs": [[0.5, 0.5], [NAN, 1]]}, r"probs\[1, 0\] is nan: every value must be finite"),
        ({"probs": [["a", "b"], ["c", "d"]]}, "probs must be float32 or float64, not <U1"),
        ({"probs": np.empty((2, 0))}, "probs has no classes"),
        ({"logits": [[1, 2], [3, np.inf]]}, r"logits\[1, 1\] is inf"),
        ({"mc_probs": np.full((3, 5, 2), 0.5)}, r"mc_probs must have shape \(any, 2, any\)"),
        ({"mc_probs": np.full((3, 2, 2), 0.4)}, r"mc_probs\[0, 0\] sums to 0.8, not to 1"),
        ({"embeddings": [[1.0], [NAN]]}, r"embeddings\[1, 0\] is nan"),
        (
            {"embeddings": np.array([[1j], [2]])},
            "embeddings must be float32 or float64, not complex",
        ),
        ({"labelled_embeddings": [[NAN]]}, r"labelled_embeddings\[0, 0\] is nan"),
        (
            {"embeddings": [[1.0], [2.0]], "labelled_embeddings": [[1.0, 2.0]]},
            "same number of columns: embeddings 1, labelled_embeddings 2",
        ),
        (
            {"labelled_embeddings": [[1.0]], "labelled_classes": [0, 1]},
            "same number of rows: labelled_embeddings 1, labelled_classes 2",
        ),
        (
            {"probs": [[0.5, 0.5]] * 2, "logits": [[1.0, 2.0, 3.0]] * 2},
            "same number of classes: probs 2, logits 3",
        ),
        (
            {"probs": [[0.5, 0.5]] * 2, "labelled_classes": [0, 2]},
            r"labelled_classes go from 0 to 2; .* columns of the probabilities \(0 to 1\)",
        ),
        ({"labelled_classes": [-1]}, "labelled_classes go from -1 to -1"),
        ({"labelled_classes": [0.5]}, "labelled_classes must be one row of whole numbers"),
        ({"labelled_ids": [3, 3]}, "labelled_ids: 3 is there more than once"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arrays: dict[str, object], text: str) -> None:
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    with pytest.raises(PoolError, match=text):
        Pool(**{"ids": np.arange(2), **arrays})  # type: ignore[arg-type]


def test_a_lone_nan_among_many_blocks_is_found() -> None:
    vectors = np.ones((200_000, 3), np.float32)
    vectors[150_000, 2] = NAN
    with pytest.raises(PoolError, match=r"embeddings\[150000, 2\] is nan"):
        Pool(np.arange(200_000), embeddings=vectors)


def test_large_finite_values_are_no_mistake() -> None:
    largest = np.full((10, 4), np.finfo(np.float32).max, np.float32)
    assert len(Pool(np.arange(10), embeddings=largest)) == 10


def test_probabilities_from_half_precision_pass() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 1000))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert len(Pool(np.arange(50), probs=probs.astype(np.float16))) == 50


def test_classes_come_from_the_probabilities_or_the_labels() -> None:
    assert Pool(np.arange(1), logits=np.zeros((1, 7))).classes == 7
    labelled = Pool(
        np.arange(1), labelled_embeddings=np.zeros((2, 1)), labelled_classes=np.array([0, 4])
    )
    assert labelled.classes == 5
    assert Pool(np.arange(1)).classes == 0
    assert Pool(np.arange(1), class_count=6).classes == 6


def test_covered_is_the_labelled_and_the_pending() -> None:
    vectors, one = np.zeros((2, 3)), np.ones((1, 3))
    assert Pool(np.arange(2), embeddings=vectors).covered.shape == (0, 3)
    assert Pool(np.arange(2), embeddings=vectors, pending_embeddings=one).covered.tolist() == [
        [1] * 3
    ]
    both = Pool(
        np.arange(2), embeddings=vectors, labelled_embeddings=2 * one, pending_embeddings=one
    )
    assert both.covered.tolist() == [[2] * 3, [1] * 3]


def test_take_keeps_the_rows_in_every_array() -> None:
    pool = make_pool()
    rows = np.array([5, 2, 9])
    few = pool.take(rows)
    for name in ("ids", "probs", "logits", "embeddings"):
        np.testing.assert_array_equal(getattr(few, name), getattr(pool, name)[rows])
    np.testing.assert_array_equal(needed(few.mc_probs), needed(pool.mc_probs)[:, rows])
    assert few.labelled_embeddings is pool.labelled_embeddings or np.shares_memory(
        needed(few.labelled_embeddings), needed(pool.labelled_embeddings)
    )
    bare = pool.take(rows, Needs.PROBS)
    assert bare.given == Needs.PROBS


def test_only_leaves_out_what_is_not_named() -> None:
    pool = make_pool().only(Needs.EMBEDDINGS | Needs.LABELLED)
    assert pool.given == Needs.EMBEDDINGS | Needs.LABELLED
    assert pool.probs is None
    assert pool.labelled_ids is not None


def test_a_selection_is_checked() -> None:
    with pytest.raises(StrategyError, match="2 ids has 1 scores and 0 parts"):
        Selection(np.arange(2), np.zeros(1))
    with pytest.raises(StrategyError, match="2 ids has 2 scores and 1 parts"):
        Selection(np.arange(2), np.zeros(2), ("margin",))
    with pytest.raises(StrategyError, match="holds an item twice"):
        Selection(np.array([1, 1]), np.zeros(2))
    with pytest.raises(StrategyError, match="not a finite number"):
        Selection(np.arange(2), np.array([1, NAN]))
    assert len(Selection(np.arange(2), np.zeros(2), ("a", "b"))) == 2


def test_reading_an_array_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(PoolError, match="did not name in its needs"):
        needed(Pool(np.arange(1)).probs)
