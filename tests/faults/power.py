"""A power cut: what was not flushed is gone.

Processes run under a small library (power.c) that notes every fsync with what it covers. From the
notes the disk is put together as the worst file system allowed by POSIX would have it at any
moment: files have the bytes of their last flush, folders the names of theirs.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

_guard = threading.Lock()
SOURCE = Path(__file__).with_name("power.c")
BEGIN = "begin"
BLOCK = 4096  # of what was written but not flushed each may survive or not


@functools.cache
def library() -> Path:
    """Return the compiled library; without a compiler the test is skipped, but not in CI."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        assert not os.environ.get("CI"), "CI needs a C compiler for the power cuts"
        pytest.skip("no C compiler here")
    out = Path(tempfile.mkdtemp(prefix="power-")) / "power.so"
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", str(out), str(SOURCE)], check=True, timeout=60
    )
    return out


@dataclass(frozen=True)
class Note:
    """One line of the journal.

    `kind` is F or D for a file or folder that was flushed, f or d for one as it was written at a
    mark but maybe not flushed, M for a mark. `data` is a copy, or the text of the mark.
    """

    kind: str
    key: str
    data: str


class Recorder:
    """What is flushed below a folder."""

    def __init__(self, root: Path, log: Path) -> None:
        self.root, self.log = root.resolve(), log
        root.mkdir()
        log.mkdir()
        self._power = ctypes.CDLL(str(library()))

    @property
    def environment(self) -> dict[str, str]:
        """What a process and its children need to be recorded."""
        return {
            "LD_PRELOAD": str(library()),
            "POWER_ROOT": str(self.root),
            "POWER_LOG": str(self.log),
        }

    def begin(self) -> None:
        """Take all that is there as being on the disk."""
        with _environment(self.environment):
            assert self._power.power_note_all(1) == 0
        self.mark(BEGIN)

    def mark(self, text: str, written: bool = False) -> None:
        """Note a moment, such as an answer; `written` also notes what is not flushed by then."""
        with _environment(self.environment):
            self._power.power_freeze()
            if written:
                assert self._power.power_note_all(0) == 0
            with (self.log / "journal").open("ab") as journal:
                journal.write(f"M - {text}\n".encode())
            self._power.power_thaw()

    def notes(self) -> list[Note]:
        """Return the journal."""
        lines = (self.log / "journal").read_text().splitlines()
        return [Note(*line.split(" ", 2)) for line in lines]


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set what the library reads in this process; the preload is for others."""
    names = [name for name in values if name.startswith("POWER")]
    with _guard:
        os.environ.update({name: values[name] for name in names})
        try:
            yield
        finally:
            for name in names:
                del os.environ[name]


class Disk:
    """The disk after a cut."""

    def __init__(self, recorder: Recorder, notes: list[Note], cut: int) -> None:
        self._log = recorder.log
        self._flushed = {note.key: note for note in notes[:cut] if note.kind in "FD"}
        self._written: dict[str, Note] = {}
        if cut and notes[cut - 1].kind == "M":  # what was written at this very mark
            for note in reversed(notes[: cut - 1]):
                if note.kind not in "fd":
                    break
                self._written[note.key] = note
        about = recorder.root.stat()
        (self._root,) = {n.key for n in notes if n.key.split("-")[0] == str(about.st_ino)}

    def write(self, to: Path, rng: np.random.Generator | None = None) -> None:
        """Put the disk into a new folder.

        Parameters
        ----------
        to : Path
        rng : numpy.random.Generator, optional
            Draws what survives of the blocks and folders that were written but not flushed, at a
            mark that noted them; without it nothing does.
        """
        to.mkdir(parents=True)
        self._folder(self._root, to, rng)

    def _folder(self, key: str, to: Path, rng: np.random.Generator | None) -> None:
        for kind, inner, name in self._names(key, rng):
            if kind == "D":
                (to / name).mkdir()
                self._folder(inner, to / name, rng)
            else:
                self._file(inner, to / name, rng)

    def _names(self, key: str, rng: np.random.Generator | None) -> list[tuple[str, str, str]]:
        note = self._flushed.get(key)
        if rng is not None and key in self._written and rng.random() < 0.5:
            note = self._written[key]
        if note is None:
            return []
        entries = (self._log / note.data).read_bytes().split(b"\0")[:-1]
        lines = (os.fsdecode(entry).split(" ", 2) for entry in entries)
        return [(kind, inner, name) for kind, inner, name in lines]

    def _file(self, key: str, to: Path, rng: np.random.Generator | None) -> None:
        flushed = self._data(self._flushed.get(key))
        written = self._data(self._written.get(key)) if rng is not None else None
        if rng is None or written is None or written == flushed:
            to.write_bytes(flushed or b"")
            return
        size = len(written) if rng.random() < 0.5 else len(flushed or b"")
        data = bytearray((flushed or b"").ljust(size, b"\0")[:size])
        for start in range(0, size, BLOCK):
            if rng.random() < 0.5:
                piece = written[start : min(start + BLOCK, size)]
                data[start : start + len(piece)] = piece
        to.write_bytes(data)

    def _data(self, note: Note | None) -> bytes | None:
        return None if note is None else (self._log / note.data).read_bytes()


def moments(notes: list[Note]) -> list[int]:
    """Return every moment since the recording began: after each flush and mark."""
    begun = next(place for place, note in enumerate(notes) if note.data == BEGIN)
    return [p + 1 for p, note in enumerate(notes) if p >= begun and note.kind in "FDM"]


def marks(notes: list[Note], cut: int | None = None) -> list[str]:
    """Return the marks before a cut."""
    return [note.data for note in notes[:cut] if note.kind == "M"]
