"""Run migrations on the connection that `store.schema` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

import store.base
import store.models
import store.models_leaks
import store.models_made
import store.models_work  # each puts its tables into the base's metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=store.base.Base.metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
