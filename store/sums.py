"""One 64-bit sum per row of a vector file: a row that changed on the disk is noticed.

The sum is linear in the row's 64-bit words with odd factors, so that any change within one word
changes it; the row's number is in it, so that a row in another's place is noticed too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.durable import write_whole
from store.files import explained, write_at

WORD = 8
_SEED = 20_261_201  # the factors belong to the format of the file: never change it
_PER_ROW = np.uint64(0x9E3779B97F4A7C15)


class Sums:
    """A file of sums, the one of row i at byte 8 i; 0 where no row was ever written."""

    def __init__(self, path: Path, row_bytes: int) -> None:
        self.path = path
        words = -(-row_bytes // WORD)
        self._factors = np.random.PCG64(_SEED).random_raw(words) | np.uint64(1)

    def compute(self, ids: NDArray[np.int64], rows: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the sums (n,), never 0, of rows (n, d) as they are stored."""
        data = rows.view(np.uint8)
        whole = data.shape[1] // WORD * WORD
        sums = ids.astype(np.uint64) * _PER_ROW
        if whole:
            sums += np.einsum(
                "ij,j->i", data[:, :whole].view(np.uint64), self._factors[: whole // WORD]
            )
        if whole < data.shape[1]:
            rest = np.zeros((len(data), WORD), np.uint8)
            rest[:, : data.shape[1] - whole] = data[:, whole:]
            sums += rest.view(np.uint64)[:, 0] * self._factors[-1]
        return np.where(sums == 0, _PER_ROW, sums)

    def read(self, ids: NDArray[np.int64]) -> NDArray[np.uint64] | None:
        """Return the sums (n,) that were kept, 0 where there is none; None without a file.

        Raises
        ------
        VectorError
            When the file is there and cannot be read.
        """
        if not len(ids):
            return np.zeros(0, np.uint64)
        first, last = int(ids.min()), int(ids.max())
        try:
            with self.path.open("rb") as file:
                data = os.pread(file.fileno(), (last - first + 1) * WORD, first * WORD)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise explained(self.path, error) from error
        window = np.zeros(last - first + 1, np.uint64)
        there = len(data) // WORD
        window[:there] = np.frombuffer(data, np.uint64, there)
        return window[ids - first]

    def write(self, ids: NDArray[np.int64], sums: NDArray[np.uint64]) -> None:
        """Keep sums of ascending rows, on the disk when it returns."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            breaks = np.flatnonzero(np.diff(ids) != 1) + 1
            for rows, part in zip(np.split(ids, breaks), np.split(sums, breaks), strict=True):
                write_at(descriptor, part.tobytes(), int(rows[0]) * WORD)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def begin(self, ids: NDArray[np.int64], sums: NDArray[np.uint64]) -> None:
        """Make the file, whole: with the sums of the rows that are there already."""
        kept = np.zeros(int(ids.max()) + 1 if len(ids) else 0, np.uint64)
        kept[ids] = sums
        write_whole(self.path, kept.tobytes())
