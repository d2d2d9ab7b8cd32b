"""Where a project lies: a copied folder is told from a moved one, and gets an identity of its own.

Two folders with one identity would share tokens, links and what a browser keeps for them: labels
of one would go into the other.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from labeller import config
from labeller.errors import ConfigError
from store.store import Store, Unit

_PLACE, _IDENTITY = "place", "project"
_NEW_IDENTITY = "new_identity"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a project's folder was last opened."""

    path: str
    machine: str
    device: int
    inode: int

    def is_same(self, other: Place) -> bool:
        """Whether both are one folder, under whatever names it goes."""
        if self.machine != other.machine:
            return self.inode == other.inode  # one share, mounted on two machines
        same_file = (self.device, self.inode) == (other.device, other.inode)
        return same_file or self.path == other.path


def look_at(folder: Path) -> Place:
    """Return where a folder lies now."""
    real = folder.resolve()
    about = real.stat()
    return Place(str(real), _machine(), about.st_dev, about.st_ino)


@cache
def _machine() -> str:
    """Return what tells this machine from others."""
    for file in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return Path(file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return os.uname().nodename


def find_original(
    folder: Path, identity: str, store: Store, others: Sequence[Path] = ()
) -> Path | None:
    """Return the folder that a project was copied from, where it still is there.

    Parameters
    ----------
    folder : Path
        The project's.
    identity : str
        Its identity, by its settings.
    store : Store
    others : sequence of Path
        Folders known to hold a project of this identity, for one that was copied before it was
        noted where it lies.

    Returns
    -------
    Path or None
        None when the folder is the one it was, or was moved.
    """
    with store.read() as unit:
        noted = unit.settings.get(_PLACE)
    here = look_at(folder)
    if noted is None:
        candidates = [other for other in others if not look_at(other).is_same(here)]
    else:
        before = Place(**noted)
        if before.is_same(here) or before.machine != here.machine:
            return None
        candidates = [Path(before.path)]
    return next((path for path in candidates if _identity(path) == identity), None)


def _identity(folder: Path) -> str | None:
    try:
        return config.load_settings(folder, {}).id
    except ConfigError:
        return None


def note_place(folder: Path, identity: str, store: Store) -> None:
    """Note where a project lies and which it is, if that is not noted already."""
    wanted: dict[str, Any] = {_PLACE: asdict(look_at(folder)), _IDENTITY: identity}
    with store.read() as unit:
        if all(unit.settings.get(key) == value for key, value in wanted.items()):
            return
    with store.write() as unit:
        for key, value in wanted.items():
            unit.settings.set(key, value)


def is_another_projects(identity: str, store: Store) -> bool:
    """Whether a database belongs to a project with another identity."""
    with store.read() as unit:
        noted = unit.settings.get(_IDENTITY)
    return noted not in (None, identity, find_begun(identity, store))


def find_begun(identity: str, store: Store) -> str | None:
    """Return the identity that the database of a copy has by now, where its settings do not say so.

    A crash between the two leaves them so.
    """
    with store.read() as unit:
        noted, renumbered = unit.settings.get(_IDENTITY), unit.settings.get(_NEW_IDENTITY, {})
    return noted if renumbered == {"was": identity, "now": noted} else None


def renumber_copy(folder: Path, original: Path, store: Store, identity: str) -> str:
    """Give a copied project an identity in its database, and let go what belongs to the original.

    Its jobs are cancelled, its leases end.
    """
    with store.write() as unit:
        fresh = uuid.uuid4().hex
        unit.settings.set(_NEW_IDENTITY, {"was": identity, "now": fresh})
        unit.settings.set(_IDENTITY, fresh)
        unit.settings.set(_PLACE, asdict(look_at(folder)))
        unit.settings.set("tokens", {})  # signed with the original's key
        _let_go(unit, f"This project is a copy; the job belongs to the original, {original}.")
    return fresh


def _let_go(unit: Unit, reason: str) -> None:
    from labeller.jobs.control import finish

    for job in unit.jobs.active():
        if job.state == "waiting":
            unit.jobs.abandon(job.id, reason)
        else:
            finish(unit, job.id, "cancelled", error=reason)
    unit.queue.end_leases()
