from __future__ import annotations

import csv
import io
import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeller.errors import ExportError, LabelFileError
from labeller.project import Project, create_project
from labeller.services import classes, streams
from labeller.services.exporting import COLUMNS, GENERATED_COLUMNS, export_labels, export_text
from labeller.services.importing import import_sources
from labeller.services.label_files import label_from_csv
from labeller.services.tables import guarded, unguarded
from store.records import NewEvent, NewItem, NewQueueEntry
from tests.labeller.pictures import folder_of, photo, write
from tests.labeller.streaming import do_jobs, fixed, pool, say


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = create_project(tmp_path / "project", ["cat", "dog"], workers=1)
    folder_of(tmp_path / "photos", 4)
    write(tmp_path / "list.csv", b"path,group\nphotos/0.jpg,burst\nphotos/1.jpg,\n")
    import_sources(made, [tmp_path / "list.csv", tmp_path / "photos"])
    import_sources(made, [write(tmp_path / "inside.jpg", photo(9))], copy=True)
    return made


def give(project: Project, annotator: str, **names: str) -> None:
    """Label items by the stem of their file names."""
    with project.store.write() as unit:
        ids = {Path(i.path).stem: i.id for i in unit.items.page(limit=100)}
        known = {record.name: record.id for record in unit.classes.all()}
        events = [
            NewEvent(f"{stem}-{name}", "label", ids[stem], known[name])
            for stem, name in ((stem.lstrip("_"), name) for stem, name in names.items())
        ]
        results = unit.labels.record(annotator, "s", "page", events, 1.0)
    assert {result.status for result in results} == {"accepted"}


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
    else:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(tuple(row) == COLUMNS for row in rows)
    return {Path(row["path"]).stem: row for row in rows}


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "OUT.CSV"])
def test_every_column(project: Project, tmp_path: Path, name: str) -> None:
    with project.store.write() as unit:
        run = unit.rounds.start("margin", 10, None, 0, 0.0)
        ids = {Path(i.path).stem: i for i in unit.items.page(limit=100)}
        unit.queue.replace([NewQueueEntry(ids["0"].id, "margin", 0.5)], run.id)
    give(project, "ann", _0="cat", inside="dog")
    path = tmp_path / name.lower()
    assert export_labels(project, path).rows == 2
    rows = rows_of(path)
    first, second = rows["0"], rows["inside"]
    assert first["path"] == str(tmp_path / "photos" / "0.jpg")
    assert second["path"] == str(project.root / "images" / "inside.jpg")
    assert first["sha256"] == ids["0"].sha256
    assert (first["class"], second["class"]) == ("cat", "dog")
    assert first["annotator"] == "ann"
    assert first["time"].endswith("Z")
    assert datetime.fromisoformat(first["time"]).timestamp() == pytest.approx(
        ids["0"].added_at, abs=100
    )
    assert (first["strategy"], first["group"]) == ("margin", "burst")
    assert str(first["round"]) == str(run.number)
    assert first["split"] == ids["0"].split
    assert first["provenance"] == "page"
    assert second["strategy"] in ("", None)
    assert second["round"] in ("", None)


def test_the_text_is_the_file(project: Project, tmp_path: Path) -> None:
    give(project, "ann", _0="cat", _1="dog", _2="dog")
    for kind in ("csv", "jsonl"):
        path = tmp_path / f"x.{kind}"
        export_labels(project, path)
        assert b"".join(export_text(project, kind)) == path.read_bytes()


def test_without_labels(project: Project, tmp_path: Path) -> None:
    assert export_labels(project, tmp_path / "x.csv").rows == 0
    assert (tmp_path / "x.csv").read_text().splitlines() == [",".join(COLUMNS)]
    assert export_labels(project, tmp_path / "x.jsonl").rows == 0
    assert (tmp_path / "x.jsonl").read_bytes() == b""


@pytest.mark.parametrize("name", ["x.json", "x.txt", "x"])
def test_another_suffix_is_refused(project: Project, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match=r"\.csv or \.jsonl"):
        export_labels(project, tmp_path / name)
    with pytest.raises(ExportError, match="csv or jsonl"):
        export_text(project, name)


def test_a_failed_export_leaves_the_old_file(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "out" / "x.csv", b"old")
    give(project, "ann", _0="cat")

    def full(_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("labeller.services.exporting._csv", full)
    with pytest.raises(ExportError, match="No space left"):
        export_labels(project, path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_named(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="nowhere"):
        export_labels(project, tmp_path / "nowhere" / "x.csv")


def test_a_spreadsheet_runs_nothing(project: Project, tmp_path: Path) -> None:
    classes.add(project, ["=1+1", "@x", "-5", "plain"])
    give(project, "+ann", _0="=1+1", _1="@x", _2="-5", _3="plain")
    export_labels(project, tmp_path / "x.csv")
    rows = rows_of(tmp_path / "x.csv")
    assert [rows[i]["class"] for i in "0123"] == ["'=1+1", "'@x", "-5", "plain"]
    assert rows["0"]["annotator"] == "'+ann"
    export_labels(project, tmp_path / "x.jsonl")
    assert rows_of(tmp_path / "x.jsonl")["0"]["class"] == "=1+1"


@given(st.text())
def test_guarding_is_taken_back_exactly(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell


@given(st.text(alphabet="'=+-@\t\r1.e"))
def test_nothing_guarded_is_a_formula(cell: str) -> None:
    safe = guarded(cell)
    assert unguarded(safe) == cell
    if safe[:1] and safe[0] in "=+-@\t\r":
        float(safe)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    min_size=1,
    max_size=20,
).filter(str.strip)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(NAMES, min_size=1, max_size=4), NAMES, st.data())
def test_an_export_imported_again_gives_the_same_labels(
    names: list[str], annotator: str, data: st.DataObject
) -> None:
    names = list(dict.fromkeys(classes.check_names([name])[0] for name in names))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        first, second = (create_project(root / name, names) for name in ("one", "two"))
        wanted = {}
        for project in (first, second):
            ids = _with_items(project, 5)
        given = data.draw(st.lists(st.sampled_from(names), min_size=5, max_size=5))
        with first.store.write() as unit:
            known = {record.name: record.id for record in unit.classes.all()}
            events = [
                NewEvent(f"k{item}", "label", item, known[name])
                for item, name in zip(ids, given, strict=True)
            ]
            unit.labels.record(annotator.strip(), None, "page", events, 1.0)
            wanted = {row.sha256: (row.class_name, row.annotator) for row in unit.labels.export()}
        assert export_labels(first, root / "x.csv").rows == 5
        report = label_from_csv(second, root / "x.csv", "nobody")
        assert (report.labelled, report.unchanged) == (5, 0)
        with second.store.read() as unit:
            found = {row.sha256: (row.class_name, row.annotator) for row in unit.labels.export()}
        assert found == wanted
        export_labels(second, root / "y.csv")
        assert label_from_csv(first, root / "y.csv", "nobody").unchanged == 5


def _with_items(project: Project, number: int) -> list[int]:
    items = [
        NewItem(f"{i:064x}", f"/photos/{i}.jpg", False, 8, 8, "JPEG", 100, f"g{i}", "train")
        for i in range(number)
    ]
    with project.store.write() as unit:
        return unit.items.add(items)


def test_an_export_is_a_source_for_an_import(project: Project, tmp_path: Path) -> None:
    give(project, "ann", _0="cat", _1="dog", inside="dog")
    export_labels(project, tmp_path / "x.csv")
    other = create_project(tmp_path / "other", [], workers=1)
    report = import_sources(other, [tmp_path / "x.csv"])
    assert (report.added, report.labelled) == (3, 3)
    again = b"".join(export_text(other, "csv")).decode()
    mine = b"".join(export_text(project, "csv")).decode()
    keep = ("path", "sha256", "class", "split", "group")
    assert sorted(
        tuple(row[name] for name in keep) for row in csv.DictReader(io.StringIO(again))
    ) == sorted(tuple(row[name] for name in keep) for row in csv.DictReader(io.StringIO(mine)))


def test_thousands_stream(project: Project, tmp_path: Path) -> None:
    ids = _with_items(project, 3_000)
    with project.store.write() as unit:
        cat = unit.classes.all()[0].id
        events = [NewEvent(f"k{item}", "label", item, cat) for item in ids]
        unit.labels.record("ann", None, "page", events, 1.0)
    assert export_labels(project, tmp_path / "x.csv").rows == 3_000
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 3_001
    assert len(list(export_text(project, "csv"))) > 5


def test_generated_labels_come_with_their_provenance_and_stay_no_labels(tmp_path: Path) -> None:
    project = pool(tmp_path / "p", [0.96, 0.99, 0.97, 0.98], [0, 1, 2, 0], budget=9)
    say(project, 3, 1)
    streams.start(project, fixed())
    do_jobs(project)
    say(project, 1, 2)  # a person's label takes the place of the generated one
    path = tmp_path / "out.jsonl"
    assert export_labels(project, path, generated=True).rows == 2  # an open run is no accepted one
    streams.decide(project, 1, "accepted", "ann")
    assert export_labels(project, path).rows == 2
    assert export_labels(project, path, generated=True).rows == 4
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(tuple(row) == GENERATED_COLUMNS for row in rows)
    assert [row["provenance"] for row in rows] == ["page", "page", "generated", "generated"]
    assert [row["confidence"] for row in rows[:2]] == [None, None]
    second = rows[2]
    assert second["path"].endswith("00001.png")
    assert (second["class"], second["annotator"]) == ("b", "model of round 0")
    assert (second["strategy"], second["round"], second["run"]) == ("fixed_threshold", 0, 1)
    assert second["confidence"] == pytest.approx(0.99)
    table = tmp_path / "out.csv"
    assert export_labels(project, table, generated=True).rows == 4
    assert b"".join(export_text(project, "csv", generated=True)) == table.read_bytes()
    with pytest.raises(LabelFileError, match="line 4: is a generated label, which no person gave"):
        label_from_csv(project, table, "ann")
    streams.decide(project, 1, "rolled_back", "ann")
    assert export_labels(project, path, generated=True).rows == 2


def test_an_imported_table_brings_no_generated_labels(tmp_path: Path) -> None:
    made = create_project(tmp_path / "project", ["cat", "dog"], workers=1)
    folder_of(tmp_path / "photos", 2)
    lines = b"path,class,provenance\nphotos/0.jpg,cat,page\nphotos/1.jpg,dog,generated\n"
    report = import_sources(made, [write(tmp_path / "list.csv", lines)])
    assert (report.added, report.labelled) == (2, 1)
