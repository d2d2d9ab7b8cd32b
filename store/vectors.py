"""Arrays too big for rows: one vector per item in a memory-mapped file, row = item id.

A file ``x`` holds the rows, ``x.has`` one bit per row that is complete, ``x.sum`` a checksum of
each. A row's bit is cleared before the row is overwritten and set after the row and its sum are on
the disk, so that a process killed at any point leaves rows that are whole or missing. A row that is
not as it was written counts as missing too, once it is read. Files are sparse: rows never written
take no room. A file of before there were sums is trusted once, and summed when it is opened.
"""

from __future__ import annotations

import json
import logging
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
from store.sums import Sums

log = logging.getLogger(__name__)
Dtype = Literal["float16", "float32"]

HEADER = 4096
GROWTH = 4096  # rows that the file grows by at least
READ_BYTES = 2 << 20  # a part that stays in the caches between copying and summing
BITS, SUMS = ".has", ".sum"  # what lies beside a vector file
SHOWN = 5
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
        self._bits = Bits(path.with_name(f"{path.name}{BITS}"))
        self._sums = Sums(path.with_name(f"{path.name}{SUMS}"), self._row_bytes)
        self._map: NDArray[Any] | None = None
        self._guard = threading.Lock()

    @classmethod
    def open(cls, path: Path, dim: int, dtype: Dtype = "float16", tag: str = "") -> VectorFile:
        """Open a vector file, making it if it does not exist.

        Parameters
        ----------
        path : Path
            The file; its bits lie beside it in ``<path>.has``, its checksums in ``<path>.sum``.
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
        made._sum_old_rows()
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
        """Write the header, the bits first: a file with a header has bits and sums of its own."""
        text = json.dumps(self._header()).encode()
        if len(text) > HEADER:
            raise VectorError(f"{self.path}: the tag is longer than {HEADER} bytes.")
        try:
            write_whole(self._bits.path, b"")
            write_whole(self._sums.path, b"")
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

    def _sum_old_rows(self) -> None:
        """Sum the rows of a file of before there were sums, where it can be written to."""
        if self._sums.path.exists() or not os.access(self.path, os.W_OK):
            return
        with locked(self.path, LOCK_SECONDS) as descriptor:
            if self._sums.path.exists():
                return
            held = (os.fstat(descriptor).st_size - HEADER) // self._row_bytes
            ids = np.arange(min(self._bits.end(), held))
            ids = ids[self._bits.test(ids)]
            try:
                self._sums.begin(ids, self._sum(ids))
            except OSError as error:
                raise explained(self._sums.path, error) from error

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
            When one of them has no vector, or is not as it was written: it counts as missing then.
        """
        wanted = _ids(ids)
        missing = self.missing(wanted)
        if len(missing):
            raise VectorError(
                f"{self.path}: has no vector for {len(missing)} items (first: {missing[0]}). "
                f"Run a round; it computes them."
            )
        out = np.empty((len(wanted), self.dim), dtype=np.float32)
        changed = self._find_changed(wanted, out)
        if not len(changed):
            return out
        self._refuse_damaged(changed)
        return self.read(wanted)  # they were being overwritten

    def drop_damaged(self, ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Have those of the ids count as missing whose vector is not as it was written.

        Call it before `missing` where what is missing will be made anew.

        Parameters
        ----------
        ids : array of int, shape (n,)

        Returns
        -------
        ndarray of int, shape (m,)
            Those that were dropped; they are named in the log.

        Raises
        ------
        VectorError
            When there are some and the file cannot be written to.
        """
        wanted = _ids(ids)
        wanted = np.unique(wanted[self.has(wanted)])
        return self._drop(self._find_changed(wanted))

    def _parts(
        self, ids: NDArray[np.int64], out: NDArray[np.float32] | None = None
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield places in `ids` with their rows as stored, a few at a time, copied into `out`."""
        if not len(ids):
            return
        step = max(1, READ_BYTES // self._row_bytes)
        mapped = np.asarray(self._mapped(int(ids.max()) + 1))
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            if out is not None and out.dtype == self.dtype:
                yield part, mapped.take(ids[part], axis=0, out=out[part], mode="clip")
                continue
            rows = mapped[ids[part]]
            if out is not None:
                out[part] = rows
            yield part, rows

    def _find_changed(
        self, ids: NDArray[np.int64], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.int64]:
        """Return the ids whose rows do not match their sums; copies all rows into `out`."""
        kept = self._sums.read(ids)
        sums = self._sum(ids, out)
        # without sums it is of before there were any, and lies where nothing can be written
        return ids[:0] if kept is None else ids[sums != kept]

    def _sum(
        self, ids: NDArray[np.int64], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.uint64]:
        """Return the sums (n,) of the rows as they are now."""
        sums = np.zeros(len(ids), np.uint64)
        for part, rows in self._parts(ids, out):
            sums[part] = self._sums.compute(ids[part], rows)
        return sums

    def _refuse_damaged(self, changed: NDArray[np.int64]) -> None:
        try:
            dropped = self._drop(changed)
        except VectorError as error:
            raise VectorError(
                f"{error} The vectors of {_name_items(changed)} in it were damaged on the disk and "
                f"are not used."
            ) from error
        if len(dropped):
            raise VectorError(
                f"{self.path}: the vectors of {_name_items(dropped)} were damaged on the disk and "
                f"are not used. Run a round; it computes them again."
            )

    def _drop(self, changed: NDArray[np.int64]) -> NDArray[np.int64]:
        """Clear the bits of rows that still are changed while nobody writes; returns those."""
        doubtful = np.unique(changed)
        if not len(doubtful):
            return doubtful
        with locked(self.path, LOCK_SECONDS):  # without it a row may be half overwritten
            damaged = self._find_changed(doubtful[self._bits.test(doubtful)])
            if len(damaged):
                try:
                    self._bits.clear(damaged)
                except OSError as error:
                    raise explained(self._bits.path, error) from error
                log.warning(
                    "%s: the vectors of %s are not as they were written. They count as missing "
                    "from now on and are computed again when they are needed.",
                    self.path,
                    _name_items(damaged),
                )
        return damaged

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
        self._sums.write(*_last_of_each(ids, self._sums.compute(ids, rows)))
        self._bits.set(ids)

    def delete(self) -> None:
        """Delete the file with its bits and sums."""
        if VectorFile.exists(self.path):
            with locked(self.path, LOCK_SECONDS):
                delete_vectors(self.path)
        with self._guard:
            self._map = None


def count_rows(path: Path) -> int:
    """Return how many rows the vector file at `path` has, 0 when there is none."""
    return Bits(path.with_name(f"{path.name}{BITS}")).count()


def list_beside(path: Path) -> list[Path]:
    """Return where the bits and the sums of a vector file lie."""
    return [path.with_name(f"{path.name}{end}") for end in (BITS, SUMS)]


def name_file(path: Path) -> str:
    """Return the name of the vector file that a file is, or that it lies beside."""
    return path.name.removesuffix(BITS).removesuffix(SUMS)


def delete_vectors(path: Path) -> None:
    """Delete a vector file with what lies beside it, whoever may read it."""
    # The bits go first: rows without bits are missing, bits without rows would lie.
    for file in (*list_beside(path), path):
        file.unlink(missing_ok=True)


def _runs(ids: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of ascending ids that lie side by side in the file."""
    breaks = np.flatnonzero(np.diff(ids) != 1) + 1
    edges = [0, *breaks.tolist(), len(ids)]
    yield from pairwise(edges)


def _ids(ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(ids, dtype=np.int64).reshape(-1)


def _last_of_each(
    ids: NDArray[np.int64], sums: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return ascending ids once each, with the last of their sums."""
    last = np.append(np.diff(ids) != 0, True)
    return ids[last], sums[last]


def _name_items(ids: NDArray[np.int64]) -> str:
    """Return how many items there are, and the first few."""
    shown = ", ".join(map(str, ids[:SHOWN].tolist()))
    more = ", ..." if len(ids) > SHOWN else ""
    return f"{len(ids)} item{'s' * (len(ids) != 1)} ({shown}{more})"
