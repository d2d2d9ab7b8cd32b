"""The whole loop as a newcomer goes through it: folder, labels, retraining, the next queue."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, TimeoutError, expect

from labeller.project import Project, open_project
from tests.browser import PATIENCE, RunningApp, start_app

pytestmark = pytest.mark.timeout(900)  # half a minute on two idle cores
CLASSES = ("circle", "square", "cross")
KEYS = {name: str(number + 1) for number, name in enumerate(CLASSES)}
IMAGES = 240
BATCH = 40


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder of photographs, so to say, whose names tell the annotator what is on them."""
    rng = np.random.default_rng(4)
    folder = tmp_path / "shapes"
    folder.mkdir()
    for number in range(IMAGES):
        name = CLASSES[number % len(CLASSES)]
        draw_shape(name, rng).save(folder / f"{name}_{number:03d}.png")
    return folder


def draw_shape(name: str, rng: np.random.Generator) -> Image.Image:
    """Draw one shape at a random place on a noisy ground."""
    ground = rng.integers(0, 90, (96, 96, 3), dtype=np.uint8)
    image = Image.fromarray(ground)
    pen = ImageDraw.Draw(image)
    x, y = (int(v) for v in rng.integers(4, 44, 2))
    side = int(rng.integers(30, 46))
    ink = tuple(int(v) for v in rng.integers(140, 255, 3))
    if name == "circle":
        pen.ellipse((x, y, x + side, y + side), fill=ink)
    elif name == "square":
        pen.rectangle((x, y, x + side, y + side), fill=ink)
    else:
        pen.line((x, y, x + side, y + side), fill=ink, width=7)
        pen.line((x + side, y, x, y + side), fill=ink, width=7)
    return image


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    """The workbench without a project."""
    environment = {"LABELLER_PROJECTS": str(tmp_path / "projects"), "LABELLER_BATCH": str(BATCH)}
    running = start_app(None, tmp_path / "state", environment)
    yield running
    running.stop()


def until(look: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Wait until `look` says yes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if look():
            return
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def create_project(page: Page, app: RunningApp, source: Path) -> None:
    """Fill in the form of the start page."""
    page.goto(app.url)
    page.get_by_label("Images", exact=True).fill(str(source))
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{IMAGES} images")).to_be_visible()
    page.get_by_label("Project name").fill("Shapes")
    page.get_by_label("Classes", exact=True).fill(", ".join(CLASSES))
    page.get_by_role("spinbutton", name="Labelling budget").fill("200")
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Create project")
    expect(button).to_be_enabled()
    button.click()


def label(page: Page, number: int) -> list[str]:
    """Label by keys what the file names say, and return the names."""
    caption = page.locator("[data-ref=name]")
    done: list[str] = []
    for _ in range(number):
        expect(caption).not_to_have_text(done[-1] if done else "")
        name = caption.inner_text()
        page.keyboard.press(KEYS[name.partition("_")[0]])
        done.append(name)
        page.wait_for_timeout(40)
    return done


def labelled(project: Project) -> int:
    """Count the labelled items."""
    with project.store.read() as unit:
        return unit.items.count().labelled


def retrain(page: Page) -> None:
    """Press the sidebar's button."""
    page.get_by_role("button", name="Retrain round", exact=True).first.click()


def round_done(project: Project, number: int) -> Callable[[], bool]:
    """Return whether so many models are there and no job is at work."""

    def look() -> bool:
        with project.store.read() as unit:
            failed = [job.error for job in unit.jobs.all(20) if job.state == "failed"]
            assert not failed, failed
            return len(unit.models.all()) >= number and not unit.jobs.active()

    return look


def go(page: Page, title: str) -> None:
    """Follow a link of the navigation, again where a redraw of it swallowed the click."""
    link = page.get_by_role("link", name=re.compile(rf"\b{title}$")).first
    there = re.compile(r"/(\?|$)" if title == "Label" else rf"/{title.lower()}\b")
    link.click()
    with contextlib.suppress(TimeoutError):
        page.wait_for_url(there, timeout=PATIENCE / 2)
        return
    link.click()
    page.wait_for_url(there)


def curve_points(page: Page, number: int) -> None:
    """Open the rounds page and count the points of the learning curve."""
    go(page, "Rounds")
    points = page.locator(".js-plotly-plot").first.locator(".point")
    expect(points).to_have_count(number)


def screenshot(page: Page, tmp_path: Path, name: str) -> None:
    """Take the picture that the README shows, there when asked for."""
    folder = Path(os.environ.get("LABELLER_SCREENSHOTS", tmp_path))
    page.screenshot(path=folder / f"{name}.png")
    assert (folder / f"{name}.png").stat().st_size > 10_000


@pytest.mark.slow  # test_demo goes the same way, from the demo
def test_from_a_folder_to_the_second_model(
    page: Page,
    app: RunningApp,
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Create, label 30, undo two, retrain while labelling goes on, label the next queue, again."""
    create_project(page, app, shapes)
    root = tmp_path / "projects" / "shapes"
    until(lambda: (root / "project.toml").is_file(), "the project's settings, which come last")
    monkeypatch.setenv("LABELLER_STATE", app.environment["LABELLER_STATE"])  # the same account
    project = open_project(root)
    until(lambda: import_finished(project), "the import")
    go(page, "Label")
    names = label(page, 30)
    assert len(set(names)) == 30
    until(lambda: labelled(project) == 30, "30 labels in the store")

    for _ in range(2):
        page.keyboard.press("Backspace")
        page.wait_for_timeout(300)
    until(lambda: labelled(project) == 28, "two labels undone")
    assert label(page, 2) == names[-2:]

    with project.store.read() as unit:
        first_picks = {entry.item_id for entry in unit.queue.entries() if entry.state == "waiting"}
    retrain(page)
    until(lambda: job_active(project), "the job")
    label(page, 5)
    assert job_active(project), "labelling did not go on while the model was trained"
    until(lambda: labelled(project) == 35, "labels given while training")
    until(round_done(project, 1), "the first round")
    with project.store.read() as unit:
        queue = [entry for entry in unit.queue.entries() if entry.state == "waiting"]
    assert {entry.strategy for entry in queue if entry.leased_by is None} == {
        "uncertainty_herding",
        "audit",
    }
    assert not {entry.item_id for entry in queue} <= first_picks
    curve_points(page, 1)

    go(page, "Label")
    label(page, 25)
    screenshot(page, tmp_path, "shapes")
    until(lambda: labelled(project) == 60, "60 labels")
    retrain(page)
    until(round_done(project, 2), "the second round")
    curve_points(page, 2)
    screenshot(page, tmp_path, "rounds")
    right_and_paid(project)


def import_finished(project: Project) -> bool:
    """Whether all images are in and the first queue waits."""
    with project.store.read() as unit:
        return unit.items.count().items == IMAGES and unit.queue.counts().waiting > 0


def job_active(project: Project) -> bool:
    """Whether a round is on."""
    with project.store.read() as unit:
        return bool(unit.jobs.active("round"))


def right_and_paid(project: Project) -> None:
    """Every label is the one that was pressed, and each was paid once."""
    with project.store.read() as unit:
        rows = list(unit.labels.export())
        assert unit.budget.get().spent == 60
        model = unit.models.in_use()
    assert len(rows) == 60
    assert all(Path(row.path).name.startswith(row.class_name) for row in rows)
    assert model is not None
    assert model.metrics["n"] >= 1
