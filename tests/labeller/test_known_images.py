"""Images first, then the sheet with their splits and groups: taken, or told why not."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from labeller.project import Project, create_project
from labeller.services.importing import ImportReport, import_sources
from store.records import ItemRecord, NewEvent, NewModel, Split
from tests.labeller.imports import items
from tests.labeller.pictures import folder_of, photo, write

Sheet = Callable[[str], ImportReport]
TAKEN = "known already got the group and split that came along."


@pytest.fixture
def ds(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "ds", 8)


@pytest.fixture
def project(tmp_path: Path, ds: Path) -> Project:
    made = create_project(tmp_path / "p", ["cat", "dog"], workers=1, leak_distance=0.0)
    import_sources(made, [ds])
    return made


@pytest.fixture
def sheet(project: Project, ds: Path) -> Sheet:
    """Import a sheet of these rows."""

    def imported(text: str) -> ImportReport:
        return import_sources(project, [write(ds / "sheet.csv", text.encode())])

    return imported


def found(project: Project) -> dict[str, ItemRecord]:
    return {Path(one.path).name: one for one in items(project)}


def reasons(project: Project, report: ImportReport) -> dict[str, str]:
    with project.store.read() as unit:
        told = unit.imports.problems(report.import_id)
    return {Path(one.path).name: one.reason for one in told}


def put(project: Project, split: Split, *names: str) -> None:
    """Put images into a split, as the hash of others would have."""
    known = found(project)
    with project.store.write() as unit:
        unit.regroupings.assign({known[name].group: (known[name].group, split) for name in names})


def label(project: Project, *names: str) -> None:
    known = found(project)
    with project.store.write() as unit:
        cat = unit.classes.all()[0].id
        events = [
            NewEvent(f"k{name}", "label", item_id=known[name].id, class_id=cat) for name in names
        ]
        unit.labels.record("ann", None, "page", events, 1.0)


def train(project: Project) -> None:
    """Register a model, which has learned from all labels so far."""
    with project.store.write() as unit:
        record = unit.rounds.start("random", 5, None, 1, 0.0)
        new = NewModel("models/m", "h", 1, 0, "b", "cpu", (1, 2), {}, {}, {}, {})
        unit.models.add(new, record.id)


def look_like(file: Path, other: Path) -> None:
    """Write two files of one picture."""
    with Image.open(io.BytesIO(photo(500, 320))) as image:
        image.save(file, quality=95)
        image.save(other, quality=85)


def check_counts(project: Project) -> None:
    """Compare the kept counts with the rows."""
    rows = items(project)
    with project.store.read() as unit:
        splits = unit.items.splits()
    assert {split: n for split, n in splits.items() if n} == {
        split: sum(one.split == split for one in rows) for split in {one.split for one in rows}
    }


def test_groups_and_splits_of_a_later_sheet_are_taken(project: Project, sheet: Sheet) -> None:
    names = ("train", "test", "val", "unused")
    text = "".join(f"{i}.jpg,patient{i // 2},{names[i // 2]}\n" for i in range(8))
    report = sheet("path,group,split\n" + text)
    assert (report.added, report.known) == (0, 8)
    wanted: tuple[Split, ...] = ("train", "audit", "valid", "unused")
    assert {name: (one.group, one.split) for name, one in found(project).items()} == {
        f"{i}.jpg": (f"patient{i // 2}", wanted[i // 2]) for i in range(8)
    }
    assert any(TAKEN in note for note in report.notes)
    assert reasons(project, report) == {}
    check_counts(project)
    assert not any(TAKEN in note for note in sheet("path,group,split\n" + text).notes)


def test_a_split_alone_and_a_group_alone(project: Project, sheet: Sheet) -> None:
    put(project, "train", "0.jpg", "1.jpg", "2.jpg")
    sheet("path,split\n0.jpg,valid\n1.jpg,test\n")
    before = found(project)
    assert (before["0.jpg"].split, before["1.jpg"].split) == ("valid", "audit")
    sheet("path,group\n0.jpg,g\n2.jpg,g\n")  # the first of a group gives its split
    after = found(project)
    assert {(after[name].group, after[name].split) for name in ("0.jpg", "2.jpg")} == {
        ("g", "valid")
    }
    check_counts(project)


def test_a_whole_group_moves_or_none_of_it(project: Project, sheet: Sheet) -> None:
    sheet("path,group,split\n" + "".join(f"{i}.jpg,g,train\n" for i in range(3)))
    sheet("path,split\n1.jpg,valid\n")
    assert {found(project)[f"{i}.jpg"].split for i in range(3)} == {"valid"}
    label(project, "0.jpg")
    train(project)
    report = sheet("path,split\n1.jpg,test\n")
    assert {found(project)[f"{i}.jpg"].split for i in range(3)} == {"valid"}
    assert "0.jpg, which is of its group: a model has learned" in reasons(project, report)["1.jpg"]
    check_counts(project)


def test_what_a_model_has_learned_from_does_not_measure_one(project: Project, sheet: Sheet) -> None:
    put(project, "train", "0.jpg", "1.jpg", "2.jpg")
    label(project, "0.jpg")
    sheet("path,split\n0.jpg,valid\n")
    assert found(project)["0.jpg"].split == "valid"
    train(project)
    label(project, "1.jpg")  # too late for this model
    report = sheet("path,split\n0.jpg,test\n1.jpg,test\n2.jpg,test\n")
    splits = {name: found(project)[name].split for name in ("0.jpg", "1.jpg", "2.jpg")}
    assert splits == {"0.jpg": "valid", "1.jpg": "audit", "2.jpg": "audit"}
    told = reasons(project, report)
    assert list(told) == ["0.jpg"]
    assert "a model has learned from it in the split valid" in told["0.jpg"]
    assert any("1 known image kept its group and split" in note for note in report.notes)
    check_counts(project)


def test_what_has_measured_a_model_stays_in_the_audit_set(project: Project, sheet: Sheet) -> None:
    put(project, "audit", "0.jpg", "1.jpg")
    label(project, "0.jpg")
    train(project)
    report = sheet("path,split\n0.jpg,train\n1.jpg,train\n")
    assert (found(project)["0.jpg"].split, found(project)["1.jpg"].split) == ("audit", "train")
    assert "it has measured a model in the audit set" in reasons(project, report)["0.jpg"]
    check_counts(project)


def test_a_group_that_a_person_gave_stays(project: Project, sheet: Sheet) -> None:
    sheet("path,group,split\n0.jpg,a,train\n1.jpg,b,test\n")
    report = sheet("path,group,split\n0.jpg,b,\n2.jpg,b,train\n")
    told = reasons(project, report)
    assert told["0.jpg"] == "it is in the group a already, not b"
    assert told["2.jpg"] == "its group b is in the split audit already, not train"
    assert found(project)["0.jpg"].group == "a"
    check_counts(project)


def test_look_alikes_go_together(tmp_path: Path) -> None:
    ds = folder_of(tmp_path / "ds", 3)
    look_like(ds / "0.jpg", ds / "9.jpg")
    project = create_project(tmp_path / "p", [], workers=1)
    import_sources(project, [ds])
    before = found(project)
    assert before["0.jpg"].group == before["9.jpg"].group
    text = "path,group,split\n0.jpg,p0,test\n9.jpg,p9,train\n"
    report = import_sources(project, [write(ds / "s.csv", text.encode())])
    after = found(project)
    assert {(after[name].group, after[name].split) for name in ("0.jpg", "9.jpg")} == {
        ("p0", "audit")
    }
    assert reasons(project, report) == {"9.jpg": "it is in the group p0 already, not p9"}
    other = import_sources(project, [write(ds / "t.csv", b"path,split\n0.jpg,train\n9.jpg,val\n")])
    assert {found(project)[name].split for name in ("0.jpg", "9.jpg")} == {"train"}
    assert "it belongs together with" in reasons(project, other)["9.jpg"]


def test_an_image_beside_the_audit_set_is_not_trained_on(tmp_path: Path) -> None:
    ds = folder_of(tmp_path / "ds", 1)
    look_like(ds / "0.jpg", ds / "9.jpg")
    project = create_project(tmp_path / "p", [], workers=1, leak_distance=0.0)
    import_sources(project, [ds])
    put(project, "audit", "0.jpg")
    put(project, "unused", "9.jpg")
    report = import_sources(project, [write(ds / "s.csv", b"path,split\n9.jpg,train\n")])
    assert found(project)["9.jpg"].split == "unused"
    assert "0.jpg of the audit set" in reasons(project, report)["9.jpg"]


def test_what_somebody_is_labelling_stays_until_it_is_labelled(
    project: Project, sheet: Sheet
) -> None:
    put(project, "train", *[f"{i}.jpg" for i in range(8)])
    with project.store.write() as unit:
        entries = unit.queue.entries(8)
        held = unit.queue.claim("ann", "s", 1, 600.0, 1.0)
    by_id = {one.id: name for name, one in found(project).items()}
    mine = by_id[held[0].item_id]
    other = next(by_id[one.item_id] for one in entries if one.item_id != held[0].item_id)
    report = sheet(f"path,split\n{mine},test\n{other},test\n")
    assert (found(project)[mine].split, found(project)[other].split) == ("train", "audit")
    assert "somebody is labelling it" in reasons(project, report)[mine]
    with project.store.read() as unit:
        waiting = {one.item_id for one in unit.queue.entries(8)}
    assert held[0].item_id in waiting
    assert found(project)[other].id not in waiting  # there it was asked with a suggestion, maybe


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("batch", [1, 300])
def test_the_same_bytes_in_two_splits_of_one_import(
    tmp_path: Path, known: bool, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labeller.services.import_writer.BATCH", batch)
    ds = folder_of(tmp_path / "ds", 2)
    shutil.copy(ds / "0.jpg", ds / "copy.jpg")
    project = create_project(tmp_path / "p", [], workers=1)
    if known:
        import_sources(project, [ds])
    text = "path,split,group\n0.jpg,train,a\n1.jpg,,\ncopy.jpg,test,a2\n"
    report = import_sources(project, [write(ds / "s.csv", text.encode())])
    told = reasons(project, report)
    assert len(told) == 1
    ((name, reason),) = told.items()
    first = {"0.jpg": "copy.jpg", "copy.jpg": "0.jpg"}[name]
    assert f"{first}, which is the same image, and the first counts: split " in reason
    assert (": split train, not audit; " in reason) or (": split audit, not train; " in reason)
    (one,) = [item for item in items(project) if not item.path.endswith("1.jpg")]
    assert (one.group, one.split) == (("a", "train") if first == "0.jpg" else ("a2", "audit"))


def test_a_row_without_a_place_takes_that_of_its_copy(tmp_path: Path) -> None:
    ds = folder_of(tmp_path / "ds", 1)
    shutil.copy(ds / "0.jpg", ds / "copy.jpg")
    project = create_project(tmp_path / "p", [], workers=1)
    text = "path,split,group\n0.jpg,,\ncopy.jpg,valid,g\n"
    import_sources(project, [write(ds / "s.csv", text.encode())])
    (one,) = items(project)
    assert (one.group, one.split) == ("g", "valid")
