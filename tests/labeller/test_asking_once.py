"""Of images that look alike the queue asks about one, while others are left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeller.project import Project, change_settings, create_project
from labeller.services import rounds
from labeller.services.asking_once import Lots, ask_once, draw_from, read_lots
from labeller.services.importing import import_sources
from store.records import NewEvent
from tests.labeller.imports import items

SCENES, SHOTS = 30, 4


def take(folder: Path) -> Path:
    """Write bursts of four shots of many scenes, and ten scenes with one shot."""
    folder.mkdir()
    for seed in range(SCENES + 10):
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
        for shot in range(SHOTS if seed < SCENES else 1):
            image.resize((60 + shot, 60 + shot)).save(folder / f"{seed:02}-{shot}.png")
    return folder


def queued(project: Project) -> list[str]:
    """Return the scenes in the queue."""
    with project.store.read() as unit:
        entries = unit.queue.entries(1000)
        found = unit.items.many([one.item_id for one in entries])
    return [Path(found[one.item_id].path).name[:2] for one in entries]


def answer(project: Project) -> None:
    with project.store.write() as unit:
        (one,) = unit.classes.all()[:1]
        ids = [entry.item_id for entry in unit.queue.entries(1000)]
        events = [NewEvent(f"k{i}", "label", i, one.id) for i in ids]
        unit.labels.record("ann", None, "cli", events, 0.0)


@pytest.mark.parametrize("audit_share", [0.0, 0.3])
def test_no_scene_is_asked_about_twice_while_others_are_left(
    tmp_path: Path, audit_share: float
) -> None:
    project = create_project(
        tmp_path / "p", ["a", "b"], workers=1, batch=10, audit_share=audit_share
    )
    import_sources(project, [take(tmp_path / "photos")])
    sealed = {Path(one.path).name[:2]: one.split == "audit" for one in items(project)}
    asked: set[str] = set()
    repeats = 0
    while True:
        scenes = queued(project)
        for kind in (True, False):
            drawn = [scene for scene in scenes if sealed[scene] is kind]
            left = {scene for scene, audit in sealed.items() if audit is kind} - asked
            assert len(left & set(drawn)) == min(len(left), len(drawn)), "new scenes come first"
            repeats += len(drawn) - len(left & set(drawn))
        asked.update(scenes)
        answer(project)
        if not rounds.first_queue(project):
            break
    assert repeats == SCENES * (SHOTS - 1)
    with project.store.read() as unit:
        assert not unit.items.count().askable, "what was passed over is asked about in the end"


def test_who_wants_all_is_asked_about_all(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a"], workers=1, batch=120, audit_share=0.0)
    change_settings(project, distinct_distance=0.0)
    project = change_settings(project, distinct_distance=0.0)
    import_sources(project, [take(tmp_path / "photos")])
    assert max(Counter(queued(project)).values()) > 1


def test_a_group_that_a_person_named_is_no_burst(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a"], workers=1)
    import_sources(project, [take(tmp_path / "photos")])
    with project.store.write() as unit:
        lots = read_lots(unit)
        alone = [one for one in items(project) if lots.of(np.array([one.id]))[0] == -1]
        number = unit.regroupings.start(0.1)
        facts = unit.leaks.groups([one.id for one in alone])
        first, *others = list(facts.values())
        unit.regroupings.join(number, [(first, [one.key for one in others])])
        again = read_lots(unit)
    assert len(alone) == 10
    assert again.ids.tolist() == lots.ids.tolist(), "one patient looks different each time"


def test_the_first_of_each_lot_unless_it_was_asked_about() -> None:
    lots = Lots(np.array([2, 3, 5, 7, 8]), np.array([0, 1, 0, 1, 2]), np.array([2]))
    ids = np.array([1, 8, 7, 5, 3, 2, 9])
    first, again = ask_once(ids, lots)
    assert (first.tolist(), again.tolist()) == ([1, 8, 7, 5, 9], [3, 2])
    first, again = ask_once(ids, lots, np.array([2, 4]))
    assert (first.tolist(), again.tolist()) == ([1, 8, 7, 9], [5, 3, 2])
    assert lots.without_crowds().ids.tolist() == [2, 3, 5, 7]


def test_the_audit_set_draws_each_image_alike() -> None:
    """A burst of nine is drawn nine times as often as a single image, but once."""
    lots = Lots(np.arange(1, 10), np.zeros(9, np.int64))
    ids, drawn = np.arange(1, 20), Counter[int]()
    for seed in range(600):
        (one,) = draw_from(ids, 1, lots, np.empty(0, np.int64), np.random.default_rng(seed))
        drawn[int(one <= 9)] += 1
    assert 0.40 < drawn[1] / 600 < 0.55
    two = draw_from(ids, 11, lots, np.empty(0, np.int64), np.random.default_rng(0))
    assert (two[:11] <= 9).sum() == 1
    assert len(draw_from(ids, 19, lots, np.array([3]), np.random.default_rng(0))) == 19
    crowd = Lots(lots.ids, lots.lots, np.array([0]))
    assert draw_from(ids, 3, crowd, np.empty(0, np.int64), np.random.default_rng(0)) is ids
