"""The address in a real browser: reload, links, Back and Forward, tab titles, bad addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from labeller.project import Project
from labeller.services import recent
from tests import browser as browsers
from tests.browser import PATIENCE, RunningApp
from tests.ui.modelled import copy_of, modelled

IMAGES = 130  # three pages


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.shared() as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return modelled(tmp_path_factory.mktemp("address"), IMAGES)


@pytest.fixture(scope="module")
def other(project: Project) -> Project:
    return copy_of(project, project.root.parent / "others")


@pytest.fixture(scope="module")
def app(
    project: Project, other: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The workbench without a project of its own; two are known from before."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELLER_STATE", str(state))
        recent.remember(other)
        recent.remember(project)
    running = browsers.start_app(None, state)
    yield running
    running.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    context.close()


def query(page: Page) -> dict[str, str]:
    """Return what the address asks for."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def shows(page: Page, name: str, /, **wanted: str) -> None:
    """Expect a page with a project and choices in its address, and nothing besides."""
    path = re.escape(f"/{name}") + r"\?"
    page.wait_for_url(
        lambda url: (
            re.search(path, url) is not None
            and {n: v[0] for n, v in parse_qs(urlsplit(url).query).items()} == wanted
        ),
        timeout=PATIENCE,
    )


def pressed(page: Page, name: str) -> None:
    """Expect a chosen pill, segment or page."""
    expect(page.get_by_role("radio", name=name, exact=True)).to_be_checked()


def test_filters_page_and_size_live_in_the_address(
    page: Page, app: RunningApp, project: Project, chromium: Browser
) -> None:
    mine = project.id
    page.goto(f"{app.url}/images?project={mine}")
    expect(page.get_by_text(f"{IMAGES} images", exact=True)).to_be_visible()
    expect(page).to_have_title("Images · pets · Labeller")
    page.get_by_role("radio", name="L", exact=True).click()
    shows(page, "images", project=mine, size="L")
    page.get_by_role("button", name="Page 3", exact=True).click()
    shows(page, "images", project=mine, size="L", page="3")
    field = page.get_by_label("Find", exact=True)
    field.press_sequentially("cat", delay=60)
    shows(page, "images", project=mine, size="L", find="cat")
    link = page.url

    page.reload()
    expect(field).to_have_value("cat")
    pressed(page, "L")
    elsewhere = chromium.new_context().new_page()
    elsewhere.goto(link)
    expect(elsewhere.get_by_label("Find", exact=True)).to_have_value("cat")
    elsewhere.context.close()

    page.go_back()
    shows(page, "images", project=mine, size="L", page="3")
    expect(field).to_have_value("")
    expect(page.get_by_role("button", name="Page 3")).to_have_attribute("aria-current", "page")
    page.go_back()
    shows(page, "images", project=mine, size="L")
    page.go_forward()
    page.go_forward()
    shows(page, "images", project=mine, size="L", find="cat")
    expect(field).to_have_value("cat")


def test_back_and_forward_across_pages_and_projects(
    page: Page, app: RunningApp, project: Project, other: Project
) -> None:
    page.goto(f"{app.url}/images?project={project.id}&size=S")
    pressed(page, "S")
    page.get_by_role("link", name="Rounds").click()
    shows(page, "rounds", project=project.id)
    expect(page).to_have_title("Rounds · pets · Labeller")
    page.go_back()  # one step, whatever Streamlit makes of it
    shows(page, "images", project=project.id, size="S")
    pressed(page, "S")
    page.get_by_test_id("stSidebar").get_by_test_id("stPopover").get_by_role("button").click()
    page.locator(f"[class*='st-key-switch_{other.id}'] button").first.click()
    shows(page, "images", project=other.id)
    pressed(page, "M")
    page.go_back()
    shows(page, "images", project=project.id, size="S")
    pressed(page, "S")
    page.go_forward()
    shows(page, "images", project=other.id)
    leave = page.get_by_role("button", name="All projects")
    if not leave.is_visible():
        page.get_by_test_id("stSidebar").get_by_test_id("stPopover").get_by_role("button").click()
    leave.click()
    expect(page).to_have_title("Projects · Labeller")
    page.go_back()
    shows(page, "images", project=other.id)
    page.go_forward()
    expect(page.get_by_role("heading", name="Recent projects")).to_be_visible()


def test_a_link_of_the_navigation_carries_the_project(
    page: Page, app: RunningApp, project: Project
) -> None:
    page.goto(f"{app.url}/images?project={project.id}")
    link = page.get_by_role("link", name="Rounds")
    link.hover()
    expect(link).to_have_attribute("href", re.compile(rf"/rounds\?project={project.id}$"))


@pytest.mark.parametrize(
    "bad",
    [
        "class=999&state=nonsense&split=%00&order=up&size=XXL&page=99999999999999999999",
        "class=%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E&page=-1&find=%00%01",
        "find=%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D1%3E&nobody=knows",
    ],
)
def test_a_bad_address_is_left_out_with_a_word(
    page: Page, app: RunningApp, project: Project, bad: str
) -> None:
    page.goto(f"{app.url}/images?project={project.id}&{bad}")
    expect(page.get_by_test_id("stToast")).to_contain_text("The address asks for what is not there")
    expect(page.get_by_label("Find", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert page.evaluate("window.hacked") is None
    assert set(query(page)) <= {"project", "find"}


@pytest.mark.parametrize("named", ["../../etc", "%2Ftmp", "0" * 32, "", "%3Cb%3E"])
def test_no_address_opens_a_folder(page: Page, app: RunningApp, named: str) -> None:
    page.goto(f"{app.url}/images?project={named}")
    expect(page.get_by_role("heading", name="Recent projects")).to_be_visible()
    expect(page.get_by_text("The address names a project that was never opened")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_click_anywhere_in_a_row_chooses_it(
    page: Page, app: RunningApp, project: Project, tmp_path: Path
) -> None:
    with project.store.write() as unit:  # a round without a model
        record = unit.rounds.start("margin", 5, None, 0, 0)
        unit.rounds.finish(record.id, "failed", error="no disk")
    page.goto(f"{app.url}/rounds?project={project.id}")
    table = page.locator("[data-testid=stDataFrame] canvas").first
    expect(table).to_be_visible()
    page.wait_for_timeout(500)
    table.click(position={"x": 300, "y": 17 + 35}, force=True)  # not on the box
    shows(page, "rounds", project=project.id, round=str(record.number))
    expect(page.get_by_text("did not end: no disk")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("did not end: no disk")).to_have_count(0)
