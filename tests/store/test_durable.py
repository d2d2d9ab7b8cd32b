"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from store import durable


def test_a_file_gets_its_content_and_permissions_and_missing_folders(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.txt"
    durable.write_whole(target, "grün", 0o600)
    assert target.read_bytes() == "grün".encode()
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_full_disk_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.txt"
    durable.write_whole(target, "old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        durable.write_whole(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_content_is_flushed_before_its_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def flush(descriptor: int) -> None:
        steps.append(f"flush {Path(f'/proc/self/fd/{descriptor}').readlink().name[:5]}")
        fsync(descriptor)

    def rename(source: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", rename)
    durable.write_whole(tmp_path / "file", b"data")
    assert steps == ["flush .labe", "rename", f"flush {tmp_path.name[:5]}"]


def test_two_threads_make_the_same_folders(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        durable.make_folder(tmp_path / "a" / "b" / "c")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_many_files_are_flushed_while_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def flush(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    flusher = durable.Flusher()
    (tmp_path / "folder").mkdir()
    for name in "abc":
        durable.write_unflushed(tmp_path / "folder" / name, b"data")
        flusher.add(tmp_path / "folder" / name, [tmp_path / "folder", tmp_path])
    flusher.add(tmp_path / "gone")
    flusher.wait()
    assert sorted(flushed[:3]) == ["a", "b", "c"]
    assert sorted(flushed[3:]) == sorted(["folder", tmp_path.name])
    flusher.wait()
    assert len(flushed) == 5
    flusher.close()


def test_a_flush_that_fails_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flusher = durable.Flusher()
    (tmp_path / "a").write_bytes(b"data")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        flusher.add(tmp_path / "a", [tmp_path])
        with pytest.raises(OSError, match="No space left"):
            flusher.wait()
    flusher.wait()
    flusher.close()
