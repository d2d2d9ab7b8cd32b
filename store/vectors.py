"""Arrays too big for rows: one vector per item in a memory-mapped file, row = item id.

A file ``x`` holds the rows, ``x.has`` one bit per row that is complete. A row's bit is cleared
before the row is overwritten and set after the row is on the disk, so that a process killed at any
point leaves rows that are whole or missing. Files are sparse: rows never written take no room.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.bits import Bits
from store.durable import sync_file, write_whole
from store.errors import VectorError
from store.files import explained, locked, write_at

Dtype = Literal["float16", "float32"]

HEADER = 4096
GROWTH = 4096  # rows that the file grows by at least
READ_BYTES = 8 << 20
LOCK_SECONDS = 30.0
_MAGIC = "labeller vectors 1"


class VectorFile:
    """Vectors of one kind (embeddings of a backbone, probabilities of a model) for all items.

    Safe to share between threads, and between one or more writing and many reading processes.
    """

    def __init__(self, path: Path, dim: int, dtype: Dtype, tag: str) -> None:
        self.path = path
        self.dim = dim
        self.dtype = np.dtype(dtype)
        self.tag = tag
        self._bits = Bits(path.with_name(f"{path.name}.has"))
        self._map: NDArray[Any] | None = None
        self._guard = threading.Lock()

    @classmethod
    def open(cls, path: Path, dim: int, dtype: Dtype = "float16", tag: str = "") -> VectorFile:
        """Open a vector file, making it if it does not exist.

        Parameters
        ----------
        path : Path
            The file; its bits lie beside it in ``<path>.has``.
        dim : int
            Length of a vector.
        dtype : {"float16", "float32"}
            How numbers are stored; reading always gives float32.
        tag : str
            What made the vectors, such as the backbone and its weights.

        Raises
        ------
        VectorError
            When the file is of another shape, type or tag, or cannot be made.
        """
        if dim < 1 or dtype not in ("float16", "float32"):
            raise VectorError(f"{path}: vectors have at least one number, float16 or float32.")
        made = cls(path, dim, dtype, tag)
        if not VectorFile.exists(path):
            with locked(path, LOCK_SECONDS, create=True) as descriptor:
                if os.fstat(descriptor).st_size < HEADER:
                    made._create(descriptor)
        made._check_header()
        return made

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether there is a vector file at `path`."""
        try:
            return path.stat().st_size >= HEADER
        except OSError:
            return False

    @staticmethod
    def tag_of(path: Path) -> str:
        """Return the tag of the vector file at `path`, empty when it is none."""
        try:
            with path.open("rb") as file:
                return str(json.loads(file.read(HEADER))["tag"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    @property
    def _row_bytes(self) -> int:
        return self.dim * self.dtype.itemsize

    def _header(self) -> dict[str, Any]:
        return {"magic": _MAGIC, "dim": self.dim, "dtype": self.dtype.name, "tag": self.tag}

    def _create(self, descriptor: int) -> None:
        """Write the header, the bits first: a file with a header has bits of its own."""
        text = json.dumps(self._header()).encode()
        if len(text) > HEADER:
            raise VectorError(f"{self.path}: the tag is longer than {HEADER} bytes.")
        try:
            write_whole(self._bits.path, b"")
            write_at(descriptor, text.ljust(HEADER, b" "), 0)
            os.fsync(descriptor)
            sync_file(self.path.parent)
        except OSError as error:
            raise explained(self.path, error) from error

    def _check_header(self) -> None:
        try:
            with self.path.open("rb") as file:
                found = json.loads(file.read(HEADER))
        except OSError as error:
            raise explained(self.path, error) from error
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("magic") != _MAGIC:
            raise VectorError(f"{self.path}: is no vector file. Delete it; it will be made again.")
        for name, wanted in self._header().items():
            if found.get(name) != wanted:
                raise VectorError(
                    f"{self.path}: holds vectors with {name} {found.get(name)!r}, not {wanted!r}. "
                    f"Use another file, or delete this one to have it made again."
                )

    @property
    def rows(self) -> int:
        """One more than the highest row there is, 0 for an empty file."""
        return self._bits.end()

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self._bits.count()

    def has(self, ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the ids have a vector.

        Parameters
        ----------
        ids : array of int, shape (n,)

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        return self._bits.test(_ids(ids))

    def missing(self, ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the ids that have no vector, in their order."""
        wanted = _ids(ids)
        return wanted[~self.has(wanted)]

    def read(self, ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return vectors in the order of the ids.

        Parameters
        ----------
        ids : array of int, shape (n,)

        Returns
        -------
        ndarray of float32, shape (n, dim)

        Raises
        ------
        VectorError
            When one of them has no vector.
        """
        out = np.empty((len(ids), self.dim), dtype=np.float32)
        step = max(1, READ_BYTES // self._row_bytes)
        wanted = _ids(ids)
        missing = self.missing(wanted)
        if len(missing):
            raise VectorError(
                f"{self.path}: has no vector for {len(missing)} items (first: {missing[0]}). "
                f"Run a round; it computes them."
            )
        if not len(wanted):
            return out
        mapped = self._mapped(int(wanted.max()) + 1)
        for start in range(0, len(wanted), step):
            out[start : start + step] = mapped[wanted[start : start + step]]
        return out

    def _mapped(self, rows: int) -> NDArray[Any]:
        """Return the rows as a read-only map of the file that reaches at least `rows`."""
        with self._guard:
            if self._map is None or len(self._map) < rows:
                try:
                    size = self.path.stat().st_size
                    held = (size - HEADER) // self._row_bytes
                    self._map = np.memmap(
                        self.path, self.dtype, mode="r", offset=HEADER, shape=(held, self.dim)
                    )
                except (OSError, ValueError) as error:
                    raise VectorError(
                        f"{self.path}: cannot be read ({error}). Delete it; it will be made again."
                    ) from error
                if held < rows:
                    raise VectorError(
                        f"{self.path}: is cut short. Delete it; it will be made again."
                    )
            return self._map

    def write(
        self,
        ids: Sequence[int] | NDArray[np.int64],
        vectors: ArrayLike,
        wait_seconds: float = LOCK_SECONDS,
    ) -> None:
        """Store vectors; when it returns they are on the disk.

        Parameters
        ----------
        ids : array of int, shape (n,)
            Rows, not negative; of a row given twice the last vector stays.
        vectors : array, shape (n, dim)
        wait_seconds : float
            How long to wait for another writer.

        Raises
        ------
        VectorError
            When shapes do not fit, a number is not finite as stored, another process keeps the file
            locked, or the disk is full.
        """
        wanted = _ids(ids)
        rows = self._checked(wanted, vectors)
        if not len(wanted):
            return
        order = np.argsort(wanted, kind="stable")
        wanted, rows = wanted[order], rows[order]
        if not VectorFile.exists(self.path):
            raise VectorError(f"{self.path}: was deleted meanwhile. Open it again.")
        with locked(self.path, wait_seconds) as descriptor:
            try:
                self._store(descriptor, wanted, rows)
            except OSError as error:
                raise explained(self.path, error) from error

    def _checked(self, ids: NDArray[np.int64], vectors: ArrayLike) -> NDArray[Any]:
        """Return the vectors as they will be stored, if they can be."""
        given = np.asarray(vectors)
        if given.shape != (len(ids), self.dim):
            raise VectorError(
                f"{self.path}: needs an array of shape {(len(ids), self.dim)}, not {given.shape}."
            )
        if len(ids) and ids.min() < 0:
            raise VectorError(f"{self.path}: has no row {ids.min()}; ids begin at 0.")
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(given, dtype=self.dtype)
        if not np.isfinite(rows).all():
            raise VectorError(
                f"{self.path}: some of the numbers are not finite as {self.dtype.name}; "
                f"nothing was stored. The model that made them may have diverged."
            )
        return rows

    def _store(self, descriptor: int, ids: NDArray[np.int64], rows: NDArray[Any]) -> None:
        """Write rows (ids ascending) between clearing and setting their bits."""
        needed = int(ids[-1]) + 1
        held = (os.fstat(descriptor).st_size - HEADER) // self._row_bytes
        if held < needed:
            grown = -(-max(needed, held + held // 2) // GROWTH) * GROWTH
            os.ftruncate(descriptor, HEADER + grown * self._row_bytes)
        self._bits.clear(ids)
        for start, end in _runs(ids):
            offset = HEADER + int(ids[start]) * self._row_bytes
            write_at(descriptor, rows[start:end].tobytes(), offset)
        os.fdatasync(descriptor)
        self._bits.set(ids)

    def delete(self) -> None:
        """Delete the file and its bits."""
        if VectorFile.exists(self.path):
            with locked(self.path, LOCK_SECONDS):
                # The bits go first: rows without bits are missing, bits without rows would lie.
                self._bits.path.unlink(missing_ok=True)
                self.path.unlink(missing_ok=True)
        with self._guard:
            self._map = None


def _runs(ids: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of ascending ids that lie side by side in the file."""
    breaks = np.flatnonzero(np.diff(ids) != 1) + 1
    edges = [0, *breaks.tolist(), len(ids)]
    yield from pairwise(edges)


def _ids(ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(ids, dtype=np.int64).reshape(-1)
