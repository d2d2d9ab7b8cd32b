"""How long models, exports and logs are kept: what is older goes when a job ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from labeller.project import Project
from labeller.services import model_shelf
from store.errors import Conflict
from store.scratch import remove

_DAY = 24 * 3600.0


def remove_outdated(project: Project) -> list[str]:
    """Delete the models, exports and logs that the settings no longer keep.

    Parameters
    ----------
    project : Project
        With its settings ``models_kept``, ``exports_days`` and ``logs_days``.

    Returns
    -------
    list of str
        What was deleted, in words. Nothing is while a job is on, which may need it.
    """
    with project.store.read() as unit:
        if unit.jobs.active():
            return []
    settings = project.settings
    gone = [f"model {number}" for number in _delete_models(project, settings.models_kept)]
    for place, days in (("exports", settings.exports_days), ("logs", settings.logs_days)):
        old = _list_older(project.root / place, days)
        gone += [f"{place}/{path.name}" for path in old if remove(path)]
    return gone


def _delete_models(project: Project, kept: int) -> Iterator[int]:
    """Delete the files of all models but the newest, the one in use and those a stream goes by."""
    if not kept:
        return
    with project.store.read() as unit:
        there = [model for model in unit.models.all() if model.deleted_at is None]
    for model in there[:-kept]:
        with suppress(Conflict):
            model_shelf.delete(project, model.id)
            yield model.id


def _list_older(folder: Path, days: float) -> list[Path]:
    if not days or not folder.is_dir():
        return []
    before = time.time() - days * _DAY
    shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return [path for path in shown if _last_change(path) < before]


def _last_change(path: Path) -> float:
    """Return when a file, or the newest file of a folder, was changed."""
    files = (Path(place, name) for place, _, names in os.walk(path) for name in names)
    return max((file.lstat().st_mtime for file in files), default=path.lstat().st_mtime)
