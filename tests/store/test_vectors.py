"""Memory-mapped vectors: whole or missing after any crash, sparse, one writer at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from store import bits, files, vectors
from store.errors import VectorError
from store.vectors import VectorFile
from tests.store.build import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lite0.f16"


def some(n: int, dim: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float16)


def test_what_is_written_is_read(path: Path) -> None:
    file = VectorFile.open(path, 4)
    data = some(3)
    file.write([7, 2, 5], data)
    got = file.read([5, 7, 5])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, data[[2, 0, 2]])
    assert file.has([2, 3, 5, 7, 8, -1, 10**9]).tolist() == [True, False, True, True] + [False] * 3
    assert file.missing([1, 2, 3]).tolist() == [1, 3]
    assert (file.rows, file.count) == (8, 3)
    again = VectorFile.open(path, 4)
    np.testing.assert_array_equal(again.read([2]), data[1:2])


def test_empty(path: Path) -> None:
    assert not VectorFile.exists(path)
    file = VectorFile.open(path, 4)
    assert VectorFile.exists(path)
    assert (file.rows, file.count) == (0, 0)
    assert file.read([]).shape == (0, 4)
    file.write([], np.zeros((0, 4)))
    assert file.missing([0, 5]).tolist() == [0, 5]
    with pytest.raises(VectorError, match=r"no vector for 2 items \(first: 3\)\. Run a round"):
        file.read([3, 4])


def test_the_last_of_the_same_row_stays(path: Path) -> None:
    file = VectorFile.open(path, 4)
    data = some(4)
    file.write([3, 1, 3, 1], data)
    np.testing.assert_array_equal(file.read([1, 3]), data[[3, 2]])
    file.write([3], data[:1])
    np.testing.assert_array_equal(file.read([1, 3]), data[[3, 0]])
    assert file.count == 2


def test_rows_straddling_read_chunks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "READ_BYTES", 64)
    file = VectorFile.open(path, 3, "float32")
    rng = np.random.default_rng(1)
    data = rng.normal(size=(1000, 3)).astype(np.float32)
    ids = rng.permutation(5000)[:1000]
    file.write(ids, data)
    order = rng.permutation(1000)
    np.testing.assert_array_equal(file.read(ids[order]), data[order])


def test_growth_is_seen_by_other_readers_and_is_sparse(path: Path) -> None:
    writer = VectorFile.open(path, 256)
    reader = VectorFile.open(path, 256)
    data = some(2, 256)
    writer.write([1], data[:1])
    np.testing.assert_array_equal(reader.read([1]), data[:1])
    writer.write([2_000_000], data[1:])
    np.testing.assert_array_equal(reader.read([2_000_000, 1]), data[[1, 0]])
    found = path.stat()
    assert found.st_size > 1_000_000_000
    assert found.st_blocks * 512 < 1_000_000


def test_another_kind_of_vectors_is_refused(path: Path) -> None:
    VectorFile.open(path, 4, tag="lite0 579344248a93e230")
    with pytest.raises(VectorError, match=r"tag 'lite0 579344248a93e230', not 'resnet18'"):
        VectorFile.open(path, 4, tag="resnet18")
    with pytest.raises(VectorError, match="dim 4, not 5"):
        VectorFile.open(path, 5, tag="lite0 579344248a93e230")
    with pytest.raises(VectorError, match="dtype 'float16', not 'float32'"):
        VectorFile.open(path, 4, "float32", tag="lite0 579344248a93e230")
    path.write_bytes(b"\x93NUMPY" * 1000)
    with pytest.raises(VectorError, match=r"is no vector file\. Delete it"):
        VectorFile.open(path, 4)
    with pytest.raises(VectorError, match="at least one number"):
        VectorFile.open(path, 0)
    with pytest.raises(VectorError, match="tag is longer"):
        VectorFile.open(path.with_name("b"), 1, tag="x" * 5000)


def test_what_cannot_be_stored_is_refused_whole(path: Path) -> None:
    file = VectorFile.open(path, 4)
    bad = np.ones((2, 4))
    bad[1, 2] = 1e6  # infinite in half precision
    with pytest.raises(VectorError, match="not finite as float16; nothing was stored"):
        file.write([0, 1], bad)
    bad[1, 2] = np.nan
    with pytest.raises(VectorError, match="not finite"):
        file.write([0, 1], bad)
    with pytest.raises(VectorError, match=r"shape \(2, 4\), not \(2, 3\)"):
        file.write([0, 1], np.ones((2, 3)))
    with pytest.raises(VectorError, match="no row -1"):
        file.write([-1], np.ones((1, 4)))
    assert file.count == 0


class _PowerCut(BaseException):
    pass


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the given number of writes through, half of the next one, and then cut the power."""
    left: list[int] = []
    write_at = files.write_at

    def cutting(descriptor: int, data: bytes, offset: int) -> None:
        if left and left[0] == 0:
            write_at(descriptor, data[: len(data) // 2], offset)
            raise _PowerCut
        if left:
            left[0] -= 1
        write_at(descriptor, data, offset)

    monkeypatch.setattr(vectors, "write_at", cutting)
    monkeypatch.setattr(bits, "write_at", cutting)
    return left


@pytest.mark.parametrize("writes", range(6))
def test_a_process_killed_while_writing_leaves_whole_rows(
    path: Path, cut: list[int], writes: int
) -> None:
    file = VectorFile.open(path, 4)
    before, after = some(8, seed=1), some(8, seed=2)
    file.write(range(0, 16, 2), before)
    cut.append(writes)
    # Rows 4 and 6 are written again, 5 and 7 for the first time, 20 far behind.
    ids = [4, 5, 6, 7, 20]
    with pytest.raises(_PowerCut) if writes < 4 else _nothing():
        file.write(ids, after[: len(ids)])
    cut.clear()
    found = VectorFile.open(path, 4)
    for row in range(0, 16, 2):
        if row in ids:
            if found.has([row])[0]:
                np.testing.assert_array_equal(found.read([row])[0], after[ids.index(row)])
        else:
            np.testing.assert_array_equal(found.read([row])[0], before[row // 2])
    for row in (5, 7, 20):
        if found.has([row])[0]:
            np.testing.assert_array_equal(found.read([row])[0], after[ids.index(row)])
    found.write(ids, after[: len(ids)])
    np.testing.assert_array_equal(found.read(ids), after[: len(ids)])


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_a_full_disk_raises_and_stores_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = VectorFile.open(path, 4)
    file.write([1], some(1))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(VectorError, match=r"lite0\.f16: No space left on device\. Make room"):
        file.write([2], some(1))
    monkeypatch.undo()
    assert file.missing([1, 2]).tolist() == [2]


HOLD = """
import sys, time
from pathlib import Path
from store.files import locked
with locked(Path(sys.argv[1]), 10):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_writer_waits_and_then_says_so(path: Path) -> None:
    file = VectorFile.open(path, 4)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(VectorError, match=r"lite0\.f16: another process writes to it\. Wait"):
        file.write([1], some(1), wait_seconds=0.1)
    # A killed process's lock is free at once.
    other.kill()
    other.wait()
    file.write([1], some(1), wait_seconds=5)
    assert file.count == 1


def test_threads_write_and_read_at_once(path: Path) -> None:
    file = VectorFile.open(path, 8)
    data = some(4000, 8)
    errors: list[BaseException] = []

    def write(number: int) -> None:
        for start in range(number * 1000, (number + 1) * 1000, 100):
            file.write(np.arange(start, start + 100), data[start : start + 100])

    def read() -> None:
        try:
            for _ in range(50):
                ids = np.flatnonzero(file.has(np.arange(4000)))
                np.testing.assert_array_equal(file.read(ids), data[ids])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    np.testing.assert_array_equal(file.read(np.arange(4000)), data)


def test_delete(path: Path) -> None:
    file = VectorFile.open(path, 4, tag="old")
    file.write([1], some(1))
    file.delete()
    assert not VectorFile.exists(path)
    assert list(path.parent.iterdir()) == []
    assert file.missing([1]).tolist() == [1]
    with pytest.raises(VectorError, match="was deleted meanwhile"):
        file.write([1], some(1))
    made = VectorFile.open(path, 5, tag="new")
    assert made.count == 0


def test_bits_of_a_deleted_file_do_not_come_back(path: Path) -> None:
    file = VectorFile.open(path, 4)
    file.write([1], some(1))
    path.unlink()
    assert VectorFile.open(path, 4).count == 0


def test_a_file_that_was_cut_short_says_so(path: Path) -> None:
    VectorFile.open(path, 4).write([5], some(1))
    os.truncate(path, vectors.HEADER + 8)
    with pytest.raises(VectorError, match=r"is cut short\. Delete it"):
        VectorFile.open(path, 4).read([5])


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match=r"No such file or directory\. Check that its folder"):
        VectorFile.open(tmp_path / "none" / "x", 4)


def test_vectors_do_not_pull_in_sqlalchemy() -> None:
    code = "import sys, store.vectors; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
