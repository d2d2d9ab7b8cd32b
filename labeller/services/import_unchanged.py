"""Files that are as an earlier import saw them: known without being read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import islice
from typing import Any

from labeller.project import Project
from labeller.services.import_sources import Candidate, Refused
from labeller.services.originals import stamp_of
from store.records import KnownPath

BATCH = 256  # paths looked up at once


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file whose size and times are those it had; `facts` are as an import worker tells them."""

    candidate: Candidate
    facts: dict[str, Any]


def spot_unchanged(
    project: Project, steps: Iterable[Candidate | Refused]
) -> Iterator[Candidate | Refused | Unchanged]:
    """Yield the files of a source; those that are as they were need no reading.

    A file is as it was when its path is known to hold an image and size, time of change and time of
    renaming are the same. Images whose own file in the project is not as it was are read again.

    Parameters
    ----------
    project : Project
    steps : iterable of Candidate or Refused
    """
    left = iter(steps)
    while part := list(islice(left, BATCH)):
        hashes = _as_they_were(project, [one.path for one in part if _may_be_known(one)])
        for step in part:
            facts = hashes.get(step.path)
            if facts is not None and isinstance(step, Candidate):
                yield Unchanged(step, facts)
            else:
                yield step


def _as_they_were(project: Project, paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return hash and stamp of those paths that hold what they held, as does their item's own."""
    with project.store.read() as unit:
        known = unit.paths.many(paths)
        items = unit.items.many([one.item_id for one in known.values() if one.item_id])
        own = unit.paths.many([item.path for item in items.values()])
    found: dict[str, dict[str, Any]] = {}
    for path, last in known.items():
        item = items.get(last.item_id or 0)
        home = own.get(item.path) if item else None
        if item and home and home.item_id == item.id and _holds(project, last):
            if home is not last and not _holds(project, home):
                continue
            stamp = last.stamp
            found[path] = {"sha256": item.sha256, "stamp": astuple(stamp) if stamp else ()}
    return found


def _holds(project: Project, path: KnownPath) -> bool:
    return path.stamp is not None and path.stamp == stamp_of(project.file(path.path))


def _may_be_known(step: Candidate | Refused) -> bool:
    """Whether a step is a file on the disk whose path can be stored."""
    if not isinstance(step, Candidate) or step.owned:
        return False
    return step.path.isprintable() or step.path.isascii()
