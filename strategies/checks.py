"""Checks of the arrays that enter a `Pool`: each returns a usable array or names what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ROW_SUM_TOLERANCE = 1e-3  # probabilities may come from float16


class StrategyError(Exception):
    """Root of the errors of strategies; the text is meant for the person at the screen."""


class PoolError(StrategyError):
    """The arrays of a pool do not fit together, or cannot be used."""


def check_ids(name: str, values: Any) -> NDArray[np.int64]:
    """Return `values` as int64 ids (N,), or raise `PoolError` when they are not whole or repeat."""
    ids = np.asarray(values)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise PoolError(
            f"{name} must be one row of whole numbers, not {ids.dtype} of shape {ids.shape}."
        )
    ids = ids.astype(np.int64, copy=False)
    if ids.size and not (np.diff(ids) > 0).all():  # sorted ids, the usual case, need no sort
        unique, counts = np.unique(ids, return_counts=True)
        if len(unique) < len(ids):
            raise PoolError(f"{name}: {unique[counts > 1][0]} is there more than once.")
    return ids


def check_floats(
    name: str, values: Any, shape: tuple[int | None, ...]
) -> NDArray[np.floating[Any]]:
    """Return `values` as finite float32 or float64 of `shape` (None: any length), or raise."""
    array = np.asarray(values)
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise PoolError(f"{name} must have shape ({wanted}), not {array.shape}.")
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype.kind in "iub":
        array = array.astype(np.float64)
    elif array.dtype not in (np.float32, np.float64):
        raise PoolError(f"{name} must be float32 or float64, not {array.dtype}.")
    if not _all_finite(array):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise PoolError(f"{name}{list(where)} is {array[where]}: every value must be finite.")
    return array


def check_probs(name: str, values: Any, shape: tuple[int | None, ...]) -> NDArray[np.floating[Any]]:
    """Return `values` as probabilities whose last axis sums to one, or raise."""
    array = check_floats(name, values, shape)
    if array.size == 0:
        if array.shape[-1] == 0 and array[..., 0:].shape[0] and np.prod(array.shape[:-1]):
            raise PoolError(f"{name} has no classes.")
        return array
    if array.min() < 0:
        where = tuple(int(i) for i in np.argwhere(array < 0)[0])
        raise PoolError(f"{name}{list(where)} is {array[where]}: a probability cannot be negative.")
    sums = array @ np.ones(array.shape[-1], array.dtype)
    wrong = np.abs(sums - 1) > ROW_SUM_TOLERANCE
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise PoolError(f"{name}{list(where)} sums to {sums[where]:.4g}, not to 1.")
    return array


def check_classes(values: Any, columns: int | None) -> NDArray[np.int64]:
    """Return `values` as classes (M,), each below `columns` where that is known, or raise."""
    classes = np.asarray(values)
    if classes.ndim != 1 or (classes.size and classes.dtype.kind not in "iu"):
        raise PoolError(
            "labelled_classes must be one row of whole numbers,"
            f" not {classes.dtype} of shape {classes.shape}."
        )
    if classes.size:
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or (columns is not None and high >= columns):
            raise PoolError(
                f"labelled_classes go from {low} to {high}; they must be columns of the"
                f" probabilities (0 to {columns - 1 if columns is not None else 'C - 1'})."
            )
    return classes.astype(np.int64, copy=False)


def _all_finite(array: NDArray[np.floating[Any]]) -> bool:
    """Say whether every value is finite, without a temporary the size of the array."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):
            return True
    # the sum may overflow though every value is finite: look again, block by block
    rows = array.reshape(-1, array.shape[-1])
    return all(
        bool(np.isfinite(rows[start : start + 65_536]).all())
        for start in range(0, len(rows), 65_536)
    )
