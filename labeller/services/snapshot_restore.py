"""Make a project from a snapshot, so that training it gives the same model."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from labeller.errors import ClassError, ConfigError, SnapshotError
from labeller.progress import Progress, Silent
from labeller.project import Project, create_project
from labeller.services import classes as class_service
from labeller.services import feature_recipes, leak_guard
from labeller.services.feature_recipes import Recipe
from labeller.services.import_writer import moved_in
from labeller.services.leak_guard import Checked
from labeller.services.palette import check_colour
from labeller.services.snapshot_checks import checked_copy, said, show_path, show_value
from labeller.services.snapshot_files import (
    COMPARED,
    IMAGES,
    ITEMS,
    MANIFEST,
    Line,
    Manifest,
    opened,
    read_items,
    read_manifest,
    versions,
)
from labeller.services.snapshots import empty_folder
from labeller.trust import forget_project
from store.durable import move_whole, sync_tree
from store.errors import StoreError
from store.records import ClassRecord, EventKind, ItemState, NewEvent, NewItem
from store.scratch import begin_scratch
from store.store import Unit

_ROWS = 500
_MOST_ANNOTATORS = 10_000
_KINDS: dict[ItemState, EventKind] = {"labelled": "label", "skipped": "skip", "flagged": "flag"}
_NO_NAME = frozenset('\\/:*?"<>|')


@dataclass(frozen=True, slots=True)
class Restored:
    """The new project; `notes` say what keeps a model trained there from being the same."""

    root: Path
    label_hash: str
    items: int
    labels: int
    notes: tuple[str, ...]


def restore_snapshot(folder: Path, to: Path, progress: Progress | None = None) -> Restored:
    """Make a new project from a snapshot; it appears whole or not at all.

    Items come in the order of the snapshot, with their splits and groups, and so do classes.
    Labels become events of the source ``import`` by the annotators who gave them, with the time
    at which they did as the client's. Copied images are copied into the project; those that the
    snapshot only refers to stay where they lie. Every image is compared with its hash.

    Parameters
    ----------
    folder : Path
        The snapshot.
    to : Path
        A folder that does not exist yet or is empty.
    progress : Progress, optional

    Returns
    -------
    Restored

    Raises
    ------
    SnapshotError
        When the snapshot is damaged or was changed, an image is missing, the labels do not come
        out with the same hash, or the project cannot be written.
    JobCancelled
        When the work should stop; nothing is left then.
    """
    source, target = folder.expanduser().absolute(), empty_folder(to)
    if os.environ.get("LABELLER_DATABASE"):
        raise SnapshotError(
            "LABELLER_DATABASE is set: a snapshot is restored into a database of its own. Unset it."
        )
    manifest = read_manifest(source)
    needed = _survey(source, manifest, progress or Silent())
    try:
        _refuse_full(target, needed)
        temporary = begin_scratch(target)
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        project = _made(temporary, manifest, source)
        _Restoring(project, source, manifest, progress or Silent()).run()
        project.store.close()
        sync_tree(temporary)
        move_whole(temporary, target)
    except OSError as error:
        raise _unwritable(target, error) from error
    except StoreError as error:
        raise SnapshotError(f"{source}: cannot be restored. {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        forget_project(temporary)
    return Restored(
        root=target,
        label_hash=manifest.label_hash,
        items=manifest.counts["items"],
        labels=manifest.counts["labels"],
        notes=(*manifest.notes, *_differences(manifest)),
    )


def _unwritable(target: Path, error: OSError) -> SnapshotError:
    return SnapshotError(
        f"{target}: cannot be written ({error.strerror or error}). Make room there, or name "
        f"another folder."
    )


def _survey(folder: Path, manifest: Manifest, progress: Progress) -> int:
    """Read every line before anything is made, and return how many bytes of images come in."""
    labels, needed = 0, 0
    annotators: set[str] = set()
    for number, line in enumerate(read_items(folder, manifest), 1):
        progress.check()
        progress.update("items", number, manifest.counts["items"])
        labels += line.state == "labelled"
        needed += line.bytes if manifest.images == "copy" else 0
        if line.annotator is not None:
            annotators.add(line.annotator)
        if len(annotators) > _MOST_ANNOTATORS:
            raise SnapshotError(
                f"{folder / ITEMS}, line {number}: more than {_MOST_ANNOTATORS:,} annotators. "
                f"Export the snapshot anew."
            )
    if labels != manifest.counts["labels"]:
        raise SnapshotError(
            f"{folder / ITEMS}: holds {labels:,} labels, {MANIFEST} says "
            f"{manifest.counts['labels']:,}. It was changed; export the snapshot anew."
        )
    return needed


def _refuse_full(target: Path, needed: int) -> None:
    """Refuse to copy more bytes than there is room for where a folder is to be made."""
    disk = next(folder for folder in (target, *target.parents) if folder.exists())
    free = shutil.disk_usage(disk).free
    if needed > free:
        raise SnapshotError(
            f"{target}: the images take {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free. "
            f"Make room there, or name another folder."
        )


def _check_classes(classes: Sequence[ClassRecord]) -> None:
    """Refuse classes that this program would not have made, archived ones too."""
    active = [one.name for one in classes if not one.archived]
    for names in (active, *([one.name] for one in classes if one.archived)):
        if class_service.check_names(names) != names:
            raise ClassError("A class name is not written as this program writes them.")
    for one in classes:
        if check_colour(one.colour) != one.colour:
            raise ClassError(f"The colour {show_value(one.colour)} is not written as #rrggbb.")
        if one.key is not None and one.key not in class_service.KEYS:
            raise ClassError(f"The key {show_value(one.key)} cannot label.")


def _made(folder: Path, manifest: Manifest, source: Path) -> Project:
    """Make the empty project with the settings of the snapshot."""
    try:
        _check_classes(manifest.classes)
        project = create_project(folder, [], **manifest.settings)
        if (recipe := manifest.backbone.get("recipe")) is not None:
            feature_recipes.begin(project, Recipe.of(recipe))
        return project
    except (ClassError, ConfigError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"{source / MANIFEST}: is damaged or was changed ({said(error).rstrip('.')}). "
            f"Export the snapshot anew."
        ) from error


def _differences(manifest: Manifest) -> Iterator[str]:
    here = versions()
    for name, told in manifest.versions.items():
        if here.get(name) != told:
            yield (
                f"The snapshot was made with {name} {told}, here is {here.get(name, 'none')}: "
                f"metrics may differ in their last digits."
            )


@dataclass(slots=True)
class _Restoring:
    """One restoring into an empty project."""

    project: Project
    folder: Path
    manifest: Manifest
    progress: Progress
    classes: dict[int, int] = field(default_factory=dict)
    last_id: int = 0
    stored: int = 0
    compared_id: int = 0
    done: int = 0
    labels: int = 0

    def run(self) -> None:
        """Bring everything in, and compare the label sets."""
        store = self.project.store
        with store.write() as unit:
            import_id = unit.imports.start(f"snapshot {self.folder}")
            self._make_classes(unit)
        lines = read_items(self.folder, self.manifest)
        while part := list(islice(lines, _ROWS)):
            items = [self._item(line) for line in part]
            with store.write() as unit:
                self._store(unit, part, items)
        shutil.rmtree(self._incoming.parent, ignore_errors=True)
        with store.write() as unit:
            for one in self.manifest.classes:
                if one.archived:
                    unit.classes.update(self.classes[one.id], name=one.name, archived=True)
            unit.imports.finish(import_id, self.done, 0, self.labels, 0, False)
            if self.compared_id:
                distance = self.project.settings.leak_distance
                leak_guard.note_checked(unit, Checked(self.compared_id, distance))
        self._compare()

    @property
    def _incoming(self) -> Path:
        return self.project.root / ".incoming" / "image"

    def _make_classes(self, unit: Unit) -> None:
        """Make the classes in their order; archived ones take labels until the end."""
        for one in sorted(self.manifest.classes, key=lambda one: (one.position, one.id)):
            name, key = (uuid.uuid4().hex, None) if one.archived else (one.name, one.key)
            self.classes[one.id] = unit.classes.add(name, key, one.colour, one.position).id

    def _item(self, line: Line) -> NewItem:
        """Compare an image with its hash and bring it in."""
        self.progress.check()
        if line.width * line.height > self.project.settings.max_image_pixels:
            raise SnapshotError(
                f"{show_path(line.path)}: its {line.width:,} × {line.height:,} pixels are more "
                f"than the limit. Set LABELLER_MAX_IMAGE_PIXELS higher if you trust the snapshot."
            )
        path, copied = line.path, self.manifest.images == "copy"
        if copied:
            path = self._copied(line)
        elif not Path(line.path).is_absolute():
            raise SnapshotError(
                f"{show_path(line.path)}: is no absolute path. Export the snapshot anew."
            )
        else:
            checked_copy(Path(line.path), line.sha256, line.bytes, None)
        self.done += 1
        self.progress.update("images", self.done, self.manifest.counts["items"])
        return NewItem(
            sha256=line.sha256,
            path=path,
            copied=copied,
            width=line.width,
            height=line.height,
            format=line.format,
            bytes=line.bytes,
            group=line.group,
            split=line.split,
        )

    def _copied(self, line: Line) -> str:
        """Copy an image into the project, under its own name where that can be."""
        opened(self.folder, line.image).close()  # refuses a link that leads out
        self._incoming.parent.mkdir(exist_ok=True)
        source = self.folder / line.image
        checked_copy(source, line.sha256, line.bytes, self._incoming)
        images = self.project.root / IMAGES
        return str(IMAGES / moved_in(self._incoming, images, _name(line), line.sha256))

    def _store(self, unit: Unit, lines: list[Line], items: list[NewItem]) -> None:
        """Store items in their order, and what people decided about them."""
        ids = unit.items.add(items)
        for line, item_id in zip(lines, ids, strict=True):
            if item_id <= self.last_id:
                raise SnapshotError(
                    f"{show_path(line.path)}: is in the snapshot twice. Export it anew."
                )
            self.last_id = item_id
            self.stored += 1
            if self.stored == self.manifest.counts[COMPARED]:
                self.compared_id = item_id
        looks = zip(ids, (line.looks for line in lines), strict=True)
        unit.leaks.add_hashes([(i, bytes.fromhex(one)) for i, one in looks if one is not None])
        by_annotator: dict[str, list[NewEvent]] = {}
        for line, item_id in zip(lines, ids, strict=True):
            if line.annotator is not None:
                by_annotator.setdefault(line.annotator, []).append(self._event(line, item_id))
        for annotator, events in by_annotator.items():
            for result in unit.labels.record(annotator, None, "import", events, 0.0):
                if result.status != "accepted":
                    raise SnapshotError(f"Item {result.item_id}: {result.reason or result.status}.")
        self.labels += sum(line.state == "labelled" for line in lines)

    def _event(self, line: Line, item_id: int) -> NewEvent:
        return NewEvent(
            key=f"snapshot:{line.sha256}",
            kind=_KINDS[line.state],
            item_id=item_id,
            class_id=None if line.class_id is None else self.classes[line.class_id],
            reason=line.reason,
            client_at=line.time,
        )

    def _compare(self) -> None:
        """Refuse labels that are not the ones that were exported."""
        with self.project.store.read() as unit:
            found = unit.labels.set_hash(), unit.labels.set_hash(("audit",))
        if found != (self.manifest.label_hash, self.manifest.audit_hash):
            raise SnapshotError(
                f"{self.folder}: its labels have the hash {found[0][:12]}…, the snapshot says "
                f"{self.manifest.label_hash[:12]}…. It was changed; export it anew."
            )


def _name(line: Line) -> PurePosixPath:
    """Return a name for a copied image: its own, unless that could do harm."""
    name = PurePosixPath(line.path).name
    harmless = name.isprintable() and not name.startswith(".") and not _NO_NAME & set(name)
    if harmless and name.isascii() and 0 < len(name) <= 200:
        return PurePosixPath(name)
    return PurePosixPath(f"{line.sha256}.{line.format.lower()}")
