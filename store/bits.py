"""One bit per row of a vector file: whether the row is complete."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.files import explained, write_at


class Bits:
    """A file of bits, bit i of byte j for row 8 j + i; what lies behind its end is not set."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> NDArray[np.uint8]:
        """Return the bytes as they are now.

        Raises
        ------
        VectorError
            When the file cannot be read; a missing one is empty.
        """
        try:
            return np.frombuffer(self.path.read_bytes(), dtype=np.uint8)
        except FileNotFoundError:
            return np.zeros(0, dtype=np.uint8)
        except OSError as error:
            raise explained(self.path, error) from error

    def test(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the rows are set, shape (n,)."""
        bits = self.read()
        found = np.zeros(len(rows), dtype=np.bool_)
        inside = (rows >= 0) & (rows < len(bits) * 8)
        chosen = rows[inside]
        found[inside] = (bits[chosen >> 3] >> (chosen & 7).astype(np.uint8)) & 1
        return found

    def end(self) -> int:
        """Return one more than the highest row that is set."""
        bits = self.read()
        filled = np.flatnonzero(bits)
        if not len(filled):
            return 0
        last = int(filled[-1])
        return last * 8 + int(bits[last]).bit_length()

    def count(self) -> int:
        """Return how many rows are set."""
        return int(np.bitwise_count(self.read()).sum())

    def set(self, rows: NDArray[np.int64]) -> None:
        """Set rows, on the disk when it returns."""
        old = self.read()
        bits = np.zeros(max(len(old), (int(rows.max()) >> 3) + 1), dtype=np.uint8)
        bits[: len(old)] = old
        np.bitwise_or.at(bits, rows >> 3, (1 << (rows & 7)).astype(np.uint8))
        self._write(bits)

    def clear(self, rows: NDArray[np.int64]) -> None:
        """Clear those of the rows that are set, on the disk when it returns."""
        chosen = rows[self.test(rows)]
        if not len(chosen):
            return
        bits = self.read().copy()
        np.bitwise_and.at(bits, chosen >> 3, ~(1 << (chosen & 7)).astype(np.uint8))
        self._write(bits)

    def _write(self, bits: NDArray[np.uint8]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            write_at(descriptor, bits.tobytes(), 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
