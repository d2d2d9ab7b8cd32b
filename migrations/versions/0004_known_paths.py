"""What each path was last seen to hold, with size and times of the file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "item_path",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("item_id", BigId, nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_item_path_item_id_item")),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_item_path")),
    )
    op.create_index(op.f("ix_item_path_item_id"), "item_path", ["item_id"])
