from __future__ import annotations

from pathlib import Path

import pytest

from labeller.errors import BudgetError, LabelFileError
from labeller.project import Project, create_project
from labeller.services import budget, classes
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
    assert "7 problems" in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        f"line {n}" for n in (3, 4, 5, 6, 7, 8, 9)
    ]
    for number, word in enumerate(
        ["a/none.jpg", "2 images", "'newt' (classes: cat, dog)", "line 2", "no image", "sha256"], 1
    ):
        assert word in lines[number]
    assert "no class" in lines[7]


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


def test_merged_and_archived_classes(project: Project, tmp_path: Path) -> None:
    cat, dog = classes.listed(project)
    classes.merge(project, cat.id, dog.id)
    path = file(tmp_path, "path,class\na/img0.jpg,cat\n")
    label_from_csv(project, path, "ann")
    assert current(project) == {"a/img0.jpg": ("dog", "ann")}
    newt = classes.add(project, ["newt"])[0]
    classes.archive(project, newt.id)
    assert "'newt'" in refused(project, file(tmp_path, "path,class\na/img1.jpg,newt\n"))
