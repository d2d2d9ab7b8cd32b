"""The files of a snapshot: what is in them, written and read back without trusting a byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Literal, get_args

from labeller import imaging
from labeller.config import Settings
from labeller.errors import SnapshotError
from labeller.services import snapshot_checks as checks
from store.records import ClassRecord, ItemState, Split

Images = Literal["copy", "reference"]

FORMAT = "labeller snapshot"
VERSION = 1
MANIFEST = "snapshot.json"
ITEMS = "items.jsonl"
IMAGES = "images"
# Settings of one project, machine or purse; all others decide what is trained and asked for.
OWN = frozenset(
    [
        "id",
        "name",
        "database",
        "device",
        "workers",
        "decode_memory_mb",
        "start_workers",
        "models_kept",
        "exports_days",
        "logs_days",
        "watch_folder",
        "label_price",
        "synthetic_price",
        "lease_seconds",
        "key_interval_ms",
        "token_hours",
        "token_days",
        "login",
        "thumbnail_pixels",
        "card_pixels",
        "max_image_pixels",
    ]
)
COMPARED = "compared"  # how many items the leak guard has compared
SETTINGS = tuple(one.name for one in fields(Settings) if one.name not in OWN)

# Of the machine that exports, and yet written by earlier versions: here this machine's holds.
ONCE_WRITTEN = frozenset({"decode_memory_mb"})

_PACKAGES = ("labeller", "torch", "torchvision", "timm", "fastai", "numpy", "pillow")
_LONGEST_LINE = 64 << 10
_LARGEST_MANIFEST = 16 << 20
# More than any project has. Whoever is beyond means harm to the machine that restores it.
MOST_CLASSES = 25_000
MOST_ITEMS = 100_000_000
LARGEST_IMAGE = 16 << 30  # bytes
_MOST_NOTES, _MOST_PACKAGES = 100, 100
_LONGEST_PATH = 4_096  # characters, as of all below
_LONGEST_NAME = 1_000
_LONGEST_WORD = 100
_LONGEST_REASON = 1_000
_LONGEST_NOTE = 2_000
_LONGEST_SETTING = 2_000
_LONGEST_TIME = 40
_LARGEST_SIDE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Line:
    """One item as a line of ``items.jsonl``; without a label the fields from `class_id` are None.

    `time` is in UTC seconds. A skipped or flagged item has annotator, time and `reason`. `looks` is
    the perceptual hash as hexadecimal digits.
    """

    sha256: str
    path: str
    width: int
    height: int
    format: str
    bytes: int
    group: str
    split: Split
    state: ItemState
    looks: str | None = None
    class_id: int | None = None
    class_name: str | None = None
    annotator: str | None = None
    time: float | None = None
    provenance: str | None = None
    strategy: str | None = None
    round: int | None = None
    reason: str | None = None

    @property
    def image(self) -> str:
        """Where a copied image lies in the snapshot."""
        return f"{IMAGES}/{self.sha256[:2]}/{self.sha256}.{self.format.lower()}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``snapshot.json`` says of the whole."""

    images: Images
    label_hash: str
    audit_hash: str
    items_sha256: str
    settings: Mapping[str, Any]
    classes: tuple[ClassRecord, ...]
    backbone: Mapping[str, Any]
    counts: Mapping[str, int]
    versions: Mapping[str, str]
    model: Mapping[str, Any] | None
    notes: tuple[str, ...]
    created: str

    def to_json(self) -> bytes:
        """Return the file."""
        told = {"format": FORMAT, "version": VERSION, **asdict(self)}
        told["classes"] = [
            {name: value for name, value in asdict(one).items() if name != "merged_into"}
            for one in self.classes
        ]
        return json.dumps(told, ensure_ascii=False, indent=2).encode() + b"\n"


def written(line: Line) -> bytes:
    """Return an item as a line of ``items.jsonl``."""
    told = asdict(line)
    told["class"] = told.pop("class_name")
    if line.time is not None:
        told["time"] = moment(line.time)
    return json.dumps(told, ensure_ascii=True).encode() + b"\n"


def moment(at: float) -> str:
    """Return a time in UTC seconds as ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def read_manifest(folder: Path) -> Manifest:
    """Read ``snapshot.json``.

    Parameters
    ----------
    folder : Path
        The snapshot.

    Raises
    ------
    SnapshotError
        When it is missing, too large, no JSON, of another version, or says what cannot be.
    """
    path = folder / MANIFEST
    with opened(folder, MANIFEST) as file:
        text = file.read(_LARGEST_MANIFEST + 1)
    if len(text) > _LARGEST_MANIFEST:
        raise SnapshotError(
            f"{path}: is larger than {_LARGEST_MANIFEST:,} bytes. Export the snapshot anew."
        )
    told = checks.json_object(text, str(path))
    if told.get("format") != FORMAT:
        raise SnapshotError(f"{path}: is no snapshot. Name a folder that `labeller snapshot` made.")
    if told.get("version") != VERSION:
        raise SnapshotError(
            f"{path}: is of version {checks.show_value(told.get('version'))}, this program reads "
            f"{VERSION}. Use the program that made it, or a newer one."
        )
    try:
        return _manifest(told)
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(
            f"{path}: is damaged or was changed ({checks.said(error)}). Export the snapshot anew."
        ) from error


def read_items(folder: Path, manifest: Manifest) -> Iterator[Line]:
    """Yield the lines of ``items.jsonl``, one in memory at a time.

    Parameters
    ----------
    folder : Path
        The snapshot.
    manifest : Manifest
        Its manifest: the hash of the file and the classes are compared with it.

    Raises
    ------
    SnapshotError
        At a line that cannot be, or at the end when the file is not the one that was written.
    """
    digest, number = hashlib.sha256(), 0
    classes = {one.id for one in manifest.classes}
    with opened(folder, ITEMS) as file:
        while text := file.readline(_LONGEST_LINE + 1):
            number += 1
            where = f"{folder / ITEMS}, line {number}"
            if len(text) > _LONGEST_LINE:
                raise SnapshotError(
                    f"{where}: is longer than {_LONGEST_LINE:,} bytes. Export the snapshot anew."
                )
            if number > manifest.counts["items"]:
                break
            digest.update(text)
            try:
                yield _line(checks.json_object(text, where), classes)
            except (KeyError, TypeError, ValueError) as error:
                raise SnapshotError(
                    f"{where}: {checks.said(error)}. Export the snapshot anew."
                ) from error
    if digest.hexdigest() != manifest.items_sha256 or number != manifest.counts["items"]:
        raise SnapshotError(
            f"{folder / ITEMS}: is not the file that {MANIFEST} was written with ({number:,} items "
            f"of {manifest.counts['items']:,}). Copy the snapshot again, or export it anew."
        )


def opened(folder: Path, name: str) -> IO[bytes]:
    """Open a file of the snapshot for reading.

    Raises
    ------
    SnapshotError
        When it is missing, no file, or a link that leads out of the snapshot.
    """
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise SnapshotError(f"{path}: leads out of the snapshot. Export the snapshot anew.")
        if not path.is_file():
            raise SnapshotError(f"{path}: is missing. Name a folder that holds a whole snapshot.")
        return path.open("rb")
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read ({error.strerror or error}).") from error


def versions() -> dict[str, str]:
    """Return the versions here of the packages that training depends on."""
    found = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _manifest(told: Mapping[str, Any]) -> Manifest:
    classes = tuple(_class(one) for one in checks.short_list(told, "classes", MOST_CLASSES))
    if len({one.id for one in classes}) != len(classes):
        raise ValueError("a class number occurs twice")
    model = told["model"]
    checks.seconds(checks.text(told, "created", _LONGEST_TIME))
    return Manifest(
        images=checks.one_of(told, "images", get_args(Images)),
        label_hash=checks.sha256(told, "label_hash"),
        audit_hash=checks.sha256(told, "audit_hash"),
        items_sha256=checks.sha256(told, "items_sha256"),
        settings=_settings(told),
        classes=classes,
        backbone=checks.typed(told, "backbone", dict),
        counts=_counts(told),
        versions=_versions(told),
        model=None if model is None else checks.typed(told, "model", dict),
        notes=_read_notes(told),
        created=told["created"],
    )


def _settings(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings, whose values are checked as the project is made."""
    given: dict[str, Any] = checks.typed(told, "settings", dict)
    settings = {name: value for name, value in given.items() if name not in ONCE_WRITTEN}
    if unknown := sorted(set(settings) - set(SETTINGS)):
        more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
        names = ", ".join(checks.show_value(name) for name in unknown[:3])
        raise ValueError(f"unknown settings {names}{more}")
    for name, value in settings.items():
        if isinstance(value, str):
            checks.text(settings, name, _LONGEST_SETTING, empty=True)
        elif not isinstance(value, int | float):
            raise TypeError(f"{name} is neither text nor a number")
    return settings


def _counts(told: Mapping[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = checks.typed(told, "counts", dict)
    items = checks.whole(counts, "items", 0, MOST_ITEMS)
    checks.whole(counts, "labels", 0, items)
    # Made before there was a leak guard: nothing was regrouped, and nothing may be, or a round
    # would have other labels.
    counts.setdefault(COMPARED, items)
    checks.whole(counts, COMPARED, 0, items)
    return counts


def _versions(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions, which are printed where they differ from those here."""
    versions: dict[str, str] = checks.typed(told, "versions", dict)
    checks.short_list({"versions": list(versions)}, "versions", _MOST_PACKAGES)
    for package in versions:
        checks.line_of_text({"package": package}, "package", _LONGEST_WORD)
        checks.line_of_text(versions, package, _LONGEST_WORD)
    return versions


def _read_notes(told: Mapping[str, Any]) -> tuple[str, ...]:
    notes = checks.short_list(told, "notes", _MOST_NOTES)
    return tuple(checks.line_of_text({"note": note}, "note", _LONGEST_NOTE) for note in notes)


def _class(told: Any) -> ClassRecord:
    """Return a class; its name, key and colour are checked as the project is made."""
    if not isinstance(told, dict):
        raise TypeError("a class is no object")
    return ClassRecord(
        id=checks.whole(told, "id", 1),
        name=checks.text(told, "name", _LONGEST_NAME, empty=True),
        key=None if told["key"] is None else checks.text(told, "key", _LONGEST_WORD),
        colour=checks.text(told, "colour", _LONGEST_WORD),
        position=checks.whole(told, "position", 0, 2**31 - 1),
        archived=checks.typed(told, "archived", bool),
    )


def _line(told: Mapping[str, Any], classes: set[int]) -> Line:
    state: ItemState = checks.one_of(told, "state", get_args(ItemState))
    class_id = checks.whole(told, "class_id", 1) if state == "labelled" else None
    if class_id is not None and class_id not in classes:
        raise ValueError(f"there is no class {class_id}")
    decided = state != "unlabelled"
    reason = told.get("reason")
    return Line(
        sha256=checks.sha256(told, "sha256"),
        path=checks.text(told, "path", _LONGEST_PATH),
        width=checks.whole(told, "width", 1, _LARGEST_SIDE),
        height=checks.whole(told, "height", 1, _LARGEST_SIDE),
        format=checks.one_of(told, "format", imaging.FORMATS),
        bytes=checks.whole(told, "bytes", 1, LARGEST_IMAGE),
        group=checks.text(told, "group", _LONGEST_PATH),
        split=checks.one_of(told, "split", get_args(Split)),
        state=state,
        looks=None if told.get("looks") is None else checks.sha256(told, "looks"),
        class_id=class_id,
        annotator=checks.text(told, "annotator", _LONGEST_NAME) if decided else None,
        time=checks.seconds(checks.text(told, "time", _LONGEST_TIME)) if decided else None,
        reason=None if reason is None else checks.text(told, "reason", _LONGEST_REASON, empty=True),
    )
