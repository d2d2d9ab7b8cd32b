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


def sheet(tmp_path: Path, text: str, name: str = "list.csv") -> Path:
    """Write a table beside ten images, 0.jpg to 9.jpg."""
    folder_of(tmp_path / "data", 10)
    return write(tmp_path / "data" / name, text.encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "file_name,subset,category\n0.jpg,val,cat\n1.jpg,training,dog\n2.jpg,,\n"),
        ("list.csv", "image;label;is_valid\n0.jpg;cat;True\n1.jpg;dog;0\n2.jpg;;\n"),
        ("list.tsv", "sep=\t\npath\tclass\tset\n0.jpg\tcat\tval\n1.jpg\tdog\ttrain\n2.jpg\n"),
        (
            "metadata.jsonl",
            '{"file_name": "0.jpg", "label": "cat", "is_valid": true}\n'
            '{"file_name": "1.jpg", "label": "dog", "is_valid": false}\n{"file_name": "2.jpg"}\n',
        ),
    ],
)
def test_columns_of_other_tools(empty: Project, tmp_path: Path, name: str, text: str) -> None:
    report = import_sources(empty, [sheet(tmp_path, text, name)])
    assert (report.added, report.labelled, report.failed) == (3, 2, 0)
    found = {Path(item.path).name: item.split for item in items(empty)}
    assert (found["0.jpg"], found["1.jpg"]) == ("valid", "train")
    assert labels(empty) == {"0.jpg": "cat", "1.jpg": "dog"}
    assert any("1 row without a label" in note for note in report.notes)
    assert any(note.startswith(f"{name}: columns read: ") for note in report.notes)


def test_what_a_table_says_besides(empty: Project, tmp_path: Path) -> None:
    rows = [
        "path,label,group,tag,provenance",
        "0.jpg,cat,nan,x,",
        "1.jpg,Cat,None,x,",
        "2.jpg,cat\u200b,g,x,",
        "3.jpg,cat,g",
        "4.jpg,dog,,x,generated",
        "5.jpg,cat|dog,,x,",
        "6.jpg,dog,,x,",
        "7.jpg,cat, tabby,g,x,page",
        "8.jpg,NaN,,x,",
    ]
    report = import_sources(empty, [sheet(tmp_path, "\n".join(rows))])
    assert class_names(empty) == ["cat", "dog"]
    assert labels(empty) == {**{f"{i}.jpg": "cat" for i in range(4)}, "6.jpg": "dog"}
    groups = {Path(item.path).name: item.group for item in items(empty)}
    assert groups["0.jpg"] != groups["1.jpg"]  # nan is no group
    assert groups["2.jpg"] == groups["3.jpg"] == "g"
    assert "has 6 cells and the header 5" in reasons(report)["list.csv: line 9"]
    told = "\n".join(report.notes)
    for words in (
        "columns not read: 'tag'.",
        "line 5 has fewer cells than the header",
        "'nan' in 1 cell of the column for the group",
        "'None' in 1 cell of the column for the group",
        "1 row without a label (empty, or 'NaN'): line 10.",
        "“cat|dog” is several labels, and an image has one (line 7).",
        "“Cat” (1) is taken for “cat”",
        "“cat[U+200B]” (1) is taken for “cat”",
        "1 row has a generated label",
    ):
        assert words in told, words


def test_labels_of_a_table_take_the_spelling_of_the_classes(
    project: Project, tmp_path: Path
) -> None:
    report = import_sources(project, [sheet(tmp_path, "path,label\n0.jpg,CAT\n1.jpg, Dog\n")])
    assert labels(project) == {"0.jpg": "cat", "1.jpg": "dog"}
    assert class_names(project) == ["cat", "dog"]
    assert any("“CAT” (1) is taken for “cat”" in note for note in report.notes)


def test_one_class_of_two_tables(empty: Project, tmp_path: Path) -> None:
    one = sheet(tmp_path, "path,label\n0.jpg,cat\n")
    two = sheet(tmp_path, "path,label\n1.jpg,Cat\n2.jpg,CAT\n3.jpg,CAT\n", "two.csv")
    report = import_sources(empty, [one, two])
    assert class_names(empty) == ["CAT"]  # as it is written most
    notes = " ".join(report.notes)
    assert "“cat” (1) is taken for “CAT”." in notes
    assert set(labels(empty).values()) == {"CAT"}


def test_captions_are_no_classes(empty: Project, project: Project, tmp_path: Path) -> None:
    folder_of(tmp_path / "data", 24)
    rows = [["path", "label"], *([f"{i}.jpg", f"a photo of thing {i // 2}"] for i in range(24))]
    fits = table(tmp_path / "data" / "fits.csv", rows)  # half as many labels as rows
    rows[1:] = [[f"{i}.jpg", f"a photo of thing {i}"] for i in range(24)]
    many = table(tmp_path / "data" / "many.csv", rows)
    report = import_sources(empty, [many])
    assert (report.added, report.labelled, class_names(empty)) == (24, 0, [])
    assert any("24 different labels in 24 rows" in n and "--labels" in n for n in report.notes)
    assert import_sources(project, [many]).labelled == 0  # a project's classes are its own
    assert class_names(project) == ["cat", "dog"]
    report = import_sources(empty, [fits])
    assert (report.labelled, len(class_names(empty))) == (24, 12)
    taken = create_project(tmp_path / "taken", [], workers=1)
    report = import_sources(taken, [many], labels="folders")
    assert (report.labelled, len(class_names(taken))) == (24, 24)
    assert not any("different labels" in note for note in report.notes)


def test_a_table_of_another_format_is_named(project: Project, tmp_path: Path) -> None:
    report = import_sources(project, [write(tmp_path / "list.csv", b"PAR1" + bytes(9))])
    (problem,) = report.problems
    assert "Parquet" in problem.reason
    assert "CSV" in problem.mend


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b'{"images": [], "annotations": []}', "COCO"),
        (b"0.jpg,cat\n", "looks like a row"),
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
