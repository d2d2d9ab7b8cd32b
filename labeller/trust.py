"""Projects of other people: what their folders ask for waits until the person here agrees.

A project is a person's own when it was made here, or when they agreed to what it asks for. Any
other is opened only while it asks for nothing that acts outside its folder.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from labeller.config import Settings
from labeller.decode_room import usual_budget
from labeller.errors import StrangerError
from labeller.state import state_folder
from store.durable import make_folder, write_whole
from store.soundness import connect_readonly

_FOLDER = "trusted"
_DEFAULTS = Settings()
_PASSWORD = re.compile(r"(://[^:@/]*):[^@]*@")
_LONGEST = 300
_LINKS = 3  # named of many
_MOST_WORKERS = 64
# For accounts whose state folder cannot be written: good for this process.
_agreed: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that a project asks for: a setting or a job, its value, and what that would do."""

    name: str
    value: str
    effect: str


def refuse_stranger(folder: Path, settings: Settings, database: Path | None) -> None:
    """Refuse a project that asks for something and that nobody here has agreed to.

    One that asks for nothing is noted, so that its own jobs are not taken for somebody else's.

    Parameters
    ----------
    folder : Path
    settings : Settings
        As its file has them, whatever the environment says.
    database : Path, optional
        Its SQLite file.

    Raises
    ------
    StrangerError
        With what it asks for.
    """
    entry = _read(folder, settings.id)
    if entry is not None and entry["whole"]:
        return
    wishes = list(_list_settings(settings))
    if entry is None:
        wishes += [*_list_links(folder), *_list_jobs(settings.id, database)]
    if wishes:
        raise StrangerError(
            f"{folder}: was not made here, and asks for what acts outside its folder "
            f"({', '.join(dict.fromkeys(wish.name for wish in wishes))}). Nothing of that is done "
            f"until you agree. See what it is: labeller trust {shlex.quote(str(folder))}",
            folder,
        )
    if entry is None:
        _note(folder, settings.id, whole=False)


def list_wishes(folder: Path, settings: Settings, database: Path | None) -> list[Wish]:
    """Return all that a project asks for, whoever made it."""
    found = [*_list_settings(settings), *_list_links(folder)]
    return found + list(_list_jobs(settings.id, database))


def trust_project(folder: Path, identity: str) -> None:
    """Note that a project is this person's own, or that they agree to what it asks for.

    Where that cannot be noted, it holds for this process.
    """
    _note(folder, identity, whole=True)


def forget_project(folder: Path) -> None:
    """Forget a folder that was there for a while only."""
    place = _place(folder)
    _agreed.pop(str(place), None)
    with suppress(OSError):
        place.unlink(missing_ok=True)


def inherit_trust(folder: Path, identity: str) -> None:
    """Trust a folder as another one with the same identity is: it was restored from its backup."""
    if any(entry["whole"] for entry in _list_entries() if entry["id"] == identity):
        _note(folder, identity, whole=True)


def carry_over(folder: Path, identity: str, fresh: str) -> None:
    """Keep the trust in a folder whose project gets another identity."""
    entry = _read(folder, identity)
    _note(folder, fresh, whole=entry is not None and bool(entry["whole"]))


def without_wishes(settings: Settings) -> Settings:
    """Return settings of which none acts outside a project's folder."""
    return replace(settings, **{name: getattr(_DEFAULTS, name) for name in _EFFECTS})


_EFFECTS = {
    "watch_folder": "Images that come into this folder are imported.",
    "database": "Labels are read from this database server and written to it.",
    "backbone": "Weights are fetched from a model hub, or read from where they were put before.",
    "workers": "So many processes decode images at a time.",
    "decode_memory_mb": "So much memory is given to decoding images.",
    "max_image_pixels": "So large images are decoded.",
}


def _list_settings(settings: Settings) -> Iterator[Wish]:
    modest = {
        "workers": max(_MOST_WORKERS, os.cpu_count() or 1),
        "decode_memory_mb": usual_budget() // 1_000_000,
        "max_image_pixels": _DEFAULTS.max_image_pixels,
    }
    for name, effect in _EFFECTS.items():
        value = getattr(settings, name)
        if value != getattr(_DEFAULTS, name) and not (name in modest and value <= modest[name]):
            yield Wish(name, _shortened(_PASSWORD.sub(r"\1:***@", str(value))), effect)


def _list_links(folder: Path) -> Iterator[Wish]:
    """Yield links that lead out of a project's folder: what is written there lands elsewhere."""
    root = folder.resolve()
    found = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                found.append(f"{path.relative_to(folder)} → {path.readlink()}")
    if found:
        more = f" and {len(found) - _LINKS:,} more" if len(found) > _LINKS else ""
        text = _shortened("; ".join(found[:_LINKS])) + more
        yield Wish("links", text, "What is read or written there lies outside the project.")


def _list_jobs(identity: str, database: Path | None) -> Iterator[Wish]:
    """Yield the jobs that wait; those of a copy of a project here are cancelled anyway."""
    if database is None or _has_original(identity):
        return
    rows: list[tuple[str, str]] = []
    with suppress(sqlite3.Error), closing(connect_readonly(database)) as connection:
        query = "SELECT kind, params FROM job WHERE state IN ('waiting', 'running') ORDER BY id"
        rows = connection.execute(query).fetchmany(100)
    for kind, params in rows:
        yield Wish("waiting job", _shortened(f"{kind} {params}"), "It is done by a worker.")


def _has_original(identity: str) -> bool:
    entries = [entry for entry in _list_entries() if entry["id"] == identity]
    return any((Path(entry["folder"]) / "project.toml").is_file() for entry in entries)


def _shortened(text: str) -> str:
    """Return a text on one line, cut."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _place(folder: Path) -> Path:
    name = sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    return state_folder() / _FOLDER / f"{name}.json"


def _read(folder: Path, identity: str) -> dict[str, Any] | None:
    """Return what is noted of a folder, if it is the same project still."""
    _take_over()
    place = _place(folder)
    entry = _agreed.get(str(place)) or _parsed(place)
    return entry if entry is not None and entry["id"] == identity else None


def _parsed(place: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        entry = json.loads(place.read_text(encoding="utf-8"))
        return {
            "folder": str(entry["folder"]),
            "id": str(entry["id"]),
            "whole": entry["whole"] is True,
        }
    return None


def _list_entries() -> list[dict[str, Any]]:
    _take_over()
    noted = (_parsed(place) for place in (state_folder() / _FOLDER).glob("*.json"))
    return [entry for entry in (*_agreed.values(), *noted) if entry is not None]


def _note(folder: Path, identity: str, whole: bool) -> None:
    _take_over()
    place = _place(folder)
    entry = {"folder": str(folder.resolve()), "id": identity, "whole": whole}
    try:
        write_whole(place, json.dumps(entry), 0o600)
    except OSError:
        _agreed[str(place)] = entry


def _take_over() -> None:
    """Trust, once, the projects that this account opened before there was this question."""
    folder = state_folder() / _FOLDER
    if folder.is_dir():
        return
    with suppress(OSError):
        make_folder(folder, 0o700)
        from labeller.services.recent import list_entries

        for entry in list_entries():
            _note(entry.path, entry.id, whole=True)
