"""A project that somebody else made does nothing beyond its folder until the person agrees."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from labeller import jobs
from labeller.errors import DatabaseError, ProjectError, StrangerError
from labeller.project import (
    Project,
    change_settings,
    create_project,
    look_at_project,
    open_project,
)
from labeller.services import backups, recent
from labeller.services.importing import import_sources
from store.errors import StoreReadOnly
from tests.labeller.pictures import folder_of
from tests.predicted import add_model
from tests.ui.conftest import navigation_of_main, open_app

__all__ = ["navigation_of_main", "open_app"]
Run = Callable[..., AppTest]
Plant = Callable[[Project, Path], object]


def watch(project: Project, loot: Path) -> None:
    (project.root / "project.toml").open("a").write(f'watch_folder = "{loot}"\n')


def database(project: Project, loot: Path) -> None:
    url = "postgresql://spy:secret@elsewhere.invalid/labels"
    (project.root / "project.toml").open("a").write(f'database = "{url}"\n')


def backbone(project: Project, loot: Path) -> None:
    (project.root / "project.toml").open("a").write('backbone = "timm/resnet18"\n')


def memory(project: Project, loot: Path) -> None:
    (project.root / "project.toml").open("a").write("decode_memory_mb = 999999\n")


def job(project: Project, loot: Path) -> None:
    idle = change_settings(project, start_workers=False)
    jobs.submit(idle, "import", {"sources": [str(loot)], "copy": True})


def link(project: Project, loot: Path) -> None:
    shutil.rmtree(project.models)
    project.models.symlink_to(loot)


def file_link(project: Project, loot: Path) -> None:
    (project.logs / "job-1.log").symlink_to(loot / "0.jpg")


PLANTS: dict[str, tuple[Plant, str]] = {
    "watch_folder": (watch, "watch_folder"),
    "database": (database, "database"),
    "backbone": (backbone, "backbone"),
    "memory": (memory, "decode_memory_mb"),
    "a waiting job": (job, "waiting job"),
    "a folder that is a link": (link, "links"),
    "a file that is a link": (file_link, "links"),
}


@pytest.fixture
def loot(tmp_path: Path) -> Path:
    """Images of the person, which are nobody's business."""
    return folder_of(tmp_path / "private", 3)


@pytest.fixture
def stranger(tmp_path: Path, loot: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that has somebody else make a project, and brings it here."""

    def bring(plant: str) -> Path:
        monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "theirs"))
        monkeypatch.setenv("LABELLER_START_WORKERS", "false")
        made = create_project(tmp_path / "there" / "pets", ["cat", "dog"], workers=1)
        import_sources(made, [folder_of(tmp_path / "their photos", 2)], copy=True)
        PLANTS[plant][0](made, loot)
        made.store.close()
        monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "mine"))
        monkeypatch.delenv("LABELLER_START_WORKERS")
        here = tmp_path / "here" / "pets"
        here.parent.mkdir()
        shutil.move(made.root, here)
        recent._open.clear()
        return here

    return bring


def items(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "labeller.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM item").fetchone()[0])


def run(*arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labeller", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, input=typed, timeout=120)


@pytest.mark.parametrize("plant", PLANTS)
def test_nothing_is_done_until_somebody_agrees(
    stranger: Callable[[str], Path], loot: Path, plant: str
) -> None:
    folder = stranger(plant)
    before = {path: path.read_bytes() for path in loot.iterdir()}
    with pytest.raises(StrangerError, match=PLANTS[plant][1]) as refused:
        open_project(folder)
    assert "labeller trust" in str(refused.value)
    for command in (["worker", folder, "--once"], ["status", folder], ["round", folder]):
        ended = run(*command)
        assert ended.returncode == 1
        assert "Nothing of that is done until you agree" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert items(folder) == 2
    assert {path: path.read_bytes() for path in loot.iterdir()} == before
    ended = run("trust", folder, typed="n\n")
    assert ended.returncode == 1
    assert PLANTS[plant][1] in ended.stderr
    assert "secret" not in ended.stderr, "passwords are not shown"
    with pytest.raises(StrangerError):
        open_project(folder)
    assert run("trust", folder, typed="y\n").returncode == 0
    if plant != "database":
        open_project(folder)


def test_who_agrees_gets_what_was_asked_for(stranger: Callable[[str], Path]) -> None:
    folder = stranger("a waiting job")
    assert run("trust", folder, "--yes").returncode == 0
    assert run("worker", folder, "--once").returncode == 0
    assert items(folder) == 3 + 2 - 2, "photos 0 and 1 are those of the project"


def test_the_page_lists_what_is_asked_for(
    stranger: Callable[[str], Path], open_app: Run, loot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stranger("watch_folder")
    monkeypatch.setenv("LABELLER_PROJECT", str(folder))
    app = open_app()
    assert not app.exception
    assert "not made here" in app.subheader[0].value
    asked = " ".join(str(getattr(part, "body", "")) for part in app.main.get("html"))
    assert str(loot) in asked
    assert "Watch folder" in asked
    app.button(key="look").click().run()
    assert not app.exception
    assert "somebody else" in app.warning[0].value
    assert items(folder) == 2
    with pytest.raises(StoreReadOnly), recent.opened(folder).store.write():
        pass
    assert not recent.opened(folder).settings.watch_folder
    recent._open.clear()
    app = open_app()
    app.button(key="trust").click().run()
    assert not app.exception
    assert recent.opened(folder).settings.watch_folder == str(loot)


def test_a_project_that_asks_for_nothing_opens_at_once(
    tmp_path: Path, stranger: Callable[[str], Path]
) -> None:
    folder = stranger("watch_folder")
    file = folder / "project.toml"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith("watch_folder")) + "\n")
    project = open_project(folder)
    jobs.submit(change_settings(project, start_workers=False), "import", {"sources": ["/nothing"]})
    open_project(folder)  # the job is one's own


def test_what_comes_into_a_folder_later_is_asked_about(stranger: Callable[[str], Path]) -> None:
    folder = stranger("watch_folder")
    file = folder / "project.toml"
    whole = file.read_text()
    file.write_text("\n".join(x for x in whole.splitlines() if "watch_folder =" not in x) + "\n")
    open_project(folder)
    recent.opened(folder)
    file.write_text(whole)  # as a later version of a shared folder
    for opens in (open_project, recent.opened):
        with pytest.raises(StrangerError):
            opens(folder)


def test_ones_own_project_is_never_asked_about(tmp_path: Path, loot: Path) -> None:
    project = create_project(tmp_path / "pets", ["cat"], workers=1, watch_folder=str(loot))
    open_project(project.root)
    changed = change_settings(project, backbone="timm/resnet18")
    (project.root / "project.toml").open("a").write("decode_memory_mb = 900000\n")
    open_project(changed.root)


def test_ones_own_backup_is_trusted_and_another_is_not(
    tmp_path: Path, loot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = create_project(tmp_path / "pets", ["cat"], workers=1, watch_folder=str(loot))
    made = backups.make_backup(project, tmp_path / "b.zip")
    shutil.rmtree(project.root)
    assert backups.restore_backup(made.file, tmp_path / "again").settings.watch_folder == str(loot)
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "another person"))
    ended = run("restore", made.file, "--to", tmp_path / "theirs")
    assert ended.returncode == 0
    assert "labeller trust" in ended.stdout
    with pytest.raises(StrangerError):
        open_project(tmp_path / "theirs")


def test_projects_opened_before_are_taken_over(
    tmp_path: Path, loot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    monkeypatch.setenv("LABELLER_STATE", str(state))
    project = create_project(tmp_path / "pets", ["cat"], workers=1, watch_folder=str(loot))
    recent.remember(project)
    shutil.rmtree(state / "trusted")  # as an earlier version left it
    open_project(project.root)


def test_a_state_folder_that_cannot_be_written_stops_nobody(
    tmp_path: Path, loot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "file"))
    project = create_project(tmp_path / "pets", ["cat"], workers=1, watch_folder=str(loot))
    open_project(project.root)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER spy AFTER INSERT ON event BEGIN DELETE FROM label; END",
        "CREATE VIEW spy AS SELECT * FROM item",
        "CREATE VIRTUAL TABLE spy USING fts5(body)",
    ],
)
def test_a_database_holds_no_program(tmp_path: Path, statement: str) -> None:
    project = create_project(tmp_path / "pets", ["cat"], workers=1)
    project.store.close()
    with closing(sqlite3.connect(project.root / "labeller.db")) as connection:
        connection.execute(statement)
        connection.commit()
    for opens in (open_project, look_at_project):
        with pytest.raises(DatabaseError, match="spy"):
            opens(project.root)


@pytest.mark.parametrize("path", ["/", "", ".", "..", "{home}", "models/../../home"])
def test_a_model_is_never_deleted_elsewhere(tmp_path: Path, path: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").write_text("dear")
    project = create_project(tmp_path / "pets", ["cat"], workers=1)
    with pytest.raises(ProjectError, match="outside"):
        project.own_file(path.format(home=home), project.models)
    assert (home / "letter").exists()


def test_a_page_says_what_a_changed_database_spoils(
    tmp_path: Path, open_app: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = create_project(tmp_path / "pets", ["cat", "dog"], workers=1, start_workers=False)
    add_model(project)
    with closing(sqlite3.connect(project.root / "labeller.db")) as connection:
        connection.execute("UPDATE model SET path = '/'")
        connection.commit()
    for name in ("models", "rounds", "evaluation"):
        app = open_app(project, name)
        assert not app.exception, name
        assert any("outside" in error.value for error in app.error), name
