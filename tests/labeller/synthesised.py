"""Projects of small pictures to make new items of, and synthesis jobs run in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from labeller.jobs.control import finish
from labeller.learning.synthesis_job import run_synthesis_job
from labeller.progress import Progress, Silent
from labeller.project import Project, create_project
from labeller.services import synthesis
from labeller.services.synthesis import SynthesisPlan
from labeller.services.synthesis_rendering import Answer, Wanted, config_of
from labeller.services.synthesis_worker import answer
from labeller.squares import Resize
from store.records import JobRecord, NewEvent, NewItem, Split
from store.records_made import SyntheticRecord

CLASSES = ("a", "b", "c")
SPLITS: tuple[Split, ...] = ("train", "train", "valid", "train", "audit", "train")


def project_of(
    root: Path,
    number: int,
    splits: Sequence[Split] = SPLITS,
    side: tuple[int, int] = (24, 20),
    grey: bool = False,
    **settings: Any,
) -> Project:
    """Make a project of `number` pictures; nobody labelled any."""
    project = create_project(root, CLASSES, start_workers=False, **settings)
    items = []
    for seed in range(number):
        path = project.root / "images" / f"{seed:03}.png"
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, 256, (6, 6) if grey else (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(side, Image.Resampling.BILINEAR).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        items.append(
            NewItem(
                digest,
                f"images/{path.name}",
                True,
                *side,
                "PNG",
                path.stat().st_size,
                digest,
                splits[seed % len(splits)],
            )
        )
    with project.store.write() as unit:
        unit.items.add(items)
    return project


def label(project: Project, items: Iterable[int], column: int | None = None) -> None:
    """Label items as of a class, by default item i of class i mod 3."""
    with project.store.write() as unit:
        classes = [one.id for one in unit.classes.all()]
        events = [
            NewEvent(
                key=f"{item}:{column}:{len(unit.labels.history(item))}",
                kind="label",
                item_id=item,
                class_id=classes[item % 3 if column is None else column],
            )
            for item in items
        ]
        results = unit.labels.record("anna", "s", "page", events, 1.0)
    assert all(one.status == "accepted" for one in results), results


def submitted(project: Project, plan: SynthesisPlan) -> JobRecord:
    """Start a run and claim its job."""
    return claimed(project, synthesis.start(project, plan))


def claimed(project: Project, job: JobRecord) -> JobRecord:
    """Claim a job for this process."""
    with project.store.write() as unit:
        found = unit.jobs.claim("here", 1, job_id=job.id)
    assert found is not None
    return found


def work(project: Project, job: JobRecord, progress: Progress | None = None) -> dict[str, Any]:
    """Do a claimed job in this process, and end its row as the worker does."""
    try:
        result = run_synthesis_job(project, job, progress or Silent())
    except Exception as error:
        with project.store.write() as unit:
            finish(unit, job.id, "failed", error=str(error))
        raise
    with project.store.write() as unit:
        finish(unit, job.id, "cancelled" if result.get("cancelled") else "done", result=result)
    return result


def run(project: Project, plan: SynthesisPlan, progress: Progress | None = None) -> dict[str, Any]:
    """Make the items of a plan in this process."""
    return work(project, submitted(project, plan), progress)


def rendered_here(
    project: Project,
    wanted: Iterable[Wanted],
    count: int,
    progress: Progress,
    side: int = 1_024,
    resize: Resize | None = None,
) -> Generator[tuple[Wanted, Answer]]:
    """Render as `rendered` does, without processes: for tests that make many runs."""
    for one in wanted:
        progress.check()
        request = {
            "source": str(project.file(one.item.path)),
            "plan": one.plan.to_json(),
            "target": None if one.target is None else str(one.target),
        }
        yield one, answer(request, config_of(project, side, resize))


def children(project: Project, run_id: int) -> list[SyntheticRecord]:
    """Return all children of a run."""
    return synthesis.children(project, run_id, limit=10_000)


def hashes(project: Project, run_id: int) -> dict[int, str]:
    """Return the hashes of a run's pictures by place, once they are those of the files."""
    found = {}
    for child in children(project, run_id):
        assert child.path is not None
        assert child.sha256 is not None
        data = project.file(child.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == child.sha256
        assert child.bytes == len(data)
        with Image.open(project.file(child.path)) as image:
            assert (child.width, child.height) == image.size
        found[child.place] = child.sha256
    return found
