"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    create_annotator()
    create_budget()
    create_import_run()
    create_item()
    create_item_tally()
    create_job()
    create_label_class()
    create_setting()
    create_class_tally()
    create_import_problem()
    create_round()
    create_event()
    create_model()
    create_queue()
    create_label()
    create_ledger()
    create_prediction()
    op.execute("INSERT INTO budget (id, total, spent) VALUES (1, NULL, 0)")


def create_annotator() -> None:
    op.create_table(
        "annotator",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotator")),
        sa.UniqueConstraint("name", name=op.f("uq_annotator_name")),
    )


def create_budget() -> None:
    op.create_table(
        "budget",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_budget_one_row")),
        sa.CheckConstraint("spent >= 0", name=op.f("ck_budget_spent")),
        sa.CheckConstraint("total >= 0", name=op.f("ck_budget_total")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
    )


def create_import_run() -> None:
    op.create_table(
        "import_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column("labelled", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
    )


def create_item() -> None:
    op.create_table(
        "item",
        sa.Column("id", BigId, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("copied", sa.Boolean(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("split", sa.String(length=32), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.CheckConstraint("split IN ('train', 'valid', 'audit')", name=op.f("ck_item_split")),
        sa.CheckConstraint(
            "state IN ('unlabelled', 'labelled', 'skipped', 'flagged')", name=op.f("ck_item_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("sha256", name=op.f("uq_item_sha256")),
    )
    op.create_index(op.f("ix_item_path"), "item", ["path"])
    op.create_index(op.f("ix_item_split_id"), "item", ["split", "id"])
    op.create_index(op.f("ix_item_state_id"), "item", ["state", "id"])
    op.create_index(op.f("ix_item_state_path_id"), "item", ["state", "path", "id"])
    op.create_index(op.f("ix_item_state_split_id"), "item", ["state", "split", "id"])


def create_item_tally() -> None:
    op.create_table(
        "item_tally",
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("split", sa.String(length=32), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "split IN ('train', 'valid', 'audit')", name=op.f("ck_item_tally_split")
        ),
        sa.CheckConstraint(
            "state IN ('unlabelled', 'labelled', 'skipped', 'flagged')",
            name=op.f("ck_item_tally_state"),
        ),
        sa.PrimaryKeyConstraint("state", "split", name=op.f("pk_item_tally")),
    )


def create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("heartbeat_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_job_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(op.f("ix_job_state_id"), "job", ["state", "id"])
    op.create_index(
        "uq_job_active",
        "job",
        ["kind"],
        unique=True,
        sqlite_where=sa.text("exclusive = 1 AND state IN ('waiting', 'running')"),
        postgresql_where=sa.text("exclusive AND state IN ('waiting', 'running')"),
    )


def create_label_class() -> None:
    op.create_table(
        "label_class",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=True),
        sa.Column("colour", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("merged_into", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["merged_into"], ["label_class.id"], name=op.f("fk_label_class_merged_into_label_class")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_class")),
    )
    op.create_index(
        "uq_label_class_key",
        "label_class",
        ["key"],
        unique=True,
        sqlite_where=sa.text("archived = 0"),
        postgresql_where=sa.text("NOT archived"),
    )
    op.create_index(
        "uq_label_class_name",
        "label_class",
        ["name"],
        unique=True,
        sqlite_where=sa.text("archived = 0"),
        postgresql_where=sa.text("NOT archived"),
    )


def create_setting() -> None:
    op.create_table(
        "setting",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
    )


def create_class_tally() -> None:
    op.create_table(
        "class_tally",
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=32), nullable=False),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "split IN ('train', 'valid', 'audit')", name=op.f("ck_class_tally_split")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["label_class.id"], name=op.f("fk_class_tally_class_id_label_class")
        ),
        sa.PrimaryKeyConstraint("class_id", "split", name=op.f("pk_class_tally")),
    )


def create_import_problem() -> None:
    op.create_table(
        "import_problem",
        sa.Column("id", BigId, nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("mend", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_run.id"], name=op.f("fk_import_problem_import_id_import_run")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_problem")),
    )
    op.create_index(op.f("ix_import_problem_import_id_id"), "import_problem", ["import_id", "id"])


def create_round() -> None:
    op.create_table(
        "round",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.Column("timings", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed', 'cancelled')", name=op.f("ck_round_state")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_round_job_id_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round")),
        sa.UniqueConstraint("number", name=op.f("uq_round_number")),
    )
    op.create_index(op.f("ix_round_job_id"), "round", ["job_id"])


def create_event() -> None:
    op.create_table(
        "event",
        sa.Column("id", BigId, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("item_id", BigId, nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("client_at", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("undoes", BigId, nullable=True),
        sa.Column("undone", sa.Boolean(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.Boolean(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=True),
        sa.Column("round_id", sa.Integer(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('label', 'skip', 'flag', 'undo', 'clear')", name=op.f("ck_event_kind")
        ),
        sa.CheckConstraint(
            "source IN ('page', 'api', 'cli', 'import')", name=op.f("ck_event_source")
        ),
        sa.CheckConstraint("cost >= 0", name=op.f("ck_event_cost")),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_event_annotator_id_annotator")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["label_class.id"], name=op.f("fk_event_class_id_label_class")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_event_item_id_item")),
        sa.ForeignKeyConstraint(["round_id"], ["round.id"], name=op.f("fk_event_round_id_round")),
        sa.ForeignKeyConstraint(["undoes"], ["event.id"], name=op.f("fk_event_undoes_event")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("key", name=op.f("uq_event_key")),
    )
    op.create_index(op.f("ix_event_annotator_id_id"), "event", ["annotator_id", "id"])
    op.create_index(op.f("ix_event_item_id_id"), "event", ["item_id", "id"])
    op.create_index(
        op.f("ix_event_kind_undone_annotator_id_at"),
        "event",
        ["kind", "undone", "annotator_id", "at"],
    )
    op.create_index(op.f("ix_event_kind_undone_at"), "event", ["kind", "undone", "at"])
    op.create_index(op.f("ix_event_session_id"), "event", ["session", "id"])


def create_model() -> None:
    op.create_table(
        "model",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("in_use", sa.Boolean(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("label_hash", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("backbone", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("class_ids", sa.JSON(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("timings", sa.JSON(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["round.id"], name=op.f("fk_model_round_id_round")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
    )
    op.create_index(op.f("ix_model_round_id"), "model", ["round_id"])
    op.create_index(
        "uq_model_in_use",
        "model",
        ["in_use"],
        unique=True,
        sqlite_where=sa.text("in_use = 1"),
        postgresql_where=sa.text("in_use"),
    )


def create_queue() -> None:
    op.create_table(
        "queue",
        sa.Column("id", BigId, nullable=False),
        sa.Column("item_id", BigId, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("suggestion_class_id", sa.Integer(), nullable=True),
        sa.Column("suggestion_confidence", sa.Double(), nullable=True),
        sa.Column("round_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("leased_to", sa.Text(), nullable=True),
        sa.Column("leased_at", sa.Double(), nullable=True),
        sa.Column("leased_until", sa.Double(), nullable=True),
        sa.Column("lease_price", sa.BigInteger(), nullable=False),
        sa.Column("outdated", sa.Boolean(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'done')", name=op.f("ck_queue_state")),
        sa.CheckConstraint("lease_price >= 0", name=op.f("ck_queue_lease_price")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_queue_item_id_item")),
        sa.ForeignKeyConstraint(["round_id"], ["round.id"], name=op.f("fk_queue_round_id_round")),
        sa.ForeignKeyConstraint(
            ["suggestion_class_id"],
            ["label_class.id"],
            name=op.f("fk_queue_suggestion_class_id_label_class"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue")),
        sa.UniqueConstraint("item_id", name=op.f("uq_queue_item_id")),
    )
    op.create_index(op.f("ix_queue_leased_by"), "queue", ["leased_by"])
    op.create_index(op.f("ix_queue_position_id"), "queue", ["position", "id"])
    op.create_index(
        op.f("ix_queue_state_leased_until_leased_at_lease_price"),
        "queue",
        ["state", "leased_until", "leased_at", "lease_price"],
    )
    op.create_index(
        op.f("ix_queue_state_outdated_position"), "queue", ["state", "outdated", "position"]
    )


def create_label() -> None:
    op.create_table(
        "label",
        sa.Column("item_id", BigId, autoincrement=False, nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=True),
        sa.Column("round_id", sa.Integer(), nullable=True),
        sa.Column("event_id", BigId, nullable=False),
        sa.CheckConstraint(
            "source IN ('page', 'api', 'cli', 'import')", name=op.f("ck_label_source")
        ),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_label_annotator_id_annotator")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["label_class.id"], name=op.f("fk_label_class_id_label_class")
        ),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_label_event_id_event")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_label_item_id_item")),
        sa.ForeignKeyConstraint(["round_id"], ["round.id"], name=op.f("fk_label_round_id_round")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_label")),
        sa.UniqueConstraint("event_id", name=op.f("uq_label_event_id")),
    )
    op.create_index(op.f("ix_label_class_id_item_id"), "label", ["class_id", "item_id"])


def create_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("event_id", BigId, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('set', 'spend', 'refund')", name=op.f("ck_ledger_kind")),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_ledger_event_id_event")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_event_id"), "ledger", ["event_id"])


def create_prediction() -> None:
    op.create_table(
        "prediction",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("temperature", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_prediction_model_id_model")
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_prediction")),
    )
