"""A project: one folder with its settings, database and files."""

from __future__ import annotations

import logging
import secrets
import shlex
import sqlite3
import stat
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from labeller import config, place, read_only, trust
from labeller.config import Settings
from labeller.errors import DatabaseError, ProjectError, SecretError
from labeller.text_files import read_text
from store import soundness
from store.durable import make_folder, write_whole
from store.engine import file_url
from store.scratch import remove_abandoned
from store.store import Store, StoreDamaged, StoreError

KEY_FILE = "secret.key"
DATABASE_FILE = "labeller.db"
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
SHORTEST_SECRET = 32
_log = logging.getLogger("labeller")
FOLDERS = ("thumbnails", "vectors", "models", "synthetic", "images", "logs")


@dataclass(frozen=True, slots=True)
class Project:
    """An open project; cheap to pass around, safe to share between threads.

    `notices` say what there is to know about how it was opened. `aside` is where thumbnails are
    made when the folder cannot be written.
    """

    root: Path
    settings: Settings
    store: Store
    notices: tuple[str, ...] = ()
    aside: Path | None = None

    @property
    def id(self) -> str:
        """Identity of the project, the same wherever its folder lies."""
        return self.settings.id

    @property
    def name(self) -> str:
        """Name on screen."""
        return self.settings.name or self.root.name

    @property
    def is_read_only(self) -> bool:
        """Whether nothing in it can be changed."""
        return bool(self.store.read_only)

    @property
    def thumbnails(self) -> Path:
        """Folder of made thumbnails and card images."""
        return (self.aside or self.root) / "thumbnails"

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

    def own_file(self, stored: str, within: Path) -> Path:
        """Return where a file or folder lies that the project made below one of its folders.

        Raises
        ------
        ProjectError
            When that would be anywhere else, as a database that somebody changed might say.
        """
        path = (self.root / stored).resolve()
        home = within.resolve()
        if path == home or not path.is_relative_to(home):
            raise ProjectError(f"{stored!r}: lies outside {within}, where it belongs.")
        return path

    def secret(self) -> str:
        """Return the key that signs this project's tokens; errors as `read_secret`."""
        return read_secret(self.root)


def is_readable_by_others(project: Project) -> bool:
    """Whether other accounts of this machine can get into a project's folder."""
    return bool(project.root.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def read_secret(folder: Path) -> str:
    """Return the key that signs the tokens of the project in a folder.

    Raises
    ------
    SecretError
        When it is missing, damaged, or so short that it could be guessed.
    """
    path = folder / KEY_FILE
    named = shlex.quote(str(folder))
    mend = f"Make a new one, which ends all tokens: labeller token {named} --new-key"
    try:
        secret = path.read_bytes().decode("ascii").strip()
    except OSError as error:
        raise SecretError(
            f"{path}: cannot be read ({error.strerror or error}). {mend}", folder
        ) from error
    except UnicodeDecodeError as error:
        raise SecretError(
            f"{path}: is damaged, so no token can be signed. {mend}", folder
        ) from error
    if len(secret) < SHORTEST_SECRET or not secret.isprintable():
        raise SecretError(
            f"{path}: is no key of {SHORTEST_SECRET} characters or more, so anybody could guess "
            f"it. {mend}",
            folder,
        )
    return secret


def replace_secret(folder: Path) -> None:
    """Make a new signing key, which ends all tokens of the project in a folder.

    Raises
    ------
    ProjectError
        When it cannot be written.
    """
    path = folder / KEY_FILE
    try:
        write_whole(path, secrets.token_hex(32), 0o600)
    except OSError as error:
        raise ProjectError(f"{path}: cannot be written ({error.strerror or error}).") from error


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
    stored = config.load_settings(folder, {})
    file = own_database(folder, settings)
    _refuse_missing(folder, file)
    trust.refuse_stranger(folder, stored, own_database(folder, stored))
    hindrance = read_only.find_hindrance(folder, file)
    if hindrance is not None:
        text = (
            f"This project can only be read ({hindrance}), so nothing in it can be changed. Copy "
            f"its folder to where you can write, or mend the permissions, and open that."
        )
        return _open_to_read(folder, settings, text)
    if file is not None and soundness.was_left_open(file):
        _refuse_damaged(folder, file, file)
    if file is not None:
        _refuse_programs(folder, file, file)
    for name in FOLDERS:
        make_folder(folder / name, PRIVATE_FOLDER)
    try:
        store = Store.open(database_url(folder, settings))
        return _settle_place(Project(folder, settings, store))
    except StoreDamaged as error:
        raise DatabaseError(_with_mend(str(error), folder), folder) from error
    except StoreError as error:
        raise ProjectError(str(error)) from error


def own_database(folder: Path, settings: Settings) -> Path | None:
    """Return the SQLite file within a project's folder; None where its database is elsewhere."""
    return None if settings.database else folder / DATABASE_FILE


def look_at_project(root: Path) -> Project:
    """Open a project of somebody else to look at: nothing that it asks for is done.

    Raises
    ------
    ProjectError, ConfigError
        As `open_project`, and when its database is not in its folder.
    """
    folder = root.expanduser().absolute()
    stored = config.load_settings(folder, {})
    if stored.database:
        raise ProjectError(f"{folder}: its database is elsewhere, so it cannot only be looked at.")
    settings = trust.without_wishes(stored)
    _refuse_missing(folder, own_database(folder, settings))
    return _open_to_read(
        folder,
        settings,
        "You look at a project of somebody else: nothing that it asks for is done, and nothing in "
        "it can be changed. Open it again to trust it.",
    )


def _open_to_read(folder: Path, settings: Settings, text: str) -> Project:
    """Open a project that is not written, as it is now; `text` says why."""
    file = own_database(folder, settings)
    try:
        aside = read_only.make_folder_aside()
        copy = None if file is None else read_only.copy_database(file, aside)
        if file is not None and copy is not None:
            _refuse_damaged(folder, file, copy)
            _refuse_programs(folder, file, copy)
        url = settings.database if copy is None else file_url(copy)
        store = Store.open(url, read_only=text)
    except OSError as error:
        raise ProjectError(f"{file}: cannot be read ({error.strerror or error}).") from error
    except StoreError as error:
        raise ProjectError(str(error)) from error
    if file is not None and place.is_another_projects(settings.id, store):
        raise _another_projects(folder)
    return Project(folder, settings, store, (text,), aside)


def _refuse_missing(folder: Path, file: Path | None) -> None:
    """Refuse a database that is gone: an existing project never begins anew in silence.

    Raises
    ------
    DatabaseError
    """
    if file is None:
        return
    size = file.stat().st_size if file.is_file() else None
    if not size:
        what = "is not there" if size is None else "is empty (0 bytes)"
        log = file.with_name(f"{file.name}-wal")
        beside = f" A log of it is ({log.name}); it cannot be read alone." if log.exists() else ""
        raise DatabaseError(_with_mend(f"{file}: {what}.{beside}", folder), folder)


def _refuse_damaged(folder: Path, file: Path, copy: Path) -> None:
    """Refuse a damaged database, which is looked at in a copy of it; errors as above."""
    if damage := soundness.find_damage(copy):
        raise DatabaseError(_with_mend(f"{file}: is damaged ({damage}).", folder), folder)


def _with_mend(text: str, folder: Path) -> str:
    return f"{text} See what can be put back: labeller recover {shlex.quote(str(folder))}"


def _refuse_programs(folder: Path, file: Path, copy: Path) -> None:
    """Refuse a database with triggers or views, which this program never makes; errors as above."""
    with suppress(sqlite3.Error):  # what is wrong with it is told by whoever opens it
        if programs := soundness.list_programs(copy):
            named = ", ".join(programs[:5])
            text = f"{file}: holds what was not made by this program and would run in it ({named})."
            raise DatabaseError(_with_mend(text, folder), folder)


def _settle_place(project: Project) -> Project:
    """Note where a project lies; one that is a copy becomes a project of its own."""
    from labeller.services.recent import list_folders

    if own_database(project.root, project.settings) is None:
        return project  # folders on several machines share it
    folder, identity, store = project.root, project.id, project.store
    if place.is_another_projects(identity, store):
        raise _another_projects(folder)
    fresh = place.find_begun(identity, store)
    original = place.find_original(folder, identity, store, list_folders(identity))
    if fresh is None and original is not None:
        fresh = place.renumber_copy(folder, original, store, identity)
    if fresh is None:
        place.note_place(folder, identity, store)
        return project
    replace_secret(folder)
    settings = _write_settings(folder, id=fresh)
    trust.carry_over(folder, identity, fresh)
    notice = (
        f"{folder} is a copy of {original or 'another project'}. It is a project of its own from "
        f"now on, with a new identity and signing key. Jobs that the original had under way are "
        f"cancelled here."
    )
    _log.warning(notice)
    return Project(folder, settings, store, (notice,))


def _another_projects(folder: Path) -> DatabaseError:
    text = f"{folder / DATABASE_FILE}: belongs to another project."
    return DatabaseError(_with_mend(text, folder), folder)


def _write_settings(folder: Path, **values: object) -> Settings:
    """Write settings to ``project.toml`` and return those in force."""
    stored = config.load_settings(folder, {})
    path = folder / config.FILE
    mode = stat.S_IMODE(path.stat().st_mode)
    text = config.to_toml(config.changed(stored, **values), read_text(path))
    write_whole(path, text, mode)
    path.chmod(mode)  # whatever the umask: a folder that a group shares stays shared
    return config.load_settings(folder)


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
    if folder.is_dir() and _is_half_made(folder):
        _clear_half_made(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(f"{folder}: is not an empty folder. Choose a new one for the project.")
    class_service.check_names(classes)
    _check_name(folder)
    table = config.changed(Settings(), id=uuid.uuid4().hex, name=name, **settings)
    made = Settings(**table)
    try:
        make_folder(folder, PRIVATE_FOLDER)
        folder.chmod(PRIVATE_FOLDER)
        replace_secret(folder)
        if (file := own_database(folder, made)) is not None:
            file.touch(PRIVATE_FILE)  # its log gets the same permissions
        Store.open(database_url(folder, made))
        # Last: a folder with settings has a database.
        write_whole(folder / config.FILE, config.to_toml(table), PRIVATE_FILE)
        trust.trust_project(folder, made.id)
    except OSError as error:
        raise ProjectError(f"{folder}: cannot be made ({error.strerror or error}).") from error
    except StoreError as error:
        raise ProjectError(str(error)) from error
    project = open_project(folder)
    class_service.add(project, classes)
    if budget is not None:
        budgets.set_total(project, budget)
    return project


def _is_half_made(folder: Path) -> bool:
    """Whether a folder holds what is left of a project that was killed as it was made."""
    remove_abandoned(folder)
    left = [path.name.removeprefix(".") for path in folder.iterdir()]
    ours = all(name.startswith((KEY_FILE, DATABASE_FILE, config.FILE)) for name in left)
    file = folder / DATABASE_FILE
    return ours and (not file.exists() or soundness.holds_nothing(file))


def _clear_half_made(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def change_settings(project: Project, **values: object) -> Project:
    """Write settings to ``project.toml`` and return the project with them in force.

    Raises
    ------
    ConfigError
        When a value cannot be used; the file is left as it was.
    """
    changed = replace(project, settings=_write_settings(project.root, **values))
    trust.trust_project(project.root, project.id)  # who changes them has seen them
    return changed


def database_url(folder: Path, settings: Settings) -> str:
    """Return the SQLAlchemy URL of a project's database."""
    return settings.database or file_url(folder / DATABASE_FILE)
