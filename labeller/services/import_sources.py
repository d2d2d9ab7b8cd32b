"""What an import reads from: candidates, and what a first look at a source saw."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from labeller import imaging
from labeller.errors import ImageError, ImportSourceError
from labeller.file_kinds import HEAD, LONG_HEAD, FileKind, identify
from store.records import ImportProblem, Split

Labels = Literal["auto", "folders", "none"]
Tick = Callable[[int], None]
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_LONGEST_NAME, _LONGEST_PATH = 200, 1000  # bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image.

    `shown` is how reports name it. `target` is its place below ``images/`` when it is copied.
    `owned` files were unpacked for this import: they are moved in, or removed; `entry` is then the
    archive and the name in it. `key` names the file within its source: its path there, or the
    column ``key`` of a table. `folder` is where it lies below a source whose folders may mean
    something.
    """

    shown: str
    path: str
    target: PurePosixPath
    label: str | None = None
    group: str | None = None
    split: Split | None = None
    owned: bool = False
    key: str = ""
    entry: tuple[Path, str] | None = None
    folder: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Refused(ImportProblem):
    """A file of a source that is no candidate; `key` as of a :class:`Candidate`."""

    key: str = field(kw_only=True)


class SurveyStopped(Exception):
    """What a tick raises to end a survey early."""


@dataclass(slots=True)
class Survey:
    """What a quick first pass over a source saw.

    `files` may be images; `folders` says how many lie directly in each folder, of a source that has
    folders. `labels` are the words for classes in a table. `passed` counts what was passed over, by
    kind, with the `first` of each; `notes` are further sentences for the report. `damaged` are
    names of folders that could not be read right. `cut` says that it was ended early.
    """

    files: int = 0
    folders: Counter[tuple[str, ...]] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    cut: bool = False

    def count(self, folder: tuple[str, ...], files: int = 1) -> None:
        """Take in `files` images that lie in `folder` (relative to the source)."""
        if files:
            self.files += files
            self.folders[folder] += files

    def pass_over(self, kind: str, name: str) -> None:
        """Count something that is no image."""
        self.passed[kind] += 1
        self.first.setdefault(kind, name)


class Source(Protocol):
    """One folder, file, table or archive to import from."""

    path: Path
    shown: str

    def survey(self, tick: Tick) -> Survey:
        """Count what there is, quickly; `tick` is told the count now and then."""

    def candidates(self) -> Iterator[Candidate | Refused]:
        """Yield every file that may be an image, in an order that is always the same.

        To be called after :meth:`survey`.
        """


class SingleFile:
    """One file, named by the person: an image whatever its suffix, or told what it is."""

    def __init__(self, path: Path, kind: FileKind) -> None:
        self.path, self._kind = path, kind
        self.shown = shown(str(path))

    def survey(self, tick: Tick) -> Survey:
        """Count one."""
        tick(1)
        return Survey(files=1)

    def candidates(self) -> Iterator[Candidate | Refused]:
        """Yield it."""
        name = self.path.name
        named_image = is_candidate(name) is not False
        if self._kind.family == "text" and not named_image:
            mend = "A table is read as .csv or .tsv, with the column path; other text is not."
            yield Refused(self.shown, f"it is {self._kind.name}", mend, key=shown(name))
        elif self._kind.family in ("image", "other image", "file", "text"):
            yield Candidate(self.shown, str(self.path), safe_target([name]), key=shown(name))
        else:
            yield Refused(self.shown, *explain_kind(self._kind, self.path), key=shown(name))


def explain_kind(kind: FileKind, path: Path) -> tuple[str, str]:
    """Return reason and mend of a file that is no image, with its name in the commands."""
    name = shlex.quote(shown(path.name))
    return f"it is {kind.name}", kind.mend.replace("FILE", name)


def open_source(
    path: Path,
    project_root: Path | None,
    incoming: Path,
    max_bytes: int,
    labelled: bool = True,
    classes: Collection[str] = frozenset(),
    any_labels: bool = False,
) -> Source:
    """Recognise a source.

    Parameters
    ----------
    path : Path
        A folder, a table (:data:`TABLES`), a zip archive, or an image file.
    project_root : Path, optional
        The project's folder, which is never imported into itself.
    incoming : Path
        Folder for unpacked files, made when needed.
    max_bytes : int
        Unpacked files may not be larger.
    labelled : bool
        Whether labels, groups and splits of a table are read, and rows refused whose are wrong.
    classes : collection of str
        The project's classes, which a table's labels are read by.
    any_labels : bool
        Take the labels of a table however many there are.

    Raises
    ------
    ImportSourceError
        When there is nothing, or it cannot be read as a whole.
    """
    from labeller.services.import_folders import FolderSource
    from labeller.services.import_tables import TableSource
    from labeller.services.import_zips import ZipSource

    path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - keeps the links as given
    if not path.exists():
        raise ImportSourceError(
            f"{shown(str(path))}: there is no such file or folder. Check the spelling."
        )
    if path.is_dir():
        return FolderSource(path, project_root)
    kind = read_kind(path)
    families = ("text", "annotation", "document", "file")
    if path.suffix.lower() in TABLES and kind.family in families:
        return TableSource(path, labelled, classes, any_labels)
    if kind.family == "zip" or (path.suffix.lower() == ".zip" and kind.family == "file"):
        return ZipSource(path, incoming, max_bytes)
    return SingleFile(path, kind)


def read_kind(path: Path) -> FileKind:
    """Say what a file is by its bytes; one that cannot be read is of no known kind."""
    try:
        with imaging.opened(path) as file:
            head = file.read(LONG_HEAD)
            file.seek(-min(LONG_HEAD, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return identify(head, path.name, file.read())
    except (ImageError, OSError):
        return identify(b"", path.name)


def glance_at(path: str) -> FileKind | None:
    """Say what one of many files is by its first bytes; None when it is empty or unreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    try:
        head = os.read(descriptor, HEAD)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return identify(head, path) if head else None


def shown(path: str) -> str:
    """Return a path as text that can be stored and printed, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or put there by macOS."""
    return name.startswith(".") or name == "__MACOSX"


def is_candidate(name: str) -> bool | None:
    """Whether a file name is an image's; None when it has no suffix and its bytes must tell."""
    suffix = PurePosixPath(name).suffix.lower()
    if not suffix:
        return None
    return suffix in imaging.SUFFIXES or suffix in imaging.OTHER_SUFFIXES


def safe_target(parts: Sequence[str]) -> PurePosixPath:
    """Return a path below ``images/`` made of these names, with nothing that could lead out."""
    names = [_safe_name(part) for part in parts]
    whole = PurePosixPath(*names)
    return whole if len(bytes(whole)) <= _LONGEST_PATH else PurePosixPath(names[-1])


def _safe_name(name: str) -> str:
    text = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in shown(name))
    stem, suffix = os.path.splitext(text.lstrip("."))  # noqa: PTH122
    short = stem.encode()[:_LONGEST_NAME].decode("utf-8", "ignore")
    return f"{short}{suffix if len(suffix.encode()) < 16 else ''}" or "_"
