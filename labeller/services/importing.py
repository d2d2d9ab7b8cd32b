"""Import images: each becomes an item once, and no bad file stops the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from labeller.progress import Progress, Silent
from labeller.project import Project
from labeller.services import leftovers, uploading
from labeller.services.import_plan import ImportPlan
from labeller.services.import_report import ImportReport
from labeller.services.import_run import Import
from labeller.services.import_sources import Labels
from store.records import JobRecord

__all__ = ["ImportReport", "import_sources", "run_import_job"]

LISTED = 20  # problems and conflicts in a job's result


def import_sources(
    project: Project,
    sources: Sequence[Path],
    copy: bool = False,
    progress: Progress | None = None,
    labels: Labels = "auto",
    announce: Callable[[ImportPlan], None] = lambda _: None,
) -> ImportReport:
    """Bring images into a project.

    Parameters
    ----------
    project : Project
    sources : sequence of Path
        Folders (with everything below), CSV files, zip archives, image files. Archives are always
        copied.
    copy : bool
        Copy the images into the project instead of pointing to where they lie.
    progress : Progress, optional
        Told after every file; its ``check`` may cancel, which keeps what is in.
    labels : {"auto", "folders", "none"}
        ``"auto"``: folders are labels where they fit the project's classes, or look like classes
        in a project that has none, by the rule of
        :func:`~labeller.services.folder_rule.decide_folders`. ``"folders"``: the first folder below
        the source and its split is the label, and classes are made as needed. ``"none"``: no
        labels, not even those of a CSV file. Classes are also made in a project that has none.
    announce : callable
        Told what was decided, and why, before anything is stored.

    Returns
    -------
    ImportReport
        An image known by the hash of its bytes is counted in ``known`` and keeps its label. Group
        and split that come along are given to it as far as
        :mod:`labeller.services.import_known` allows; where its file has another name by now, it
        has that one.

    Raises
    ------
    ImportSourceError
        When a source cannot be read at all (nothing is imported then), or when the project can no
        longer be written, as on a full disk (what is in stays).
    """
    return Import(project, sources, copy, progress or Silent(), labels, announce).run()


def run_import_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Do a job of the kind ``import``; its parameters are those of :func:`import_sources`."""
    params: Mapping[str, Any] = job.params
    leftovers.remove_half_thumbnails(project)
    report = import_sources(
        project,
        [Path(source) for source in params["sources"]],
        copy=bool(params.get("copy", False)),
        progress=progress,
        labels=params.get("labels", "auto"),
    )
    if not (params.get("arrived") and report.cancelled):  # then the rest comes with the next one
        uploading.forget(project, [Path(source) for source in params["sources"]])
    result = asdict(replace(report, sources=()))
    return result | {name: result[name][:LISTED] for name in ("problems", "conflicts", "notes")}
