"""The main path in a browser, with a small real model: choose, predict, look, download."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from labeller.project import Project
from labeller.services import predictions
from tests import browser as browsers
from tests.browser import PATIENCE, RunningApp
from tests.labeller.learning.shapes import picture, trained

NUMBER = 8
MEGABYTES = 300


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.shared() as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a model, trained for a moment; jobs really run."""
    made = trained(tmp_path_factory.mktemp("predict") / "shapes")
    with made.store.write() as unit:  # the round was done without a process
        for job in unit.jobs.active():
            unit.jobs.finish(job.id, "done", result={})
    return made


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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images outside the project, whose names are as nasty as they can be, and a torn one."""
    folder = tmp_path / "new *photos*"
    folder.mkdir()
    for number in range(NUMBER):
        image = Image.fromarray(picture(number % 3, 700 + number, 64))
        image.save(folder / f"<b>{number} :red[x].png")
    whole = (folder / "<b>0 :red[x].png").read_bytes()
    (folder / "torn.png").write_bytes(whole[:200])
    return folder


def opened_name(page: Page) -> str:
    """Return the name of the image in the dialog."""
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Confidence")).to_be_visible()
    image = dialog.get_by_role("img")
    expect(image).to_be_visible()
    name = image.get_attribute("alt")
    assert name is not None
    shown = dialog.inner_text().replace("\u2060", "")
    assert name in shown, "letter by letter"
    return name


def test_choose_predict_look_and_download(
    app: RunningApp, page: Page, project: Project, photos: Path, tmp_path: Path
) -> None:
    page.goto(app.page("predict"))
    expect(page.get_by_text("Nothing is predicted yet.")).to_be_visible()
    page.get_by_role("textbox", name="Folder, zip file or CSV list").fill(str(photos))
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Predict", exact=True)
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_text("Still to come")).to_be_visible()
    expect(page.get_by_text("Images predicted", exact=True)).to_be_visible(timeout=120_000)
    (kept,) = predictions.listing(project)
    assert kept.summary is not None
    assert (kept.summary.predicted, kept.summary.failed) == (NUMBER, 1)
    expect(page.locator(".js-plotly-plot")).to_have_count(2)

    tiles = page.locator(".tile")
    expect(tiles).to_have_count(NUMBER)
    tiles.last.scroll_into_view_if_needed()
    expect(tiles.locator("img")).to_have_count(NUMBER)
    tiles.first.focus()
    page.keyboard.press("Enter")
    first = opened_name(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(tiles.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    page.keyboard.press("Space")
    assert opened_name(page) != first
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    tiles.nth(2).click()
    opened_name(page)
    page.keyboard.press("Escape")

    with page.expect_download() as waited:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert waited.value.suggested_filename == "new--photos-model-1.csv"
    waited.value.save_as(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    assert len(rows) == NUMBER + 1
    assert "truncated" in rows["torn.png"]["error"]
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert app.process
    server = psutil.Process(app.process.pid)
    assert server.memory_info().rss < MEGABYTES * 2**20
    assert not [entry.path for entry in server.memory_maps() if "torch" in Path(entry.path).name]

    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("Nothing is predicted yet.")).to_be_visible()
    assert len(list(photos.iterdir())) == NUMBER + 1
