"""Frozen records: the only things that leave the store.

Times are UTC seconds since the epoch. Amounts of budget are plain numbers in units of
the project's choice (one label costs one unless set otherwise).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "valid", "audit", "unused"]  # unused: near-duplicates of audit items
ItemState = Literal["unlabelled", "labelled", "skipped", "flagged"]
EventKind = Literal["label", "skip", "flag", "undo", "clear"]
ActKind = Literal[EventKind, "redo"]  # a redo is stored as an event of the kind it does again
EventSource = Literal["page", "api", "cli", "import"]
EventStatus = Literal["accepted", "duplicate", "second_opinion", "refused"]
QueueState = Literal["waiting", "done"]
RoundState = Literal["running", "done", "failed", "cancelled"]
JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
LedgerKind = Literal["set", "spend", "refund"]


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """One class, with the key that labels it."""

    id: int
    name: str
    key: str | None
    colour: str
    position: int
    archived: bool = False
    merged_into: int | None = None


@dataclass(frozen=True, slots=True)
class NewItem:
    """An image about to be imported; `path` is absolute, or relative to the project when copied."""

    sha256: str
    path: str
    copied: bool
    width: int
    height: int
    format: str
    bytes: int
    group: str
    split: Split


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One image of the project; `id` is its row in every vector file."""

    id: int
    sha256: str
    path: str
    copied: bool
    width: int
    height: int
    format: str
    bytes: int
    group: str
    split: Split
    added_at: float
    state: ItemState


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells without reading that a file is the one it was: size, and both of its times."""

    bytes: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class KnownPath:
    """What a path was last seen to hold: the bytes of an item, or (None) of no item.

    `stamp` is the file's at that time; None for a name inside an archive.
    """

    path: str
    item_id: int | None
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """The current label of an item: the projection of its events."""

    item_id: int
    class_id: int
    class_name: str
    annotator: str
    at: float
    source: EventSource
    strategy: str | None
    round_id: int | None
    event_id: int


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One labelled item as it is exported."""

    item_id: int
    path: str
    sha256: str
    class_name: str
    annotator: str
    at: float
    strategy: str | None
    split: Split
    source: EventSource
    round_number: int | None
    group: str


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What an annotator did, with the client-made `key` that makes a retry harmless."""

    key: str
    kind: ActKind
    item_id: int | None = None
    class_id: int | None = None
    reason: str | None = None
    undoes: str | None = None
    duration_ms: int | None = None
    client_at: float | None = None
    redoes: str | None = None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One line of the append-only history."""

    id: int
    key: str
    kind: EventKind
    item_id: int
    class_id: int | None
    annotator: str
    session: str | None
    source: EventSource
    at: float
    reason: str | None
    undoes: int | None
    undone: bool
    current: bool
    strategy: str | None
    round_id: int | None
    cost: float
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event.

    ``duplicate`` is an event that is stored already (the retry of an acknowledged one);
    ``second_opinion`` is stored but is not the item's current label, because somebody else's is.
    """

    key: str
    status: EventStatus
    item_id: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NewQueueEntry:
    """One pick of a strategy; `blind` entries (audit) carry no suggestion."""

    item_id: int
    strategy: str
    score: float | None
    blind: bool = False
    suggestion_class_id: int | None = None
    suggestion_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One place in the queue; `leased_by` is a session, `leased_to` the annotator in it."""

    id: int
    item_id: int
    position: int
    strategy: str
    score: float | None
    blind: bool
    suggestion_class_id: int | None
    suggestion_confidence: float | None
    round_id: int | None
    state: QueueState
    leased_by: str | None
    leased_until: float | None
    leased_to: str | None = None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How far the present queue is: `total` = `waiting` + `leased` + `done`."""

    waiting: int
    leased: int
    done: int

    @property
    def total(self) -> int:
        """All entries of the present queue."""
        return self.waiting + self.leased + self.done


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round: train, evaluate, predict, pick; one without labels enough has no model."""

    id: int
    number: int
    state: RoundState
    strategy: str
    batch: int
    job_id: int | None
    model_id: int | None
    started_at: float
    finished_at: float | None
    labels: int
    spent: float
    queued: int
    timings: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NewModel:
    """A trained model about to be registered; `path` is relative to the project."""

    path: str
    label_hash: str
    labels: int
    seed: int
    backbone: str
    device: str
    class_ids: tuple[int, ...]
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    timings: Mapping[str, float]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One registered model. Columns of its predictions are `class_ids`, in this order.

    One that was deleted has no files any more; its figures stay.
    """

    id: int
    round_id: int
    created_at: float
    in_use: bool
    path: str
    label_hash: str
    labels: int
    seed: int
    backbone: str
    device: str
    class_ids: tuple[int, ...]
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    timings: Mapping[str, float]
    versions: Mapping[str, str]
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """Where a model's predictions of all items lie: a vector file, row = item id."""

    model_id: int
    file: str
    items: int
    temperature: float
    created_at: float


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job row, the only truth about a job."""

    id: int
    kind: str
    state: JobState
    params: Mapping[str, Any]
    progress: float
    stage: str
    message: str
    detail: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    created_at: float
    started_at: float | None
    heartbeat_at: float | None
    finished_at: float | None
    cancel_requested: bool
    host: str | None
    pid: int | None

    @property
    def active(self) -> bool:
        """Whether the job still waits or runs."""
        return self.state in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """One import: what came in and what did not."""

    id: int
    source: str
    started_at: float
    finished_at: float | None
    added: int
    known: int
    labelled: int
    failed: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """One file that was left out, and why; `mend` says what to do about it."""

    path: str
    reason: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Items by state, and by split among the labelled; `unused` are unlabelled ones of no split."""

    items: int
    unlabelled: int
    labelled: int
    skipped: int
    flagged: int
    labelled_train: int
    labelled_valid: int
    labelled_audit: int
    unused: int = 0

    @property
    def askable(self) -> int:
        """Unlabelled items that anybody may be asked about."""
        return self.unlabelled - self.unused
