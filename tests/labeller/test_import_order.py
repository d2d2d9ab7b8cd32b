"""The result of an import does not depend on how many processes answer, or when."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labeller.project import Project, create_project
from labeller.services import classes, import_run, import_writer
from labeller.services.importing import import_sources
from tests.labeller.imports import items, table
from tests.labeller.pictures import encoded, photo, write

LATE = """
import sys, time, zlib
from labeller.services import import_worker
examine = import_worker._examined
def late(request, config):
    time.sleep(zlib.crc32((request["path"] + sys.argv[1]).encode()) % 7 / 60)
    return examine(request, config)
import_worker._examined = late
import_worker.main()
"""


def fill(folder: Path) -> Path:
    """Write 40 images: some alike, some twice, one that is none; labelled by a table."""
    rows = [["path", "label"]]
    for number in range(36):
        name = f"{number * 7 % 36:02d}.jpg"
        write(folder / name, photo(number))
        rows.append([name, ["zebra", "ant", "bee", "3", "cow"][number % 5]])
    for number in (2, 9, 20):
        look = Image.open(folder / f"{number * 7 % 36:02d}.jpg").resize((60, 60))
        write(folder / f"alike{number}.png", encoded(look, "PNG"))
    write(folder / "twice.jpg", photo(4))
    write(folder / "none.jpg", b"words")
    rows += [["alike2.png", "yak"], ["alike9.png", "bee"], ["none.jpg", "cow"]]
    table(folder / "list.csv", rows)
    return folder


def outcome(project: Project) -> dict[str, Any]:
    with project.store.read() as unit:
        every = [item.id for item in items(project)]
        links = [(one.item_id, one.other_id, one.method) for one in unit.leaks.links_of(every)]
        labels = [(row.path, row.class_name) for row in unit.labels.export()]
        problems = [p for record in unit.imports.all() for p in unit.imports.problems(record.id)]
    return {
        "classes": [(c.name, c.key, c.position) for c in classes.listed(project)],
        "items": [(i.id, i.sha256, i.path, i.split, i.group) for i in items(project)],
        "labels": labels,
        "links": sorted(links),
        "problems": problems,
    }


@pytest.mark.parametrize("sifted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_processes_and_their_speed_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sifted: bool
) -> None:
    monkeypatch.setattr(import_writer, "BATCH", 12)
    source = fill(tmp_path / "data")
    first = write(tmp_path / "first" / "known.jpg", photo(7)).parent
    found = []
    for run, workers in enumerate((1, 2, 4)):
        project = create_project(tmp_path / f"p{run}", [], workers=workers)
        if sifted:
            import_sources(project, [first])
        monkeypatch.setattr(import_run, "COMMAND", (sys.executable, "-c", LATE, str(run)))
        report = import_sources(project, [source / "list.csv", source])
        monkeypatch.undo()
        monkeypatch.setattr(import_writer, "BATCH", 12)
        assert (report.added, report.labelled) == (38 if sifted else 39, 38)
        found.append(outcome(project))
    assert found[0] == found[1] == found[2]
    assert [name for name, _, _ in found[0]["classes"]][:3] == ["zebra", "ant", "bee"]
    assert found[0]["links"]


def test_a_slow_file_keeps_nobody_waiting_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_run, "WINDOW", 4)  # fewer than the workers could have in hand
    project = create_project(tmp_path / "p", [], workers=2)
    source = fill(tmp_path / "data")
    assert import_sources(project, [source], copy=True).added == 39
    assert not list((project.root / "images").glob(".incoming*"))
