from __future__ import annotations

from pathlib import Path

import pytest

from labeller.errors import BudgetError, LabelFileError
from labeller.project import Project, create_project
from labeller.services import budget, classes
from labeller.services.exporting import export_labels
from labeller.services.importing import import_sources
from labeller.services.label_files import LabelFileReport, label_from_csv
from store.records import NewEvent, NewQueueEntry
from tests.labeller.pictures import folder_of, photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = create_project(tmp_path / "project", ["cat", "dog"], budget=10, workers=1)
    folder_of(tmp_path / "data" / "a", 4, "img{}.jpg".format)
    write(tmp_path / "data" / "b" / "img0.jpg", photo(50))
    import_sources(made, [tmp_path / "data"])
    import_sources(made, [write(tmp_path / "solo.jpg", photo(60))], copy=True)
    return made


def file(tmp_path: Path, text: str) -> Path:
    return write(tmp_path / "labels.csv", text.encode())


def current(project: Project) -> dict[str, tuple[str, str]]:
    with project.store.read() as unit:
        rows = list(unit.labels.export())
    return {"/".join(Path(row.path).parts[-2:]): (row.class_name, row.annotator) for row in rows}


def refused(project: Project, path: Path) -> str:
    before, spent = current(project), budget.meter(project).spent
    with pytest.raises(LabelFileError) as caught:
        label_from_csv(project, path, "ann")
    assert current(project) == before
    assert budget.meter(project).spent == spent
    return str(caught.value)


def test_paths_of_every_kind(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "data" / "b")
    rows = [
        "path,class,annotator",
        f"{tmp_path}/data/a/img0.jpg,cat,",  # absolute
        "img0.jpg,dog,bob",  # where we are, although another image ends in the same
        "data/a/img1.jpg,cat,",  # beside the file
        "a/img2.jpg,dog,",  # an end that only one has
        "./data/../data/a/img3.jpg,cat,",
        "solo.jpg,cat,",  # copied in
    ]
    report = label_from_csv(project, file(tmp_path, "\n".join(rows)), "ann")
    assert report == LabelFileReport(rows=6, labelled=6, cost=6.0)
    assert current(project) == {
        "a/img0.jpg": ("cat", "ann"),
        "b/img0.jpg": ("dog", "bob"),
        "a/img1.jpg": ("cat", "ann"),
        "a/img2.jpg": ("dog", "ann"),
        "a/img3.jpg": ("cat", "ann"),
        "images/solo.jpg": ("cat", "ann"),
    }
    assert budget.meter(project).spent == 6
    with project.store.read() as unit:
        item = unit.items.by_path("images/solo.jpg")
        assert item is not None
        assert unit.labels.history(item.id)[0].source == "cli"


def test_hashes_win_over_paths(project: Project, tmp_path: Path) -> None:
    with project.store.read() as unit:
        item = unit.items.by_path(str(tmp_path / "data" / "a" / "img3.jpg"))
    assert item is not None
    text = f"sha256,path,class\n{item.sha256.upper()},/elsewhere/x.jpg,dog\n,a/img1.jpg,cat\n"
    assert label_from_csv(project, file(tmp_path, text), "ann").labelled == 2
    assert current(project)["a/img3.jpg"] == ("dog", "ann")


def test_a_rerun_adds_nothing(project: Project, tmp_path: Path) -> None:
    path = file(tmp_path, "path,class\na/img0.jpg,cat\na/img1.jpg,dog\n")
    label_from_csv(project, path, "ann")
    before = current(project)
    assert label_from_csv(project, path, "ann") == LabelFileReport(rows=2, unchanged=2)
    assert label_from_csv(project, path, "bob") == LabelFileReport(rows=2, second_opinions=2)
    assert label_from_csv(project, path, "bob") == LabelFileReport(rows=2, unchanged=2)
    assert current(project) == before
    assert budget.meter(project).spent == 2


def test_a_rerun_after_an_undo_stays_undone(project: Project, tmp_path: Path) -> None:
    path = file(tmp_path, "path,class\na/img0.jpg,cat\n")
    label_from_csv(project, path, "ann")
    with project.store.write() as unit:
        key = unit.labels.recent()[0].key
        unit.labels.record("ann", None, "cli", [NewEvent("u", "undo", undoes=key)], 1.0)
    assert label_from_csv(project, path, "ann").unchanged == 1
    assert current(project) == {}


def test_corrections_and_second_opinions(project: Project, tmp_path: Path) -> None:
    label_from_csv(project, file(tmp_path, "path,class\na/img0.jpg,cat\na/img1.jpg,cat\n"), "ann")
    text = "path,class,annotator\na/img0.jpg,dog,ann\na/img1.jpg,dog,bob\n"
    report = label_from_csv(project, file(tmp_path, text), "carl")
    assert report == LabelFileReport(rows=2, changed=1, second_opinions=1)
    assert current(project) == {"a/img0.jpg": ("dog", "ann"), "a/img1.jpg": ("cat", "ann")}


def test_every_problem_is_listed_and_nothing_applied(project: Project, tmp_path: Path) -> None:
    text = "\n".join(
        [
            "path,sha256,class",
            "a/img0.jpg,,cat",
            "a/none.jpg,,cat",
            "img0.jpg,,cat",
            "a/img1.jpg,,newt",
            "a/img0.jpg,,dog",
            ",,cat",
            ",abc,cat",
            "a/img2.jpg,,",
            "",
            "a/img3.jpg,,cat",
        ]
    )
    told = refused(project, file(tmp_path, text))
    lines = told.splitlines()
    assert "6 problems" in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        f"line {n}" for n in (3, 4, 5, 6, 7, 8)
    ]
    for number, word in enumerate(
        ["a/none.jpg", "2 images", "'newt' (classes: cat, dog)", "line 2", "no image", "sha256"], 1
    ):
        assert word in lines[number]


def test_a_long_list_of_problems_is_cut(project: Project, tmp_path: Path) -> None:
    told = refused(project, file(tmp_path, "path,class\n" + "x.jpg,cat\n" * 50))
    assert "50 problems" in told
    assert "... and 30 more" in told
    assert len(told.splitlines()) == 22


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"path,class\na.jpg,cat\nb.jpg,caf\xe9\n", "line 3 is not UTF-8"),
        (b"class\ncat\n", "'path' or 'sha256'"),
        (b"path\na.jpg\n", "'label'"),
        (b"", "'path' or 'sha256'"),
    ],
)
def test_a_file_that_is_no_table(project: Project, tmp_path: Path, data: bytes, word: str) -> None:
    told = refused(project, write(tmp_path / "labels.csv", data))
    assert word in told
    assert "Nothing was applied" in told


def test_a_missing_file(project: Project, tmp_path: Path) -> None:
    assert "No such file" in refused(project, tmp_path / "none.csv")


def test_an_empty_table_is_fine(project: Project, tmp_path: Path) -> None:
    report = label_from_csv(project, file(tmp_path, "path,class\n"), "ann")
    assert report == LabelFileReport(rows=0)


def test_a_file_larger_than_the_budget_is_refused_whole(project: Project, tmp_path: Path) -> None:
    budget.set_total(project, 3)
    rows = [f"a/img{i}.jpg,cat" for i in range(4)]
    path = file(tmp_path, "path,class\n" + "\n".join(rows))
    with pytest.raises(BudgetError) as caught:
        label_from_csv(project, path, "ann")
    assert "cost 4" in str(caught.value)
    assert "3 of the budget of 3 is free" in str(caught.value)
    assert "by 1" in str(caught.value)
    assert current(project) == {}
    assert budget.meter(project).spent == 0
    budget.set_total(project, 4)
    assert label_from_csv(project, path, "ann").cost == 4


def test_what_open_pages_reserve_is_not_free(project: Project, tmp_path: Path) -> None:
    budget.set_total(project, 4)
    with project.store.write() as unit:
        solo = unit.items.by_path("images/solo.jpg")
        assert solo is not None
        unit.queue.replace([NewQueueEntry(solo.id, "random", None)], None)
        assert len(unit.queue.claim("eve", "page", 1, 600, 1.0)) == 1
    rows = "path,class\n" + "\n".join(f"a/img{i}.jpg,cat" for i in range(4))
    with pytest.raises(BudgetError, match="3 of the budget of 4 is free") as caught:
        label_from_csv(project, file(tmp_path, rows), "ann")
    assert "1 reserved" in str(caught.value)
    # the reserved item itself may be labelled: its reservation pays
    own = "path,class\nsolo.jpg,cat\n" + "\n".join(f"a/img{i}.jpg,cat" for i in range(3))
    assert label_from_csv(project, file(tmp_path, own), "ann").cost == 4


def test_labels_that_came_with_an_import_count_as_given(project: Project, tmp_path: Path) -> None:
    rows = write(tmp_path / "data" / "l.csv", b"path,label\na/img0.jpg,cat\n")
    import_sources(project, [rows])
    budget.set_total(project, 1)
    text = "path,class\na/img0.jpg,dog\na/img1.jpg,cat\n"
    report = label_from_csv(project, file(tmp_path, text), "ann")
    assert (report.labelled, report.second_opinions, report.cost) == (1, 1, 1)


# ---- what is news


def version(tmp_path: Path, name: str, *classes: str, annotator: str = "") -> Path:
    rows = [f"a/img{i}.jpg,{label},{annotator}" for i, label in enumerate(classes)]
    text = "\n".join(["path,class,annotator", *rows, ""])
    return write(tmp_path / name, text.encode())


def names(project: Project) -> list[str]:
    return [label for _, (label, _) in sorted(current(project).items())]


def test_back_to_an_earlier_version(project: Project, tmp_path: Path) -> None:
    one, two = version(tmp_path, "1.csv", "cat", "cat"), version(tmp_path, "2.csv", "dog", "cat")
    for path, labels, changed in (
        (one, ["cat", "cat"], 0),
        (two, ["dog", "cat"], 1),
        (one, ["cat", "cat"], 1),
        (one, ["cat", "cat"], 0),
        (two, ["dog", "cat"], 1),
    ):
        report = label_from_csv(project, path, "ann")
        assert (report.changed, report.changed + report.unchanged + report.labelled) == (changed, 2)
        assert names(project) == labels
    assert budget.meter(project).spent == 2
    with project.store.read() as unit:
        keys = [event.key for event in unit.labels.recent()]
    assert len(set(keys)) == len(keys) == 5


def test_the_same_rows_in_another_order_and_file_are_no_news(
    project: Project, tmp_path: Path
) -> None:
    label_from_csv(project, version(tmp_path, "1.csv", "cat", "dog"), "ann")
    text = "label;note;file\ndog;x;data/a/img1.jpg\ncat;y;data/a/img0.jpg\n"
    report = label_from_csv(project, file(tmp_path, text), "ann")
    assert (report.unchanged, report.changed, report.cost) == (2, 0, 0)


def by_hand(project: Project, annotator: str, name: str | None) -> None:
    """Say of the first image what it is, as the page does; None clears it in review."""
    with project.store.write() as unit:
        item = next(i for i in unit.items.page(order="path") if i.path.endswith("a/img0.jpg"))
        number = len(unit.labels.history(item.id))
        found = unit.classes.by_name(name) if name else None
        event = NewEvent(
            f"page{number}",
            "label" if found else "clear",
            item_id=item.id,
            class_id=found.id if found else None,
        )
        unit.labels.record(annotator, "s", "page", [event], 1.0)


def test_a_correction_by_hand_outlives_a_rerun(project: Project, tmp_path: Path) -> None:
    path = version(tmp_path, "1.csv", "cat", "cat")
    label_from_csv(project, path, "ann")
    by_hand(project, "ann", "dog")
    report = label_from_csv(project, path, "ann")
    assert (report.unchanged, report.overruled, report.changed) == (2, 1, 0)
    assert "changed by hand since" in report.notes[0]
    assert "line 2" in report.notes[0]
    assert names(project) == ["dog", "cat"]
    report = label_from_csv(project, path, "ann", again=True)
    assert (report.unchanged, report.overruled, report.changed) == (1, 0, 1)
    assert names(project) == ["cat", "cat"]


def test_a_correction_by_somebody_else_outlives_a_rerun(project: Project, tmp_path: Path) -> None:
    path = version(tmp_path, "1.csv", "cat")
    label_from_csv(project, path, "ann")
    by_hand(project, "ben", None)
    by_hand(project, "ben", "dog")
    report = label_from_csv(project, path, "ann")
    assert (report.unchanged, report.overruled) == (1, 1)
    assert current(project) == {"a/img0.jpg": ("dog", "ben")}
    report = label_from_csv(project, version(tmp_path, "2.csv", "dog"), "ann")
    assert report.second_opinions == 1
    assert current(project) == {"a/img0.jpg": ("dog", "ben")}


def test_what_was_said_by_hand_is_no_news(project: Project, tmp_path: Path) -> None:
    by_hand(project, "ann", "cat")
    report = label_from_csv(project, version(tmp_path, "1.csv", "cat"), "ann")
    assert (report.unchanged, report.overruled, report.labelled) == (1, 0, 0)


def test_two_annotators_in_one_sheet(project: Project, tmp_path: Path) -> None:
    rows = ["0.jpg,cat,a", "0.jpg,cat,b", "1.jpg,dog,b", "1.jpg,cat,a", "1.jpg,cat,c", "2.jpg,cat,"]
    text = "\n".join(["path,class,annotator", *(f"a/img{row}" for row in rows)])
    path = file(tmp_path, text)
    report = label_from_csv(project, path, "ann")
    assert report == LabelFileReport(rows=6, labelled=3, second_opinions=3, cost=3.0)
    assert current(project) == {
        "a/img0.jpg": ("cat", "a"),
        "a/img1.jpg": ("dog", "b"),
        "a/img2.jpg": ("cat", "ann"),
    }
    assert label_from_csv(project, path, "ann") == LabelFileReport(rows=6, unchanged=6)


def test_one_annotator_twice_in_one_sheet(project: Project, tmp_path: Path) -> None:
    text = "path,class\na/img0.jpg,cat\ndata/a/img0.jpg,Cat\n"
    report = label_from_csv(project, file(tmp_path, text), "ann")
    assert (report.rows, report.labelled, report.unchanged) == (2, 1, 1)
    told = refused(project, file(tmp_path, text.replace("Cat", "dog")))
    assert "line 3: names the same image as line 2, with another class by the same" in told


# ---- what a cell says


def test_a_half_filled_sheet(project: Project, tmp_path: Path) -> None:
    rows = ["a/img0.jpg,cat", "a/img1.jpg,", "a/img2.jpg,nan", "not/here.jpg,NA", "a/img3.jpg,Dog "]
    report = label_from_csv(project, file(tmp_path, "\n".join(["path,label", *rows])), "ann")
    assert (report.rows, report.labelled, report.empty, report.cost) == (5, 2, 3, 2)
    assert report.notes == (
        "3 rows without a label (empty, or 'nan', 'NA'): lines 3, 4, 5.",
        "Names that differ only in case, blanks, invisible characters or Unicode form are one "
        "class: “Dog” (1) is taken for “dog”.",
    )
    assert names(project) == ["cat", "dog"]


def test_json_lines_as_export_writes_them(project: Project, tmp_path: Path) -> None:
    label_from_csv(project, version(tmp_path, "1.csv", "cat", "dog"), "ann")
    out = tmp_path / "out.jsonl"
    export_labels(project, out)
    assert label_from_csv(project, out, "bob").unchanged == 2
    other = create_project(tmp_path / "other", ["dog", "cat"], workers=1)
    import_sources(other, [tmp_path / "data"])
    report = label_from_csv(other, out, "bob")
    assert (report.labelled, report.notes) == (
        2,
        ("columns not read: 'time', 'strategy', 'split', 'round', 'group'.",),
    )
    assert current(other) == current(project)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"PK\x03\x04xl/workbook.xml", "Excel workbook"),
        (b"PAR1xxxx", "Parquet"),
        (b'{"images": [], "annotations": [{"id": 1}]}', "COCO"),
        (b'[{"path": "a.jpg"}]', "JSON Lines"),
        (b"a/img0.jpg,cat\n", "'path,label'"),
    ],
)
def test_another_format_says_what_it_is(
    project: Project, tmp_path: Path, data: bytes, word: str
) -> None:
    told = refused(project, write(tmp_path / "labels.csv", data))
    assert word in told
    assert "Nothing was applied" in told


def test_rows_that_cannot_be_understood_are_all_named(project: Project, tmp_path: Path) -> None:
    rows = ["a/img0.jpg,cat, tabby", "a/img1.jpg,cat|dog", 'a/img2.jpg,"cat" x', "a/img3.jpg,CAT"]
    told = refused(project, file(tmp_path, "\n".join(["path,class", *rows])))
    assert "3 problems" in told
    for line, word in ((2, "3 cells"), (3, "several labels"), (4, "after a closing quote")):
        assert any(f"line {line}:" in text and word in text for text in told.splitlines())


def test_a_name_of_two_classes_is_asked_about(project: Project, tmp_path: Path) -> None:
    with project.store.write() as unit:
        unit.classes.add("CAT", None, "#000000", 9)
    label_from_csv(project, file(tmp_path, "path,class\na/img0.jpg,CAT\na/img1.jpg,cat\n"), "ann")
    assert names(project) == ["CAT", "cat"]
    told = refused(project, file(tmp_path, "path,class\na/img2.jpg,Cat\n"))
    assert "'Cat' fits 'cat' and 'CAT'" in told


def test_merged_and_archived_classes(project: Project, tmp_path: Path) -> None:
    cat, dog = classes.listed(project)
    classes.merge(project, cat.id, dog.id)
    path = file(tmp_path, "path,class\na/img0.jpg,cat\n")
    label_from_csv(project, path, "ann")
    assert current(project) == {"a/img0.jpg": ("dog", "ann")}
    newt = classes.add(project, ["newt"])[0]
    classes.archive(project, newt.id)
    assert "'newt'" in refused(project, file(tmp_path, "path,class\na/img1.jpg,newt\n"))
