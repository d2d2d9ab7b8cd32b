from __future__ import annotations

import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from labeller import config
from labeller.errors import ClassError, ConfigError, ProjectError
from labeller.project import (
    FOLDERS,
    Project,
    change_settings,
    create_project,
    is_project,
    open_project,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "birds", ["robin", "wren"], budget=50, batch=10)


def class_names(project: Project) -> list[str]:
    with project.store.read() as unit:
        return [record.name for record in unit.classes.all()]


def test_a_new_project_is_one_folder_with_all_it_needs(project: Project) -> None:
    names = {path.name for path in project.root.iterdir()}
    assert {config.FILE, "secret.key", "labeller.db", *FOLDERS} <= names
    assert is_project(project.root)
    assert (project.name, project.settings.batch) == ("birds", 10)
    assert class_names(project) == ["robin", "wren"]
    with project.store.read() as unit:
        assert unit.budget.get().total == 50


def test_the_signing_key_is_random_and_private(project: Project, tmp_path: Path) -> None:
    mode = stat.S_IMODE((project.root / "secret.key").stat().st_mode)
    assert mode == 0o600
    other = create_project(tmp_path / "other", [])
    assert project.secret() != other.secret()
    assert project.id != other.id
    assert len(bytes.fromhex(project.secret())) == 32


def test_a_moved_folder_is_the_same_project(project: Project, tmp_path: Path) -> None:
    project.store.close()
    moved = shutil.move(project.root, tmp_path / "elsewhere")
    again = open_project(moved)
    assert (again.id, again.name, class_names(again)) == (
        project.id,
        "elsewhere",
        ["robin", "wren"],
    )


def test_what_is_in_use_is_never_overwritten(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is a project already"):
        create_project(project.root, [])
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(ProjectError, match="not an empty folder"):
        create_project(tmp_path / "photos", [])
    with pytest.raises(ProjectError, match="not an empty folder"):
        create_project(tmp_path / "photos" / "a.jpg", [])
    with pytest.raises(ProjectError, match="cannot be made"):
        create_project(tmp_path / "photos" / "a.jpg" / "inside", [])


def test_bad_class_names_leave_nothing_behind(tmp_path: Path) -> None:
    for names in (["a", "a"], ["a", ""]):
        with pytest.raises(ClassError):
            create_project(tmp_path / "new", names)
        assert not (tmp_path / "new").exists()
    with pytest.raises(ConfigError):
        create_project(tmp_path / "new", ["a"], batch=0)
    assert not (tmp_path / "new").exists()


def test_a_folder_without_a_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="labeller init"):
        open_project(tmp_path)


def test_a_database_of_a_newer_version_is_refused(project: Project) -> None:
    project.store.close()
    with sqlite3.connect(project.root / "labeller.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ProjectError, match="newer"):
        open_project(project.root)


def test_a_file_that_is_no_database_is_refused(project: Project) -> None:
    project.store.close()
    for path in project.root.glob("labeller.db*"):
        path.unlink()
    (project.root / "labeller.db").write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(ProjectError, match=r"labeller\.db"):
        open_project(project.root)


def test_settings_are_changed_in_the_file(project: Project) -> None:
    after = change_settings(project, batch=25, name='the "best" birds')
    assert (after.settings.batch, after.name) == (25, 'the "best" birds')
    assert open_project(project.root).settings == after.settings
    assert after.id == project.id
    text = (project.root / config.FILE).read_text()
    with pytest.raises(ConfigError):
        change_settings(project, batch=-1)
    assert (project.root / config.FILE).read_text() == text


def test_the_environment_is_not_written_into_the_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELLER_BATCH", "77")
    after = change_settings(project, seed=5)
    assert after.settings.batch == 77
    monkeypatch.delenv("LABELLER_BATCH")
    assert open_project(project.root).settings.batch == 10


def test_images_lie_where_they_are_or_inside_the_project(project: Project, tmp_path: Path) -> None:
    assert project.file(str(tmp_path / "a.jpg")) == tmp_path / "a.jpg"
    assert project.file("images/a.jpg") == project.root / "images" / "a.jpg"
    (project.root / "images" / "link").symlink_to(tmp_path)
    for outside in ("../a.jpg", "images/../../a.jpg", "images/link/a.jpg"):
        with pytest.raises(ProjectError, match="outside"):
            project.file(outside)
