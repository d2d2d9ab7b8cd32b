"""The running app, a browser, and a card on a project of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from labeller.project import Project
from tests import browser as browsers
from tests.browser import RunningApp, start_app
from tests.cards import Card, open_card, queued_project


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One headless Chromium for a module."""
    with browsers.shared() as started:
        yield started


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One workbench for all; each test opens a project of its own in it."""
    running = start_app(None, tmp_path_factory.mktemp("state"))
    yield running
    running.stop()


@pytest.fixture
def window(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser without history, of the size most laptops have."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture
def project_of(tmp_path: Path) -> Callable[..., Project]:
    """Return a function that makes a project with a ready queue."""

    def make(name: str = "animals", **options: object) -> Project:
        return queued_project(tmp_path / name, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def card_of(window: BrowserContext, app: RunningApp) -> Callable[..., Card]:
    """Return a function that opens a project's card in a new tab."""

    def open_(project: Project) -> Card:
        return open_card(window, app, project)

    return open_
