"""Classes, and what became of merged ones."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update

from store.errors import Conflict, NotFound, StoreError
from store.models import LabelClass
from store.records import ClassRecord
from store.repository import Repository

COLUMNS = (
    LabelClass.id,
    LabelClass.name,
    LabelClass.key,
    LabelClass.colour,
    LabelClass.position,
    LabelClass.archived,
    LabelClass.merged_into,
)
FIELDS = frozenset(column.key for column in COLUMNS) - {"id"}


class Classes(Repository):
    """The classes of the project."""

    def all(self, archived: bool = False) -> list[ClassRecord]:
        """Return the classes in order of position, with the archived ones if asked."""
        query = select(*COLUMNS).order_by(LabelClass.position, LabelClass.id)
        if not archived:
            query = query.where(LabelClass.archived.is_(False))
        return [ClassRecord(*row) for row in self._connection.execute(query)]

    def get(self, class_id: int) -> ClassRecord:
        """Return one class, archived or not.

        Raises
        ------
        NotFound
            When there is none.
        """
        row = self._connection.execute(select(*COLUMNS).where(LabelClass.id == class_id)).first()
        if row is None:
            raise NotFound(f"There is no class with number {class_id}.")
        return ClassRecord(*row)

    def by_name(self, name: str) -> ClassRecord | None:
        """Return the class of exactly this name that is not archived."""
        query = select(*COLUMNS).where(LabelClass.name == name, LabelClass.archived.is_(False))
        row = self._connection.execute(query).first()
        return ClassRecord(*row) if row else None

    def resolve(self, class_id: int) -> int:
        """Return the class that `class_id` was merged into, or itself.

        Raises
        ------
        NotFound
            When there is no such class.
        """
        merged = self.targets()
        if class_id not in merged:
            raise NotFound(f"There is no class with number {class_id}.")
        return merged[class_id]

    def targets(self) -> dict[int, int]:
        """Return for every class, archived ones included, the one it counts as now."""
        steps = dict(self._connection.execute(select(LabelClass.id, LabelClass.merged_into)).all())
        return {class_id: _follow(steps, class_id) for class_id in steps}

    def members(self, class_id: int) -> list[int]:
        """Return the classes that count as `class_id`: itself and those merged into it."""
        return [member for member, target in self.targets().items() if target == class_id]

    def add(self, name: str, key: str | None, colour: str, position: int) -> ClassRecord:
        """Add a class.

        Raises
        ------
        Conflict
            When an unarchived class has the name or the key.
        """
        self._check_free(name, key, None)
        values = {"name": name, "key": key, "colour": colour, "position": position}
        query = insert(LabelClass).values(archived=False, **values).returning(LabelClass.id)
        made = self._connection.execute(query)
        return self.get(made.scalar_one())

    def update(self, class_id: int, **fields: Any) -> ClassRecord:
        """Change `name`, `key`, `colour`, `position`, `archived` or `merged_into`.

        Returns
        -------
        ClassRecord
            The class as it is now.

        Raises
        ------
        NotFound
            When there is no such class.
        Conflict
            When an unarchived class has the name or the key, or a merge would end in itself.
        """
        unknown = set(fields) - FIELDS
        if unknown:
            raise StoreError(f"A class has no {', '.join(sorted(unknown))}.")
        now = self.get(class_id)
        if not fields.get("archived", now.archived):
            self._check_free(fields.get("name", now.name), fields.get("key", now.key), class_id)
        target = fields.get("merged_into")
        if target is not None and (target == class_id or self.resolve(target) == class_id):
            raise Conflict(f"Class {now.name} cannot be merged into itself.")
        if fields:
            self._connection.execute(
                update(LabelClass).where(LabelClass.id == class_id).values(**fields)
            )
        return self.get(class_id)

    def _check_free(self, name: str, key: str | None, own: int | None) -> None:
        """Refuse a name or key that another unarchived class has."""
        rivals = select(LabelClass.name).where(
            LabelClass.archived.is_(False), LabelClass.id != (own or 0)
        )
        if self._connection.execute(rivals.where(LabelClass.name == name)).first() is not None:
            raise Conflict(f"There is a class {name} already. Take another name, or merge them.")
        holder = None
        if key is not None:
            holder = self._connection.execute(rivals.where(LabelClass.key == key)).scalar()
        if holder is not None:
            raise Conflict(f"The key {key} is taken by class {holder}. Choose another key.")


def _follow(steps: dict[int, int | None], class_id: int) -> int:
    """Follow merges to their end; a cycle, which `update` refuses, ends where it began."""
    seen = {class_id}
    target = steps[class_id]
    while target is not None and target not in seen:
        seen.add(target)
        class_id, target = target, steps[target]
    return class_id
