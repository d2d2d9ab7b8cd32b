"""The pages' tests: projects of real images, and the app as `AppTest` through its main script."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from labeller.project import Project, create_project, open_project
from labeller.services import importing

MAIN = Path(__file__).parents[2] / "labeller" / "ui" / "main.py"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep recent projects and new ones of a test in its folder."""
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("LABELLER_PROJECTS", str(tmp_path / "projects"))
    monkeypatch.setenv("LABELLER_ANNOTATOR", "anna")
    monkeypatch.delenv("LABELLER_PROJECT", raising=False)


@pytest.fixture(autouse=True)
def navigation_of_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what app.py does: AppTest otherwise runs a file of `pages/` without main.py."""
    original = PagesManager.__init__

    def begin(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", begin)


def images(folder: Path, number: int, seed: int = 0) -> Path:
    """Write `number` different PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for n in range(number):
        pixels = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{n:03d}.png")
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the project of all tests once: migrations and an import take a second."""
    folder = tmp_path_factory.mktemp("template")
    made = create_project(folder / "pets", ["cat", "dog"], 100.0, start_workers=False, batch=6)
    importing.import_sources(made, [images(folder / "images", 12)], labels="none")
    made.store.close()
    return made.root


@pytest.fixture
def project(tmp_path: Path, template: Path) -> Project:
    """A project with two classes, twelve images and a budget, whose jobs nobody starts."""
    root = tmp_path / "pets"
    shutil.copytree(template, root)
    return open_project(root)


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Return a function that runs the app on a project and one of its pages."""

    def run(project: Project | None = None, page: str | None = None) -> AppTest:
        if project is not None:
            monkeypatch.setenv("LABELLER_PROJECT", str(project.root))
        app = AppTest.from_file(str(MAIN), default_timeout=120).run()
        return app.switch_page(f"pages/{page}.py").run() if page else app

    return run
