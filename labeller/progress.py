"""How long work tells that it is alive, and learns that it should stop."""

from __future__ import annotations

from typing import Any, Protocol


class Progress(Protocol):
    """What every long service takes: a job row, a terminal bar and a test's list all fit."""

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """Say how far `stage` is (cheap: callers may call it once per item).

        `detail` holds JSON values for the page: ``epoch``, ``loss``, ``accuracy``, ``rate`` ...
        """

    def check(self) -> None:
        """Raise :class:`~labeller.errors.JobCancelled` when the work should stop."""


class Silent:
    """A progress that tells nobody."""

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """Drop it."""

    def check(self) -> None:
        """Never stop."""
