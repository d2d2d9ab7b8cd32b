"""What an import tells the person in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labeller import image_reasons
from labeller.project import Project
from labeller.services import leak_guard
from labeller.services.import_sources import Source, Survey
from labeller.services.import_writer import LabelConflict, Writer
from store.records import ImportProblem

NAMED = 20  # unknown classes named in the notes


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came in and what did not.

    `problems` and `conflicts` hold the first thousand; the store holds all of them. `notes` say
    what a person should know besides (classes made, folders that are no class).
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


def notes_on(
    project: Project, sources: Sequence[Source], surveys: Sequence[Survey], writer: Writer
) -> Iterator[str]:
    """Say what is neither an item nor a problem."""
    for source, survey in zip(sources, surveys, strict=False):
        if not survey.files:
            yield f"{source.shown}: holds no image. Known are {image_reasons.KINDS}."
    if writer.made:
        yield f"Classes made from the labels that came along: {', '.join(writer.made)}."
    for name, number in writer.unknown.most_common(NAMED):
        yield (
            f"There is no class {name!r}: {number:,} images with that label came in "
            "unlabelled. Add the class and import again to label them."
        )
    if writer.moved:
        yield f"{writer.moved:,} images that had been moved were found again."
    yield from leak_guard.tell_looks(project, writer.twins.aside, writer.twins.crowded)
    if writer.labelled and (told := leak_guard.tell_put_aside(project)):
        yield told
