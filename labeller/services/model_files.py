"""Whether a model's files are as they were when it was trained, and what to do when not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labeller.errors import RoundError
from labeller.project import Project
from store.checksums import find_damaged
from store.records import ModelRecord

Stamp = tuple[tuple[str, int, int, int], ...]

_CHECKED: dict[Path, tuple[Stamp, tuple[str, ...]]] = {}
_MOST_CHECKED = 10_000
GONE = "its folder"


def check_model(project: Project, model: ModelRecord) -> tuple[str, ...]:
    """Return the names of a model's files that were damaged or changed, or are gone.

    All of them are read. Of a model of before there were checksums only a folder that is gone is
    noticed.
    """
    folder = project.own_file(model.path, project.models)
    if len(_CHECKED) >= _MOST_CHECKED:
        _CHECKED.clear()
    stamp = _stamp(folder)
    damaged = tuple(find_damaged(folder)) if folder.is_dir() else (GONE,)
    _CHECKED[folder] = stamp, damaged
    return damaged


def recall_damage(project: Project, model: ModelRecord) -> tuple[str, ...] | None:
    """Return what the last check found; None when the files changed since, or none was made."""
    folder = project.own_file(model.path, project.models)
    if not folder.is_dir():
        return (GONE,)
    stamp, damaged = _CHECKED.get(folder, (None, ()))
    return damaged if stamp == _stamp(folder) else None


def check_once(project: Project, model: ModelRecord) -> tuple[str, ...]:
    """Return what the last check found, after making one where the files changed since."""
    damaged = recall_damage(project, model)
    return check_model(project, model) if damaged is None else damaged


def check_models(project: Project, models: Sequence[ModelRecord]) -> dict[int, tuple[str, ...]]:
    """Read the files of all models that were not deleted; returns the damaged ones' by model."""
    there = [model for model in models if model.deleted_at is None]
    damaged = {model.id: check_model(project, model) for model in there}
    return {model: names for model, names in damaged.items() if names}


def describe_damage(project: Project, model: ModelRecord, damaged: Sequence[str]) -> str:
    """Say what is wrong with a model's files, and the mend."""
    mend = "Put another model in use" if model.in_use else "Delete it"
    state = "is gone" if tuple(damaged) == (GONE,) else "was damaged or changed since the training"
    folder = project.own_file(model.path, project.models)
    return (
        f"{folder}: {', '.join(damaged)} {state}, so model {model.id} is not used. "
        f"{mend}, or start a round to train another; a backup may hold it whole."
    )


def refuse_damaged(project: Project, model: ModelRecord) -> None:
    """Raise `RoundError` when a model's files are not as they were when it was trained."""
    if model.deleted_at is None and (damaged := check_model(project, model)):
        raise RoundError(describe_damage(project, model, damaged))


def _stamp(folder: Path) -> Stamp:
    """Return names, sizes and times of a folder's files."""
    files = []
    try:
        for path in sorted(folder.iterdir()):
            found = path.stat()
            files.append((path.name, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    except OSError:
        return ()
    return tuple(files)
