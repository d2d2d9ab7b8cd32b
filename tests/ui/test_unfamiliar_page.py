"""Images that look like nothing seen, on the review page: listed, labelled, put aside, undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project
from labeller.services import energies
from labeller.services.energies import Familiarity
from labeller.services.unfamiliar import Listing
from labeller.ui import grid, unfamiliar
from store.vectors import VectorFile
from tests.labeller.streaming import add_model
from tests.ui.modelled import modelled

Run = Callable[..., AppTest]


@pytest.fixture
def pets(tmp_path: Path) -> Project:
    """60 images of which the first five outside the audit set have energies above 0."""
    made = modelled(tmp_path)
    known = Familiarity(0.0, 250, 250).to_json()
    probs = np.full((60, 2), 0.5, np.float32)
    model = add_model(made, range(1, 61), probs, {energies.KEY: known})
    with made.store.read() as unit:
        record, name = unit.predictions.get(model), Path(unit.models.get(model).path).name
    assert record is not None
    path = energies.path_of(made.file(record.file))
    file = VectorFile.open(path, 1, "float32", name)
    values = np.full((60, 1), -5.0)
    values[[i - 1 for i in listed(made)], 0] = [5, 4, 3, 2, 1]
    values[[i - 1 for i in audit(made)], 0] = 9
    file.write(range(1, 61), values)
    return made


def listed(project: Project) -> list[int]:
    with project.store.read() as unit:
        found: list[int] = unit.items.ids(split=("train", "valid")).tolist()[:5]
    return found


def audit(project: Project) -> list[int]:
    with project.store.read() as unit:
        found: list[int] = unit.items.ids(split="audit").tolist()
    return found


@pytest.fixture(autouse=True)
def tiles(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """What the grid was last given."""
    drawn: dict[str, list[dict[str, Any]]] = {}

    def draw(key: str, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        drawn[key] = data["items"]
        return {}

    monkeypatch.setattr(grid, "_GRID", draw)
    return drawn


def said(app: AppTest) -> str:
    assert not app.exception
    parts = (*app.main.markdown, *app.main.caption, *app.main.error)
    return " ".join(part.value for part in parts).replace("\\", "").replace("\u202f", " ")


def images(open_app: Run, project: Project) -> AppTest:
    app = open_app(project, "review")
    return app.button_group(key="review_part").set_value(unfamiliar.IMAGES).run()


def test_without_a_model(open_app: Run, project: Project) -> None:
    assert "There is no model yet" in said(images(open_app, project))


def test_listed_labelled_put_aside_undone(
    open_app: Run, pets: Project, tiles: dict[str, list[dict[str, Any]]]
) -> None:
    order = listed(pets)
    app = images(open_app, pets)
    assert "5 unlabelled images look like nothing seen" in said(app)
    assert "95 % of 250 random images of the audit set" in said(app)
    assert "of familiar images 2.5 to 7.7 % lie above" in said(app)
    assert "Energy 5.00" in said(app)
    assert [tile["id"] for tile in tiles["unfamiliar_grid"]] == order[1:]
    app.button(key="unfamiliar_none").click().run()
    with pets.store.read() as unit:
        event = unit.labels.history(order[0])[-1]
        (cat, dog) = (one.id for one in unit.classes.all())
    assert (event.kind, event.reason, event.annotator) == ("skip", "none of these", "anna")
    assert "4 unlabelled images" in said(app)
    app.button(key=f"unfamiliar_class_{dog}").click().run()
    with pets.store.read() as unit:
        current = unit.labels.current(order[1])
    assert current is not None
    assert current.class_id == dog != cat
    app.button(key="unfamiliar_pass").click().run()
    assert "Energy 2.00" in said(app)
    assert app.button(key="unfamiliar_undo").label.startswith("Undo: dog")
    app.button(key="unfamiliar_undo").click().run()
    app.button(key="unfamiliar_undo").click().run()
    assert "5 unlabelled images" in said(app)
    assert app.button(key="unfamiliar_undo").disabled
    app = images(open_app, pets)  # a reload
    app.button(key="unfamiliar_redo").click().run()
    app.button(key="unfamiliar_redo").click().run()
    assert "3 unlabelled images" in said(app)
    app.button(key="unfamiliar_undo").click().run()
    app.button(key="unfamiliar_undo").click().run()
    assert "5 unlabelled images" in said(app)
    for _ in range(5):
        app.button(key="unfamiliar_pass").click().run()
    assert "Only what you passed over is left" in said(app)
    app.button(key="unfamiliar_again").click().run()
    assert "Energy 5.00" in said(app)


def test_the_words_and_the_plot() -> None:
    known = Familiarity(-2.5, 140, 20)
    found = Listing(None, 3, known, 1, (), np.array([-9.0, -8.0, -1.0]))
    assert "140 random images of the audit set, 120 of them without a label" in unfamiliar.heading(
        found
    )
    assert unfamiliar.heading(found).startswith("1 unlabelled image looks like")
    figure = unfamiliar.histogram(found, dark=True)
    assert (figure.data[0].y.sum(), figure.data[0].y[0], figure.data[0].y[-1]) == (3, 1, 1)
    assert figure.data[0].x[0] - figure.data[0].width[0] / 2 == pytest.approx(-9)
    assert figure.layout.shapes[0].x0 == -2.5
