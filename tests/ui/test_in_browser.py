"""What only a browser can tell: literal names, no network, no jumping, a small server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from labeller.project import Project, create_project
from labeller.services import importing
from labeller.ui.text import escape_markdown
from store.alive import host
from tests import browser as browsers
from tests.browser import ROOT, RunningApp
from tests.ui.conftest import images
from tests.ui.test_view import NASTY, as_shown

PAGES = (
    "label",
    "images",
    "rounds",
    "evaluation",
    "stream",
    "synthesis",
    "replay",
    "review",
    "predict",
    "models",
    "classes",
    "export",
    "settings",
)
MEGABYTES = 300


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if browsers.chromium() is None:
        pytest.skip("no Chromium on this machine")
    with browsers.shared() as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose names are as nasty as names can be."""
    folder = tmp_path_factory.mktemp("nasty")
    made = create_project(folder / "p", NASTY, 50.0, name=":red[p] *x* <b>", start_workers=False)
    importing.import_sources(made, [images(folder / "images", 14)], labels="none")
    return made


@pytest.fixture(scope="module")
def app(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    running = browsers.start_app(project.root, tmp_path_factory.mktemp("state"))
    yield running
    running.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    yield opened
    context.close()


def settle(page: Page) -> None:
    """Wait until the page is drawn."""
    page.wait_for_function("document.documentElement.classList.contains('lb-drawn')")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(400)


def test_a_first_visit_to_any_page_has_navigation_and_side_bar(app: RunningApp, page: Page) -> None:
    """The server has shown no page yet: Streamlit would run the page's file alone."""
    page.goto(app.page("images"))
    expect(page.get_by_role("heading", name="Images")).to_be_visible()
    expect(page.get_by_role("link", name="Rounds")).to_be_visible()
    expect(page.get_by_role("button", name="Retrain round")).to_be_visible()
    page.goto(app.page("label"))
    expect(page.get_by_role("button", name="Retrain round")).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_telephone_and_fetches_nothing_from_elsewhere(
    app: RunningApp, chromium: Browser, scheme: str
) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844},
        color_scheme=scheme,  # type: ignore[arg-type]
        has_touch=True,
    )
    page = context.new_page()
    hosts: set[str | None] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: errors.append(str(error)))
    for name in PAGES if scheme == "light" else PAGES[1:3]:
        page.goto(app.page(name))
        settle(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        too_wide = page.evaluate(
            "() => { const m = document.querySelector('[data-testid=stMain]');"
            " return m.scrollWidth - m.clientWidth }"
        )
        assert too_wide <= 0, name
        ground = page.evaluate(
            "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
        )
        assert (sum(int(n) for n in ground[4:-1].split(",")[:3]) < 200) == (scheme == "dark")
    context.close()
    assert hosts <= {"localhost", None}  # None: data and blob addresses
    assert errors == []


def test_the_server_stays_small_and_without_torch(app: RunningApp) -> None:
    """It has shown every page by now."""
    assert app.process
    server = psutil.Process(app.process.pid)
    assert server.memory_info().rss < MEGABYTES * 2**20
    assert not [entry.path for entry in server.memory_maps() if "torch" in Path(entry.path).name]


def test_class_names_are_shown_letter_by_letter(app: RunningApp, page: Page) -> None:
    page.goto(app.page("classes"))
    settle(page)
    table = page.get_by_test_id("stDataFrame").first
    box = table.bounding_box()
    assert box
    heading = page.get_by_test_id("stHeading").nth(1)
    for row, name in enumerate(NASTY[:3]):
        page.mouse.click(box["x"] + 15, box["y"] + 36 * (row + 1.5))
        expect(heading).to_have_text(as_shown(escape_markdown(name)))
    assert page.locator("script", has_text="alert(1)").count() == 0


@pytest.fixture(scope="module")
def literal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Streamlit page of nasty texts in every place of ours that reads Markdown."""
    folder = tmp_path_factory.mktemp("literal")
    (folder / "page.py").write_text(
        "import streamlit as st\n"
        "from labeller.ui.text import escape_markdown as e\n"
        f"for n, text in enumerate({NASTY!r}):\n"
        "    st.container(key=f'm{n}').markdown(e(text))\n"
        "    st.container(key=f'b{n}').button(e(text), key=f'bb{n}')\n"
        "    st.container(key=f's{n}').markdown(f'**{e(text)}** :gray[:small[{e(text)}]]')\n"
    )
    port = browsers.free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(folder / "page.py")]
    command += ["--server.port", str(port), "--server.headless", "true"]
    server = subprocess.Popen(
        [*command, "--browser.gatherUsageStats", "false"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://localhost:{port}"
    server.terminate()
    server.wait(60)


def test_escaped_text_is_literal_everywhere(literal: str, page: Page) -> None:
    for _ in range(100):
        try:
            page.goto(literal)
            break
        except Exception:
            time.sleep(0.2)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(400)
    for number, text in enumerate(NASTY):
        shown = {
            kind: page.locator(f".st-key-{kind}{number}").inner_text().replace("\u2060", "").strip()
            for kind in "mbs"
        }
        assert shown == {"m": text, "b": text, "s": f"{text} {text}"}
        assert page.locator(f".st-key-m{number} p > *").count() == 0, "something was interpreted"


def test_a_ticking_job_leaves_the_page_alone_and_ends_in_a_toast(
    app: RunningApp, page: Page, project: Project
) -> None:
    page.goto(app.page("rounds"))
    settle(page)
    with project.store.write() as unit:
        job = unit.jobs.add("round", {}, True)
    with project.store.write() as unit:
        unit.jobs.claim(host(), os.getpid(), job_id=job.id)
    side = page.get_by_test_id("stSidebar")
    expect(side.get_by_text("Retraining")).to_be_visible()
    settle(page)
    page.evaluate(
        """() => {
            window.touched = 0;
            new MutationObserver((seen) => { window.touched += seen.length; }).observe(
                document.querySelector('[data-testid=stMain]'),
                { childList: true, subtree: true, characterData: true });
        }"""
    )
    cancel = side.get_by_role("button", name="Cancel")
    places = set()
    for epoch in range(1, 5):
        detail = {"epoch": epoch, "epochs": 9, "loss": 1 / epoch, "losses": [1.0] * epoch}
        with project.store.write() as unit:
            unit.jobs.beat(job.id, epoch / 10, "train", "", detail)
        expect(side.get_by_text(f"epoch {epoch}/9")).to_be_visible()
        box = cancel.bounding_box()
        places.add(box and (box["x"], box["y"]))
    assert page.evaluate("() => window.touched") == 0
    assert len(places) == 1, "the Cancel button jumped"
    result = {"round": 1, "queued": 14, "audit_accuracy": None}
    with project.store.write() as unit:
        unit.jobs.finish(job.id, "done", result=result)
    expect(page.get_by_text("Round 1 is done: 14 images in the new queue.")).to_be_visible()
    expect(side.get_by_text("Retraining")).to_have_count(0)


def test_the_name_is_remembered_by_the_browser(app: RunningApp, chromium: Browser) -> None:
    context = chromium.new_context()
    first = context.new_page()
    first.goto(app.page("export"))
    settle(first)
    first.get_by_label("You label as", exact=True).fill("Zoë <b>; Q")
    first.keyboard.press("Enter")
    settle(first)
    second = context.new_page()
    second.goto(app.page("export"))
    settle(second)
    expect(second.get_by_label("You label as", exact=True)).to_have_value("Zoë <b>; Q")
    context.close()
