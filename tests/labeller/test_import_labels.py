from __future__ import annotations

from pathlib import Path

import pytest

from labeller.errors import ImportSourceError
from labeller.project import Project, create_project
from labeller.services import classes
from labeller.services.importing import import_sources
from labeller.services.splits import split_of
from tests.labeller.imports import class_names, items, labels, reasons, table
from tests.labeller.pictures import folder_of, photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", ["cat", "dog"], workers=1)


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    return create_project(tmp_path / "empty", [], workers=1)


# ---- folders of classes


def test_class_folders(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "animals"
    folder_of(source / "cat", 3, "c{}.jpg".format)
    write(source / "dog" / "d.jpg", photo(10))
    write(source / "newt" / "n.jpg", photo(11))
    report = import_sources(project, [source])
    assert (report.added, report.labelled) == (5, 4)
    assert labels(project) == {"c0.jpg": "cat", "c1.jpg": "cat", "c2.jpg": "cat", "d.jpg": "dog"}
    assert class_names(project) == ["cat", "dog"]
    assert any("newt 1 (no class of the project" in note for note in report.notes)
    with project.store.read() as unit:
        budget = unit.budget.get()
        history = unit.labels.history(next(i.id for i in items(project) if "d.jpg" in i.path))
    assert budget.spent == 0
    assert [(event.source, event.cost) for event in history] == [("import", 0)]


def test_class_folders_bring_classes_into_a_project_without_any(
    empty: Project, tmp_path: Path
) -> None:
    for number, name in enumerate(("oak", "elm")):
        write(tmp_path / "trees" / name / "1.jpg", photo(number))
    report = import_sources(empty, [tmp_path / "trees"])
    assert report.labelled == 2
    assert sorted(class_names(empty)) == ["elm", "oak"]
    assert any("oak" in note for note in report.notes)


def test_folders_as_labels_on_request(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "mixed"
    write(source / "newt" / "deep" / "n.jpg", photo(1))
    write(source / "cat" / "c.jpg", photo(2))
    write(source / "loose.jpg", photo(3))
    report = import_sources(project, [source], labels="folders")
    assert labels(project) == {"n.jpg": "newt", "c.jpg": "cat"}
    assert any("1 image without a class" in note for note in report.notes)
    assert class_names(project) == ["cat", "dog", "newt"]
    assert (report.added, report.labelled) == (3, 2)


def test_no_labels_on_request(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "a" / "cat" / "c.jpg", photo(1))
    write(tmp_path / "b" / "d.jpg", photo(2))
    rows = table(tmp_path / "b" / "list.csv", [["path", "label"], ["d.jpg", "dog"]])
    report = import_sources(project, [tmp_path / "a", rows], labels="none")
    assert (report.added, report.labelled) == (2, 0)


def test_an_existing_label_is_kept_and_the_conflict_told(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "one" / "cat" / "a.jpg", photo(1))
    import_sources(project, [tmp_path / "one"])
    write(tmp_path / "two" / "dog" / "a.jpg", photo(1))
    write(tmp_path / "two" / "dog" / "b.jpg", photo(2))
    report = import_sources(project, [tmp_path / "two"])
    assert (report.added, report.known, report.labelled, report.failed) == (1, 1, 1, 0)
    assert [(c.label, c.wanted) for c in report.conflicts] == [("cat", "dog")]
    assert labels(project) == {"a.jpg": "cat", "b.jpg": "dog"}
    with project.store.read() as unit:
        listed = unit.imports.problems(report.import_id)
    assert "cat already" in listed[0].reason


def test_one_image_in_two_class_folders(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "s" / "cat" / "a.jpg", photo(1))
    write(tmp_path / "s" / "dog" / "b.jpg", photo(1))
    report = import_sources(project, [tmp_path / "s"])
    assert (report.added, report.known, report.labelled, len(report.conflicts)) == (1, 1, 1, 1)


def test_labels_reach_images_that_were_imported_without(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "s" / "cat", 2)
    import_sources(project, [source])
    assert not labels(project)
    assert import_sources(project, [tmp_path / "s"]).labelled == 2
    assert import_sources(project, [tmp_path / "s"]).labelled == 0


def test_a_merged_class_stands_for_its_target(project: Project, tmp_path: Path) -> None:
    cat, dog = classes.listed(project)
    classes.merge(project, cat.id, dog.id)
    write(tmp_path / "s" / "cat" / "a.jpg", photo(1))
    write(tmp_path / "s" / "dog" / "b.jpg", photo(2))
    assert import_sources(project, [tmp_path / "s"]).labelled == 2
    assert set(labels(project).values()) == {"dog"}


# ---- tables


def test_a_table(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "data" / "img", 6)
    far = write(tmp_path / "far.jpg", photo(20))
    rows = [
        ["Path", "Label", "group", "split"],
        ["img/0.jpg", "cat", "g1", "valid"],
        ["img/1.jpg", "", "g1", ""],
        ["img/2.jpg", "dog", "", "test"],
        [str(far), " cat ", "g2", ""],
        ["img/none.jpg", "cat", "", ""],
        ["img/3.jpg", "cat", "", "holdout"],
        ["img/4.jpg", "newt", "", ""],
        ["", "cat", "", ""],
        ["img/5.jpg", "cat", "g1", "train"],
    ]
    report = import_sources(project, [table(tmp_path / "data" / "list.csv", rows)])
    found = {Path(item.path).name: item for item in items(project)}
    assert found.keys() == {"0.jpg", "1.jpg", "2.jpg", "4.jpg", "far.jpg"}
    assert found["0.jpg"].path == str(source / "0.jpg")
    assert (found["0.jpg"].group, found["0.jpg"].split) == ("g1", "valid")
    assert (found["1.jpg"].group, found["1.jpg"].split) == ("g1", "valid")  # the group's
    assert found["2.jpg"].split == "audit"
    assert found["far.jpg"].split == split_of("g2", 0.1, 0.2)
    assert labels(project) == {"0.jpg": "cat", "2.jpg": "dog", "far.jpg": "cat"}
    told = reasons(report)
    assert "no such file" in told["none.jpg"]
    assert "'holdout'" in told["list.csv: line 7"]
    assert "empty" in told["list.csv: line 9"]
    assert "valid" in told["list.csv: line 10"]
    assert any("'newt'" in note for note in report.notes)


def test_a_group_keeps_its_split_in_later_imports(project: Project, tmp_path: Path) -> None:
    folder_of(tmp_path / "img", 4)
    head = ["path", "group", "split"]
    first = [head, ["img/0.jpg", "burst", "audit"]]
    import_sources(project, [table(tmp_path / "first.csv", first)])
    later = [head, ["img/1.jpg", "burst", ""], ["img/2.jpg", "burst", ""]]
    import_sources(project, [table(tmp_path / "later.csv", later)])
    other = [head, ["img/3.jpg", "burst", "train"]]
    report = import_sources(project, [table(tmp_path / "other.csv", other)])
    assert {item.split for item in items(project)} == {"audit"}
    with project.store.read() as unit:
        (told,) = unit.imports.problems(report.import_id)
    assert told.path.endswith("3.jpg")
    assert told.reason == "its group burst is in the split audit already, not train"


def test_a_table_as_a_spreadsheet_writes_it(empty: Project, tmp_path: Path) -> None:
    write(tmp_path / "ä b.jpg", photo(1))
    text = "\ufeffpath;class\r\nä b.jpg;'=cat\r\n\r\n"
    source = write(tmp_path / "list.csv", text.encode())
    report = import_sources(empty, [source])
    assert (report.added, report.labelled) == (1, 1)
    assert class_names(empty) == ["=cat"]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"name,label\na.jpg,cat\n", "no column 'path'"),
        (b"", "no column 'path'"),
        (b"path,path\na,b\n", "two columns"),
        (b"path,label\na.jpg,cat\nb.jpg,caf\xe9\n", "line 3 is not UTF-8"),
    ],
)
def test_a_table_that_is_none(project: Project, tmp_path: Path, data: bytes, word: str) -> None:
    with pytest.raises(ImportSourceError, match=word):
        import_sources(project, [write(tmp_path / "list.csv", data)])
    with project.store.read() as unit:
        assert unit.imports.all()[0].finished_at is not None
