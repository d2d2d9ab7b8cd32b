"""What an import tells the person in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labeller.project import Project
from labeller.services import leak_guard
from labeller.services.class_names import readable
from labeller.services.import_plan import ImportPlan, SourcePlan
from labeller.services.import_sources import Source
from labeller.services.import_tables import TableSource
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


def notes_on(
    project: Project, plan: ImportPlan | None, sources: Sequence[Source], writer: Writer
) -> Iterator[str]:
    """Say what is neither an item nor a problem."""
    yield from plan.describe() if plan else ()
    for source in sources:
        if isinstance(source, TableSource):
            yield from source.notes()
    if writer.made:
        yield f"Classes made from the labels that came along: {', '.join(writer.made)}."
    for name, number in writer.unknown.most_common(NAMED):
        yield (
            f"There is no class {name!r}: {number:,} images with that label came in "
            "unlabelled. Add the class and import again to label them."
        )
    yield from writer.remarks.sentences()
    if len(writer.unknown) > NAMED:
        yield f"{len(writer.unknown) - NAMED:,} more labels are no classes of the project either."
    for (name, taken), number in writer.respelled.items():
        yield f"{readable(name)} ({number:,}) is taken for the class {readable(taken)}."
    yield from writer.known_images.notes()
    yield from writer.places.notes()
    yield from leak_guard.tell_looks(project, writer.twins.aside, writer.twins.crowded)
    if writer.labelled and (told := leak_guard.tell_put_aside(project)):
        yield told
