"""The labelling page on photographs, with a model that suggests: the picture of the README.

``LABELLER_SCREENSHOTS=docs pytest -m slow tests/e2e/test_photos.py`` takes it anew. The photographs
come with scikit-image and are free: a cat (S. van der Walt, CC0), coffee (R. Michetti, CC0), a
rocket (SpaceX, CC0), an astronaut and galaxies (NASA, public domain).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from skimage import data

from labeller.project import Project, create_project
from labeller.services import importing, labelling, rounds
from labeller.services.labelling import Act
from tests.browser import RunningApp, start_app
from tests.e2e.test_loop import round_done, screenshot, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PHOTOS: dict[str, Callable[[], np.ndarray]] = {
    "cat": data.chelsea,
    "coffee": data.coffee,
    "rocket": data.rocket,
    "astronaut": data.astronaut,
    "galaxies": data.hubble_deep_field,
}
EACH = 60
LABELLED = 220
SHOWN = "cat"


def view_of(photo: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Return a part of a photograph, as another photographer would have taken it."""
    image = Image.fromarray(photo)
    share = rng.uniform(0.6, 0.95)
    width, height = (round(share * side) for side in image.size)
    left, top = int(rng.integers(image.width - width)), int(rng.integers(image.height - height))
    part = image.crop((left, top, left + width, top + height))
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    light = rng.uniform(0.75, 1.2)
    return part.point(lambda value: min(255, value * light))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Parts of the photographs, named after what they show."""
    rng = np.random.default_rng(5)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(EACH):
        for name, load in PHOTOS.items():
            view_of(load(), rng).save(folder / f"{name}_{number:03d}.jpg", quality=92)
    return folder


@pytest.fixture
def project(photos: Path, tmp_path: Path) -> Project:
    """A project whose model is trained already; the parts of one photograph may look alike."""
    made = create_project(tmp_path / "p", list(PHOTOS), 400.0, name="Photos", leak_distance=0.0)
    importing.import_sources(made, [photos], labels="none")
    rng = np.random.default_rng(6)
    with made.store.read() as unit:
        items = unit.items.page(limit=1_000)
    picked = [items[place] for place in rng.permutation(len(items))[:LABELLED]]
    acts = [Act(uuid.uuid4().hex, "label", item.id, shows(item.path)) for item in picked]
    labelling.record(made, "anna", "s", "page", acts)
    rounds.start_round(made, "margin", 40)
    until(round_done(made, 1), "the first round")
    return made


@pytest.fixture
def app(project: Project, tmp_path: Path) -> Iterator[RunningApp]:
    running = start_app(project.root, tmp_path / "state")
    yield running
    running.stop()


def shows(path: str) -> str:
    """Return what a part shows, by the name of its file."""
    return Path(path).stem.partition("_")[0]


def test_photographs_are_labelled_with_suggestions(
    page: Page, app: RunningApp, project: Project, tmp_path: Path
) -> None:
    with project.store.read() as unit:
        keys = {one.name: str(one.key) for one in unit.classes.all()}
    page.goto(app.page("label"))
    caption = page.locator("[data-ref=name]")
    accept = page.locator("[data-ref=accept]")
    expect(caption).not_to_be_empty()
    for _ in range(30):
        name = caption.inner_text()
        if shows(name) == SHOWN and accept.is_enabled():
            break
        page.keyboard.press(keys[shows(name)])
        expect(caption).not_to_have_text(name)
        page.wait_for_timeout(100)
    else:
        raise AssertionError("no suggestion on 30 images")
    expect(page.get_by_test_id("stToast")).to_have_count(0)
    page.wait_for_timeout(1_500)  # the class of the image before fades
    screenshot(page, tmp_path, "labelling")
