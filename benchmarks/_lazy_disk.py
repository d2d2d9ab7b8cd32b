"""The workbench as it would be if an answer did not wait for the disk: what durability is held to.

Python imports a ``sitecustomize`` of ours first, which calls off every flush in that process and
those it starts. The product itself has no such switch.
"""

from __future__ import annotations

from pathlib import Path

LAZY = """
import os
import sqlite3

class Connection(sqlite3.Connection):
    def execute(self, sql, *values):
        return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"), *values)

connect = sqlite3.connect
sqlite3.connect = sqlite3.dbapi2.connect = lambda *a, **k: connect(*a, factory=Connection, **k)
os.fsync = os.fdatasync = lambda descriptor: None
"""


def lazy_environment(folder: Path) -> dict[str, str]:
    """Return the variables under which a process flushes nothing; `folder` holds what they name."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LAZY, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}
