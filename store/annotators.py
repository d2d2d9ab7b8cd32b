"""Annotators: who labels."""

from __future__ import annotations

from sqlalchemy import insert, select

from store.models import Annotator
from store.repository import Repository


class Annotators(Repository):
    """The names under which labels were given."""

    def ensure(self, name: str) -> int:
        """Return the number of an annotator, who is added if new."""
        query = select(Annotator.id).where(Annotator.name == name)
        found = self._connection.execute(query).scalar()
        if found is not None:
            return found
        self._gate()
        found = self._connection.execute(query).scalar()
        if found is not None:
            return found
        made = self._connection.execute(insert(Annotator).values(name=name).returning(Annotator.id))
        return made.scalar_one()

    def all(self) -> list[str]:
        """Return the names in order."""
        query = select(Annotator.name).order_by(Annotator.name)
        return list(self._connection.execute(query).scalars())
