"""What a prediction of the project is to do, and the folder that it has for that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labeller.errors import PredictionError
from labeller.project import Project

FOLDER = "predictions"  # of all predictions, in the project's
PLAN = "plan.json"
UPLOADS = "uploads"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be predicted.

    `sources` are absolute, or lie in the prediction's folder: then `uploaded` says how many files
    were sent, and `uploaded_bytes` how large they are. `id` tells it from a later one of the same
    number.
    """

    id: str
    sources: tuple[str, ...]
    model: int
    uploaded: int
    uploaded_bytes: int
    created_at: float


def folder_of(project: Project, number: int) -> Path:
    """Return where the files of a prediction lie."""
    return project.root / FOLDER / f"{number:04d}"


def plan_of(project: Project, number: int) -> Plan:
    """Return what a prediction was to do; raises `PredictionError` when there is none."""
    plan = read_plan(folder_of(project, number))
    if plan is None:
        raise PredictionError(f"There is no prediction {number} in this project; it was deleted.")
    return plan


def read_plan(folder: Path) -> Plan | None:
    """Return the plan in a folder; None when there is none, or it is damaged."""
    try:
        values = json.loads((folder / PLAN).read_bytes())
        return Plan(**(values | {"sources": tuple(values["sources"])}))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def paths_of(folder: Path, plan: Plan) -> list[Path]:
    """Return the sources of a plan, whose files lie in `folder`."""
    return [folder / source for source in plan.sources]


def image_version(project: Project, plan: Plan) -> str:
    """Return the text that changes whenever the pictures of a prediction would."""
    settings = project.settings
    return f"{plan.id[:16]}-{settings.card_pixels}-{settings.thumbnail_pixels}"


@contextmanager
def writing(project: Project) -> Iterator[None]:
    """Say in plain words why a file of a prediction cannot be written."""
    try:
        yield
    except OSError as error:
        raise PredictionError(
            f"{project.root / FOLDER}: cannot be written ({error.strerror or error}). "
            f"Free some space, then try again."
        ) from error
