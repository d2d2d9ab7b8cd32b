"""The images page: the import panel, filters, and changing many images at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project, create_project
from labeller.services import importing, labelling
from labeller.services.labelling import Act
from labeller.ui import acts, browse, imports, opened, source_form
from store.alive import host
from store.records import ItemRecord
from tests.ui.conftest import images

Run = Callable[..., AppTest]


def label(project: Project, item: int, name: str, who: str = "anna") -> None:
    act = Act(f"{who}-{item}-{name}", "label", item, name)
    answer = labelling.record(project, who, "s", "page", [act])
    assert answer["results"][0]["status"] == "accepted"


def ids(project: Project) -> list[int]:
    with project.store.read() as unit:
        return [int(i) for i in unit.items.ids()]


def current(project: Project, item: int) -> tuple[str, str] | None:
    with project.store.read() as unit:
        record = unit.labels.current(item)
    return (record.class_name, record.annotator) if record else None


def record(project: Project, who: str, done: list[Act]) -> tuple[str, str]:
    answer = labelling.record(project, who, "review", "page", done)
    return acts.outcome(answer["results"])


def items(project: Project, chosen: list[int]) -> list[ItemRecord]:
    with project.store.read() as unit:
        return list(unit.items.many(chosen).values())


def test_an_empty_project_asks_for_images(open_app: Run, tmp_path: Path) -> None:
    app = open_app(create_project(tmp_path / "empty", []), "images")
    assert not app.exception
    assert any("No images yet" in text.value for text in app.markdown)
    assert app.button(key="import_go").disabled
    assert not [pill for pill in app.get("button_group") if pill.key == "browse_state"]


def test_an_import_from_a_folder_is_entered(
    open_app: Run, project: Project, tmp_path: Path
) -> None:
    source = images(tmp_path / "more", 3, seed=9)
    app = open_app(project, "images")
    app.text_input(key="import_path").set_value(str(source)).run()
    app.radio(key="import_labels").set_value("none")
    app.toggle(key="import_copy").set_value(True).run()
    app.button(key="import_go").click().run()
    assert not app.exception
    with project.store.read() as unit:
        (job,) = unit.jobs.active("import")
    assert dict(job.params) == {"sources": [str(source)], "copy": True, "labels": "none"}
    assert any("**Importing** more" in text.value for text in app.markdown)


def test_what_the_folders_mean_is_shown_with_the_other_choices(
    open_app: Run, tmp_path: Path
) -> None:
    source = tmp_path / "set"
    for number, place in enumerate(("train/cat", "train/Cat", "test/dog", "test/photos", "")):
        images(source / place, 2, seed=number)
    (source / "notes.txt").write_text("words")
    app = open_app(create_project(tmp_path / "empty", []), "images")
    app.text_input(key="import_path").set_value(str(source)).run()
    assert not app.exception
    choices = app.radio(key="import_labels").proto
    assert [caption.replace("\\", "") for caption in choices.captions] == [
        "2 classes from folder names, 4 images without a class",
        "3 classes from folder names, 2 images without a class",
        "no labels",
    ]
    told = app.info[0].value.replace("\\", "")
    assert "10 files may be images." in told
    assert "Splits from folder names: train 4, audit 4." in told
    assert "test/photos 2 (a plain name)" in told
    assert "text files 1 (notes.txt)" in told
    assert "“cat” (2) is taken for “Cat”" in told
    app.radio(key="import_labels").set_value("none").run()
    assert "no labels are wanted" in app.info[0].value.replace("\\", "").casefold()


def test_a_wrong_folder_is_said_before_the_import(open_app: Run, project: Project) -> None:
    app = open_app(project, "images")
    app.text_input(key="import_path").set_value("/no/such/folder").run()
    assert "there is no such folder" in app.error[0].value
    assert app.button(key="import_go").disabled


def test_uploads_are_kept_in_the_project_and_copied(open_app: Run, project: Project) -> None:
    app = open_app(project, "images")
    app.segmented_control(key="import_way").set_value(source_form.UPLOAD).run()
    picture = images(project.root.parent / "up", 1, seed=5) / "000.png"
    app.file_uploader(key="import_files_0").set_value(
        ("../../evil.png", picture.read_bytes(), "image/png")
    ).run()
    app.button(key="import_go").click().run()
    assert not app.exception
    with project.store.read() as unit:
        (job,) = unit.jobs.active("import")
    (folder,) = (Path(source) for source in job.params["sources"])
    assert job.params["copy"] is True
    assert folder.is_relative_to(project.root / "uploads")
    assert [path.name for path in folder.iterdir()] == ["evil.png"]


def test_a_running_import_shows_numbers_and_cancel(open_app: Run, project: Project) -> None:
    with project.store.write() as unit:
        job = unit.jobs.add("import", {"sources": ["/data/*photos*"]}, True)
    with project.store.write() as unit:
        unit.jobs.claim(host(), os.getpid(), job_id=job.id)
        detail = {"done": 120, "total": 480, "rate": 60.0, "eta": 6.0}
        unit.jobs.beat(job.id, 0.25, "import", "", detail)
    app = open_app(project, "images")
    html = " ".join(str(getattr(element, "value")) for element in app.sidebar.get("html"))  # noqa: B009
    assert "120 of 480 · 60/s" in html
    assert "≈ 6 s left" in html
    assert any("\\*photos\\*" in text.value for text in app.markdown)
    app.button(key=f"cancel_{job.id}").click().run()
    assert not app.exception
    with project.store.read() as unit:
        assert unit.jobs.cancel_requested(job.id)


def test_the_report_lists_what_was_left_out(open_app: Run, project: Project) -> None:
    source = images(project.root.parent / "mixed", 1, seed=7)
    (source / "broken.jpg").write_text("not an image")
    importing.import_sources(project, [source], labels="none")
    app = open_app(project, "images")
    assert not app.exception
    labels = " ".join(expander.label for expander in app.expander)
    assert "Last import: 1 image added, 1 file left out" in labels.replace("\\", "")
    (row,) = app.dataframe[0].value.to_dict("records")
    assert row["File"].endswith("broken.jpg")
    assert row["Reason"]
    assert row["What helps"]


def test_the_notes_of_an_import_are_shown(open_app: Run, project: Project) -> None:
    with project.store.write() as unit:
        number = unit.imports.start("/x")
        unit.imports.finish(number, 1, 0, 0, 0, False)
        job = unit.jobs.add("import", {"sources": ["/x"]}, True)
    with project.store.write() as unit:
        unit.jobs.claim(host(), os.getpid(), job_id=job.id)
        result = {"import_id": number, "added": 1, "notes": ["2 folders are *no* class."]}
        unit.jobs.finish(job.id, "done", result=result)
    app = open_app(project, "images")
    assert app.info[0].value == "2 folders are \\*no\\* class\\."


def test_the_list_of_left_out_files_is_whole(project: Project) -> None:
    from store.records import ImportProblem

    with project.store.write() as unit:
        number = unit.imports.start("/x")
        unit.imports.problem(number, [ImportProblem(f"/x/{n}", "r", "m") for n in range(2500)])
    lines = imports.problems_csv(project, number).decode().splitlines()
    assert lines[0] == "path,reason,mend"
    assert len(lines) == 2501


def test_filters_narrow_the_grid(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ids(project)[:2]
    label(project, first, "cat")
    labelling.record(project, "anna", "s", "page", [Act("f", "flag", second, reason="blurred")])
    app = open_app(project, "images")

    def shown() -> list[str]:
        assert not app.exception
        return [c.value for c in app.caption if c.value.endswith(("image", "images"))]

    assert shown() == ["12 images"]
    app.pills(key="browse_state").set_value("labelled").run()
    assert shown() == ["1 image"]
    app.pills(key="browse_state").set_value("flagged").run()
    assert shown() == ["1 image"]
    app.pills(key="browse_state").set_value(None).run()
    app.selectbox(key="browse_class").set_value(1).run()
    assert shown() == ["1 image"]
    app.selectbox(key="browse_class").set_value(0)
    app.text_input(key="browse_text").set_value("no such name").run()
    assert shown() == []
    assert any("No image matches" in text.value for text in app.markdown)


def test_pages_of_the_grid(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "PAGE", 5)
    app = open_app(project, "images")
    assert not app.exception
    pages = app.get("pagination")[0]
    assert pages.proto.num_pages == 3


def test_relabelling_overrules_another_annotator_without_a_new_price(project: Project) -> None:
    mine, theirs, fresh = ids(project)[:3]
    label(project, mine, "cat")
    label(project, theirs, "cat", "ben")
    with project.store.read() as unit:
        dog = unit.classes.by_name("dog")
        spent = unit.budget.get().spent
    assert dog
    done = acts.relabel(project, items(project, [mine, theirs, fresh]), "anna", dog.id)
    text, icon = record(project, "anna", done)
    assert (text, icon) == ("3 images changed.", ":material/check_circle:")
    assert [current(project, i) for i in (mine, theirs, fresh)] == [("dog", "anna")] * 3
    with project.store.read() as unit:
        assert unit.budget.get().spent == spent + 1


def test_refusals_are_counted_with_their_reason(project: Project) -> None:
    from labeller.services import budget

    budget.set_total(project, 1.0)
    chosen = items(project, ids(project)[:3])
    text, icon = record(project, "anna", acts.relabel(project, chosen, "anna", 1))
    assert text == "1 image changed, 2 refused: the budget is spent."
    assert icon == ":material/error:"


def test_skipped_and_flagged_images_are_put_back(project: Project) -> None:
    one, two = ids(project)[:2]
    set_aside = [Act("a", "skip", one), Act("b", "flag", two, reason="x")]
    labelling.record(project, "ben", "s", "page", set_aside)
    back = [acts.act("clear", item) for item in items(project, [one, two])]
    assert record(project, "anna", back)[0] == "2 images changed."
    assert {item.state for item in items(project, [one, two])} == {"unlabelled"}


def test_the_dialog_shows_the_history_and_undoes(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item, other, *_) = ids(project)
    label(project, item, "cat")
    label(project, other, "dog", "*ben*")
    monkeypatch.setattr(opened, "in_grid", lambda grid: item)
    app = open_app(project, "images")
    assert not app.exception
    history = [text.value for text in app.markdown if text.value.startswith("labelled ")]
    assert history
    assert "labelled **cat**" in history[0]
    assert "anna, just now, page" in history[0]
    with project.store.read() as unit:
        (event,) = unit.labels.history(item)
    app.button(key=f"undo_{event.id}").click().run()
    assert not app.exception
    assert current(project, item) is None
    with project.store.read() as unit:
        entry = unit.queue.entry_for(item)
    assert entry is None or entry.leased_by is None
    app.button(key=f"redo_{event.id}").click().run()
    assert not app.exception
    assert current(project, item) == ("cat", "anna")
    app.selectbox(key=f"item_label_{item}_3").set_value(2).run()
    assert current(project, item) == ("dog", "anna")

    monkeypatch.setattr(opened, "in_grid", lambda grid: other)
    app = open_app(project, "images")
    with project.store.read() as unit:
        (event,) = unit.labels.history(other)
    button = app.button(key=f"undo_{event.id}")
    assert button.disabled
    assert "\\*ben\\*" in button.help


def test_the_selection_drives_the_buttons(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labeller.ui import grid

    one, two, three = ids(project)[:3]
    app = open_app(project, "images")
    assert app.button(key="browse_flag").disabled
    sent = {"selected": [three, one, 999]}
    monkeypatch.setattr(grid, "_GRID", lambda **_: sent)
    app.run()
    assert any(text.value == "**2** selected" for text in app.markdown)
    app.selectbox(key="browse_label_as").set_value(1).run()
    app.button(key="browse_label").click().run()
    assert not app.exception
    assert [current(project, i) for i in (one, two, three)] == [
        ("cat", "anna"),
        None,
        ("cat", "anna"),
    ]
    assert app.toast[0].value == "2 images changed."
    assert app.button(key="images_undo").label.startswith("Undo: 2 × cat")
    app.button(key="images_undo").click().run()
    assert [current(project, i) for i in (one, three)] == [None, None], "one step for the bulk"
    app.button(key="images_redo").click().run()
    assert [current(project, i) for i in (one, three)] == [("cat", "anna")] * 2
    app.button(key="browse_clear").click().run()
    assert current(project, one) is None
    app.button(key="browse_flag").click().run()
    app.button(key="browse_back").click().run()
    assert {item.state for item in items(project, [one, three])} == {"unlabelled"}
