"""Projects opened lately."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from labeller.errors import ProjectError
from labeller.project import Project, change_settings, create_project
from labeller.services import recent


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the list in the test's folder."""
    folder = tmp_path / "state"
    monkeypatch.setenv("LABELLER_STATE", str(folder))
    monkeypatch.setattr(recent, "_open", {})
    return folder


def make(tmp_path: Path, name: str) -> Project:
    return create_project(tmp_path / name, ["a"], name=name.capitalize())


def test_newest_first_each_once(tmp_path: Path) -> None:
    one, two = make(tmp_path, "one"), make(tmp_path, "two")
    for project in (one, two, one):
        recent.remember(project)
    assert [(r.name, r.path, r.id, r.exists) for r in recent.recent()] == [
        ("One", one.root, one.id, True),
        ("Two", two.root, two.id, True),
    ]


def test_counts_are_those_of_the_last_time(tmp_path: Path) -> None:
    project = make(tmp_path, "one")
    recent.remember(project)
    assert recent.recent()[0].items is None
    recent.remember(project, (10, 4))
    recent.remember(project)
    assert (recent.recent()[0].items, recent.recent()[0].labelled) == (10, 4)


def test_a_missing_project_stays_on_the_list_until_forgotten(tmp_path: Path) -> None:
    project = make(tmp_path, "one")
    recent.remember(project)
    shutil.rmtree(project.root)
    assert [r.exists for r in recent.recent()] == [False]
    assert recent.by_id(project.id) is None
    recent.forget(project.root)
    assert recent.recent() == []


def test_by_id_finds_projects_also_where_the_list_cannot_be_written(
    tmp_path: Path, state: Path
) -> None:
    project = make(tmp_path, "one")
    recent.remember(project)
    assert recent.by_id(project.id) == project.root
    assert recent.by_id("other") is None
    (state / recent.FILE).unlink()
    assert recent.by_id(project.id) == project.root
    shutil.rmtree(state)
    state.write_text("a file where the folder should be")
    recent.remember(project)
    assert recent.recent() == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "null", "[1, null, {}]", '[{"path": "/x", "name": "n"}]', "\x00"]
)
def test_a_damaged_list_counts_as_empty_and_is_mended(
    tmp_path: Path, state: Path, text: str
) -> None:
    state.mkdir()
    (state / recent.FILE).write_text(text)
    assert recent.recent() == []
    recent.remember(make(tmp_path, "one"))
    assert [r.name for r in recent.recent()] == ["One"]
    assert json.loads((state / recent.FILE).read_text())


def test_the_list_is_short(tmp_path: Path, state: Path) -> None:
    project = make(tmp_path, "one")
    recent.remember(project)
    row = json.loads((state / recent.FILE).read_text())[0]
    rows = [row | {"path": f"/none/{n}", "id": str(n)} for n in range(100)]
    (state / recent.FILE).write_text(json.dumps(rows))
    recent.remember(project)
    assert len(recent.recent()) == recent.KEEP
    assert recent.recent()[0].path == project.root


def test_opened_shares_the_store_and_sees_new_settings(tmp_path: Path) -> None:
    root = make(tmp_path, "one").root
    first = recent.opened(root)
    assert recent.opened(str(root)) is first
    change_settings(first, batch=7)
    second = recent.opened(root)
    assert second.settings.batch == 7
    assert second.store is first.store


def test_opened_notices_another_project_in_the_same_folder(tmp_path: Path) -> None:
    first = recent.opened(make(tmp_path, "one").root)
    shutil.rmtree(first.root)
    with pytest.raises(ProjectError, match="is no labelling project"):
        recent.opened(first.root)
    make(tmp_path, "one")
    second = recent.opened(first.root)
    assert second.id != first.id
    with second.store.read() as unit:
        assert [record.name for record in unit.classes.all()] == ["a"]


def test_opened_replaces_a_project_that_was_swapped_between_two_looks(tmp_path: Path) -> None:
    first = recent.opened(make(tmp_path, "one").root)
    other = make(tmp_path, "two")
    other.store.close()
    first.store.close()
    shutil.rmtree(first.root)
    shutil.move(other.root, first.root)
    assert recent.opened(first.root).id == other.id


def test_many_threads_keep_a_whole_list(tmp_path: Path) -> None:
    projects = [make(tmp_path, f"p{n}") for n in range(4)]
    threads = [threading.Thread(target=recent.remember, args=(p,)) for p in projects * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {r.id for r in recent.recent()} == {p.id for p in projects}
