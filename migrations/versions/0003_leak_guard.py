"""Perceptual hashes, links between near-duplicates, regroupings; a split of unused items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SPLITS = "('train', 'valid', 'audit', 'unused')"


def upgrade() -> None:
    allow_unused()
    create_item_hash()
    create_near_duplicate()
    create_regrouping()
    create_regrouped_item()


def allow_unused() -> None:
    for table in ("item", "item_tally", "class_tally"):
        name = op.f(f"ck_{table}_split")
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="check")
            batch.create_check_constraint(name, f"split IN {SPLITS}")


def create_item_hash() -> None:
    op.create_table(
        "item_hash",
        sa.Column("item_id", BigId, autoincrement=False, nullable=False),
        sa.Column("bits", sa.LargeBinary(length=32), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_item_hash_item_id_item")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_item_hash")),
    )


def create_near_duplicate() -> None:
    op.create_table(
        "near_duplicate",
        sa.Column("item_id", BigId, autoincrement=False, nullable=False),
        sa.Column("other_id", BigId, autoincrement=False, nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("distance", sa.Double(), nullable=False),
        sa.Column("checked", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "method IN ('hash', 'mirror', 'embedding')", name=op.f("ck_near_duplicate_method")
        ),
        sa.CheckConstraint("other_id < item_id", name=op.f("ck_near_duplicate_order")),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_near_duplicate_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["other_id"], ["item.id"], name=op.f("fk_near_duplicate_other_id_item")
        ),
        sa.PrimaryKeyConstraint("item_id", "other_id", name=op.f("pk_near_duplicate")),
    )
    op.create_index(op.f("ix_near_duplicate_other_id"), "near_duplicate", ["other_id"])
    op.create_index(
        op.f("ix_near_duplicate_checked_item_id"), "near_duplicate", ["checked", "item_id"]
    )


def create_regrouping() -> None:
    op.create_table(
        "regrouping",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("distance", sa.Double(), nullable=False),
        sa.Column("joined", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.Column("unused", sa.BigInteger(), nullable=False),
        sa.Column("apart", sa.BigInteger(), nullable=False),
        sa.Column("undone", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_regrouping_job_id_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_regrouping")),
    )
    op.create_index(op.f("ix_regrouping_job_id"), "regrouping", ["job_id"])


def create_regrouped_item() -> None:
    op.create_table(
        "regrouped_item",
        sa.Column("regrouping_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item_id", BigId, autoincrement=False, nullable=False),
        sa.Column("anchor_id", BigId, nullable=False),
        sa.Column("group_before", sa.Text(), nullable=False),
        sa.Column("group_after", sa.Text(), nullable=False),
        sa.Column("split_before", sa.String(length=32), nullable=False),
        sa.Column("split_after", sa.String(length=32), nullable=False),
        sa.Column("undone_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            f"split_before IN {SPLITS}", name=op.f("ck_regrouped_item_split_before")
        ),
        sa.CheckConstraint(f"split_after IN {SPLITS}", name=op.f("ck_regrouped_item_split_after")),
        sa.ForeignKeyConstraint(
            ["anchor_id"], ["item.id"], name=op.f("fk_regrouped_item_anchor_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_regrouped_item_item_id_item")
        ),
        sa.ForeignKeyConstraint(
            ["regrouping_id"],
            ["regrouping.id"],
            name=op.f("fk_regrouped_item_regrouping_id_regrouping"),
        ),
        sa.PrimaryKeyConstraint("regrouping_id", "item_id", name=op.f("pk_regrouped_item")),
    )
    for column in ("item_id", "anchor_id", "group_before", "undone_at"):
        op.create_index(op.f(f"ix_regrouped_item_{column}"), "regrouped_item", [column])
