"""Facts of a project that are no row of their own, as JSON under a key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update

from store.models_work import Setting
from store.repository import Repository


class SettingsTable(Repository):
    """Key and JSON value."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under a key."""
        row = self._connection.execute(select(Setting.value).where(Setting.key == key)).first()
        return default if row is None else row[0]

    def set(self, key: str, value: Any) -> None:
        """Put a JSON value under a key, over what was there."""
        self._gate()
        changed = self._connection.execute(
            update(Setting).where(Setting.key == key).values(value=value)
        )
        if not changed.rowcount:
            self._connection.execute(insert(Setting).values(key=key, value=value))

    def all(self) -> dict[str, Any]:
        """Return everything, by key."""
        query = select(Setting.key, Setting.value).order_by(Setting.key)
        return dict(self._connection.execute(query).all())
