"""Imports: what came in, and what was left out and why."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, insert, select, update

from store.models_work import ImportRun, ImportTrouble
from store.records import ImportProblem, ImportRecord
from store.repository import Repository, chunks

COLUMNS = (
    ImportRun.id,
    ImportRun.source,
    ImportRun.started_at,
    ImportRun.finished_at,
    ImportRun.added,
    ImportRun.known,
    ImportRun.labelled,
    ImportRun.failed,
    ImportRun.cancelled,
)


class Imports(Repository):
    """The imports of the project."""

    def start(self, source: str) -> int:
        """Begin an import and return its number."""
        values = {
            "source": source,
            "started_at": self._clock(),
            "added": 0,
            "known": 0,
            "labelled": 0,
            "failed": 0,
            "cancelled": False,
        }
        made = self._connection.execute(insert(ImportRun).values(values).returning(ImportRun.id))
        return made.scalar_one()

    def problem(self, import_id: int, problems: ImportProblem | Sequence[ImportProblem]) -> None:
        """Note files that were left out."""
        listed = [problems] if isinstance(problems, ImportProblem) else problems
        for part in chunks(listed):
            rows = [
                {"import_id": import_id, "path": one.path, "reason": one.reason, "mend": one.mend}
                for one in part
            ]
            self._connection.execute(insert(ImportTrouble), rows)

    def finish(
        self, import_id: int, added: int, known: int, labelled: int, failed: int, cancelled: bool
    ) -> None:
        """End an import with its numbers of files."""
        self._connection.execute(
            update(ImportRun)
            .where(ImportRun.id == import_id)
            .values(
                finished_at=self._clock(),
                added=added,
                known=known,
                labelled=labelled,
                failed=failed,
                cancelled=cancelled,
            )
        )

    def all(self) -> list[ImportRecord]:
        """Return all imports, newest first."""
        query = select(*COLUMNS).order_by(ImportRun.id.desc())
        return [ImportRecord(*row) for row in self._connection.execute(query)]

    def problems(self, import_id: int, limit: int = 100, offset: int = 0) -> list[ImportProblem]:
        """Return one page of what an import left out, in the order it was met."""
        query = (
            select(ImportTrouble.path, ImportTrouble.reason, ImportTrouble.mend)
            .where(ImportTrouble.import_id == import_id)
            .order_by(ImportTrouble.id)
            .limit(limit)
            .offset(offset)
        )
        return [ImportProblem(*row) for row in self._connection.execute(query)]

    def problem_count(self, import_id: int) -> int:
        """Count what an import left out."""
        query = select(func.count(ImportTrouble.id)).where(ImportTrouble.import_id == import_id)
        return self._count(query)
