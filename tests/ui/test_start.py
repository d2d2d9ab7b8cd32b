"""The start page: the ways into a project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project, create_project, open_project
from labeller.services import recent
from labeller.ui import folders
from tests.ui.conftest import images

Run = Callable[..., AppTest]


def errors(app: AppTest) -> str:
    assert not app.exception
    return " ".join(error.value for error in app.error).replace("\\", "")


def opened(app: AppTest) -> Path:
    """Return the project that the app shows."""
    return Path(app.session_state["session_project"])


def test_the_first_screen_offers_every_way_in(open_app: Run) -> None:
    app = open_app()
    assert errors(app) == ""
    assert [head.value for head in app.subheader] == [
        "Try the demo",
        "Open a project",
        "New project from a folder",
    ]
    assert not app.sidebar.button
    assert app.button(key="new_create").disabled


def test_any_address_shows_the_start_page_without_a_project(open_app: Run) -> None:
    app = open_app(page="start")
    assert app.title[0].value == "Labeller"


def test_an_existing_project_is_opened_and_remembered(open_app: Run, project: Project) -> None:
    app = open_app()
    app.text_input(key="existing_path").set_value(str(project.root)).run()
    app.button(key="existing_open").click().run()
    assert errors(app) == ""
    assert opened(app) == project.root
    assert app.query_params["project"] in (project.id, [project.id])
    assert [entry.id for entry in recent.recent()] == [project.id]


def test_what_is_no_project_says_so_and_how_to_make_one(open_app: Run, tmp_path: Path) -> None:
    app = open_app()
    app.text_input(key="existing_path").set_value(str(tmp_path)).run()
    app.button(key="existing_open").click().run()
    assert f"{tmp_path}: is no labelling project" in errors(app)
    assert "labeller init" in errors(app)


def test_a_project_in_the_environment_that_is_gone_is_explained(
    open_app: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELLER_PROJECT", str(tmp_path / "gone"))
    app = open_app()
    assert "is no labelling project" in errors(app)
    assert app.button(key="demo")


def test_a_newer_database_is_refused_with_its_reason(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    project.store.close()
    with sqlite3.connect(project.root / "labeller.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    monkeypatch.setattr(recent, "_open", {})
    app = open_app(project)
    assert "newer" in errors(app)
    assert app.title[0].value == "Labeller"


def test_the_form_says_what_is_wrong_at_each_field(open_app: Run, tmp_path: Path) -> None:
    app = open_app()
    app.text_input(key="new_source").set_value(str(tmp_path / "none")).run()
    assert "there is no such folder" in errors(app)
    app.text_input(key="new_source").set_value(str(images(tmp_path / "flat", 3))).run()
    assert errors(app) == ""
    assert any("3 images" in caption.value for caption in app.caption)
    app.text_area(key="new_classes").set_value("cat, cat").run()
    assert "“cat” comes twice" in errors(app)
    assert app.button(key="new_create").disabled


def test_a_project_is_made_from_a_folder_and_its_import_started(
    open_app: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELLER_START_WORKERS", "false")
    app = open_app()
    app.text_input(key="new_source").set_value(str(images(tmp_path / "Garden Birds", 4))).run()
    app.text_area(key="new_classes").set_value("tit\nrobin").run()
    app.number_input(key="new_budget").set_value(50.0).run()
    app.button(key="new_create").click().run()
    assert errors(app) == ""
    root = tmp_path / "projects" / "garden-birds"
    assert opened(app) == root
    project = open_project(root)
    with project.store.read() as unit:
        job = unit.jobs.active("import")[0]
        assert [record.name for record in unit.classes.all()] == ["tit", "robin"]
        assert unit.budget.get().total == 50.0
    assert job.params["sources"] == [str(tmp_path / "Garden Birds")]
    assert (job.params["copy"], job.params["labels"]) == (False, "auto")
    assert app.title[0].value == "Images"


def test_classes_are_taken_from_sub_folders(
    open_app: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELLER_START_WORKERS", "false")
    for number, name in enumerate(["*bold*", "cat"]):
        images(tmp_path / "pets" / name, number + 2, seed=number)
    app = open_app()
    app.text_input(key="new_source").set_value(str(tmp_path / "pets")).run()
    app.segmented_control(key="new_classes_from").set_value("Sub-folders are the classes").run()
    preview = next(text.value for text in app.markdown if text.value.startswith("2 classes"))
    assert "\\*bold\\* :gray[2], cat :gray[3]" in preview
    app.text_input(key="new_name").set_value("Pets").run()
    app.button(key="new_create").click().run()
    assert errors(app) == ""
    with open_project(tmp_path / "projects" / "pets").store.read() as unit:
        assert [record.name for record in unit.classes.all()] == ["*bold*", "cat"]
        assert unit.jobs.active("import")[0].params["labels"] == "folders"


def test_a_folder_in_use_is_refused(open_app: Run, tmp_path: Path, project: Project) -> None:
    app = open_app()
    app.text_input(key="new_source").set_value(str(images(tmp_path / "flat", 3))).run()
    app.text_input(key="new_root").set_value(str(project.root)).run()
    app.button(key="new_create").click().run()
    assert "is a project already" in errors(app)


def test_recent_projects_are_listed_with_counts_and_missing_ones_forgotten(
    open_app: Run, project: Project, tmp_path: Path
) -> None:
    gone = create_project(tmp_path / "gone", ["a"], name="Gone")
    recent.remember(gone)
    recent.remember(project, (12, 5))
    shutil.rmtree(gone.root)
    app = open_app()
    rows = [text.value.replace("\\", "") for text in app.markdown]
    assert any("**pets** · 12 images, 5 labelled · just now" in row for row in rows)
    assert any("**Gone** · not there any more" in row for row in rows)
    app.button(key=f"forget_{gone.id}_{gone.root}").click().run()
    assert [entry.id for entry in recent.recent()] == [project.id]
    app.button(key=f"recent_{project.id}_{project.root}").click().run()
    assert opened(app) == project.root


def test_a_project_s_counts_are_kept_while_it_is_open(open_app: Run, project: Project) -> None:
    open_app(project, "export")
    (entry,) = recent.recent()
    assert (entry.items, entry.labelled) == (12, 0)


def test_the_folder_browser_goes_in_and_takes_a_folder(open_app: Run, tmp_path: Path) -> None:
    images(tmp_path / "photos" / "birds", 3)
    app = open_app()
    app.session_state["new_source_at"] = str(tmp_path)
    app.run()
    row = app.button(key=f"new_source_row_{tmp_path / 'photos'}")
    assert row.label == "photos :gray[· 3 images]"
    row.click().run()
    app.button(key="new_source_use").click().run()
    assert app.text_input(key="new_source").value == str(tmp_path / "photos")
    app.button(key="new_source_up").click().run()
    assert app.session_state["new_source_at"] == str(tmp_path)


def test_the_demo_opens_on_the_label_page_with_a_queue(open_app: Run, tmp_path: Path) -> None:
    app = open_app()
    app.button(key="demo").click().run(timeout=120)
    assert errors(app) == ""
    root = tmp_path / "projects" / "demo"
    assert opened(app) == root
    with open_project(root).store.read() as unit:
        assert unit.items.count().items >= 2000
        assert unit.items.count().labelled >= 200
        assert unit.queue.counts().waiting > 0


def test_browsing_begins_at_a_folder_that_exists() -> None:
    assert all(folder.is_dir() for folder in folders.starting_points())


@pytest.mark.parametrize("damage", ["missing", "binary", "short"])
def test_a_signing_key_that_cannot_be_used_is_made_anew_on_a_page(
    open_app: Run, project: Project, damage: str
) -> None:
    file = project.root / "secret.key"
    file.unlink()
    if damage != "missing":
        file.write_bytes(b"\xff\x00\xfe" * 30 if damage == "binary" else b"abc")
    app = open_app(project)
    assert not app.exception
    assert "signing key cannot be used" in app.subheader[0].value
    assert "secret" in app.error[0].value
    app.button(key="new_key").click().run()
    assert not app.exception
    assert not app.error
    assert len(project.secret()) == 64
    assert app.session_state["session_project"] == str(project.root)
