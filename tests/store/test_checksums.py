"""Hashes of a folder's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.checksums import SUMS, find_damaged, write_sums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(name.encode() * 1_000)
    write_sums(tmp_path)
    return tmp_path


def test_what_is_as_it_was_is_not_damaged(folder: Path) -> None:
    assert find_damaged(folder) == []


@pytest.mark.parametrize("place", [0, 2_500, 4_999])
def test_a_flipped_bit_is_found(folder: Path, place: int) -> None:
    data = bytearray((folder / "b.bin").read_bytes())
    data[place] ^= 1
    (folder / "b.bin").write_bytes(data)
    assert find_damaged(folder) == ["b.bin"]


def test_a_file_that_is_gone_or_cut_is_found(folder: Path) -> None:
    (folder / "a.bin").unlink()
    (folder / "b.bin").write_bytes(b"")
    assert find_damaged(folder) == ["a.bin", "b.bin"]


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_damaged_sums_are_found(folder: Path, text: str) -> None:
    (folder / SUMS).write_text(text)
    assert find_damaged(folder) == [SUMS]


def test_sums_name_no_file_elsewhere(folder: Path) -> None:
    (folder / SUMS).write_text('{"../x": "y"}')
    assert find_damaged(folder) == ["../x"]


def test_an_earlier_versions_folder_counts_as_whole(folder: Path) -> None:
    (folder / SUMS).unlink()
    assert find_damaged(folder) == []
