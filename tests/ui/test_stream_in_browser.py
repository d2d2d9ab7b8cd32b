"""A stream from the set-up to its roll-back, as a person goes through it in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from labeller import jobs
from labeller.project import Project
from labeller.services import streams, streams_run
from tests import browser as browsers
from tests.browser import PATIENCE, RunningApp
from tests.ui.modelled import answer, modelled

COUNTS = ("asked", "accepted", "deferred")
STEP = 35  # images in one step of the stream, so that it has several


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.shared() as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """150 images and a budget of 60, with a model; the test itself does the jobs."""
    return modelled(tmp_path_factory.mktemp("modelled"), 150, 60.0)


@pytest.fixture(scope="module")
def app(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    running = browsers.start_app(project.root, tmp_path_factory.mktemp("state"))
    yield running
    running.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    context.close()


def settle(page: Page) -> None:
    """Wait until the page is drawn."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(300)


def test_a_stream_is_tried_started_watched_checked_and_rolled_back(
    page: Page, app: RunningApp, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app.page("stream"))
    expect(page.get_by_role("heading", name="What to expect")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(1)
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("Nothing was written.")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    page.get_by_role("button", name="Start the stream").click()
    expect(page.get_by_text("Waiting for a worker to take it.")).to_be_visible()
    settle(page)

    watch_the_job(page, project, monkeypatch)
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    (shown,) = streams.runs(project)
    run = shown.run
    assert run.state == "finished"
    with project.store.read() as unit:
        sealed = unit.generated_labels.audit_open(run.id).tolist()
        entries = unit.queue.entries(1_000)
    assert sum(entry.strategy == run.strategy for entry in entries) == run.asked
    expect(page.get_by_text(f"of {run.accepted} generated labels")).to_be_visible()

    page.get_by_role("tab", name="Generated labels").click()
    tiles = page.get_by_role("option")
    expect(tiles).to_have_count(min(48, run.accepted - len(sealed)))
    expect(tiles.first.locator("img")).to_be_visible()
    expect(tiles.first).to_contain_text(re.compile(r"^\d+\s*% (cat|dog)"))

    answer(project, sealed, wrong=1)
    page.reload()
    expect(page.get_by_text("Where you disagreed")).to_be_visible()
    expect(page.get_by_role("option")).to_have_count(1)

    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("button", name="Roll the run back").click()
    expect(page.get_by_text("Rolled back by tester, just now")).to_be_visible()
    with project.store.read() as unit:
        assert unit.generated.get(run.id).verdict == "rolled_back"
        assert not len(unit.generated_labels.ids())
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert errors == []


def watch_the_job(page: Page, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the job here, in small steps, and see each on the page, which is not drawn again."""
    page.evaluate(
        """() => {
            window.touched = 0;
            new MutationObserver((seen) => { window.touched += seen.length; }).observe(
                document.querySelector('[data-testid=stMain]'),
                { childList: true, subtree: true, characterData: true });
        }"""
    )
    real = partial(streams_run.advance, size=STEP)
    steps: list[object] = []

    def step(*given: Any) -> Any:
        if steps:
            see(page, streams.runs(project)[0])
        made = real(*given)
        steps.append(made)
        return made

    monkeypatch.setattr(streams_run, "advance", step)
    done = jobs.run(project)
    assert done
    assert done.state == "done"
    assert len(steps) > 3
    assert page.evaluate("() => window.touched") == 0


def see(page: Page, shown: streams.RunView) -> None:
    """Wait until the counts of a run are on the page, and its bar with them."""
    for name in COUNTS:
        expected = f"{getattr(shown.run, name):,}"
        expect(page.locator(f"[data-ref={name}]")).to_have_text(expected)
    passed = 100 * shown.run.passed / (shown.run.passed + shown.unreached)
    bar = page.get_by_role("progressbar", name="How far it is")
    assert abs(int(bar.get_attribute("aria-valuenow") or 0) - passed) <= 1


def test_the_server_has_no_torch(page: Page, app: RunningApp) -> None:
    page.goto(app.page("stream"))
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    assert app.process
    maps = psutil.Process(app.process.pid).memory_maps()
    assert not [entry.path for entry in maps if "torch" in Path(entry.path).name]
