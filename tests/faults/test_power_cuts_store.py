"""The power is cut at every single flush of what the store does to its files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from store import schema
from store.engine import database, file_url
from store.vectors import VectorFile
from tests.faults.power import Disk, Recorder, moments

DIM = 3

WRITING = f"""
import sys
from pathlib import Path
import numpy as np
from store.vectors import VectorFile

path = Path(sys.argv[1])
def rows(ids, turn):
    return np.outer(ids, np.ones({DIM})) + turn * 1000

def write(ids, turn):
    VectorFile.open(path, {DIM}, "float32").write(ids, rows(ids, turn))

write(np.arange(1, 20), 1)
write(np.arange(10, 5000, 7), 2)  # over some, and far behind the end
path.unlink()  # its bits stay, as when a deletion was cut short
write(np.arange(30, 40), 3)
"""


def recorded(recorder: Recorder, program: str, *arguments: object) -> None:
    """Run a program whose flushes are noted."""
    subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, **recorder.environment},
        check=True,
        timeout=120,
    )


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "disk", tmp_path / "log")


def test_a_vector_that_counts_as_there_is_whole(recorder: Recorder, tmp_path: Path) -> None:
    recorder.begin()
    recorded(recorder, WRITING, recorder.root / "x")
    notes = recorder.notes()
    counts = []
    for cut in moments(notes):
        Disk(recorder, notes, cut).write(tmp_path / f"cut-{cut}")
        file = VectorFile.open(tmp_path / f"cut-{cut}" / "x", DIM, "float32")
        ids = np.flatnonzero(file.has(np.arange(5000)))
        counts.append(len(ids))
        turns = (file.read(ids) - ids[:, None]) / 1000
        assert np.isin(turns, (1, 2, 3)).all(), cut
        assert (turns == turns[:, :1]).all(), cut
    everything = np.union1d(np.arange(1, 20), np.arange(10, 5000, 7))
    assert {0, 19, len(everything)} <= set(counts)
    assert counts[-1] == 10


def test_a_database_that_is_upgraded_has_its_copy(recorder: Recorder, tmp_path: Path) -> None:
    url = file_url(recorder.root / "labeller.db")
    opened = database(url)
    schema.upgrade(opened, head="0001")
    with opened.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("INSERT INTO annotator (name) VALUES ('ann')"))
    opened.engine.dispose()
    recorder.begin()
    recorded(recorder, "import sys; from store.store import Store; Store.open(sys.argv[1])", url)
    notes = recorder.notes()
    revisions = []
    for cut in moments(notes):
        disk = tmp_path / f"cut-{cut}"
        Disk(recorder, notes, cut).write(disk)
        revisions.append(revision(disk / "labeller.db"))
        if revisions[-1] != "0001":
            assert revision(disk / f"labeller.db.before-{schema.HEAD}") == "0001"
    assert revisions[-1] == schema.HEAD
    assert set(revisions) == {"0001", schema.HEAD}


def revision(file: Path) -> str:
    """Return the revision of a database that is whole and has its annotator."""
    assert file.stat().st_size
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT name FROM annotator").fetchall() == [("ann",)]
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)
