"""Snapshots without training: what goes out comes back in, and nothing that was tampered with."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from labeller.cli import cli
from labeller.config import Settings
from labeller.errors import JobCancelled, SnapshotError
from labeller.progress import Silent
from labeller.project import Project, create_project, open_project
from labeller.services import classes
from labeller.services.importing import import_sources
from labeller.services.snapshot_files import ITEMS, MANIFEST
from labeller.services.snapshot_restore import restore_snapshot
from labeller.services.snapshots import export_snapshot
from labeller.state import state_folder
from store.records import NewEvent
from tests.labeller.pictures import folder_of, photo, write

Told = dict[str, Any]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Images of the project and from outside, groups, two annotators, a history of classes."""
    folder = tmp_path_factory.mktemp("made")
    made = create_project(folder / "project", ["cat", "dog", "hen", "old"], workers=1, seed=11)
    folder_of(folder / "photos", 12)
    write(folder / "list.csv", b"path,group\nphotos/0.jpg,burst\nphotos/1.jpg,burst\n")
    import_sources(made, [folder / "list.csv", folder / "photos"])
    import_sources(made, [write(folder / "more" / "3.jpg", photo(90))], copy=True)
    import_sources(made, [write(folder / "else" / "3.jpg", photo(91))], copy=True)
    with made.store.read() as unit:
        cat, dog, hen, old = (one.id for one in unit.classes.all())
    give(made, "anna", {1: cat, 2: dog, 3: hen, 4: old, 13: cat, 14: dog})
    give(made, "bob", {5: hen, 6: dog, 9: cat})
    with made.store.write() as unit:
        events = [NewEvent("s", "skip", 7), NewEvent("f", "flag", 8, reason="blurred")]
        unit.labels.record("bob", "x", "page", events, 1.0)
    classes.merge(made, hen, cat)
    classes.archive(made, old)
    classes.move(made, dog, 0)
    with made.store.write() as unit:
        unit.classes.add("old", "o", "#112233", 9)  # the name of an archived class, used again
    return made


def give(project: Project, annotator: str, labels: dict[int, int]) -> None:
    events = [NewEvent(f"e{i}", "label", i, class_id) for i, class_id in labels.items()]
    with project.store.write() as unit:
        results = unit.labels.record(annotator, "s", "page", events, 1.0)
    assert {result.status for result in results} == {"accepted"}


def content(project: Project) -> list[Told]:
    """Return all that must come out the same, item by item."""
    with project.store.read() as unit:
        archived = {one.id for one in unit.classes.all(archived=True) if one.archived}
        found = []
        for item in unit.items.many(unit.items.ids().tolist()).values():
            label = unit.labels.current(item.id)
            event = next((e for e in unit.labels.history(item.id) if e.current), None)
            found.append(
                {
                    "id": item.id,
                    "sha256": item.sha256,
                    "side": (item.width, item.height, item.format, item.bytes),
                    "group": item.group,
                    "split": item.split,
                    "state": item.state,
                    "looks": unit.leaks.looks([item.id]),
                    "class": label and (label.class_name, label.class_id in archived),
                    "by": event and (event.kind, event.annotator, event.reason),
                }
            )
    return found


def order(project: Project) -> list[Told]:
    with project.store.read() as unit:
        return [{"name": c.name, "key": c.key, "colour": c.colour} for c in unit.classes.all()]


@pytest.fixture
def snapshot(project: Project, tmp_path: Path) -> Path:
    return export_snapshot(project, tmp_path / "snapshot").folder


def test_all_comes_back(project: Project, snapshot: Path, tmp_path: Path) -> None:
    made = restore_snapshot(snapshot, tmp_path / "again")
    shutil.rmtree(snapshot)
    again = open_project(tmp_path / "again")
    assert (made.items, made.labels, made.notes) == (14, 9, ())
    assert content(again) == content(project)
    assert order(again) == order(project)
    assert all(one["looks"] for one in content(again))
    assert [one["name"] for one in order(again)] == ["dog", "cat", "old"]
    assert again.settings.seed == 11
    assert again.id != project.id
    with again.store.read() as unit:
        assert unit.labels.set_hash() == made.label_hash
        assert {event.source for event in unit.labels.history(1)} == {"import"}
        assert unit.budget.get().spent == 0
        for item in unit.items.page(limit=100):
            data = again.file(item.path).read_bytes()
            assert hashlib.sha256(data).hexdigest() == item.sha256
            assert again.file(item.path).is_relative_to(again.root / "images")
        (imported,) = unit.imports.all()
    assert (imported.added, imported.labelled, imported.cancelled) == (14, 9, False)
    assert not (again.root / ".incoming").exists()
    noted = (path.read_text() for path in (state_folder() / "trusted").iterdir())
    assert not [text for text in noted if str(again.root.parent / ".labeller-") in text]


def test_a_second_snapshot_says_the_same(project: Project, snapshot: Path, tmp_path: Path) -> None:
    restore_snapshot(snapshot, tmp_path / "again")
    again = export_snapshot(open_project(tmp_path / "again"), tmp_path / "second").folder
    first, second = (json.loads((f / MANIFEST).read_text()) for f in (snapshot, again))
    same = ("label_hash", "audit_hash", "settings", "counts", "versions", "backbone", "notes")
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert first["model"] is None


def test_references_stay_where_they_are(project: Project, tmp_path: Path) -> None:
    folder = export_snapshot(project, tmp_path / "snapshot", "reference").folder
    assert sorted(path.name for path in folder.iterdir()) == [ITEMS, MANIFEST]
    restore_snapshot(folder, tmp_path / "again")
    again = open_project(tmp_path / "again")
    assert content(again) == content(project)
    with project.store.read() as ours, again.store.read() as theirs:
        for item_id in (1, 13):
            mine, copy = ours.items.get(item_id), theirs.items.get(item_id)
            assert mine is not None
            assert copy is not None
            assert copy.path == str(project.file(mine.path))
            assert not copy.copied


class StopsAt(Silent):
    """A progress that is cancelled once a stage was reached."""

    def __init__(self, stage: str, done: int) -> None:
        self.wanted, self.reached = (stage, done), False

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        self.reached = self.reached or (stage, done) == self.wanted

    def check(self) -> None:
        if self.reached:
            raise JobCancelled("Stopped.")


@pytest.mark.parametrize("stage", ["items", "images"])
def test_a_cancelled_export_leaves_nothing(project: Project, tmp_path: Path, stage: str) -> None:
    with pytest.raises(JobCancelled):
        export_snapshot(project, tmp_path / "snapshot", progress=StopsAt(stage, 3))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_says_what_to_do(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SnapshotError, match=r"\(No space left on device\)\. Make room there"):
        export_snapshot(project, tmp_path / "full", "copy")
    assert not list(tmp_path.iterdir())


def test_a_cancelled_restore_leaves_nothing(snapshot: Path, tmp_path: Path) -> None:
    with pytest.raises(JobCancelled):
        restore_snapshot(snapshot, tmp_path / "again", StopsAt("images", 3))
    assert list(tmp_path.iterdir()) == [snapshot]


def test_a_changed_image_stops_the_export(tmp_path: Path) -> None:
    project = create_project(tmp_path / "project", ["cat", "dog"], workers=1)
    image = write(tmp_path / "photos" / "one.jpg", photo(1))
    import_sources(project, [image])
    image.write_bytes(photo(2))
    with pytest.raises(SnapshotError, match=r"one\.jpg: is not the image that was imported"):
        export_snapshot(project, tmp_path / "snapshot")
    image.unlink()
    with pytest.raises(SnapshotError, match=r"one\.jpg: "):
        export_snapshot(project, tmp_path / "snapshot")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "project"]


def test_no_folder_is_written_over(project: Project, snapshot: Path, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="is not an empty folder"):
        export_snapshot(project, snapshot)
    with pytest.raises(SnapshotError, match="is not an empty folder"):
        restore_snapshot(snapshot, project.root)
    (tmp_path / "empty").mkdir()
    restore_snapshot(snapshot, tmp_path / "empty")
    assert len(content(open_project(tmp_path / "empty"))) == 14


def lines(folder: Path) -> list[Told]:
    return [json.loads(line) for line in (folder / ITEMS).read_text().splitlines()]


def rewrite(folder: Path, rows: list[Told], honest: bool = True) -> None:
    """Write other items; an attacker brings the manifest's hash of them up to date."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / ITEMS).write_text(text)
    if honest:
        state(folder, items_sha256=hashlib.sha256(text.encode()).hexdigest())


def state(folder: Path, **values: Any) -> None:
    told = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(told | values))


def image_of(folder: Path, row: Told) -> Path:
    name = str(row["sha256"])
    return folder / "images" / name[:2] / f"{name}.jpeg"


def change(place: int, **values: Any) -> Callable[[Path], None]:
    """Return what changes values of one item."""

    def act(folder: Path) -> None:
        rows = lines(folder)
        rows[place].update(values)
        rewrite(folder, rows)

    return act


def other_split(folder: Path) -> None:
    rows = lines(folder)
    row = next(row for row in rows if row["class_id"] and row["split"] == "train")
    rewrite(folder, [{**one, "split": "valid" if one is row else one["split"]} for one in rows])


def twice(folder: Path) -> None:
    rows = lines(folder)
    rewrite(folder, [*rows[:-1], rows[0]])


def linked_away(folder: Path) -> None:
    secret = write(folder.parent / "secret.jpg", image_of(folder, lines(folder)[2]).read_bytes())
    image_of(folder, lines(folder)[2]).unlink()
    image_of(folder, lines(folder)[2]).symlink_to(secret)


def swapped(folder: Path) -> None:
    image_of(folder, lines(folder)[2]).write_bytes(photo(77))


def longer(folder: Path) -> None:
    with image_of(folder, lines(folder)[2]).open("ab") as file:
        file.write(b"\0" * 5_000_000)


def reference_to(path: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        change(0, path=path)(folder)
        state(folder, images="reference")

    return act


def edited(folder: Path) -> None:
    rewrite(folder, lines(folder)[:-1], honest=False)


def other_database(folder: Path) -> None:
    told = json.loads((folder / MANIFEST).read_text())["settings"]
    state(folder, settings=told | {"database": "sqlite:////tmp/elsewhere.db"})


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (other_split, "its labels have the hash"),
        (edited, "is not the file that snapshot.json was written with"),
        (twice, "twice"),
        (change(1, class_id=77), "line 2: there is no class 77"),
        (change(1, split="test"), "line 2: split = 'test' is none of"),
        (change(1, sha256="../../etc/passwd"), "line 2: sha256 is no SHA-256"),
        (change(1, format="../x"), "line 2: format"),
        (change(1, width=10**9, height=10**9), "MAX_IMAGE_PIXELS"),
        (change(1, bytes=True), "line 2: bytes = True cannot be"),
        (change(1, time="yesterday"), "line 2: "),
        (change(1, group="x" * 70_000), "line 2: is longer than"),
        (linked_away, "leads out of the snapshot"),
        (swapped, "other bytes"),
        (longer, "other bytes"),
        (reference_to("images/0.jpg"), "is no absolute path"),
        (reference_to("/dev/zero"), "/dev/zero: "),
        (lambda folder: image_of(folder, lines(folder)[0]).unlink(), "is missing"),
        (lambda folder: (folder / ITEMS).write_bytes(b"\x80\x04K\x01."), "line 1: is no JSON"),
        (lambda folder: (folder / MANIFEST).write_text("[" * 100_000), "is no JSON"),
        (lambda folder: (folder / MANIFEST).unlink(), "is missing"),
        (lambda folder: state(folder, version=2), "is of version 2"),
        (lambda folder: state(folder, format="x"), "is no snapshot"),
        (lambda folder: state(folder, settings={"seed": "x"}), "seed must be int"),
        (lambda folder: state(folder, classes=[]), "there is no class"),
        (other_database, "unknown settings 'database'"),
    ],
)
def test_what_was_changed_is_refused(
    snapshot: Path, tmp_path: Path, act: Callable[[Path], None], reason: str
) -> None:
    act(snapshot)
    with pytest.raises(SnapshotError) as caught:
        restore_snapshot(snapshot, tmp_path / "again")
    assert reason in str(caught.value)
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"snapshot", "secret.jpg"}


@pytest.mark.parametrize("name", ["../../evil.jpg", ".hidden", "a\nb.jpg", "x" * 300, "ü.jpg", "."])
def test_copies_stay_below_images(snapshot: Path, tmp_path: Path, name: str) -> None:
    change(0, path=f"/somewhere/{name}")(snapshot)
    restore_snapshot(snapshot, tmp_path / "again")
    again = open_project(tmp_path / "again")
    with again.store.read() as unit:
        item = unit.items.get(1)
    assert item is not None
    assert again.file(item.path).parent == again.root / "images"
    assert item.path.isprintable()
    assert {path.name for path in tmp_path.iterdir()} == {"snapshot", "again"}


def test_the_settings_that_training_depends_on_come_along(tmp_path: Path) -> None:
    table: Told = {
        "seed": 5,
        "training": "features",
        "train_on_generated": True,
        "valid_share": 0.4,
    }
    mine: Told = {"label_price": 3.0, "workers": 1, "name": "Mine"}
    made = create_project(tmp_path / "project", ["cat", "dog"], **table, **mine)
    restore_snapshot(export_snapshot(made, tmp_path / "snapshot").folder, tmp_path / "again")
    again = open_project(tmp_path / "again")
    assert {name: getattr(again.settings, name) for name in table} == table
    assert {name: getattr(again.settings, name) for name in mine} == {
        name: getattr(Settings(), name) for name in mine
    }
    assert again.name == "again"


def test_another_version_is_said(snapshot: Path, tmp_path: Path) -> None:
    told = json.loads((snapshot / MANIFEST).read_text())["versions"]
    state(snapshot, versions=told | {"numpy": "0.1"})
    (note,) = restore_snapshot(snapshot, tmp_path / "again").notes
    assert "numpy 0.1" in note


def test_a_shared_database_is_refused(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELLER_DATABASE", f"sqlite:///{tmp_path / 'shared.db'}")
    with pytest.raises(SnapshotError, match="LABELLER_DATABASE"):
        restore_snapshot(snapshot, tmp_path / "again")
    assert list(tmp_path.iterdir()) == [snapshot]


def test_the_command(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))

    def run(*arguments: str | Path) -> Told:
        result = CliRunner().invoke(cli, ["snapshot", *map(str, arguments), "--json"])
        assert result.exit_code == 0, result.output
        told: Told = json.loads(result.stdout)
        return told

    out, again = tmp_path / "out", tmp_path / "again"
    made = run(project.root, "--to", out, "--images", "reference")
    assert (made["items"], made["labels"], made["images"]) == (14, 9, "reference")
    assert run("--restore", out, "--to", again)["label_hash"] == made["label_hash"]
    for wrong in (["--to", "x"], [str(again), "--restore", "y", "--to", "x"]):
        assert CliRunner().invoke(cli, ["snapshot", *wrong]).exit_code == 2
    refused = CliRunner().invoke(cli, ["snapshot", str(again), "--to", str(out)])
    assert refused.exit_code == 1
    assert "is not an empty folder" in refused.output
