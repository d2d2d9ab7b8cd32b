"""The classes page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from labeller.project import Project, create_project
from labeller.services import classes, labelling
from labeller.services.labelling import Act
from labeller.ui import class_editor

Run = Callable[..., AppTest]


def names(project: Project) -> list[str]:
    return [record.name for record in classes.listed(project)]


def submit(app: AppTest, form: str) -> AppTest:
    button = next(b for b in app.button if form in (b.form_id or ""))
    app = button.click().run()
    assert not app.exception
    return app


def field(app: AppTest, label: str) -> object:
    return next(w for w in (*app.text_input, *app.selectbox, *app.color_picker) if w.label == label)


def test_without_classes_it_asks_for_them(open_app: Run, tmp_path: Path) -> None:
    project = create_project(tmp_path / "empty", [])
    app = open_app(project, "classes")
    assert any("No classes yet" in text.value for text in app.markdown)
    app.text_area(key="classes_names").set_value("cat\n*dog*\n<b>x</b>")
    app = submit(app, "classes_add")
    assert names(project) == ["cat", "*dog*", "<b>x</b>"]
    table = app.dataframe[0].value
    assert list(table["Class"]) == ["cat", "*dog*", "<b>x</b>"]
    assert list(table["Key"]) == ["1", "2", "3"]


def test_a_class_that_cannot_have_the_key_of_its_name_says_why(
    open_app: Run, tmp_path: Path
) -> None:
    project = create_project(tmp_path / "keys", ["cat", "1", "-"])
    app = open_app(project, "classes")
    assert list(app.dataframe[0].value["Key"]) == ["2", "1", "3"]
    captions = [caption.value.replace("\\", "") for caption in app.caption]
    assert "“-”: The key - skips on the labelling page, so it labels no class." in captions


def test_counts_stand_in_the_table(open_app: Run, project: Project) -> None:
    acts = [Act(f"k{n}", "label", n, "dog") for n in (1, 2)]
    labelling.record(project, "anna", "s", "page", acts)
    app = open_app(project, "classes")
    assert list(app.dataframe[0].value["Labels"]) == [0, 2]
    assert any(text.value == "2 classes, 2 labels" for text in app.caption)


def test_name_key_and_colour_are_saved(open_app: Run, project: Project) -> None:
    app = open_app(project, "classes")
    field(app, "Name").set_value("kitten")  # type: ignore[attr-defined]
    field(app, "Key").set_value("k")  # type: ignore[attr-defined]
    field(app, "Colour").set_value("#123456")  # type: ignore[attr-defined]
    submit(app, "class_")
    first = classes.listed(project)[0]
    assert (first.name, first.key, first.colour) == ("kitten", "k", "#123456")


def test_a_taken_key_and_a_taken_name_are_refused_with_the_reason(
    open_app: Run, project: Project
) -> None:
    app = open_app(project, "classes")
    field(app, "Key").set_value("2")  # type: ignore[attr-defined]
    app = submit(app, "class_")
    assert "Key 2 already labels “dog”" in app.error[0].value.replace("\\", "")
    app = open_app(project, "classes")
    field(app, "Name").set_value("dog")  # type: ignore[attr-defined]
    app = submit(app, "class_")
    assert "“dog” is a class already" in app.error[0].value
    assert names(project) == ["cat", "dog"]


def test_the_list_of_keys_says_which_are_taken() -> None:
    used = {"1": "cat"}
    assert class_editor.key_text("1", used) == "1 · cat"
    assert class_editor.key_text("2", used) == "2"
    assert class_editor.key_text(None, used) == "none"


def test_moving_merging_archiving_and_undo(open_app: Run, project: Project) -> None:
    labelling.record(project, "anna", "s", "page", [Act("k", "label", 1, "cat")])
    cat, dog = (record.id for record in classes.listed(project))
    app = open_app(project, "classes")
    app.button(key=f"move_Down_{cat}").click().run()
    assert names(project) == ["dog", "cat"]
    # The chosen class stays chosen although its row has moved.
    assert app.button(key=f"move_Up_{cat}").disabled is False

    app.selectbox(key=f"merge_into_{cat}").set_value(dog).run()
    text = next(t.value for t in app.markdown if "will count as" in t.value)
    assert "1 label of **cat** will count as **dog**, which then has 1" in text
    app.button(key=f"merge_{cat}").click().run()
    assert names(project) == ["dog"]
    assert classes.counts(project) == {dog: 1}

    undo = app.button(key="classes_undo")
    assert "Merged “cat” into “dog”" in undo.label
    undo.click().run()
    assert not app.exception
    assert names(project) == ["dog", "cat"]
    app.button(key=f"archive_{dog}").click().run()
    assert names(project) == ["cat"]
    app.button(key="classes_undo").click().run()
    app.button(key="classes_undo").click().run()
    assert names(project) == ["cat", "dog"]


def test_undo_of_a_class_with_labels_asks_first_and_can_be_redone(
    open_app: Run, project: Project
) -> None:
    (fox,) = classes.add(project, ["*fox*"])
    acts = [Act(f"k{n}", "label", n, fox.id) for n in (1, 2, 3)]
    labelling.record(project, "anna", "s", "page", acts)
    app = open_app(project, "classes")
    assert "classes_undo" not in [button.key for button in app.button], "no click alone does it"
    asked = next(text.value for text in app.markdown if "This archives" in text.value)
    assert "**\\*fox\\***, which has 3 labels on 3 images" in asked
    assert names(project) == ["cat", "dog", "*fox*"]
    app.button(key="classes_undo_now").click().run()
    assert names(project) == ["cat", "dog"]
    redo = app.button(key="classes_redo")
    assert "Added" in redo.label
    redo.click().run()
    assert not app.exception
    assert names(project) == ["cat", "dog", "*fox*"]
    assert classes.counts(project) == {fox.id: 3}
    assert app.button(key="classes_redo").disabled


def test_many_classes_fit(open_app: Run, tmp_path: Path) -> None:
    project = create_project(tmp_path / "many", [f"class {n}" for n in range(60)])
    app = open_app(project, "classes")
    assert not app.exception
    assert len(app.dataframe[0].value) == 60
    assert "–" in set(app.dataframe[0].value["Key"])


def test_swatches_hold_nothing_but_the_colour() -> None:
    address = class_editor.swatch("#0072b2")
    assert address.startswith("data:image/svg+xml,%3Csvg")
    assert "%230072b2" in address
    assert '"' not in address


def test_long_texts_are_cut() -> None:
    assert class_editor.short("a" * 48) == "a" * 48
    assert class_editor.short("a" * 49) == "a" * 47 + "…"
