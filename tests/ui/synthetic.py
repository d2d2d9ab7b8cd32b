"""A small labelled project, and synthetic items put in it as a run would."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from labeller.project import Project, create_project
from labeller.services import importing
from labeller.services.synthesis import SynthesisPlan
from store.records import NewModel
from store.records_made import NewSyntheticItem

INKS = {"cat": (210, 120, 40), "dog": (40, 90, 200)}
COUNTS = {"cat": 8, "dog": 3}


def labelled_project(folder: Path, budget: float | None = 100.0, **settings: Any) -> Project:
    """Make a project whose images are all labelled and of the training split: 8 cats, 3 dogs."""
    rng = np.random.default_rng(0)
    for name, ink in INKS.items():
        (folder / "known" / name).mkdir(parents=True)
        for number in range(COUNTS[name]):
            pixels = np.clip(np.array(ink) + rng.integers(-40, 40, (48, 64, 3)), 0, 255)
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(folder / "known" / name / f"{name}_{number}.png")
    shares: dict[str, Any] = {"audit_share": 0.0, "valid_share": 0.0}
    # One process decodes, so that the images have their ids in order.
    made = create_project(folder / "pets", [], budget, workers=1, **shares, **settings)
    importing.import_sources(made, [folder / "known"], labels="folders")
    return made


def parents(project: Project) -> list[tuple[int, int]]:
    """Return the labelled training items with their classes."""
    with project.store.read() as unit:
        ids, classes, _ = unit.labels.arrays("train")
    return [(int(i), int(c)) for i, c in zip(ids, classes, strict=True)]


def add_run(
    project: Project,
    number: int = 4,
    state: Any = "done",
    planned: int | None = None,
    strategy: str = "balance",
    price: float = 1.0,
) -> int:
    """Store a run with `number` children and their files; mixtures have none."""
    plan = SynthesisPlan(strategy, planned or number, {"brightness": {"factor": (0.5, 0.6)}}, 7)
    with project.store.write() as unit:
        run = unit.synthetic.start(strategy, plan.to_json(), 7, planned or number)
    pictures = strategy not in ("interpolate", "latent_mixup")
    known = parents(project)
    items = [_child(project, run.id, place, known, pictures, strategy) for place in range(number)]
    with project.store.write() as unit:
        unit.synthetic.add(run.id, items, price)
        if state != "running":
            unit.synthetic.finish(run.id, state, "the disk is full" if state == "failed" else None)
    return run.id


def _child(
    project: Project,
    run: int,
    place: int,
    known: list[tuple[int, int]],
    pictures: bool,
    strategy: str,
) -> NewSyntheticItem:
    parent, class_id = known[place % len(known)]
    if not pictures:
        other = known[(place + 1) % len(known)][0]
        plan = {"parameters": {"partner": other, "weight": 0.75}, "seed": 0}
        return NewSyntheticItem(place, parent, class_id, strategy, plan)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (20 * place % 255, 90, 160)).save(buffer, "PNG")
    data = buffer.getvalue()
    path = project.root / "synthetic" / str(run) / f"{place}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    plan = {"parameters": {"factor": 0.55}, "seed": place}
    digest = hashlib.sha256(data + str(run).encode()).hexdigest()
    where = path.relative_to(project.root).as_posix()
    return NewSyntheticItem(
        place, parent, class_id, "brightness", plan, where, digest, 64, 48, len(data)
    )


def add_model(project: Project, told: dict[str, Any]) -> int:
    """Store a round whose model has this ablation; return the round's number."""
    metrics = {
        "accuracy": 0.9,
        "interval": [0.6, 0.98],
        "n": 10,
        "confusion": [[5, 0], [1, 4]],
        "ablation": told,
    }
    with project.store.write() as unit:
        ids = tuple(one.id for one in unit.classes.all())
        round_ = unit.rounds.start("margin", 6, None, 11, 11.0)
        made = unit.models.add(
            NewModel("models/m", "h" * 64, 11, 0, "b", "cpu", ids, {}, metrics, {}, {}), round_.id
        )
        unit.rounds.finish(round_.id, "done", model_id=made.id, queued=0)
    return round_.number
