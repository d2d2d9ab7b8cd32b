"""A project: one folder with its settings, database and files."""

from __future__ import annotations

import secrets
import shlex
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labeller import config
from labeller.config import Settings
from labeller.errors import ProjectError
from store.durable import make_folder, write_whole
from store.engine import file_url
from store.store import Store, StoreError

FOLDERS = ("thumbnails", "vectors", "models", "synthetic", "images", "logs")


@dataclass(frozen=True, slots=True)
class Project:
    """An open project; cheap to pass around, safe to share between threads."""

    root: Path
    settings: Settings
    store: Store

    @property
    def id(self) -> str:
        """Identity of the project, the same wherever its folder lies."""
        return self.settings.id

    @property
    def name(self) -> str:
        """Name on screen."""
        return self.settings.name or self.root.name

    @property
    def thumbnails(self) -> Path:
        """Folder of made thumbnails and card images."""
        return self.root / "thumbnails"

    @property
    def vectors(self) -> Path:
        """Folder of memory-mapped arrays."""
        return self.root / "vectors"

    @property
    def models(self) -> Path:
        """Folder of trained models."""
        return self.root / "models"

    @property
    def logs(self) -> Path:
        """Folder of job logs."""
        return self.root / "logs"

    def file(self, stored: str) -> Path:
        """Return where an item's image lies: `stored` is absolute, or relative to the project.

        Raises
        ------
        ProjectError
            When a relative path would leave the project folder.
        """
        path = Path(stored)
        if path.is_absolute():
            return path
        full = (self.root / path).resolve()
        if not full.is_relative_to(self.root.resolve()):
            raise ProjectError(f"{stored}: lies outside the project folder {self.root}.")
        return full

    def secret(self) -> str:
        """Return the key that signs this project's tokens."""
        return (self.root / "secret.key").read_text(encoding="ascii").strip()


def _check_name(folder: Path) -> None:
    """Refuse a folder that the database cannot be opened in, before anything is made."""
    try:
        file_url(folder)
    except StoreError as error:
        raise ProjectError(str(error)) from error


def is_project(root: Path) -> bool:
    """Whether `root` holds a project."""
    return (root / config.FILE).is_file()


def open_project(root: Path | str) -> Project:
    """Open a project and bring its database up to date (after putting a copy aside).

    Raises
    ------
    ProjectError
        When there is no project, or its database is newer than this code or cannot be opened.
    ConfigError
        When ``project.toml`` cannot be used.
    """
    folder = Path(root).expanduser().absolute()
    if not is_project(folder):
        raise ProjectError(
            f"{folder}: is no labelling project (no {config.FILE}). "
            f"Create one with: labeller init {shlex.quote(str(folder))} --classes a,b"
        )
    settings = config.load_settings(folder)
    for name in FOLDERS:
        make_folder(folder / name)
    try:
        store = Store.open(database_url(folder, settings))
    except StoreError as error:
        raise ProjectError(str(error)) from error
    return Project(folder, settings, store)


def create_project(
    root: Path | str,
    classes: Sequence[str],
    budget: float | None = None,
    name: str = "",
    **settings: object,
) -> Project:
    """Make a new project folder and open it.

    Parameters
    ----------
    root : path
        A folder that does not exist yet or is empty.
    classes : sequence of str
        Class names in the order of their keys; may be empty (an import can bring them).
    budget : float, optional
        Labelling budget; None for no limit.
    name : str
        Name on screen; the folder's name when empty.
    **settings
        Further settings of ``project.toml``.

    Raises
    ------
    ProjectError
        When the folder is in use or cannot be made.
    ClassError
        When a class name is empty or given twice.
    """
    from labeller.services import budget as budgets
    from labeller.services import classes as class_service

    folder = Path(root).expanduser().absolute()
    if is_project(folder):
        raise ProjectError(
            f"{folder}: is a project already. Open it: labeller run {shlex.quote(str(folder))}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(f"{folder}: is not an empty folder. Choose a new one for the project.")
    class_service.check_names(classes)
    _check_name(folder)
    table = config.changed(Settings(), id=uuid.uuid4().hex, name=name, **settings)
    try:
        make_folder(folder)
        write_whole(folder / "secret.key", secrets.token_hex(32), 0o600)
        write_whole(folder / config.FILE, config.to_toml(table))
    except OSError as error:
        raise ProjectError(f"{folder}: cannot be made ({error.strerror or error}).") from error
    project = open_project(folder)
    class_service.add(project, classes)
    if budget is not None:
        budgets.set_total(project, budget)
    return project


def change_settings(project: Project, **values: object) -> Project:
    """Write settings to ``project.toml`` and return the project with them in force.

    Raises
    ------
    ConfigError
        When a value cannot be used; the file is left as it was.
    """
    stored = config.load_settings(project.root, {})
    text = config.to_toml(config.changed(stored, **values))
    write_whole(project.root / config.FILE, text)
    return Project(project.root, config.load_settings(project.root), project.store)


def database_url(folder: Path, settings: Settings) -> str:
    """Return the SQLAlchemy URL of a project's database."""
    return settings.database or file_url(folder / "labeller.db")
