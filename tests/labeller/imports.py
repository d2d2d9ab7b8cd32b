"""What the tests of importing share."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labeller.errors import JobCancelled
from labeller.project import Project
from labeller.services import classes
from labeller.services.importing import ImportReport
from store.records import ItemRecord


class Recording:
    """A progress that remembers, and cancels when told to."""

    def __init__(self, stop_at: int | None = None, error: Exception | None = None) -> None:
        self.steps: list[tuple[str, int, int | None]] = []
        self.stop_at, self.error = stop_at, error or JobCancelled("stop")

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **_detail: Any
    ) -> None:
        self.steps.append((stage, done, total))

    def check(self) -> None:
        if self.stop_at is not None and self.steps:
            stage, done, _ = self.steps[-1]
            if stage == "import" and done >= self.stop_at:
                raise self.error


def items(project: Project) -> list[ItemRecord]:
    with project.store.read() as unit:
        return unit.items.page(order="path", limit=10_000)


def labels(project: Project) -> dict[str, str]:
    """Return the current labels by file name."""
    with project.store.read() as unit:
        return {Path(row.path).name: row.class_name for row in unit.labels.export()}


def reasons(report: ImportReport) -> dict[str, str]:
    assert report.failed == len(report.problems)
    assert all(problem.mend for problem in report.problems)
    return {problem.path.rsplit("/", 1)[-1]: problem.reason for problem in report.problems}


def class_names(project: Project) -> list[str]:
    return [record.name for record in classes.listed(project)]


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return path


def table(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path
