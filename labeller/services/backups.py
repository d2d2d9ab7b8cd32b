"""Back up a project while it is in use, in one file, and restore it from there.

The database comes first, as it is at one moment; a file that a row names was there before the row.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from labeller import config, jobs, trust
from labeller.errors import BackupError
from labeller.progress import Progress, Silent
from labeller.project import Project, open_project, own_database, replace_secret
from labeller.services.backup_files import (
    CHUNK,
    DATABASE,
    FOLDERS,
    MANIFEST,
    SETTINGS,
    UNREADABLE,
    Manifest,
    Member,
    copy_checked,
    read_manifest,
)
from store.durable import move_whole, sync_file, sync_tree
from store.errors import VectorError
from store.files import locked
from store.records import JobRecord
from store.scratch import begin_scratch, make_scratch_folder
from store.soundness import connect_readonly, find_damage
from store.vectors import BITS, SUMS, list_beside

KIND = "backup"
PLACE = "backups"
_LOCK_SECONDS = 30.0
_DAMAGED = (*UNREADABLE, OSError)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made and read back; `problems` name images that are gone or changed.

    `elsewhere` images lie outside the project's folder and are not in it.
    """

    file: Path
    bytes: int
    counts: Mapping[str, int]
    files: int
    elsewhere: int
    problems: tuple[str, ...] = ()


def propose_file(project: Project) -> Path:
    """Return where a backup goes when nobody names a place."""
    return project.root / PLACE / time.strftime("backup-%Y-%m-%d-%H%M%S.zip")


def make_backup(
    project: Project,
    to: Path,
    models: bool = True,
    vectors: bool = True,
    progress: Progress | None = None,
) -> Backup:
    """Write a backup of a project that may be in use, read it back, and give it its name.

    Parameters
    ----------
    project : Project
    to : Path
        A file that does not exist yet.
    models, vectors : bool
        Whether trained models, and features and predictions, are in it too.
    progress : Progress, optional

    Raises
    ------
    BackupError
        When it cannot be written, or its database is not in the project's folder.
    JobCancelled
        When the work should stop; nothing is left then.
    """
    progress = progress or Silent()
    target = to.expanduser().absolute()
    _check_target(project, target)
    database = own_database(project.root, project.settings)
    if database is None:
        raise BackupError(
            f"{project.name}: its database is not in its folder (setting `database`). Back it up "
            f"with its own tools, such as pg_dump, and the folder as files."
        )
    scratch = begin_scratch(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        writing = _Writing(project, scratch, progress)
        with make_scratch_folder(target.parent) as folder:
            copy = Path(folder) / DATABASE
            _copy_database(database, copy)
            writing.write(copy, _chosen(models, vectors))
        sync_file(scratch)
        check_backup(scratch, progress)
        move_whole(scratch, target)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BackupError(
            f"{target}: cannot be written ({reason}). Make room there, or name another place."
        ) from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
    return writing.result(target)


def _check_target(project: Project, target: Path) -> None:
    if target.exists():
        raise BackupError(f"{target}: is there already. Name another file.")
    inside = target.resolve().is_relative_to(project.root.resolve())
    if inside and target.parent.resolve() != (project.root / PLACE).resolve():
        raise BackupError(
            f"{target}: lies within the project. Name a place outside, or in {PLACE}/."
        )


def _chosen(models: bool, vectors: bool) -> list[str]:
    left_out = {name for name, wanted in (("models", models), ("vectors", vectors)) if not wanted}
    return [name for name in FOLDERS if name not in left_out]


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, whoever writes to it."""
    with closing(connect_readonly(source)) as before, closing(sqlite3.connect(target)) as copy:
        before.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


@dataclass(slots=True)
class _Writing:
    """One backup under way."""

    project: Project
    scratch: Path
    progress: Progress
    members: dict[str, Member] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    elsewhere: int = 0

    def write(self, database: Path, folders: list[str]) -> None:
        """Write every member, and the list of them last."""
        hashes = self._look_into(database)
        places = list(_list_files(self.project.root, folders))
        with zipfile.ZipFile(self.scratch, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            self._add(archive, database, DATABASE)
            self._add(archive, self.project.root / config.FILE, SETTINGS)
            for done, path in enumerate(places, 1):
                self.progress.check()
                self._add_place(archive, path, hashes)
                self.progress.update("files", done, len(places))
            self._note_missing(hashes)
            archive.writestr(MANIFEST, self._manifest().to_json(), zipfile.ZIP_DEFLATED)

    def _look_into(self, database: Path) -> dict[str, str]:
        """Count what the database holds, and return the hashes of the images it keeps here."""
        with closing(connect_readonly(database, immutable=True)) as connection:
            for name, table in (("items", "item"), ("labels", "label"), ("events", "event")):
                query = f"SELECT count(*) FROM {table}"  # noqa: S608 - three names from above
                self.counts[name] = int(connection.execute(query).fetchone()[0])
            self.elsewhere = int(
                connection.execute("SELECT count(*) FROM item WHERE NOT copied").fetchone()[0]
            )
            rows = connection.execute("SELECT path, sha256 FROM item WHERE copied")
            return {str(path): str(digest) for path, digest in rows}

    def _add_place(self, archive: zipfile.ZipFile, path: Path, hashes: dict[str, str]) -> None:
        name = path.relative_to(self.project.root).as_posix()
        beside = [file for file in list_beside(path) if file.is_file()]
        try:
            if beside:  # rows, bits and sums are those of one moment
                with locked(path, _LOCK_SECONDS):
                    for file in (path, *beside):
                        self._add(archive, file, file.relative_to(self.project.root).as_posix())
            elif path.suffix not in (BITS, SUMS):
                self._add(archive, path, name)
        except (FileNotFoundError, VectorError):
            return  # deleted meanwhile; a row that names it is told of below
        wanted = hashes.get(name)
        if wanted is not None and self.members[name].sha256 != wanted:
            self.problems.append(f"{name}: is not the image that was imported any more")

    def _add(self, archive: zipfile.ZipFile, path: Path, name: str) -> None:
        """Copy one file in, with its hash; pictures are not compressed again."""
        digest, length = hashlib.sha256(), 0
        info = zipfile.ZipInfo(name, time.gmtime()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED if name == DATABASE else zipfile.ZIP_STORED
        with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
            while piece := source.read(CHUNK):
                digest.update(piece)
                length += len(piece)
                target.write(piece)
        self.members[name] = Member(length, digest.hexdigest())

    def _note_missing(self, hashes: dict[str, str]) -> None:
        missing = [name for name in hashes if name not in self.members]
        self.problems += [f"{name}: is gone from the project" for name in missing]

    def _manifest(self) -> Manifest:
        return Manifest(
            self.project.id,
            self.project.name,
            time.time(),
            version("labeller"),
            self.counts,
            self.members,
        )

    def result(self, target: Path) -> Backup:
        return Backup(
            target,
            target.stat().st_size,
            dict(self.counts),
            len(self.members),
            self.elsewhere,
            tuple(self.problems),
        )


def _list_files(root: Path, folders: list[str]) -> Iterator[Path]:
    """Yield the files of a project's folders; hidden ones are not whole yet, links lead out."""
    for folder in folders:
        for path, inner, names in os.walk(root / folder):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(names):
                place = Path(path, name)
                if not name.startswith(".") and place.is_file() and not place.is_symlink():
                    yield place


def check_backup(file: Path, progress: Progress | None = None) -> Manifest:
    """Read a whole backup, and compare each of its files with its hash.

    Raises
    ------
    BackupError
        When it is no backup, is cut short, or a file in it is damaged; the text names it.
    """
    progress = progress or Silent()
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = read_manifest(archive, file)
            for done, (name, member) in enumerate(manifest.members.items(), 1):
                progress.check()
                _copy_member(archive, name, member, None, file)
                progress.update("checking", done, len(manifest.members))
    except _DAMAGED as error:
        raise BackupError(f"{file}: cannot be read ({error}).") from error
    return manifest


def _copy_member(
    archive: zipfile.ZipFile, name: str, member: Member, target: Path | None, file: Path
) -> None:
    """Read a member of a backup, and write it where it belongs.

    Raises
    ------
    BackupError
        When it is missing or damaged.
    """
    damaged = BackupError(f"{file}: {name} in it is damaged. Use another backup.")
    try:
        with archive.open(name) as source:
            if target is None:
                whole = copy_checked(source, member, None)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as copy:
                    whole = copy_checked(source, member, copy)
    except (KeyError, *UNREADABLE) as error:
        raise damaged from error
    if not whole:
        raise damaged


def restore_backup(file: Path, to: Path, progress: Progress | None = None) -> Project:
    """Make a project from a backup, and open it.

    It gets a new signing key. Its identity is the backup's, unless the project that was backed up
    is still where it was: then it is a copy, with an identity of its own.

    Parameters
    ----------
    file : Path
        A backup.
    to : Path
        A folder that does not exist yet or is empty.
    progress : Progress, optional

    Raises
    ------
    BackupError
        When the backup is damaged, or the folder is in use or cannot be written; nothing is left.
    JobCancelled
        When the work should stop; nothing is left then.
    """
    progress = progress or Silent()
    target = to.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target}: is not an empty folder. Name a new one.")
    scratch = begin_scratch(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(mode=0o700)
        replace_secret(scratch)
        _unpack(file, scratch, progress)
        sync_tree(scratch)
        move_whole(scratch, target)
    except OSError as error:
        raise BackupError(
            f"{target}: cannot be written ({error.strerror or error}). Make room there, or name "
            f"another place."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    trust.inherit_trust(target, config.load_settings(target, {}).id)
    return open_project(target)


def _unpack(file: Path, folder: Path, progress: Progress) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = read_manifest(archive, file)
            needed = sum(member.bytes for member in manifest.members.values())
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise BackupError(
                    f"{folder.parent}: has room for {free:,} bytes, the backup needs {needed:,}."
                )
            for done, (name, member) in enumerate(manifest.members.items(), 1):
                progress.check()
                _copy_member(archive, name, member, folder / name, file)
                progress.update("files", done, len(manifest.members))
    except (*UNREADABLE, FileNotFoundError) as error:
        raise BackupError(f"{file}: cannot be read ({error}).") from error
    damage = find_damage(folder / DATABASE)
    if damage is not None:
        raise BackupError(f"{file}: its database is damaged ({damage}). Use another backup.")


@dataclass(frozen=True, slots=True)
class ListedBackup:
    """A backup in a project's own folder; `problem` says why it cannot be used."""

    file: Path
    bytes: int
    created: float
    counts: Mapping[str, int]
    problem: str | None = None


def list_backups(root: Path) -> list[ListedBackup]:
    """Return the backups in a project's folder, newest first; their files are not read whole."""
    found = []
    for file in (root / PLACE).glob("*.zip"):
        about = file.stat()
        try:
            with zipfile.ZipFile(file) as archive:
                manifest = read_manifest(archive, file)
            found.append(ListedBackup(file, about.st_size, manifest.created, manifest.counts))
        except (BackupError, *_DAMAGED) as error:
            found.append(ListedBackup(file, about.st_size, about.st_mtime, {}, str(error)))
    return sorted(found, key=lambda backup: -backup.created)


def unpack_database(file: Path, target: Path) -> None:
    """Write a backup's database to a file of its own, compared with its hash.

    Raises
    ------
    BackupError
        When the backup or its database is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = read_manifest(archive, file)
            _copy_member(archive, DATABASE, manifest.members[DATABASE], target, file)
    except _DAMAGED as error:
        raise BackupError(f"{file}: cannot be read ({error}).") from error


def start_backup(project: Project, models: bool, vectors: bool) -> JobRecord:
    """Start the job that backs a project up into its own folder.

    Raises
    ------
    JobError
        When one is on already.
    """
    params = {"to": str(propose_file(project)), "models": models, "vectors": vectors}
    return jobs.submit(project, KIND, params)


def run_backup_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, object]:
    """Do a job of the kind ``backup``; its parameters are those of :func:`make_backup`."""
    params = job.params
    made = make_backup(project, Path(params["to"]), params["models"], params["vectors"], progress)
    return {
        "file": str(made.file),
        "bytes": made.bytes,
        "files": made.files,
        "elsewhere": made.elsewhere,
        "problems": list(made.problems[:100]),
        **made.counts,
    }
