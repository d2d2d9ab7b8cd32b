"""Making a project from a folder of images: the form's logic, free of Streamlit."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from labeller import jobs
from labeller.errors import LabellerError
from labeller.project import Project, create_project
from labeller.services import classes
from labeller.services.import_sources import TABLES, Labels, explain_kind, read_kind
from labeller.ui import folders

_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the form asks for."""

    name: str
    source: Path
    root: Path
    class_names: tuple[str, ...]
    budget: float | None
    copy: bool
    labels: Labels = "auto"


def projects_folder() -> Path:
    """Return where new projects go unless told otherwise: ``LABELLER_PROJECTS`` or ``projects``."""
    chosen = os.environ.get("LABELLER_PROJECTS")
    return Path(chosen).expanduser().absolute() if chosen else Path.cwd() / "projects"


def folder_name(name: str) -> str:
    """Return a project's name as a folder name."""
    return _UNSAFE.sub("-", name.strip()).strip("-.").lower() or "project"


def free_folder(name: str) -> Path:
    """Return a folder for a new project that is not there yet."""
    base = projects_folder() / folder_name(name)
    number, folder = 2, base
    while folder.exists():
        folder = base.with_name(f"{base.name}-{number}")
        number += 1
    return folder


def names_in(text: str) -> list[str]:
    """Return the class names in a text: one per line, or parted by commas on a single line."""
    parts = text.splitlines() if "\n" in text.strip() else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def source_error(path: str) -> str | None:
    """Say why images cannot be taken from `path`; None when they can."""
    folder = Path(path).expanduser()
    if not path:
        return "Choose the folder that holds the images."
    if not folder.is_absolute():
        return f"{path}: give the whole path, beginning with / or ~."
    if not folder.exists():
        return f"{folder}: there is no such folder. Check the spelling, or use Browse."
    if folder.is_dir() or folder.suffix.lower() in (".zip", *TABLES):
        return None
    kind = read_kind(folder)
    if kind.family in ("image", "zip") or folders.is_image(folder.name):
        return None
    reason, mend = explain_kind(kind, folder)
    if kind.family in ("text", "file"):
        mend = "Choose a folder, a zip or a CSV file."
    return f"{folder}: {reason}. {mend}"


def class_error(names: list[str]) -> str | None:
    """Say what is wrong with class names; None when nothing is."""
    try:
        classes.check_names(names)
    except LabellerError as error:
        return str(error)
    return None


def create(plan: Plan) -> Project:
    """Make the project and start its import.

    Raises
    ------
    LabellerError
        When the project cannot be made; a project whose import cannot start is kept.
    """
    project = create_project(plan.root, plan.class_names, plan.budget, name=plan.name)
    params = {"sources": [str(plan.source.expanduser())], "copy": plan.copy, "labels": plan.labels}
    jobs.submit(project, "import", params)
    return project
