"""What an import tells the person in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labeller.services.import_plan import ImportPlan, SourcePlan
from labeller.services.import_writer import LabelConflict, Writer
from store.records import ImportProblem

NAMED = 20  # unknown classes named in the notes


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came in and what did not.

    `problems` and `conflicts` hold the first thousand; the store holds all of them. `notes` say
    what a person should know besides: what the folders were taken for, what was passed over,
    classes made. `sources` are what was decided about each source, before anything was stored.
    """

    import_id: int
    added: int
    known: int
    labelled: int
    failed: int
    cancelled: bool
    problems: tuple[ImportProblem, ...]
    seconds: float
    conflicts: tuple[LabelConflict, ...]
    notes: tuple[str, ...] = ()
    sources: tuple[SourcePlan, ...] = ()


def notes_on(plan: ImportPlan | None, writer: Writer) -> Iterator[str]:
    """Say what is neither an item nor a problem."""
    yield from plan.describe() if plan else ()
    if writer.made:
        yield f"Classes made from the labels that came along: {', '.join(writer.made)}."
    for name, number in writer.unknown.most_common(NAMED):
        yield (
            f"There is no class {name!r}: {number:,} images with that label came in "
            "unlabelled. Add the class and import again to label them."
        )
    if writer.moved:
        yield f"{writer.moved:,} images that had been moved were found again."
