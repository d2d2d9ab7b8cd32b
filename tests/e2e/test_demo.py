"""The newcomer's other way in: the demo, from the start page to a trained model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from labeller.project import Project, open_project
from labeller.services import demo
from tests.browser import RunningApp, start_app
from tests.e2e.test_loop import labelled, retrain, round_done, until

pytestmark = pytest.mark.timeout(900)  # half a minute on two idle cores


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    """The workbench without a project."""
    environment = {"LABELLER_PROJECTS": str(tmp_path / "projects")}
    running = start_app(None, tmp_path / "state", environment)
    yield running
    running.stop()


def picks_leased(project: Project) -> bool:
    """Whether the card holds items of the model's queue."""
    with project.store.read() as unit:
        picks = [e for e in unit.queue.entries() if e.strategy == "uncertainty_herding"]
    return any(entry.leased_by for entry in picks)


def test_the_demo_is_labelled_to_a_trained_model(
    page: Page, app: RunningApp, tmp_path: Path
) -> None:
    """One press makes it; one more trains the first model; its queue is labelled by keys."""
    page.goto(app.url)
    page.get_by_role("button", name="Open the demo").click()
    expect(page.locator("[data-ref=name]")).not_to_be_empty()
    project = open_project(tmp_path / "projects" / "demo")
    before = labelled(project)
    retrain(page)
    until(round_done(project, 1), "the first round")
    with project.store.read() as unit:
        model = unit.models.in_use()
        keys = {one.name: str(one.key) for one in unit.classes.all()}
    assert model is not None
    # Ten classes, 300 labels: far above chance, whatever the machine.
    assert model.metrics["accuracy"] > 0.6

    truth = demo.truth()
    caption = page.locator("[data-ref=name]")
    pressed = suggested = 0
    # The image on the screen stays when the queue is replaced; the answer to its label brings the
    # model's picks, with suggestions unless they are of the audit set.
    while pressed < 12 or suggested < 7:
        assert pressed < 30, f"{suggested} suggestions on {pressed} images"
        name = caption.inner_text()
        suggested += page.locator("[data-ref=accept]").is_enabled()
        with project.store.read() as unit:
            item = unit.items.page(text=name, limit=1)[0]
        page.keyboard.press(keys[truth[item.sha256]])
        pressed += 1
        expect(caption).not_to_have_text(name)
        until(lambda: picks_leased(project), "the new queue on the card")
        page.wait_for_timeout(100)
    until(lambda: labelled(project) == before + pressed, "every label")
