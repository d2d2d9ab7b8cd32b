"""What an import reads from: candidates, and the rule that makes folders labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from labeller import imaging
from labeller.errors import ImportSourceError
from labeller.services.class_names import class_name
from store.records import ImportProblem, Split

Labels = Literal["auto", "folders", "none"]
Tick = Callable[[int], None]
MOST_NEW_CLASSES = 200
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_LONGEST_NAME, _LONGEST_PATH = 200, 1000  # bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image.

    `shown` is how reports name it. `target` is its place below ``images/`` when it is copied.
    `owned` files were unpacked for this import: they are moved in, or removed; `entry` is then the
    archive and the name in it. `key` names the file within its source: its path there, or the
    column ``key`` of a table.
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


@dataclass(frozen=True, slots=True)
class Refused(ImportProblem):
    """A file of a source that is no candidate; `key` as of a :class:`Candidate`."""

    key: str = field(kw_only=True)


@dataclass(slots=True)
class Survey:
    """What a quick first pass over a source saw.

    A source has the *shape* of class folders when every image lies in a folder and all those
    folders lie in one and the same folder (the source itself, or one folder further in, as in a
    zip of a folder of classes). `folders` are then the names of the class folders. `notes` say how
    the source was understood.
    """

    files: int = 0
    folders: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    _container: tuple[str, ...] | None = None
    _broken: bool = False

    def count(self, folder: tuple[str, ...], files: int = 1) -> None:
        """Take in `files` images that lie in `folder` (relative to the source)."""
        if not files:
            return
        self.files += files
        if not folder or (self._container not in (None, folder[:-1])):
            self._broken = True
            self.folders.clear()
        elif not self._broken:
            self._container = folder[:-1]
            self.folders.add(folder[-1])

    @property
    def shaped(self) -> bool:
        """Whether the source has the shape of class folders."""
        return bool(self.folders) and not self._broken

    def label(self, folder: tuple[str, ...]) -> str | None:
        """Return the label of the images in `folder` when folders are labels.

        Without the shape of class folders it is the first folder below the source.
        """
        if not folder:
            return None
        return folder[-1] if self.shaped else folder[0]


class Source(Protocol):
    """One folder, file, table or archive to import from."""

    path: Path
    shown: str

    def survey(self, tick: Tick) -> Survey:
        """Count what there is, quickly; `tick` is told the count now and then."""

    def candidates(self, survey: Survey, folders: bool) -> Iterator[Candidate | Refused]:
        """Yield every file; with `folders`, labelled by its folder as `survey` says."""


def folders_are_labels(survey: Survey, classes: frozenset[str], labels: Labels) -> bool:
    """Whether a source's folders are taken as labels.

    ``"none"``: never. ``"folders"``: always. ``"auto"``: when the source has the shape of class
    folders (see :class:`Survey`) and at least one folder is named like a class; or, in a project
    without any class, when there are 2 to 200 folders.
    """
    if labels != "auto":
        return labels == "folders"
    if not survey.shaped:
        return False
    names = {class_name(name) for name in survey.folders}
    return bool(names & classes) if classes else 2 <= len(names) <= MOST_NEW_CLASSES


class SingleFile:
    """One image file, named by the person: taken whatever its suffix."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = shown(str(path))

    def survey(self, tick: Tick) -> Survey:
        """Count one."""
        tick(1)
        return Survey(files=1)

    def candidates(self, survey: Survey, folders: bool) -> Iterator[Candidate | Refused]:
        """Yield it."""
        del survey, folders
        name = self.path.name
        yield Candidate(self.shown, str(self.path), safe_target([name]), key=shown(name))


def open_source(
    path: Path,
    project_root: Path,
    incoming: Path,
    max_bytes: int,
    labelled: bool = True,
    classes: Collection[str] = frozenset(),
) -> Source:
    """Recognise a source.

    Parameters
    ----------
    path : Path
        A folder, a table (:data:`TABLES`), a ``.zip`` archive, or an image file.
    project_root : Path
        The project's folder, which is never imported into itself.
    incoming : Path
        Folder for unpacked files, made when needed.
    max_bytes : int
        Unpacked files may not be larger.
    labelled : bool
        Whether labels, groups and splits of a table are read, and rows refused whose are wrong.
    classes : collection of str
        The project's classes, which a table's labels are read by.

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
    if path.suffix.lower() in TABLES:
        return TableSource(path, labelled, classes)
    if path.suffix.lower() == ".zip":
        return ZipSource(path, incoming, max_bytes)
    return SingleFile(path)


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
