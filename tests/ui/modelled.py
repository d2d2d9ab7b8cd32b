"""A project with a model that nobody trained: its predictions are drawn, and right as promised."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from labeller.project import Project, create_project, open_project
from labeller.services import importing, labelling
from labeller.services.labelling import Act
from tests.labeller.streaming import add_model

CLASSES = ("cat", "dog")
INKS = ((210, 120, 40), (40, 90, 200))


def modelled(folder: Path, number: int = 60, budget: float = 30.0) -> Project:
    """Make a project of `number` tiny images with a model in use and its predictions.

    Files are named after what they show; a prediction of confidence p is right with probability p.
    Nobody starts its jobs.
    """
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, number)
    (folder / "images").mkdir(parents=True)
    for place, kind in enumerate(truth):
        noise = rng.integers(-35, 35, (28, 28, 3))
        pixels = np.clip(np.array(INKS[kind]) + noise, 0, 255).astype(np.uint8)
        file = folder / "images" / f"{place:03d}_{CLASSES[kind]}.png"
        Image.fromarray(pixels).save(file)
    made = create_project(folder / "pets", list(CLASSES), budget, start_workers=False, batch=6)
    importing.import_sources(made, [folder / "images"], labels="none", copy=True)
    predict(made, rng)
    return made


def predict(project: Project, rng: np.random.Generator) -> int:
    """Put a model in use, and draw its predictions of every item."""
    with project.store.read() as unit:
        items = unit.items.page(limit=10_000, order="oldest")
    probs = np.empty((len(items), len(CLASSES)), np.float32)
    for row, item in enumerate(items):
        sure = 0.5 + 0.5 * rng.beta(3, 1)
        right = CLASSES.index(shown(item.path))
        predicted = right if rng.random() < sure else 1 - right
        probs[row, predicted], probs[row, 1 - predicted] = sure, 1 - sure
    return add_model(project, [item.id for item in items], probs)


def copy_of(project: Project, root: Path) -> Project:
    """Copy a project, under an identity of its own."""
    shutil.copytree(project.root, root)
    return open_project(root)


def shown(path: str) -> str:
    """Return what an image shows, by the name of its file."""
    return next(name for name in CLASSES if name in Path(path).stem)


def answer(project: Project, items: list[int], wrong: int = 0) -> None:
    """Label items as a person would; of the first `wrong` ones another class than generated."""
    with project.store.read() as unit:
        found = unit.items.many(items)
        made = unit.generated_labels.of(items)
        names = {one.id: one.name for one in unit.classes.all()}
    acts = []
    for place, item in enumerate(items):
        said = names[made[item].class_id] if item in made else shown(found[item].path)
        other = next(name for name in CLASSES if name != said)
        acts.append(Act(f"answer-{item}", "label", item, other if place < wrong else said))
    results = labelling.record(project, "anna", "s", "page", acts)["results"]
    assert {result["status"] for result in results} == {"accepted"}
