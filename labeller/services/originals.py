"""Originals: whether the files that items point to still hold the bytes that were imported.

An item is its bytes. Before anything reads its file, size and times are compared with those of the
time when its hash was taken; where they differ the file is hashed again, once. What holds other
bytes is never taken for the item.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labeller.errors import ImageError, ProjectError
from store.records import ItemRecord, KnownPath, Stamp

if TYPE_CHECKING:  # import workers come by here without project and store
    from labeller.project import Project

REPLACED = "the file has changed since it was imported: it holds another image, or none"
MEND = "Put the old file back; or import the folder again, which takes the new one in by itself."
NAMED = 5  # files that a note names
HASHERS = 4  # threads, which wait for the disk


@dataclass(frozen=True, slots=True)
class Original:
    """Where an item's image lies, or lay; `problem` when there is something else by now."""

    path: Path
    problem: ImageError | None = None


def verify_originals(project: Project, items: Iterable[ItemRecord]) -> dict[int, Original]:
    """Return where the bytes of items are.

    An item whose file was moved or replaced is looked for under its other names, and has the first
    of them that still holds it from then on. A file that is gone is no problem of its own: whoever
    opens it says so.

    Parameters
    ----------
    project : Project
    items : iterable of ItemRecord
        Any number; each costs a look at its file's size and times.

    Returns
    -------
    dict of int to Original
        By item.
    """
    asked = list(items)
    with project.store.read() as unit:
        known = unit.paths.many([item.path for item in asked])
    found: dict[int, Original] = {}
    doubtful = []
    for item in asked:
        try:
            path = project.file(item.path)
        except ProjectError as error:
            found[item.id] = Original(Path(item.path), ImageError(str(error), "Import it again."))
            continue
        last = known.get(item.path)
        if last is not None and last.item_id == item.id and last.stamp == stamp_of(path):
            found[item.id] = Original(path)
        else:
            doubtful.append(item)
    return found | (_search(project, doubtful) if doubtful else {})


def verify_original(project: Project, item: ItemRecord) -> Path:
    """Return a file that holds an item's bytes.

    Raises
    ------
    ImageError
        When the file is gone, or holds other bytes, and no other name of the item helps.
    """
    original = verify_originals(project, [item])[item.id]
    if original.problem is not None:
        raise original.problem
    try:
        original.path.stat()
    except OSError as error:
        raise ImageError(
            f"the file is gone ({error.strerror})", "Put it back, or import it from its new place."
        ) from error
    return original.path


def list_replaced(project: Project, item_ids: Sequence[int]) -> dict[int, str]:
    """Return the paths of those items whose file now holds another image."""
    found: dict[int, str] = {}
    for start in range(0, len(item_ids), 1_000):
        with project.store.read() as unit:
            items = unit.items.many(item_ids[start : start + 1_000])
        for item_id, original in verify_originals(project, items.values()).items():
            if original.problem is not None:
                found[item_id] = items[item_id].path
    return found


def describe_replaced(paths: Sequence[str], what: str) -> str:
    """Say which files hold other images now, and what became of these: `what`, as "left out"."""
    named = ", ".join(paths[:NAMED]) + (", …" if len(paths) > NAMED else "")
    one = len(paths) == 1
    return (
        f"{len(paths):,} image{'' if one else 's'} {'was' if one else 'were'} {what}, because "
        f"{'its file has' if one else 'their files have'} changed since the import and "
        f"{'holds' if one else 'hold'} another image: {named}. {MEND}"
    )


def stamp_of(path: Path | str) -> Stamp | None:
    """Return size and times of a regular file; None when there is none."""
    try:
        return stamp_from(os.stat(path))  # noqa: PTH116 - a million times
    except (OSError, ValueError):
        return None


def stamp_from(status: os.stat_result) -> Stamp | None:
    """Return size and times, None of what is no regular file."""
    if not stat.S_ISREG(status.st_mode):
        return None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a path holds: an item's bytes, none's, or (without a stamp) nothing that can be read."""

    path: Path
    stamp: Stamp | None
    item_id: int | None


def _search(project: Project, items: Sequence[ItemRecord]) -> dict[int, Original]:
    """Look again at the files of items that are not as they were, then at their other names."""
    seen = _look(project, [item.path for item in items])
    lost = [item.id for item in items if seen[item.path].item_id != item.id]
    with project.store.read() as unit:
        names = unit.paths.of_items(lost)
        holders = unit.paths.holders([item.path for item in items])
    seen |= _look(project, [one.path for some in names.values() for one in some])
    found: dict[int, Original] = {}
    moved: list[tuple[int, str]] = []
    for item in items:
        own = seen[item.path]
        others = [one.path for one in names.get(item.id, ())]
        place = next((p for p in [item.path, *others] if seen[p].item_id == item.id), None)
        if place is not None:
            found[item.id] = Original(seen[place].path)
            if place != item.path:
                moved.append((item.id, place))
        else:
            # Of a file that is gone only the item that it held last may still have the name.
            gone = own.stamp is None and holders.get(item.path, item.id) == item.id
            found[item.id] = Original(own.path, None if gone else ImageError(REPLACED, MEND))
    if moved:
        with project.store.write() as unit:
            for item_id, place in moved:
                unit.items.relocate(item_id, place, not os.path.isabs(place))  # noqa: PTH117
    return found


def _look(project: Project, stored: Iterable[str]) -> dict[str, _Seen]:
    """Return what paths hold; a file is hashed when it is not as it was, and that is kept."""
    wanted = sorted(set(stored))
    with project.store.read() as unit:
        known = unit.paths.many(wanted)
    stamps = {path: (project.file(path), stamp_of(project.file(path))) for path in wanted}
    seen: dict[str, _Seen] = {}
    new: list[str] = []
    for path, (file, stamp) in stamps.items():
        last = known.get(path)
        if stamp is None or (last is not None and last.stamp == stamp):
            seen[path] = _Seen(file, stamp, last.item_id if last and stamp else None)
        else:
            new.append(path)
    with ThreadPoolExecutor(HASHERS, "hash") as pool:
        hashes = dict(zip(new, pool.map(lambda path: _hash(stamps[path][0]), new), strict=True))
    with project.store.read() as unit:
        ids = unit.items.known(sorted(filter(None, hashes.values())))
    for path, sha256 in hashes.items():
        file, stamp = stamps[path]
        seen[path] = _Seen(file, stamp if sha256 else None, ids.get(sha256 or ""))
    notes = [KnownPath(path, seen[path].item_id, stamps[path][1]) for path in new if hashes[path]]
    if notes:
        with project.store.write() as unit:
            unit.paths.note(notes)
    return seen


def _hash(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
