"""The grid of thumbnails under a person's hand: no click is lost when tiles are drawn anew."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from labeller.project import Project, create_project
from labeller.services import importing, labelling
from labeller.services.labelling import Act
from store.alive import host
from tests import browser as browsers
from tests.browser import PATIENCE, RunningApp
from tests.ui.conftest import images

TILES = 14


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.shared() as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("grid")
    made = create_project(folder / "pets", ["cat", "dog"], None, start_workers=False)
    importing.import_sources(made, [images(folder / "images", TILES)], labels="none")
    return made


@pytest.fixture(scope="module")
def app(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    running = browsers.start_app(project.root, tmp_path_factory.mktemp("state"))
    yield running
    running.stop()


@pytest.fixture
def page(chromium: Browser, app: RunningApp) -> Iterator[Page]:
    """The images page with its tiles, in a browser whose script errors fail the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    made = context.new_page()
    made.set_default_timeout(PATIENCE)
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.goto(app.page("images"))
    expect(made.locator(".tile img")).to_have_count(TILES)
    yield made
    context.close()
    assert not errors


def nth(page: Page, number: int) -> tuple[int, Locator]:
    """Return the item of the tile at a place, and the item's tile wherever it will be."""
    item = page.locator(".tile").nth(number).get_attribute("data-id")
    assert item
    return int(item), page.locator(f".tile[data-id='{item}']")


def press(page: Page, tile: Locator, count: int = 1) -> None:
    """Press the mouse on a tile for the `count`-th time of a multiple click."""
    tile.hover()
    page.mouse.down(click_count=count)


def relabel(project: Project, item: int, name: str, who: str = "ben") -> None:
    """Give an item a label behind the page's back: its next drawing changes the tile."""
    act = Act(f"{item}-{name}", "label", item, name)
    answer = labelling.record(project, who, "elsewhere", "page", [act])
    assert answer["results"][0]["status"] == "accepted"


def file_name(tile: Locator) -> str:
    return (tile.get_attribute("title") or "").rsplit("/", 1)[-1]


def turn_to(page: Page, name: str) -> None:
    page.get_by_test_id("stTopNavLink").filter(has_text=name).click()


def test_a_redraw_between_two_clicks_loses_no_double_click(page: Page, project: Project) -> None:
    item, tile = nth(page, 2)
    relabel(project, item, "cat")
    press(page, tile)
    page.mouse.up()
    expect(tile).to_contain_text("cat")
    expect(page.get_by_text("1 selected")).to_be_visible()
    press(page, tile, 2)
    page.mouse.up(click_count=2)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(file_name(tile)).first).to_be_visible()
    expect(dialog.get_by_text("labelled cat")).to_be_visible()
    expect(tile).to_have_attribute("aria-selected", "false")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Nothing selected")).to_be_visible()


def test_a_redraw_while_the_mouse_is_down_loses_no_click(page: Page, project: Project) -> None:
    _, first = nth(page, 4)
    item, second = nth(page, 5)
    relabel(project, item, "dog")
    first.click()
    press(page, second)
    expect(second).to_contain_text("dog")
    page.mouse.up()
    expect(second).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("2 selected")).to_be_visible()


def test_only_what_left_the_grid_leaves_the_selection(page: Page, project: Project) -> None:
    page.get_by_role("radiogroup", name="State").get_by_text("Unlabelled").click()
    with project.store.read() as unit:
        left = unit.items.count().unlabelled
    expect(page.locator(".tile")).to_have_count(left)
    (item, gone), (_, kept) = nth(page, 0), nth(page, 1)
    relabel(project, item, "cat")
    gone.click()
    kept.click()
    expect(page.locator(".tile")).to_have_count(left - 1)
    expect(kept).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("1 selected")).to_be_visible()


def test_clicks_on_a_server_that_is_late_neither_lose_nor_break_the_dialog(
    page: Page, app: RunningApp
) -> None:
    assert app.process
    (_, first), (_, other) = nth(page, 0), nth(page, 1)
    for _ in range(3):
        app.process.send_signal(signal.SIGSTOP)
        first.dblclick()
        other.click()
        page.wait_for_timeout(300)  # until the selection is sent as well
        app.process.send_signal(signal.SIGCONT)
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text(file_name(first)).first).to_be_visible()
        expect(page.get_by_text("1 selected")).to_be_attached()
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        other.click()
        expect(page.get_by_text("Nothing selected")).to_be_visible()


def test_a_dialog_stays_while_the_page_is_drawn_anew_and_goes_with_the_page(
    page: Page, project: Project
) -> None:
    rounds = page.get_by_role("heading", name="Rounds", exact=True)
    turn_to(page, "Rounds")
    expect(rounds).to_be_visible()
    turn_to(page, "Images")
    item, tile = nth(page, 3)
    relabel(project, item, "cat", "tester")
    tile.dblclick()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Label cat")).to_be_visible()
    dialog.get_by_role("button", name="Undo the last label").click()
    expect(dialog.get_by_text("Label Unlabelled")).to_be_visible()
    with project.store.write() as unit:
        job = unit.jobs.add("round", {}, True)
    with project.store.write() as unit:
        unit.jobs.claim(host(), os.getpid(), job_id=job.id)
    expect(page.get_by_text("Retraining")).to_be_attached()
    with project.store.write() as unit:
        unit.jobs.finish(job.id, "cancelled")
    expect(page.get_by_text("Retraining was cancelled.")).to_be_attached()
    expect(dialog.get_by_text(file_name(tile)).first).to_be_visible()
    page.go_back()
    expect(rounds).to_be_visible()
    expect(dialog).to_have_count(0)
    turn_to(page, "Images")
    expect(page.locator(".tile")).to_have_count(TILES)
    expect(dialog).to_have_count(0)


OVERLAPS = """() => {
  const within = (root) => [...root.querySelectorAll("*")].flatMap(
    (one) => (one.shadowRoot ? [one, ...within(one.shadowRoot)] : [one]));
  const toast = document.querySelector("[data-testid=stToast]");
  const over = toast.getBoundingClientRect();
  // What scrolls ends where its part of the page does.
  const end = document.querySelector("[data-testid=stMain]").getBoundingClientRect().bottom;
  const covered = (one) => {
    const box = one.getBoundingClientRect();
    return box.left < over.right && over.left < box.right
      && box.top < over.bottom && over.top < Math.min(box.bottom, end);
  };
  return within(document.body)
    .filter((one) => one.matches("button, a[href], input, [role=button], [role=option]"))
    .filter((one) => one.checkVisibility() && !toast.contains(one) && covered(one))
    .map((one) => one.outerHTML.slice(0, 80));
}"""


@pytest.mark.parametrize("width", [1280, 390])
def test_a_bulk_by_key_is_one_step_and_neither_toast_nor_page_hide_the_bar(
    page: Page, project: Project, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    (one, first), (other, second) = nth(page, 1), nth(page, 2)
    with project.store.read() as unit:
        before = [unit.labels.current(item) for item in (one, other)]
    first.click()
    second.click()
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_test_id("stToast")).to_be_visible()
    expect(first).to_contain_text("dog")
    assert page.evaluate(OVERLAPS) == []
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
    bar = page.locator(".st-key-lb_actions")
    expect(bar).to_be_in_viewport()
    box = bar.bounding_box()
    assert box
    topmost = page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).closest('.st-key-lb_actions') !== null",
        [box["x"] + 30, box["y"] + box["height"] / 2],
    )
    assert topmost, "nothing lies over the bar"
    undo, redo = (page.locator(f".st-key-images_{name} button") for name in ("undo", "redo"))
    expect(undo).to_contain_text("Undo: 2 × dog")
    page.keyboard.press("Backspace")
    expect(first).not_to_contain_text("dog")
    with project.store.read() as unit:
        assert [unit.labels.current(item) for item in (one, other)] == before
    expect(redo).to_be_enabled()
    page.keyboard.press("Delete")
    expect(second).to_contain_text("dog")
    expect(undo).to_be_enabled()
    page.keyboard.press("Control+z")
    expect(second).not_to_contain_text("dog")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("label the selected images")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
