"""Backups of a project in use, and what comes back from them, or from damaged and hostile ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from labeller import tokens
from labeller.errors import BackupError, JobCancelled
from labeller.project import KEY_FILE, Project, open_project
from labeller.services import backups, recovery
from labeller.services.backup_files import MANIFEST
from labeller.services.importing import import_sources
from store.records import NewEvent
from store.vectors import VectorFile
from tests.cards import queued_project


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Twelve images copied into the project, features and a model's file."""
    made = queued_project(tmp_path / "animals", items=12)
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted(tmp_path.glob("**/*.jpg"))[:4]:
        shutil.copy(path, photos / path.name)
    VectorFile.open(made.vectors / "features", 4).write([1, 2], [[1, 2, 3, 4], [5, 6, 7, 8]])
    (made.models / "round-0001").mkdir()
    (made.models / "round-0001" / "weights.pt").write_bytes(b"weights" * 100)
    (made.models / ".half").write_bytes(b"not whole yet")
    return made


def label(project: Project, count: int, prefix: str = "k") -> None:
    with project.store.write() as unit:
        class_id = unit.classes.all()[0].id
        for item in unit.items.page(state="unlabelled", limit=count):
            event = NewEvent(f"{prefix}{item.id}", "label", item.id, class_id)
            unit.labels.record("ann", "s", "page", [event], 1.0)


def count_labels(project: Project) -> int:
    with project.store.read() as unit:
        return unit.items.count().labelled


def test_what_was_acknowledged_before_it_began_comes_back(project: Project, tmp_path: Path) -> None:
    label(project, 5)  # they lie in the database's log, not in its file
    token = tokens.make(project, "ann")
    made = backups.make_backup(project, tmp_path / "b.zip")
    assert (made.counts["labels"], made.counts["items"], made.problems) == (5, 12, ())
    restored = backups.restore_backup(made.file, tmp_path / "again")
    assert count_labels(restored) == 5
    assert (restored.models / "round-0001" / "weights.pt").read_bytes() == b"weights" * 100
    vectors = VectorFile.open(restored.vectors / "features", 4)
    assert vectors.read([1, 2]).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert not list(restored.root.glob("**/.half"))
    with restored.store.read() as unit:
        for item in unit.items.page(limit=100):
            assert not item.copied or restored.file(item.path).is_file()
    assert (restored.root / KEY_FILE).read_text() != (project.root / KEY_FILE).read_text()
    assert restored.id != project.id
    assert tokens.check(token).project.root == project.root
    assert tokens.list_tokens(restored) == []
    label(restored, 1)
    assert (count_labels(project), count_labels(restored)) == (5, 6)


def test_it_is_the_same_project_when_the_old_one_is_gone(project: Project, tmp_path: Path) -> None:
    made = backups.make_backup(project, tmp_path / "b.zip")
    project.store.close()
    shutil.rmtree(project.root)
    assert backups.restore_backup(made.file, tmp_path / "again").id == project.id


def back_up_while_labelling(project: Project, target: Path) -> None:
    known = count_labels(project)
    stop = threading.Event()

    def go_on() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with project.store.write() as unit:
                unit.settings.set("busy", number)

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        made = backups.make_backup(project, target)
    finally:
        stop.set()
        writer.join()
    assert made.counts["labels"] >= known
    shutil.rmtree(target.with_suffix(""), ignore_errors=True)
    restored = backups.restore_backup(target, target.with_suffix(""))
    assert count_labels(restored) == made.counts["labels"]


def test_a_backup_under_writes_is_of_one_moment(project: Project, tmp_path: Path) -> None:
    label(project, 3)
    back_up_while_labelling(project, tmp_path / "b.zip")


@pytest.mark.faults
def test_twenty_backups_under_writes(project: Project, tmp_path: Path) -> None:
    for number in range(20):
        if number % 2 == 0:
            label(project, 1, f"n{number}-")
        back_up_while_labelling(project, tmp_path / f"b{number}.zip")


def test_models_and_vectors_can_be_left_out(project: Project, tmp_path: Path) -> None:
    made = backups.make_backup(project, tmp_path / "b.zip", models=False, vectors=False)
    names = zipfile.ZipFile(made.file).namelist()
    assert not [name for name in names if name.startswith(("models/", "vectors/"))]
    assert "labeller.db" in names
    assert not [name for name in names if KEY_FILE in name]
    backups.restore_backup(made.file, tmp_path / "again")


def test_images_that_are_gone_or_changed_are_named(project: Project, tmp_path: Path) -> None:
    with project.store.read() as unit:
        copied = [item for item in unit.items.page(limit=100) if item.copied]
    project.file(copied[0].path).unlink()
    project.file(copied[1].path).write_bytes(b"other")
    made = backups.make_backup(project, tmp_path / "b.zip")
    assert len(made.problems) == 2
    assert copied[0].path in " ".join(made.problems)


def test_images_elsewhere_are_counted(tmp_path: Path) -> None:
    made = queued_project(tmp_path / "animals", items=3)
    sources = [path for path in tmp_path.glob("**/*") if path.suffix in (".jpg", ".png")][:1]
    other = tmp_path / "one"
    other.mkdir()
    data = sources[0].read_bytes()
    (other / "new.jpg").write_bytes(data + b"\0" * 7)
    assert import_sources(made, [other], copy=False, labels="none").added == 1
    backup = backups.make_backup(made, tmp_path / "b.zip")
    names = zipfile.ZipFile(backup.file).namelist()
    assert len([name for name in names if name.startswith("images/")]) == 3
    assert backup.elsewhere == 1


def test_places_that_cannot_be_are_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "there.zip").write_bytes(b"x")
    for target, reason in [
        (tmp_path / "there.zip", "there already"),
        (project.root / "images" / "b.zip", "within the project"),
        (tmp_path / "there.zip" / "b.zip", "cannot be written"),
    ]:
        with pytest.raises(BackupError, match=reason):
            backups.make_backup(project, target)
    assert (tmp_path / "there.zip").read_bytes() == b"x"


def test_a_cancelled_backup_leaves_nothing(project: Project, tmp_path: Path) -> None:
    class Cancelled:
        def update(self, *_: object, **__: object) -> None:
            raise JobCancelled

        def check(self) -> None:
            return

    folder = tmp_path / "place"
    with pytest.raises(JobCancelled):
        backups.make_backup(project, folder / "b.zip", progress=Cancelled())
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
def test_a_flipped_bit_or_a_cut_is_noticed(project: Project, tmp_path: Path, part: float) -> None:
    made = backups.make_backup(project, tmp_path / "b.zip")
    data = bytearray(made.file.read_bytes())
    for name, damaged in [
        ("cut.zip", bytes(data[: int(len(data) * part)])),
        ("flip.zip", flipped(data, int(len(data) * part))),
    ]:
        file = tmp_path / name
        file.write_bytes(damaged)
        with pytest.raises(BackupError, match=name):
            backups.check_backup(file)
        with pytest.raises(BackupError, match=name):
            backups.restore_backup(file, tmp_path / "again")
        assert not (tmp_path / "again").exists()


def flipped(data: bytearray, place: int) -> bytes:
    return bytes(data[:place]) + bytes([data[place] ^ 0x10]) + bytes(data[place + 1 :])


def rewrite(source: Path, target: Path, change: Callable[[dict[str, object]], str]) -> None:
    """Write a backup again with another list of files, and one file more."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        told = json.loads(before.read(MANIFEST))
        for name in before.namelist():
            if name != MANIFEST:
                after.writestr(name, before.read(name))
        more = change(told)
        if more:
            after.writestr(more, b"evil")
        after.writestr(MANIFEST, json.dumps(told))


EVIL = {"bytes": 4, "sha256": "4e8fe9baac2e0d2a0bfe9b7ad34fde5b5ee9a17b7e9fa1cb8d7d0a0b7f7b7b7b"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "images/../../evil",
        "images\\..\\evil",
        "secret.key",
        "evil.py",
        "labeller/evil.py",
        "images",
        "./images/x",
        "",
    ],
)
def test_a_hostile_backup_writes_nothing_elsewhere(
    project: Project, tmp_path: Path, name: str
) -> None:
    made = backups.make_backup(project, tmp_path / "b.zip")

    def change(told: dict[str, object]) -> str:
        members = told["members"]
        assert isinstance(members, dict)
        members[name] = EVIL
        return name or "x"

    rewrite(made.file, tmp_path / "evil.zip", change)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BackupError):
        backups.restore_backup(tmp_path / "evil.zip", tmp_path / "again")
    assert sorted(tmp_path.iterdir()) == before


def test_a_bomb_and_a_newer_version_are_refused(project: Project, tmp_path: Path) -> None:
    made = backups.make_backup(project, tmp_path / "b.zip")

    def grow(told: dict[str, object]) -> str:
        members = told["members"]
        assert isinstance(members, dict)
        members["images/x"] = {**EVIL, "bytes": 1 << 60}
        return ""

    def age(told: dict[str, object]) -> str:
        told["format_version"] = 99
        return ""

    for change, reason in ((grow, "has room for"), (age, "newer version")):
        rewrite(made.file, tmp_path / "bad.zip", change)
        with pytest.raises(BackupError, match=reason):
            backups.restore_backup(tmp_path / "bad.zip", tmp_path / "again")


def test_a_backup_is_offered_when_the_database_is_gone(project: Project) -> None:
    label(project, 4)
    backups.make_backup(project, backups.propose_file(project))
    project.store.close()
    (project.root / "labeller.db").unlink()
    (copy,) = [copy for copy in recovery.find_copies(project.root) if copy.problem is None]
    assert (copy.path.suffix, copy.labels) == (".zip", 4)
    assert count_labels(recovery.put_back(project.root, copy.path)) == 4


def test_the_commands(project: Project, tmp_path: Path) -> None:
    label(project, 2)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "labeller", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("backup", project.root, "--to", tmp_path / "b.zip", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["labels"] == 2
    done = run("restore", tmp_path / "b.zip", "--to", tmp_path / "again")
    assert "2 labels" in done.stdout, done.stderr
    assert count_labels(open_project(tmp_path / "again")) == 2
    done = run("restore", tmp_path / "b.zip", "--to", tmp_path / "again")
    assert (done.returncode, "not an empty folder" in done.stderr) == (1, True)
    assert run("backup", project.root).returncode == 0
    assert len(backups.list_backups(project.root)) == 1
