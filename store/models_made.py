"""The tables of what the program made by itself: generated labels and synthetic items."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, Word, one_of
from store.records_made import (
    AuditKind,
    ChildVerdict,
    GeneratedKind,
    Outcome,
    RunState,
    SynthesisState,
    Verdict,
)


class GeneratedRun(Base):
    """One run that decides items by a model's predictions: its accepted ones are generated labels.

    Rolling it back changes `verdict` alone, so that it can be taken back too.
    """

    __tablename__ = "generated_run"
    __table_args__ = (
        one_of("kind", GeneratedKind),
        one_of("state", RunState),
        one_of("verdict", Verdict),
        Index(None, "verdict", "id"),
        Index(None, "job_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[GeneratedKind] = mapped_column(Word)
    state: Mapped[RunState] = mapped_column(Word)
    verdict: Mapped[Verdict] = mapped_column(Word)
    verdict_by: Mapped[str | None]
    verdict_at: Mapped[float | None]
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    strategy: Mapped[str]
    params: Mapped[dict[str, Any]]
    machine: Mapped[dict[str, Any]]
    cursor: Mapped[int] = mapped_column(BigInteger)
    asked: Mapped[int] = mapped_column(BigInteger)
    accepted: Mapped[int] = mapped_column(BigInteger)
    deferred: Mapped[int] = mapped_column(BigInteger)
    follow: Mapped[bool]
    created_at: Mapped[float]
    finished_at: Mapped[float | None]
    reason: Mapped[str | None]


class GeneratedDecision(Base):
    """What a run decided about an item; `detail` is what it takes to decide it again."""

    __tablename__ = "generated_decision"
    __table_args__ = (
        one_of("outcome", Outcome),
        one_of("audit", AuditKind),
        Index(None, "item_id", "outcome"),
        Index(None, "run_id", "outcome", "item_id"),
        Index(None, "run_id", "audit", "item_id"),
    )

    run_id: Mapped[int] = mapped_column(
        ForeignKey("generated_run.id"), primary_key=True, autoincrement=False
    )
    item_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("item.id"), primary_key=True, autoincrement=False
    )
    outcome: Mapped[Outcome] = mapped_column(Word)
    class_id: Mapped[int] = mapped_column(ForeignKey("label_class.id"))
    confidence: Mapped[float]
    audit: Mapped[AuditKind | None] = mapped_column(Word)
    detail: Mapped[dict[str, Any]]


class SynthesisRun(Base):
    """One run that made synthetic items; a deleted one keeps its row, for the ledger's sake."""

    __tablename__ = "synthesis_run"
    __table_args__ = (one_of("state", SynthesisState), Index(None, "job_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[SynthesisState] = mapped_column(Word)
    strategy: Mapped[str]
    params: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(BigInteger)
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    planned: Mapped[int] = mapped_column(BigInteger)
    made: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    spent: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float]
    finished_at: Mapped[float | None]
    error: Mapped[str | None]


class SyntheticItem(Base):
    """A child of a labelled training item; `id` is its row in the vector files of synthetic items.

    One without a `path` is a mixture of embeddings, of the parent and a partner.
    """

    __tablename__ = "synthetic_item"
    __table_args__ = (
        one_of("verdict", ChildVerdict),
        UniqueConstraint("run_id", "place"),
        CheckConstraint("(path IS NULL) = (sha256 IS NULL)", name="picture"),
        Index(None, "parent_id"),
        Index(None, "run_id", "verdict", "id"),
        {"sqlite_autoincrement": True},  # a number given twice would find the first one's vectors
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("synthesis_run.id"))
    place: Mapped[int]
    parent_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    class_id: Mapped[int] = mapped_column(ForeignKey("label_class.id"))
    recipe: Mapped[str]
    plan: Mapped[dict[str, Any]]
    path: Mapped[str | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    width: Mapped[int | None]
    height: Mapped[int | None]
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    verdict: Mapped[ChildVerdict | None] = mapped_column(Word)
    verdict_by: Mapped[str | None]
    verdict_at: Mapped[float | None]
