"""A project that cannot be written opens to read and to export, and says so; nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from labeller.project import Project, create_project, open_project
from labeller.services.importing import import_sources
from store.errors import StoreReadOnly
from tests import browser as browsers
from tests.cards import until
from tests.labeller.pictures import folder_of
from tests.predicted import add_audited_model

READ_ONLY = ("images", "rounds", "evaluation", "models", "export")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if browsers.chromium() is None:
        pytest.skip("no Chromium on this machine")
    with browsers.shared() as started:
        yield started


def mounted(folder: Path) -> bool:
    """Whether a folder could be mounted to be read only."""
    mount = shutil.which("mount")
    if mount is None:
        return False
    bind = subprocess.run([mount, "--bind", str(folder), str(folder)], capture_output=True)
    if bind.returncode:
        return False
    again = [mount, "-o", "remount,bind,ro", str(folder)]
    return subprocess.run(again, capture_output=True).returncode == 0


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take away the right to write a folder, from root by mounting it anew."""
    if os.geteuid() != 0:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        try:
            yield
        finally:
            for path in (folder, *folder.rglob("*")):
                path.chmod(path.stat().st_mode | 0o200)
        return
    if not mounted(folder):
        pytest.skip("root may write everything, and this machine mounts nothing")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with labels, an audited model and a log that is not in its database yet."""
    made = create_project(tmp_path / "pets", ["cat", "dog"], 100.0, workers=1, audit_share=0.9)
    photos = folder_of(tmp_path / "photos" / "cat", 12)
    folder_of(tmp_path / "photos" / "dog", 24)
    import_sources(made, [photos.parent], copy=True, labels="folders")
    add_audited_model(made, [0.9] * 6)
    with read_only(made.root):
        yield made


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a person does."""
    command = [sys.executable, "-m", "labeller", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_commands_read_and_export(project: Project, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.root.rglob("*")}
    told = run("status", project.root)
    assert told.returncode == 0, told.stderr
    assert "24" in told.stdout
    out = tmp_path / "labels.csv"
    told = run("export", project.root, "--to", out)
    assert told.returncode == 0, told.stderr
    assert len(out.read_text(encoding="utf-8").splitlines()) == 25
    for command in (["backup", "--to", tmp_path / "b.zip"], ["snapshot", "--to", tmp_path / "s"]):
        told = run(command[0], project.root, *command[1:])
        assert told.returncode == 0, told.stderr
    assert {path: path.stat().st_mtime_ns for path in project.root.rglob("*")} == before


def test_what_writes_is_refused_in_a_sentence(project: Project, tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "more", 2)
    for command in (["import", project.root, photos], ["round", project.root]):
        told = run(*command)
        assert told.returncode not in (0, -1)
        assert "can only be read" in told.stderr
        assert "Traceback" not in told.stderr + told.stdout
    opened = open_project(project.root)
    assert opened.is_read_only
    with pytest.raises(StoreReadOnly, match="Copy its folder"), opened.store.write():
        pass


def test_a_log_beside_the_database_is_read_too(project: Project) -> None:
    """As a copy on a CD of a project in use: its last labels are in the log alone."""
    log = project.root / "labeller.db-wal"
    assert log.stat().st_size > 0
    with open_project(project.root).store.read() as unit:
        assert unit.items.count().labelled == 24


def has_thumbnails(page: Page) -> bool:
    return bool(page.locator(".tile img").first.evaluate("image => image.naturalWidth > 0"))


def test_pages_show_what_there_is_and_why_no_more(
    project: Project, tmp_path: Path, chromium: Browser
) -> None:
    app = browsers.start_app(project.root, tmp_path / "server")
    try:
        page = chromium.new_page()
        page.set_default_timeout(browsers.PATIENCE)
        for name in (*READ_ONLY, "label", "settings"):
            page.goto(app.page(name))
            expect(page.get_by_text("This project can only be read")).to_be_visible()
            page.wait_for_function("document.documentElement.classList.contains('lb-drawn')")
            expect(page.get_by_test_id("stException")).to_have_count(0)
            expect(page.get_by_test_id("stAlert")).to_have_count(1)
            if name == "images":
                until(lambda: has_thumbnails(page), "thumbnails")
            page.screenshot(path=tmp_path / f"{name}.png")
        token = run("token", project.root)
        assert "can only be read" in token.stderr
        page.close()
    finally:
        app.stop()
