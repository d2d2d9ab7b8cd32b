"""What an import found, written to the store in short transactions."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from labeller.errors import ClassError
from labeller.image_remarks import RemarkTally
from labeller.project import Project
from labeller.services import classes as class_service
from labeller.services.class_names import class_ids, class_key, class_name
from labeller.services.import_known import KnownImages, Wish
from labeller.services.import_paths import Places, Sighting
from labeller.services.import_sources import Candidate
from labeller.services.import_twins import Newcomer, Twins
from labeller.services.import_worker import CannotWriteError
from labeller.services.strata import Strata
from store.durable import Flusher, make_folder, sync_file, write_whole
from store.records import ImportProblem, NewEvent, NewItem, Split, Stamp
from store.store import Unit

BATCH = 300  # items in one transaction: a few hundredths of a second
PIXELS = 250_000_000  # or so many pixels: a second or two of decoding
LISTED = 1000  # problems and conflicts that a report holds; the store holds all
ANNOTATOR = "import"
IMAGES = "images"


@dataclass(frozen=True, slots=True)
class LabelConflict:
    """An imported label that was not taken, because the image has another one already."""

    path: str
    label: str
    wanted: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A readable image; `file` is a copy of our own to be moved in, if there is one."""

    candidate: Candidate
    facts: dict[str, Any]
    file: Path | None

    @property
    def sha256(self) -> str:
        return str(self.facts["sha256"])

    @property
    def decoded(self) -> bool:
        """Whether it was looked at; else its bytes are those of an image that is in already."""
        return "width" in self.facts

    @property
    def looks(self) -> bytes | None:
        looks = self.facts.get("looks")
        return None if looks is None else bytes.fromhex(looks)

    def name(self) -> tuple[str, Stamp | None] | None:
        """Return the path that this file is known by; None when it cannot be stored."""
        if self.candidate.owned:
            return self.candidate.shown, None
        try:
            self.candidate.path.encode("utf-8")
        except UnicodeEncodeError:
            return None
        return self.candidate.path, Stamp(*self.facts["stamp"])


class Writer:
    """Gathers results and writes them; its numbers are those of what is committed."""

    def __init__(self, project: Project, import_id: int, make_classes: bool) -> None:
        self._project, self._import_id, self._make = project, import_id, make_classes
        self._found: list[_Found] = []
        self._refused: list[ImportProblem] = []
        self._pixels = 0
        self._flusher = Flusher()  # of copies and thumbnails: on the disk before their rows
        self._folders: set[Path] = set()  # copies of this batch got names in these
        self._classes: Mapping[str, int] = {}
        self._splits: dict[str, Split] = {}  # of groups that have a name
        self._renamed: dict[str, str] = {}  # groups that the leak guard put into others
        self.twins = Twins(project.settings)
        self._strata = Strata(project.settings)
        self._told: list[ImportProblem] = []
        self.places = Places(project)
        self.known_images = KnownImages()
        self.added = self.known = self.labelled = self.failed = 0
        self.problems: list[ImportProblem] = []
        self.conflicts: list[LabelConflict] = []
        self.unknown: Counter[str] = Counter()
        self.respelled: Counter[tuple[str, str]] = Counter()  # names taken for a class's
        self.made: list[str] = []
        self.remarks = RemarkTally()
        self._load_classes()

    def take(self, candidate: Candidate, facts: dict[str, Any], file: Path | None) -> None:
        """Note an image that can be read, or is known by its hash."""
        found = _Found(candidate, facts, file)
        self._found.append(found)
        if file is not None and found.decoded:
            self._flusher.add(file)
        if thumbnail := facts.get("thumbnail"):
            self._flusher.add(Path(thumbnail), Path(thumbnail).parents[:3])
        self.remarks.add(candidate.shown, facts.get("remarks", ()))
        self._pixels += facts.get("width", 0) * facts.get("height", 0)

    def make_classes(self, names: Sequence[str]) -> None:
        """Add the classes that an import brings, all at once, so that keys suit all of them."""
        fresh = [name for name in names if name not in self._classes]
        if not fresh:
            return
        with suppress(ClassError):  # somebody else adds one just now: each is tried by itself later
            class_service.add(self._project, fresh)
            self.made += fresh
        self._load_classes()

    def refuse(self, problem: ImportProblem) -> None:
        """Note a file that is left out."""
        self._refused.append(problem)

    @property
    def due(self) -> bool:
        """Whether it is time to write.

        No clock says so: what looks alike is found batch by batch, so the same images in the same
        order have to make the same batches.
        """
        waiting = max(len(self._found), len(self._refused))
        return waiting >= BATCH or self._pixels >= PIXELS

    def flush(self) -> None:
        """Write what was noted, in one transaction.

        Raises
        ------
        CannotWriteError, StoreFull
            When the disk is full; nothing of this batch is in then.
        """
        found, refused = self._found, self._refused
        self._found, self._refused, self._pixels = [], [], 0
        self._told = []
        if not (found or refused):
            return
        with _writing():
            self._flusher.wait()
        self._folders = set()
        self._make_classes(found)
        newcomers = {one.sha256: Newcomer(one.looks) for one in found}
        with self._project.store.read() as unit:
            self.twins.compare(unit, list(newcomers.values()))
        with self._project.store.write() as unit:
            ids, fresh = self._add(unit, found, newcomers)
            with _writing():  # the names of the copies, before the rows that give them
                for folder in self._folders:
                    sync_file(folder)
            labelled, conflicts, unknown = self._label(unit, ids, found)
            told = [
                ImportProblem(c.path, f"it is labelled {c.label} already, not {c.wanted}", "")
                for c in conflicts
            ]
            unit.imports.problem(self._import_id, [*refused, *told, *self._told])
        self.added += fresh
        self.known += len(found) - fresh
        self.labelled += labelled
        self.failed += len(refused)
        self.unknown += unknown
        self.problems += refused[: LISTED - len(self.problems)]
        self.conflicts += conflicts[: LISTED - len(self.conflicts)]
        for one in found:
            if one.file is not None:
                one.file.unlink(missing_ok=True)

    def close(self) -> None:
        """End what works in the background."""
        self._flusher.close()

    def finish(self, cancelled: bool) -> None:
        """Settle what is left to settle, and close the import's row with the numbers."""
        lost = [] if cancelled else self.places.finish()
        with self._project.store.write() as unit:
            unit.imports.problem(self._import_id, lost)
            unit.imports.finish(
                self._import_id, self.added, self.known, self.labelled, self.failed, cancelled
            )

    def _add(
        self, unit: Unit, found: Sequence[_Found], newcomers: dict[str, Newcomer]
    ) -> tuple[dict[str, int], int]:
        """Add what is new; returns all ids by hash, and how many are new."""
        unit.items.hold()
        self._look_up_groups(unit, found)
        self._strata.load(unit, self._classes)
        ids = unit.items.known(list({one.sha256 for one in found}))
        fresh = self._first(found, ids)
        self._place_known(unit, found, ids)
        records = unit.items.many(list(ids.values()))
        for sha256, item_id in ids.items():
            newcomers[sha256].item, newcomers[sha256].group = item_id, records[item_id].group
        for sha256, one in fresh.items():
            self._name(newcomers[sha256], one)
        everyone = list(newcomers.values())
        self.twins.place(unit, everyone)
        for sha256, one in fresh.items():  # its looks may have decided instead of its class
            self._strata.count(one.candidate.label, newcomers[sha256].own[1], -1)
            self._strata.count(one.candidate.label, newcomers[sha256].split)
        items = [self._item(one, newcomers[sha256]) for sha256, one in fresh.items()]
        placed = [newcomers[sha256] for sha256 in fresh]
        for newcomer, item_id in zip(placed, unit.items.add(items), strict=True):
            newcomer.item = item_id
        self.twins.added(unit, everyone, placed)
        ids.update({sha256: newcomers[sha256].item for sha256 in fresh})
        seen = [sighting for one in found if (sighting := self._sighting(one, ids)) is not None]
        self.places.settle(unit, seen, frozenset(ids[sha256] for sha256 in fresh))
        return ids, len(fresh)

    def _first(self, found: Sequence[_Found], ids: dict[str, int]) -> dict[str, _Found]:
        """Return the new images by hash: of several files of the same bytes the first with a place.

        The first has it where none names a group or split.
        """
        fresh: dict[str, _Found] = {}
        for one in found:
            problem = self.known_images.first_row(one.sha256, one.candidate)
            if problem is not None:
                self._told.append(problem)
            elif one.sha256 not in ids:
                placeless = _is_placeless(fresh.setdefault(one.sha256, one).candidate)
                if placeless and not _is_placeless(one.candidate):
                    fresh[one.sha256] = one
        return fresh

    def _place_known(self, unit: Unit, found: Sequence[_Found], ids: dict[str, int]) -> None:
        """Give images that are in already the group and split that came along, if that may be."""
        wanted = [one for one in found if one.candidate.split or one.candidate.group]
        records = unit.items.many([ids[one.sha256] for one in wanted if one.sha256 in ids])
        contradicted = {problem.path for problem in self._told}
        wishes = [
            Wish(one.candidate, records[ids[one.sha256]], self._present(one.candidate.group))
            for one in wanted
            if one.sha256 in ids and one.candidate.shown not in contradicted
        ]
        self._told += self.known_images.settle(unit, wishes, self._splits)

    def _present(self, group: str | None) -> str | None:
        """Return the name that a group has by now."""
        return None if not group else self._renamed.get(group, group)

    def _sighting(self, one: _Found, ids: dict[str, int]) -> Sighting | None:
        name = one.name()
        return name and Sighting(*name, ids[one.sha256], partial(self._place, one))

    def _look_up_groups(self, unit: Unit, found: Sequence[_Found]) -> None:
        """Learn the splits of the groups that have a name, and which of them have a new one."""
        named = {one.candidate.group for one in found if one.candidate.group}
        # A round beside this import may give groups other names at any time.
        self._renamed = unit.leaks.renamed(list(named))
        names = {self._renamed.get(name, name) for name in named}
        self._splits.update(unit.items.group_splits(list(names - set(self._splits))))
        for name in self._renamed.values():  # all of it lies beside the audit set
            self._splits.setdefault(name, "unused")

    def _name(self, newcomer: Newcomer, one: _Found) -> None:
        """Give a new image its group and split, as far as names decide."""
        candidate = one.candidate
        group = self._renamed.get(candidate.group or "", candidate.group) or one.sha256
        free = candidate.group is None and candidate.split is None
        newcomer.named(group, self._split(candidate, group), free)
        self._strata.count(candidate.label, newcomer.split)

    def _item(self, one: _Found, new: Newcomer) -> NewItem:
        path, copied = self._place(one)
        return NewItem(
            sha256=one.sha256,
            path=path,
            copied=copied,
            width=one.facts["width"],
            height=one.facts["height"],
            format=one.facts["format"],
            bytes=one.facts["bytes"],
            group=new.group,
            split=new.split,
        )

    def _split(self, candidate: Candidate, group: str) -> Split:
        """Return the split of a group: the one that it has, else the one named, else drawn."""
        if candidate.split == "unused":
            return "unused"
        split = self._splits.get(group) or candidate.split
        split = split or self._strata.draw(group, candidate.label)
        if candidate.group:
            self._splits[group] = split
        if candidate.split not in (None, split):
            reason = f"its group {group} is in the split {split} already, not {candidate.split}"
            self._told.append(ImportProblem(candidate.shown, reason, ""))
        return split

    def _place(self, one: _Found) -> tuple[str, bool]:
        """Return where the image lies from now on, and whether that is in the project."""
        if one.file is None or not one.file.exists():
            return one.candidate.path, False
        images = self._project.root / IMAGES
        with _writing():
            if not one.decoded:
                sync_file(one.file)
            target = moved_in(one.file, images, one.candidate.target, one.sha256)
        self._folders.add((images / target).parent)
        return str(PurePosixPath(IMAGES) / target), True

    def _label(
        self, unit: Unit, ids: dict[str, int], found: Sequence[_Found]
    ) -> tuple[int, list[LabelConflict], Counter[str]]:
        """Record the labels that came along; an image that has another one keeps it."""
        have: dict[int, int | None] = {}
        events, conflicts, unknown = [], [], Counter[str]()
        names = {class_id: name for name, class_id in self._classes.items()}
        for one in found:
            if one.candidate.label is None:
                continue
            name = class_name(one.candidate.label)
            wanted, item_id = self._classes.get(name), ids[one.sha256]
            if wanted is None:
                unknown[name] += 1
                continue
            if name != names[wanted] and class_key(name) == class_key(names[wanted]):
                self.respelled[name, names[wanted]] += 1
            if item_id not in have:
                current = unit.labels.current(item_id)
                have[item_id] = None if current is None else current.class_id
            if have[item_id] is None:
                # An imported label that somebody took back does not come back: its key is known.
                key = f"import:{one.sha256}:{wanted}"
                events.append(NewEvent(key=key, kind="label", item_id=item_id, class_id=wanted))
                have[item_id] = wanted
            elif have[item_id] != wanted:
                kept = names.get(have[item_id] or 0, "another class")
                conflicts.append(LabelConflict(one.candidate.shown, kept, name))
        results = unit.labels.record(ANNOTATOR, None, "import", events, 0.0)
        return sum(result.status == "accepted" for result in results), conflicts, unknown

    def _make_classes(self, found: Sequence[_Found]) -> None:
        """Add the classes that labels name for the first time, where the import may."""
        if not self._make:
            return
        labels = (class_name(one.candidate.label) for one in found if one.candidate.label)
        fresh: dict[str, str] = {}  # names that differ only in case and the like are one class
        for name in dict.fromkeys(labels):
            if name not in self._classes and name not in self.unknown and _is_possible(name):
                fresh.setdefault(class_key(name), name)
        if fresh:
            class_service.add(self._project, list(fresh.values()))
            self.made += fresh.values()
            self._load_classes()

    def _load_classes(self) -> None:
        with self._project.store.read() as unit:
            self._classes = class_ids(unit)


def _is_possible(name: str) -> bool:
    """Whether a class can have this name; one that is too long is reported as unknown."""
    try:
        class_service.check_names([name])
    except ClassError:
        return False
    return True


def _is_placeless(candidate: Candidate) -> bool:
    return candidate.split is None and candidate.group is None


def moved_in(file: Path, images: Path, target: PurePosixPath, sha256: str) -> PurePosixPath:
    """Move a file below `images`, never over another one.

    Parameters
    ----------
    file : Path
        A file on the same disk, which is gone afterwards.
    images : Path
        The project's folder of copied images.
    target : PurePosixPath
        Where it should go; when that is taken, part of the hash is put in the name.
    sha256 : str
        Hash of its bytes; a file of the same bytes already there is used as it is.

    Returns
    -------
    PurePosixPath
        Where it is, below `images`. Flushing that folder is left to the caller.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    suffix = target.suffix
    names = (
        target,
        target.with_name(f"{target.stem}-{sha256[:12]}{suffix}"),
        PurePosixPath("by-hash", f"{sha256}{suffix}"),
    )
    for name in names:
        path = images / name
        try:
            make_folder(path.parent)
            _link(file, path)
        except (FileExistsError, NotADirectoryError):
            if not (path.is_file() and _hash(path) == sha256):
                continue
            sync_file(path)  # whoever put it there may have been killed before it did
        file.unlink()
        return name
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(images / names[-1]))


def _link(file: Path, path: Path) -> None:
    """Give a file a second name; on disks that cannot, the only one."""
    try:
        os.link(file, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        write_whole(path, file.read_bytes())


@contextmanager
def _writing() -> Iterator[None]:
    """Say that the project cannot be written, where it cannot."""
    try:
        yield
    except OSError as error:
        raise CannotWriteError(error.strerror or str(error)) from error


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
