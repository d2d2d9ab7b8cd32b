"""A browser and the real app for the journeys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests import browser as browsers
from tests.browser import PATIENCE


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One headless Chromium for all journeys of a module."""
    with browsers.shared() as started:
        yield started


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh window of 1440 by 900 pixels."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    context.close()


@pytest.fixture(autouse=True)
def picture_of_failure(
    request: pytest.FixtureRequest, page: Page, tmp_path: Path
) -> Iterator[None]:
    """Keep what the window showed when a journey failed, beside the server's log."""
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        page.screenshot(path=tmp_path / "failed.png")
