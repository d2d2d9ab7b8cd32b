"""What all stages of a round share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labeller.learning.device import Device
from labeller.learning.images import Unreadable
from labeller.learning.snapshot import Snapshot
from labeller.learning.stopwatch import Stopwatch, versions
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import originals
from store.records import JobRecord, RoundRecord


@dataclass(slots=True)
class RoundContext:
    """One run of the job: what it works with, where, and what there is to say of it.

    `work` is a hidden folder for what becomes the model; `snapshot` is read anew where the leak
    guard moved items to other splits.
    """

    project: Project
    job: JobRecord
    progress: Progress
    watch: Stopwatch
    record: RoundRecord
    snapshot: Snapshot
    device: Device
    work: Path
    notes: list[str] = field(default_factory=list)
    unreadable: int = 0

    @property
    def name(self) -> str:
        """Name of the model's folder, and part of the name of its predictions' file."""
        return f"round-{self.record.number:04d}"

    @property
    def message(self) -> str:
        """All that the person should know of this round."""
        return " ".join(self.notes)

    def left_out(self, bad: Sequence[Unreadable]) -> None:
        """Count and note images that cannot be read."""
        self.unreadable += len(bad)
        replaced = [one.path for one in bad if one.reason == originals.REPLACED]
        if replaced:
            self.notes.append(originals.describe_replaced(replaced, "left out"))
        if bad := [one for one in bad if one.reason != originals.REPLACED]:
            self.notes.append(
                f"{len(bad):,} image{'s' if len(bad) > 1 else ''} cannot be read and "
                f"{'were' if len(bad) > 1 else 'was'} left out, first {bad[0].path}: "
                f"{bad[0].reason}. {bad[0].mend}".strip()
            )

    def about(self) -> dict[str, Any]:
        """Return what a model is made of and by, as JSON values."""
        return {
            "label_hash": self.snapshot.label_hash,
            "seed": self.project.settings.seed,
            "device": self.device.text,
            "versions": versions(),
        }
