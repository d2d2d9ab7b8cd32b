"""The tables of work: rounds, models, jobs, imports, and facts under a key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, Word, one_of
from store.records import JobState, RoundState


class Round(Base):
    """One round. `model_id` has no constraint: models point at their round already."""

    __tablename__ = "round"
    __table_args__ = (
        one_of("state", RoundState),
        UniqueConstraint("number"),
        Index(None, "job_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    state: Mapped[RoundState] = mapped_column(Word)
    strategy: Mapped[str]
    batch: Mapped[int]
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    model_id: Mapped[int | None]
    started_at: Mapped[float]
    finished_at: Mapped[float | None]
    labels: Mapped[int] = mapped_column(BigInteger)
    spent: Mapped[int] = mapped_column(BigInteger)
    queued: Mapped[int] = mapped_column(BigInteger)
    timings: Mapped[dict[str, Any]]
    error: Mapped[str | None]


class Model(Base):
    """One trained model; at most one is in use. A deleted one keeps its row, not its files."""

    __tablename__ = "model"
    __table_args__ = (
        Index(
            "uq_model_in_use",
            "in_use",
            unique=True,
            sqlite_where=text("in_use = 1"),
            postgresql_where=text("in_use"),
        ),
        Index(None, "round_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("round.id"))
    created_at: Mapped[float]
    in_use: Mapped[bool]
    path: Mapped[str]
    label_hash: Mapped[str] = mapped_column(String(64))
    labels: Mapped[int] = mapped_column(BigInteger)
    seed: Mapped[int] = mapped_column(BigInteger)
    backbone: Mapped[str]
    device: Mapped[str]
    class_ids: Mapped[list[int]] = mapped_column(JSON)
    config: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    timings: Mapped[dict[str, Any]]
    versions: Mapped[dict[str, Any]]
    deleted_at: Mapped[float | None]


class Prediction(Base):
    """Where the predictions of a model lie."""

    __tablename__ = "prediction"

    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), primary_key=True)
    file: Mapped[str]
    items: Mapped[int] = mapped_column(BigInteger)
    temperature: Mapped[float]
    created_at: Mapped[float]


class Job(Base):
    """One job; of an exclusive kind one at a time waits or runs."""

    __tablename__ = "job"
    __table_args__ = (
        one_of("state", JobState),
        Index(
            "uq_job_active",
            "kind",
            unique=True,
            sqlite_where=text("exclusive = 1 AND state IN ('waiting', 'running')"),
            postgresql_where=text("exclusive AND state IN ('waiting', 'running')"),
        ),
        Index(None, "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[JobState] = mapped_column(Word)
    exclusive: Mapped[bool]
    params: Mapped[dict[str, Any]]
    progress: Mapped[float]
    stage: Mapped[str]
    message: Mapped[str]
    detail: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    heartbeat_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    cancel_requested: Mapped[bool]
    host: Mapped[str | None]
    pid: Mapped[int | None]


class Setting(Base):
    """A fact of the project under a key, as JSON."""

    __tablename__ = "setting"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


class ImportRun(Base):
    """One import."""

    __tablename__ = "import_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    started_at: Mapped[float]
    finished_at: Mapped[float | None]
    added: Mapped[int] = mapped_column(BigInteger)
    known: Mapped[int] = mapped_column(BigInteger)
    labelled: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    cancelled: Mapped[bool]


class ImportTrouble(Base):
    """One file that an import left out."""

    __tablename__ = "import_problem"
    __table_args__ = (Index(None, "import_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("import_run.id"))
    path: Mapped[str]
    reason: Mapped[str]
    mend: Mapped[str]
