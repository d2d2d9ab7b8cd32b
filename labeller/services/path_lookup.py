"""Find items by the paths that people write."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from labeller.project import Project
from store.store import Unit


def items_by_path(
    project: Project, unit: Unit, paths: Mapping[int, str], places: Sequence[Path]
) -> dict[int, int | str]:
    """Return the item that each path means.

    Parameters
    ----------
    project : Project
    unit : Unit
        An open transaction.
    paths : mapping of int to str
        Paths as written, by line: absolute, relative to one of `places`, as stored, or any end of a
        stored path that only one image has.
    places : sequence of Path
        Folders that relative paths may start from, the likeliest first.

    Returns
    -------
    dict of int to int or str
        By line, the item's id, or what is wrong.
    """
    found: dict[int, int | str] = {}
    open_lines: dict[int, str] = {}
    for line, text in paths.items():
        for stored in _as_stored(project, text, places):
            item = unit.items.by_path(stored)
            if item is not None:
                found[line] = item.id
                break
        else:
            open_lines[line] = os.path.normpath(text).replace(os.sep, "/")
    if open_lines:
        ends = _by_end(unit, set(open_lines.values()))
        found |= {line: _only(paths[line], ends.get(end, {})) for line, end in open_lines.items()}
    return found


def _as_stored(project: Project, text: str, places: Sequence[Path]) -> Iterator[str]:
    """Yield the ways in which a path may be stored."""
    root = project.root
    for place in places:
        full = Path(os.path.normpath(place / text))
        yield str(full)
        if full.is_relative_to(root):
            yield full.relative_to(root).as_posix()
    yield text


def _by_end(unit: Unit, ends: set[str]) -> dict[str, dict[str, int]]:
    """Return, for each end of a path, the stored paths that have it, with their items."""
    found: dict[str, dict[str, int]] = {end: {} for end in ends}
    longest = max(end.count("/") for end in ends) + 1
    for batch in unit.items.stream():
        for item in batch:
            parts = item.path.split("/")
            for length in range(1, min(longest, len(parts)) + 1):
                end = "/".join(parts[-length:])
                if end in found:
                    found[end][item.path] = item.id  # the newest item of a path wins
    return found


def _only(text: str, matches: Mapping[str, int]) -> int | str:
    """Return the one item that matches, or what is wrong."""
    if len(matches) == 1:
        return next(iter(matches.values()))
    if not matches:
        return f"no imported image has the path {text!r}"
    first, second = list(matches)[:2]
    return f"{text!r} fits {len(matches)} images ({first}, {second}, ...): write more of the path"
