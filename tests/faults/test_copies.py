"""Copied, moved and restored project folders."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from labeller import tokens
from labeller.api.app import create_api
from labeller.errors import TokenError
from labeller.jobs import control
from labeller.project import KEY_FILE, Project, change_settings, open_project
from labeller.services import recent
from tests.cards import queued_project


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("LABELLER_PROJECT", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return queued_project(tmp_path / "animals", items=6)


def copy(project: Project, name: str = "copy") -> Path:
    """Copy a folder while the project is open, as `cp -r` does."""
    target = project.root.parent / name
    shutil.copytree(project.root, target)
    return target


def label_one(client: TestClient, project: Project) -> None:
    token = tokens.make(project, "ann", "page")
    client.headers["Authorization"] = f"Bearer {token}"
    claimed = client.post("/queue/claim", json={"session": "s", "n": 1}).json()
    with project.store.read() as unit:
        class_id = unit.classes.all()[0].id
    item = claimed["items"][0]["item"]
    event = {"key": f"{project.id}-{item}", "kind": "label", "item": item, "class_id": class_id}
    answer = client.post("/labels", json={"session": "s", "events": [event]})
    assert answer.json()["results"][0]["status"] == "accepted", answer.text


def count_labels(folder: Path) -> int:
    with open_project(folder).store.read() as unit:
        return unit.items.count().labelled


@pytest.mark.parametrize("first", ["original", "copy"])
def test_a_copy_in_the_same_server_gets_its_own_labels(project: Project, first: str) -> None:
    folder = copy(project)
    order = [project.root, folder] if first == "original" else [folder, project.root]
    projects = {root: recent.opened(root) for root in order}
    for opened in projects.values():
        recent.remember(opened)
    original, copied = projects[project.root], projects[folder]
    assert original.id == project.id
    assert copied.id != project.id
    assert (folder / KEY_FILE).read_text() != (project.root / KEY_FILE).read_text()
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert str(project.root) in copied.notices[0]
    assert not original.notices
    with TestClient(create_api()) as client:
        for opened in (original, copied, copied, original, copied):
            label_one(client, opened)
    assert count_labels(project.root) == 2
    assert count_labels(folder) == 3
    assert recent.all_by_id(copied.id) == [folder]
    assert not recent.opened(folder).notices or recent.opened(folder).id == copied.id
    assert open_project(folder).id == copied.id
    assert not open_project(folder).notices


def test_a_token_of_the_original_opens_no_copy(project: Project) -> None:
    token = tokens.make(project, "ann")
    copied = open_project(copy(project))
    assert tokens.check(token).project.root == project.root
    assert tokens.list_tokens(copied) == []
    shutil.rmtree(project.root)
    with pytest.raises(TokenError):
        tokens.check(token)


def test_a_moved_project_keeps_identity_key_and_tokens(project: Project) -> None:
    token = tokens.make(project, "ann")
    target = project.root.parent / "elsewhere"
    project.store.close()
    shutil.move(project.root, target)
    moved = recent.opened(target)
    recent.remember(moved)
    assert (moved.id, moved.notices) == (project.id, ())
    assert tokens.check(token).project.root == target


def test_another_spelling_of_the_path_is_no_copy(project: Project, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(project.root)
    for path in (link, project.root / ".." / project.root.name, project.root):
        opened = open_project(path)
        assert (opened.id, opened.notices) == (project.id, ())


def test_a_copy_of_a_copy_and_a_replaced_folder(project: Project) -> None:
    first = open_project(copy(project))
    second = open_project(copy(first, "second"))
    assert len({project.id, first.id, second.id}) == 3
    project.store.close()
    shutil.rmtree(project.root)
    shutil.copytree(second.root, project.root)  # put in the place of the original
    assert open_project(project.root).id not in (first.id, second.id)


def test_a_project_copied_before_places_were_noted(project: Project) -> None:
    recent.remember(project)
    with project.store.write() as unit:
        unit.settings.set("place", None)
        unit.settings.set("project", None)
    folder = copy(project)
    assert open_project(folder).id != project.id
    assert open_project(project.root).id == project.id


def test_jobs_and_leases_stay_with_the_original(project: Project) -> None:
    change_settings(project, start_workers=False)
    job = control.submit(project, "import", {"sources": [], "copy": False, "labels": "none"})
    with project.store.write() as unit:
        assert unit.jobs.claim("host", 1, job.id)
        unit.queue.claim("ann", "s", 3, 600, 1.0)
    copied = open_project(copy(project))
    with copied.store.read() as unit:
        (ended,) = unit.jobs.all()
        assert (ended.state, str(project.root) in (ended.error or "")) == ("cancelled", True)
        assert unit.queue.counts().leased == 0
        assert unit.budget.get().reserved == 0
    with project.store.read() as unit:
        assert unit.jobs.get(job.id).state == "running"
        assert unit.queue.counts().leased == 3


def test_a_crash_between_database_and_settings_is_finished(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(project)

    def die(_: Path) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr("labeller.project.replace_secret", die)
    with pytest.raises(RuntimeError):
        open_project(folder)
    monkeypatch.undo()
    monkeypatch.setenv("LABELLER_STATE", str(folder.parent / "state"))
    copied = open_project(folder)
    assert copied.id != project.id
    assert (folder / KEY_FILE).read_text() != (project.root / KEY_FILE).read_text()


def test_the_command_line_says_that_it_is_a_copy(project: Project, tmp_path: Path) -> None:
    folder = copy(project)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "labeller", "status", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{folder} is a copy of {project.root}" in done.stderr
