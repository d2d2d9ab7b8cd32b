"""Generated labels and synthetic items; groups are looked up; models can be deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    create_generated_run()
    create_synthesis_run()
    create_generated_decision()
    create_synthetic_item()
    op.create_index(op.f("ix_item_group_key"), "item", ["group_key"])
    op.add_column("model", sa.Column("deleted_at", sa.Double(), nullable=True))


def create_generated_run() -> None:
    op.create_table(
        "generated_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.Column("verdict_by", sa.Text(), nullable=True),
        sa.Column("verdict_at", sa.Double(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("machine", sa.JSON(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("deferred", sa.BigInteger(), nullable=False),
        sa.Column("follow", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('stream', 'propagation')", name=op.f("ck_generated_run_kind")),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'finished')", name=op.f("ck_generated_run_state")
        ),
        sa.CheckConstraint(
            "verdict IN ('open', 'accepted', 'rolled_back')", name=op.f("ck_generated_run_verdict")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_generated_run_job_id_job")),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_generated_run_model_id_model")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generated_run")),
    )
    op.create_index(op.f("ix_generated_run_job_id"), "generated_run", ["job_id"])
    op.create_index(op.f("ix_generated_run_verdict_id"), "generated_run", ["verdict", "id"])


def create_synthesis_run() -> None:
    op.create_table(
        "synthesis_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("planned", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed', 'cancelled', 'deleted')",
            name=op.f("ck_synthesis_run_state"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_synthesis_run_job_id_job")),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_synthesis_run_model_id_model")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_synthesis_run")),
    )
    op.create_index(op.f("ix_synthesis_run_job_id"), "synthesis_run", ["job_id"])


def create_generated_decision() -> None:
    op.create_table(
        "generated_decision",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item_id", BigId, autoincrement=False, nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("audit", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "audit IN ('random', 'extra')", name=op.f("ck_generated_decision_audit")
        ),
        sa.CheckConstraint(
            "outcome IN ('ask', 'accept', 'defer')", name=op.f("ck_generated_decision_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["label_class.id"],
            name=op.f("fk_generated_decision_class_id_label_class"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_generated_decision_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["generated_run.id"],
            name=op.f("fk_generated_decision_run_id_generated_run"),
        ),
        sa.PrimaryKeyConstraint("run_id", "item_id", name=op.f("pk_generated_decision")),
    )
    op.create_index(
        op.f("ix_generated_decision_item_id_outcome"), "generated_decision", ["item_id", "outcome"]
    )
    op.create_index(
        op.f("ix_generated_decision_run_id_audit_item_id"),
        "generated_decision",
        ["run_id", "audit", "item_id"],
    )
    op.create_index(
        op.f("ix_generated_decision_run_id_outcome_item_id"),
        "generated_decision",
        ["run_id", "outcome", "item_id"],
    )


def create_synthetic_item() -> None:
    op.create_table(
        "synthetic_item",
        sa.Column("id", BigId, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("parent_id", BigId, nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=32), nullable=True),
        sa.Column("verdict_by", sa.Text(), nullable=True),
        sa.Column("verdict_at", sa.Double(), nullable=True),
        sa.CheckConstraint("verdict IN ('keep', 'drop')", name=op.f("ck_synthetic_item_verdict")),
        sa.CheckConstraint(
            "(path IS NULL) = (sha256 IS NULL)", name=op.f("ck_synthetic_item_picture")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["label_class.id"], name=op.f("fk_synthetic_item_class_id_label_class")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["item.id"], name=op.f("fk_synthetic_item_parent_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["synthesis_run.id"], name=op.f("fk_synthetic_item_run_id_synthesis_run")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_synthetic_item")),
        sa.UniqueConstraint("run_id", "place", name=op.f("uq_synthetic_item_run_id_place")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_synthetic_item_parent_id"), "synthetic_item", ["parent_id"])
    op.create_index(
        op.f("ix_synthetic_item_run_id_verdict_id"), "synthetic_item", ["run_id", "verdict", "id"]
    )
