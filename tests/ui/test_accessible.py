"""Every page can be read and used by all, in light, in dark and on a phone, and loads in place.

axe-core judges; what it calls serious or critical is a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page

from labeller import jobs
from labeller.project import Project
from labeller.services import predictions
from tests import browser as browsers
from tests.audits import add_model, probabilities
from tests.browser import RunningApp
from tests.e2e.test_loop import until
from tests.labeller.learning.shapes import label, trained
from tests.ui.test_in_browser import PAGES

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
LOOKS: dict[str, Any] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
WORST_SHIFT = 0.1
# Summed as the browser sums it: those without a press or key shortly before.
SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.shared() as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with something on every page: two models, measured, and a finished prediction."""
    made = trained(tmp_path_factory.mktemp("accessible") / "shapes")
    with made.store.write() as unit:  # the round was done without a process
        for job in unit.jobs.active():
            unit.jobs.finish(job.id, "done", result={})
        unlabelled = unit.items.ids(state="unlabelled", split="audit").tolist()
    label(made, unlabelled)
    with made.store.read() as unit:
        items, truth, _ = unit.labels.arrays("audit")
        columns = [one.id for one in unit.classes.all()]
    said = [columns.index(one) for one in truth.tolist()]
    said[0] = (said[0] + 1) % len(columns)
    predicted = probabilities(said, len(columns))
    add_model(made, items.tolist(), predicted, 40)
    with made.store.read() as unit:
        first = unit.models.all()[0].id
    predictions.start(made, lambda _: [made.root / "images"], first)
    return made


@pytest.fixture(scope="module")
def app(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    running = browsers.start_app(project.root, tmp_path_factory.mktemp("state"))

    def ended() -> bool:
        jobs.reap(project)
        with project.store.read() as unit:
            return not unit.jobs.active()

    until(ended, "the prediction")
    yield running
    running.stop()


def settle(page: Page) -> None:
    """Wait until a page is whole and nothing fades any more."""
    page.wait_for_function("document.documentElement.classList.contains('lb-drawn')")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(700)


def findings(page: Page) -> list[str]:
    """Return what axe calls serious or critical, a line each."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "look", ["light", *(pytest.param(one, marks=pytest.mark.slow) for one in ("dark", "phone"))]
)
def test_no_page_shuts_anybody_out(chromium: Browser, app: RunningApp, look: str) -> None:
    context = chromium.new_context(**LOOKS[look])
    context.add_init_script(SHIFTS)
    page = context.new_page()
    page.set_default_timeout(browsers.PATIENCE)
    wrong: dict[str, object] = {}
    for name in PAGES:
        page.goto(app.page(name))
        settle(page)
        shift = page.evaluate("window.shift")
        if shift >= WORST_SHIFT:
            wrong[f"{name}: layout shift"] = round(shift, 3)
        if found := findings(page):
            wrong[name] = found
        print(look, name, wrong.get(name), f"shift {shift:.3f}", flush=True)  # of a run that hangs
    context.close()
    assert not wrong
