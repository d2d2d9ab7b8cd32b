"""The tables of labelling. Nothing of this module leaves the store: repositories return records."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, Word, one_of
from store.records import EventKind, EventSource, ItemState, LedgerKind, QueueState, Split


class LabelClass(Base):
    """A class; a merged one stays, so that old events keep their meaning."""

    __tablename__ = "label_class"
    __table_args__ = (
        Index(
            "uq_label_class_name",
            "name",
            unique=True,
            sqlite_where=text("archived = 0"),
            postgresql_where=text("NOT archived"),
        ),
        Index(
            "uq_label_class_key",
            "key",
            unique=True,
            sqlite_where=text("archived = 0"),
            postgresql_where=text("NOT archived"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    key: Mapped[str | None] = mapped_column(String(16))
    colour: Mapped[str] = mapped_column(Word)
    position: Mapped[int]
    archived: Mapped[bool] = mapped_column(default=False)
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("label_class.id"))


class Item(Base):
    """An image; `id` is its row in every vector file."""

    __tablename__ = "item"
    __table_args__ = (
        one_of("split", Split),
        one_of("state", ItemState),
        UniqueConstraint("sha256"),
        Index(None, "path"),
        Index(None, "group_key"),
        Index(None, "state", "id"),
        Index(None, "state", "path", "id"),
        Index(None, "state", "split", "id"),
        Index(None, "split", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str]
    copied: Mapped[bool]
    width: Mapped[int]
    height: Mapped[int]
    format: Mapped[str] = mapped_column(Word)
    bytes: Mapped[int] = mapped_column(BigInteger)
    group_key: Mapped[str]
    split: Mapped[Split] = mapped_column(Word)
    added_at: Mapped[float]
    state: Mapped[ItemState] = mapped_column(Word)


class ItemPath(Base):
    """What a path was last seen to hold: an item's bytes, or (no item) bytes that are none's.

    Size and times are those of the file then; a name inside an archive has none.
    """

    __tablename__ = "item_path"
    __table_args__ = (Index(None, "item_id"),)

    path: Mapped[str] = mapped_column(primary_key=True)
    item_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("item.id"))
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    ctime_ns: Mapped[int | None] = mapped_column(BigInteger)


class ItemTally(Base):
    """How many items are in a state and split: kept, for pages ask every second."""

    __tablename__ = "item_tally"
    __table_args__ = (one_of("split", Split), one_of("state", ItemState))

    state: Mapped[ItemState] = mapped_column(Word, primary_key=True)
    split: Mapped[Split] = mapped_column(Word, primary_key=True)
    items: Mapped[int] = mapped_column(BigInteger)


class ClassTally(Base):
    """How many current labels a class has in a split."""

    __tablename__ = "class_tally"
    __table_args__ = (one_of("split", Split),)

    class_id: Mapped[int] = mapped_column(ForeignKey("label_class.id"), primary_key=True)
    split: Mapped[Split] = mapped_column(Word, primary_key=True)
    labels: Mapped[int] = mapped_column(BigInteger)


class Annotator(Base):
    """Somebody, or an import, that labels."""

    __tablename__ = "annotator"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Event(Base):
    """One line of the append-only history; `undone`, `current` and `cost` follow later events."""

    __tablename__ = "event"
    __table_args__ = (
        one_of("kind", EventKind),
        one_of("source", EventSource),
        UniqueConstraint("key"),
        CheckConstraint("cost >= 0", name="cost"),
        Index(None, "item_id", "id"),
        Index(None, "session", "id"),
        Index(None, "annotator_id", "id"),
        Index(None, "kind", "undone", "annotator_id", "at"),
        Index(None, "kind", "undone", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str]
    kind: Mapped[EventKind] = mapped_column(Word)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    class_id: Mapped[int | None] = mapped_column(ForeignKey("label_class.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    session: Mapped[str | None]
    source: Mapped[EventSource] = mapped_column(Word)
    at: Mapped[float]
    client_at: Mapped[float | None]
    reason: Mapped[str | None]
    undoes: Mapped[int | None] = mapped_column(ForeignKey("event.id"))
    undone: Mapped[bool]
    current: Mapped[bool]
    opinion: Mapped[bool]
    strategy: Mapped[str | None]
    round_id: Mapped[int | None] = mapped_column(ForeignKey("round.id"))
    cost: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)


class Label(Base):
    """The current label of an item: the projection of its events."""

    __tablename__ = "label"
    __table_args__ = (
        one_of("source", EventSource),
        UniqueConstraint("event_id"),
        Index(None, "class_id", "item_id"),
    )

    item_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("item.id"), primary_key=True, autoincrement=False
    )
    class_id: Mapped[int] = mapped_column(ForeignKey("label_class.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    at: Mapped[float]
    source: Mapped[EventSource] = mapped_column(Word)
    strategy: Mapped[str | None]
    round_id: Mapped[int | None] = mapped_column(ForeignKey("round.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id"))


class Queue(Base):
    """A place in the present queue; a waiting one's item is unlabelled, always.

    An outdated one was held when its queue was replaced: it takes its label and is not handed out.
    """

    __tablename__ = "queue"
    __table_args__ = (
        one_of("state", QueueState),
        UniqueConstraint("item_id"),
        CheckConstraint("lease_price >= 0", name="lease_price"),
        Index(None, "state", "outdated", "position"),
        Index(None, "state", "leased_until", "leased_at", "lease_price"),
        Index(None, "position", "id"),
        Index(None, "leased_by"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    position: Mapped[int] = mapped_column(BigInteger)
    strategy: Mapped[str]
    score: Mapped[float | None]
    blind: Mapped[bool]
    suggestion_class_id: Mapped[int | None] = mapped_column(ForeignKey("label_class.id"))
    suggestion_confidence: Mapped[float | None]
    round_id: Mapped[int | None] = mapped_column(ForeignKey("round.id"))
    state: Mapped[QueueState] = mapped_column(Word)
    leased_by: Mapped[str | None]
    leased_to: Mapped[str | None]
    leased_at: Mapped[float | None]
    leased_until: Mapped[float | None]
    lease_price: Mapped[int] = mapped_column(BigInteger)
    outdated: Mapped[bool]


class Budget(Base):
    """The one row of the budget, on PostgreSQL also the gate that writers pass one by one."""

    __tablename__ = "budget"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("total >= 0", name="total"),
        CheckConstraint("spent >= 0", name="spent"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    total: Mapped[int | None] = mapped_column(BigInteger)
    spent: Mapped[int] = mapped_column(BigInteger)


class Ledger(Base):
    """One line of the budget ledger."""

    __tablename__ = "ledger"
    __table_args__ = (one_of("kind", LedgerKind), Index(None, "event_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[float]
    kind: Mapped[LedgerKind] = mapped_column(Word)
    amount: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[int | None] = mapped_column(ForeignKey("event.id"))
    note: Mapped[str | None]
