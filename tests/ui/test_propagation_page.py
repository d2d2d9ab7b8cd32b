"""Labelling the rest of the pool from the stream page: expected, started, checked, rolled back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from labeller import jobs
from labeller.project import Project
from labeller.services import propagation
from labeller.services.propagation import Outlook, PropagationPlan
from labeller.ui import grid
from labeller.ui import propagation as page
from tests.ui.modelled import copy_of, modelled

Run = Callable[..., AppTest]


@pytest.fixture
def pets(tmp_path: Path) -> Project:
    made = modelled(tmp_path / "made")
    return copy_of(made, tmp_path / "pets")


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """What each grid was last given."""
    drawn: dict[str, list[dict[str, Any]]] = {}

    def draw(key: str, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        drawn[key] = data["items"]
        return {}

    monkeypatch.setattr(grid, "_GRID", draw)
    return drawn


def said(app: AppTest) -> str:
    assert not app.exception
    parts = (*app.main.markdown, *app.main.caption, *app.main.error)
    return " ".join(part.value for part in parts).replace("\\", "")


def rest(open_app: Run, project: Project) -> AppTest:
    app = open_app(project, "stream")
    return app.button_group(key="stream_part").set_value(page.REST).run()


def test_without_a_model_labels_come_first(open_app: Run, project: Project) -> None:
    app = rest(open_app, project)
    assert "gets a generated label; nobody is asked" in said(app)
    assert "There is no model yet" in said(app)
    assert not app.main.button


def test_from_the_outlook_to_the_roll_back(
    open_app: Run, pets: Project, tiles: dict[str, list[dict[str, Any]]]
) -> None:
    seen = propagation.outlook(pets, PropagationPlan(confidence=0.9))
    assert 0 < seen.accepted < seen.items
    app = rest(open_app, pets)
    app.slider(key=f"propagation_confidence_{pets.id}").set_value(90.0).run()
    assert f"**{seen.accepted:,} of {seen.items} unlabelled images** would get a label" in said(app)
    app.button_group(key=f"propagation_method_{pets.id}").set_value("spreading").run()
    assert "how sure spreading is of them shows when it runs" in said(app)
    app.button_group(key=f"propagation_method_{pets.id}").set_value("model").run()
    app.slider(key=f"propagation_audit_{pets.id}").set_value(50).run()
    app.button(key="propagation_start").click().run()
    assert "It is on; see the side bar" in said(app)
    done = jobs.run(pets)
    assert done is not None
    assert (done.kind, done.state) == ("propagation", "done")
    app.run()
    assert f"of {seen.accepted:,} generated labels" in said(app)
    (drawn,) = (items for key, items in tiles.items() if key.startswith("stream_grid"))
    with pets.store.read() as unit:
        sealed = set(unit.generated_labels.audit_open(1).tolist())
    assert sealed
    assert not sealed & {tile["id"] for tile in drawn}
    assert len(drawn) == seen.accepted - len(sealed)
    app.button(key="stream_rolled_back_now_1").click().run()
    assert "**Run 1: rolled back.**" in said(app)
    with pets.store.read() as unit:
        assert unit.generated_labels.count() == 0
    app.button_group(key="stream_part").set_value(page.STREAM).run()
    assert "Unlabelled images pass one by one" in said(app)


def test_the_curve_shows_what_is_set() -> None:
    found = Outlook(
        thresholds=np.array([0.5, 0.75, 1.0]),
        accepted_curve=np.array([9, 4, 1]),
        error_rates=np.array([0.2, 0.1, 0.0]),
    )
    figure = page.curve(found, 0.75, dark=False)
    assert list(figure.data[0].y) == [9, 4, 1]
    assert list(figure.data[1].y) == pytest.approx([20, 10, 0])
    assert figure.layout.shapes[0].x0 == 75
