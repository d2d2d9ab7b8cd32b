"""Sums of the rows of vector files: what changed on the disk is named and counts as missing."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from store import vectors
from store.errors import VectorError
from store.sums import Sums
from store.vectors import HEADER, Dtype, VectorFile, delete_vectors

IDS = np.array([3, 7, 8, 9, 40])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "features.f16"


def fill(path: Path, dim: int, dtype: Dtype) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(len(IDS), dim)).astype(dtype)
    VectorFile.open(path, dim, dtype).write(IDS, rows)
    return rows


def flip(path: Path, byte: int, bit: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(byte)
        old = file.read(1)[0]
        file.seek(byte)
        file.write(bytes([old ^ 1 << bit]))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("dim", [1, 3, 4, 5, 513])
def test_a_flipped_bit_makes_its_row_missing_and_no_other(
    path: Path, dim: int, dtype: Dtype, caplog: pytest.LogCaptureFixture
) -> None:
    rows = fill(path, dim, dtype)
    size = dim * rows.itemsize
    rng = np.random.default_rng([dim, size])
    reader = VectorFile.open(path, dim, dtype)
    for byte in {0, size - 1, int(rng.integers(size))}:
        np.testing.assert_array_equal(reader.read(IDS), rows)
        flip(path, HEADER + 8 * size + byte, int(rng.integers(8)))
        with caplog.at_level(logging.WARNING), pytest.raises(VectorError) as told:
            reader.read(IDS[::-1])
        for text in (str(told.value), caplog.text):
            assert str(path) in text
            assert "1 item (8)" in text
        assert "Run a round" in str(told.value)
        assert reader.missing(IDS).tolist() == [8]
        np.testing.assert_array_equal(reader.read([3, 7, 9, 40]), rows[[0, 1, 3, 4]])
        reader.write([8], rows[2:3])


def test_what_is_damaged_can_be_dropped_before_it_is_made_anew(path: Path) -> None:
    rows = fill(path, 4, "float16")
    flip(path, HEADER + 3 * 8)
    flip(path, HEADER + 40 * 8 + 7, 7)
    file = VectorFile.open(path, 4)
    assert file.drop_damaged([40, 3, 3, 7, 1000]).tolist() == [3, 40]
    assert file.drop_damaged(IDS).tolist() == []
    assert file.missing(IDS).tolist() == [3, 40]
    file.write([3, 40], rows[[0, 4]])
    np.testing.assert_array_equal(file.read(IDS), rows)


def test_rows_in_each_others_place_zeros_and_bits_without_rows_are_noticed(path: Path) -> None:
    fill(path, 4, "float16")
    with path.open("r+b") as file:
        file.seek(HEADER + 7 * 8)
        first, second = file.read(8), file.read(8)
        file.seek(HEADER + 7 * 8)
        file.write(second + first)
        file.seek(HEADER + 3 * 8)
        file.write(bytes(8))
    flip(path.with_name("features.f16.has"), 0, 1)
    assert VectorFile.open(path, 4).drop_damaged(np.arange(100)).tolist() == [1, 3, 7, 8]


def test_a_flipped_sum_costs_one_row(path: Path) -> None:
    rows = fill(path, 4, "float16")
    flip(path.with_name("features.f16.sum"), 9 * 8 + 5, 3)
    file = VectorFile.open(path, 4)
    assert file.drop_damaged(IDS).tolist() == [9]
    os.truncate(path.with_name("features.f16.sum"), 9 * 8)
    assert file.drop_damaged(IDS).tolist() == [40]
    np.testing.assert_array_equal(file.read([3, 7, 8]), rows[:3])


def test_a_file_of_before_there_were_sums_is_summed_when_it_is_opened(path: Path) -> None:
    rows = fill(path, 5, "float32")
    beside = path.with_name("features.f16.sum")
    before = beside.read_bytes()
    beside.unlink()
    file = VectorFile.open(path, 5, "float32")
    assert beside.read_bytes() == before
    np.testing.assert_array_equal(file.read(IDS), rows)
    flip(path, HEADER + 7 * 20)
    assert file.drop_damaged(IDS).tolist() == [7]


def test_the_sums_of_a_file_never_change_with_the_code(tmp_path: Path) -> None:
    rows = np.arange(15, dtype=np.float16).reshape(3, 5)
    sums = Sums(tmp_path / "x.sum", 10).compute(np.array([0, 1, 70_000]), rows)
    assert sums.tolist() == PINNED


PINNED = [12_464_628_358_488_398_848, 13_110_075_079_277_905_045, 3_114_325_403_631_678_512]


def test_the_last_of_the_same_row_has_its_sum(path: Path) -> None:
    file = VectorFile.open(path, 2)
    file.write([5, 5, 4], [[1, 2], [3, 4], [5, 6]])
    assert file.read([4, 5]).tolist() == [[5, 6], [3, 4]]


def test_readers_beside_a_writer_never_take_a_row_for_damaged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids = np.arange(64)
    writer, reader = VectorFile.open(path, 64), VectorFile.open(path, 64)
    writer.write(ids, np.zeros((64, 64)))
    stop, refused = threading.Event(), list[str]()

    def overwrite() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            writer.write(ids, np.full((64, 64), number % 1000))

    thread = threading.Thread(target=overwrite)
    thread.start()
    try:
        for _ in range(200):
            there = ids[reader.has(ids)]
            try:
                rows = reader.read(there)
            except VectorError as error:
                refused.append(str(error))
            else:
                assert (rows == rows[:, :1]).all()
    finally:
        stop.set()
        thread.join()
    assert all("has no vector" in reason for reason in refused)
    assert not caplog.records
    assert reader.has(ids).all()


def test_where_nothing_can_be_written_damage_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, 4, "float16")
    flip(path, HEADER + 3 * 8)

    def refuse(*_: object, **__: object) -> None:
        raise VectorError(f"{path}: Read-only file system.")

    file = VectorFile.open(path, 4)
    monkeypatch.setattr(vectors, "locked", refuse)
    with pytest.raises(VectorError, match=r"Read-only.* 1 item \(3\) in it were damaged"):
        file.read(IDS)


def test_nothing_stays_when_a_file_is_deleted(path: Path) -> None:
    fill(path, 4, "float16")
    delete_vectors(path)
    assert list(path.parent.iterdir()) == []
    fill(path, 4, "float16")
    VectorFile.open(path, 4).delete()
    assert list(path.parent.iterdir()) == []
