"""Generated labels wherever items are shown: marked, filtered, exported, sealed in the audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project
from labeller.services import labelling, streams
from labeller.services.labelling import Act
from labeller.ui import grid, opened
from tests.labeller.streaming import add_model, do_jobs, fixed, probabilities

Run = Callable[..., AppTest]


@pytest.fixture
def streamed(project: Project) -> tuple[Project, list[int]]:
    """Return a project whose stream generated labels, and the items that have one."""
    with project.store.write() as unit:
        unit.queue.replace([])
        ids = unit.items.ids().tolist()
    add_model(project, ids, probabilities([0.97] * len(ids), [1] * len(ids), classes=2))
    streams.start(project, fixed(ask_at_most=1))
    do_jobs(project)
    with project.store.read() as unit:
        made = unit.generated_labels.ids().tolist()
    assert len(made) >= 6
    return project, made


def test_the_images_page_marks_and_filters_generated_labels(
    open_app: Run, streamed: tuple[Project, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, made = streamed
    drawn: list[dict[str, Any]] = []

    def note(**given: Any) -> dict[str, Any]:
        drawn.append(given["data"])
        return {"selected": []}

    monkeypatch.setattr(grid, "_GRID", note)
    app = open_app(project, "images")
    assert not app.exception
    notes = {tile["id"]: tile["note"] for tile in drawn[-1]["items"]}
    assert {i for i, text in notes.items() if text == "generated: dog"} == set(made)
    app.pills(key="browse_state").set_value("generated").run()
    assert {tile["id"] for tile in drawn[-1]["items"]} == set(made)
    app.selectbox(key="browse_class").set_value(1).run()
    assert any("No image matches" in text.value for text in app.markdown)
    app.selectbox(key="browse_class").set_value(2).run()
    assert len(drawn[-1]["items"]) == len(made)

    streams.ask_audit(project, 1, share=0.01, least=1)
    with project.store.read() as unit:
        (asked,) = unit.generated_labels.audit_open(1).tolist()
    monkeypatch.setattr(opened, "in_grid", lambda grid: asked)
    app = open_app(project, "images")
    notes = {tile["id"]: tile["note"] for tile in drawn[-1]["items"]}
    assert notes[asked] == "generated, in the audit"
    facts = "".join(text.value for text in app.markdown)
    assert "hidden until the audit is answered; stream run 1, not accepted yet" in facts
    assert "**dog**" not in facts
    labelling.record(project, "anna", "s", "page", [Act("a", "label", asked, "cat")])
    other = next(i for i in made if i != asked)
    monkeypatch.setattr(opened, "in_grid", lambda grid: other)
    app = open_app(project, "images")
    facts = "".join(text.value for text in app.markdown)
    assert "**dog** :small[97 % sure; stream run 1, not accepted yet]" in facts
    labels = {tile["id"]: (tile["label"], tile["note"]) for tile in drawn[-1]["items"]}
    assert labels[asked] == ("cat", None)


def test_accepted_generated_labels_can_be_exported(
    open_app: Run, streamed: tuple[Project, list[int]]
) -> None:
    project, made = streamed
    app = open_app(project, "export")
    assert any("Nothing to export yet" in text.value for text in app.markdown)
    streams.decide(project, 1, "accepted", "anna")
    app = open_app(project, "export")
    assert not app.exception
    assert app.code[1].value.endswith("pets-labels.csv")
    app.checkbox(key="export_generated").check().run()
    preview, command = (code.value for code in app.code)
    assert preview.splitlines()[0].endswith("group,confidence,run")
    assert ",generated,1," in preview.splitlines()[1]
    assert command.endswith("pets-labels.csv --generated")
    assert len(made) >= len(preview.splitlines()) - 1
