"""The whole path in a browser: choose, preview, create, check by keys, delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from labeller.project import Project
from labeller.services import budget, synthesis
from tests import browser as browsers
from tests.browser import PATIENCE, RunningApp
from tests.cards import until
from tests.ui.synthetic import add_run, labelled_project

MEGABYTES = 300


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.shared() as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Eight cats and three dogs; jobs really run."""
    return labelled_project(tmp_path_factory.mktemp("synthesis"))


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


def verdicts(project: Project, run: int) -> Counter[str | None]:
    return Counter(one.verdict for one in synthesis.children(project, run))


def section(page: Page, name: str) -> None:
    page.get_by_role("radiogroup", name="Part of the page").get_by_text(name).click()


def check(page: Page) -> None:
    """Wait until a pair of pictures is there to be judged."""
    expect(page.locator("[data-ref=check][data-state=ready]")).to_be_visible()


def test_choose_preview_create_check_and_delete(
    app: RunningApp, page: Page, project: Project
) -> None:
    page.goto(app.page("synthesis"))
    expect(page.locator(".lb-children")).to_have_count(3)
    expect(page.locator(".lb-children img")).to_have_count(15)
    page.get_by_label("Look at").click()
    page.get_by_role("option", name="Brightness").click()
    row = page.locator(".lb-children").first
    expect(row).to_contain_text("factor")
    before = row.inner_text()
    page.get_by_role("slider").first.press("PageUp")
    expect(row).not_to_have_text(before, use_inner_text=True)
    page.get_by_role("button", name="Take 5").click()
    page.get_by_role("button", name="Create 5 items").click()
    expect(page.get_by_text("Check 5")).to_be_visible(timeout=60_000)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert budget.meter(project).spent == 5
    (run,) = (one.run.id for one in synthesis.runs(project))

    section(page, "Check")
    check(page)
    expect(page.get_by_role("heading", name="Would this still be a dog?")).to_be_visible()
    page.keyboard.press("Space")
    check(page)
    page.keyboard.press(".")
    until(lambda: verdicts(project, run) == {None: 3, "keep": 1, "drop": 1}, "two", page=page)
    page.keyboard.press("Backspace")
    until(lambda: verdicts(project, run) == {None: 4, "keep": 1}, "taken back", page=page)
    page.keyboard.press("Delete")
    until(lambda: verdicts(project, run)["drop"] == 1, "dropped again", page=page)
    page.keyboard.press("Control+z")
    until(lambda: verdicts(project, run) == {None: 4, "keep": 1}, "taken back", page=page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("yes, keep")
    page.keyboard.press("?")
    check(page)
    page.keyboard.down(".")
    for _ in range(5):  # a key that is held down judges one item only
        page.keyboard.down(".")
    page.keyboard.up(".")
    until(lambda: verdicts(project, run)["drop"] == 1, "dropped", page=page)
    for key in ("-", "Space", "2"):  # the key of its own class says yes as well
        check(page)
        page.keyboard.press(key)
    expect(page.get_by_text("Only what you skipped is left.")).to_be_visible()
    until(lambda: verdicts(project, run) == {None: 1, "keep": 3, "drop": 1}, "all", page=page)
    page.get_by_role("button", name="Show the 1 skipped again").click()
    check(page)
    page.keyboard.press("Space")
    expect(page.get_by_text("Nothing left to check.")).to_be_visible()

    section(page, "Runs")
    expect(page.get_by_text("Kept 4")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name=f"Delete run {run}").click()
    expect(page.get_by_text("Its items and files are gone")).to_be_visible()
    assert budget.meter(project).spent == 0
    assert not (project.root / "synthetic" / str(run)).exists()


def test_a_child_opens_beside_its_parent(app: RunningApp, page: Page, project: Project) -> None:
    add_run(project, 2)
    page.goto(app.page("synthesis"))
    section(page, "Runs")
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(2)
    expect(tiles.first.locator("img")).to_be_visible()
    dialog = page.get_by_role("dialog")
    tiles.first.dblclick()
    expect(dialog.get_by_text("Parent")).to_be_visible()
    expect(dialog.get_by_test_id("stImage")).to_have_count(2)
    expect(dialog.get_by_text("factor 0.55")).to_be_visible()


def test_a_verdict_that_did_not_arrive_is_sent_again(
    app: RunningApp, page: Page, project: Project
) -> None:
    add_run(project, 3)
    page.goto(app.page("synthesis"))
    section(page, "Check")
    check(page)
    page.route("**/synthetic/verdicts", lambda route: route.abort())
    page.keyboard.press("Space")
    expect(page.get_by_text("1 not saved yet")).to_be_visible()
    page.unroute("**/synthetic/verdicts")
    expect(page.get_by_text("not saved yet")).to_have_count(0)
    kept = sum(verdicts(project, one.run.id)["keep"] for one in synthesis.runs(project))
    assert kept == 1


def test_the_server_stays_small_and_without_torch(app: RunningApp) -> None:
    """It has rendered previews by now, in other processes."""
    assert app.process
    server = psutil.Process(app.process.pid)
    assert server.memory_info().rss < MEGABYTES * 2**20
    loaded = [Path(entry.path).name for entry in server.memory_maps()]
    assert not [name for name in loaded if "torch" in name]
