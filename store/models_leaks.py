"""The tables of the leak guard."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, Word, one_of
from store.records import Split
from store.records_leaks import LinkMethod


class ItemHash(Base):
    """The perceptual hash of an item, 256 bits; none for one without contrast."""

    __tablename__ = "item_hash"

    item_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("item.id"), primary_key=True, autoincrement=False
    )
    bits: Mapped[bytes | None] = mapped_column(LargeBinary(32))


class NearDuplicate(Base):
    """A link between two items that look alike; `checked` once a regrouping has settled it."""

    __tablename__ = "near_duplicate"
    __table_args__ = (
        one_of("method", LinkMethod),
        CheckConstraint("other_id < item_id", name="order"),
        Index(None, "other_id"),
        Index(None, "checked", "item_id"),
    )

    item_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("item.id"), primary_key=True, autoincrement=False
    )
    other_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("item.id"), primary_key=True, autoincrement=False
    )
    method: Mapped[LinkMethod] = mapped_column(Word)
    distance: Mapped[float]
    checked: Mapped[bool]


class Regrouping(Base):
    """One run of the leak guard that changed something."""

    __tablename__ = "regrouping"
    __table_args__ = (Index(None, "job_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float]
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    distance: Mapped[float]
    joined: Mapped[int] = mapped_column(BigInteger)
    moved: Mapped[int] = mapped_column(BigInteger)
    unused: Mapped[int] = mapped_column(BigInteger)
    apart: Mapped[int] = mapped_column(BigInteger)
    undone: Mapped[int] = mapped_column(BigInteger)


class RegroupedItem(Base):
    """What a regrouping did to an item."""

    __tablename__ = "regrouped_item"
    __table_args__ = (
        one_of("split_before", Split),
        one_of("split_after", Split),
        Index(None, "item_id"),
        Index(None, "anchor_id"),
        Index(None, "group_before"),
        Index(None, "undone_at"),
    )

    regrouping_id: Mapped[int] = mapped_column(
        ForeignKey("regrouping.id"), primary_key=True, autoincrement=False
    )
    item_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("item.id"), primary_key=True, autoincrement=False
    )
    anchor_id: Mapped[int] = mapped_column(BigId, ForeignKey("item.id"))
    group_before: Mapped[str]
    group_after: Mapped[str]
    split_before: Mapped[Split] = mapped_column(Word)
    split_after: Mapped[Split] = mapped_column(Word)
    undone_at: Mapped[float | None]
