"""Projects whose database is gone, empty, damaged or another's: nothing begins anew in silence."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from labeller.errors import DatabaseError, ProjectError
from labeller.project import Project, create_project, open_project
from labeller.services import recovery
from store.schema import set_aside
from tests.cards import queued_project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with five labels, and a copy of its database with three."""
    project = queued_project(tmp_path / "animals", items=8)
    label(project, 3)
    set_aside(project.root / "labeller.db", "0000")
    label(project, 2)
    project.store.close()
    return project


def label(project: Project, count: int) -> None:
    from store.records import NewEvent

    with project.store.write() as unit:
        class_id = unit.classes.all()[0].id
        items = [item.id for item in unit.items.page(state="unlabelled", limit=count)]
        events = [NewEvent(f"k{item}", "label", item, class_id) for item in items]
        unit.labels.record("ann", "s", "page", events, 1.0)


def labels(project: Project) -> int:
    with project.store.read() as unit:
        return unit.items.count().labelled


def remove(root: Path) -> None:
    (root / "labeller.db").unlink()


def remove_but_leave_the_log(root: Path) -> None:
    (root / "labeller.db").unlink()
    (root / "labeller.db-wal").write_bytes(b"x" * 8_000)


def empty(root: Path) -> None:
    (root / "labeller.db").write_bytes(b"")


def overwrite(root: Path) -> None:
    (root / "labeller.db").write_bytes(b"no database at all " * 500)


def cut(root: Path) -> None:
    file = root / "labeller.db"
    os.truncate(file, file.stat().st_size // 2)


def exchange(root: Path) -> None:
    other = create_project(root.parent / "other", ["x"])
    other.store.close()
    shutil.copy(other.root / "labeller.db", root / "labeller.db")


FAULTS = [remove, remove_but_leave_the_log, empty, overwrite, exchange]


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_said_and_a_copy_can_be_put_back(
    project: Project, fault: Callable[[Path], None]
) -> None:
    fault(project.root)
    before = {path.name: path.read_bytes() for path in project.root.glob("labeller.db*")}
    for _ in range(2):
        with pytest.raises(DatabaseError, match=r"labeller\.db.*labeller recover") as raised:
            open_project(project.root)
        assert raised.value.folder == project.root
    best = recovery.find_copies(project.root)[0]
    assert (best.path.name, best.labels, best.items) == ("labeller.db.before-0000", 3, 8)
    opened = recovery.put_back(project.root, best.path)
    assert labels(opened) == 3
    label(opened, 1)
    kept = [path.read_bytes() for path in project.root.glob("labeller.db*aside*")]
    gone = [data for name, data in before.items() if "before" not in name and "-shm" not in name]
    assert all(data in kept for data in gone)


def test_a_cut_file_is_noticed_after_a_killed_server(project: Project) -> None:
    code = (
        f"import sys, os; sys.path.insert(0, {str(ROOT)!r})\n"
        "from labeller.project import open_project\n"
        f"project = open_project({str(project.root)!r})\n"
        "with project.store.write() as unit: unit.settings.set('x', 1)\n"
        "print('open', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        os.kill(process.pid, signal.SIGKILL)
    cut(project.root)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "labeller", "status", str(project.root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "labeller recover" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_renamed_database_is_found(project: Project) -> None:
    (project.root / "labeller.db").rename(project.root / "labeller old.db")
    with pytest.raises(DatabaseError):
        open_project(project.root)
    best = recovery.find_copies(project.root)[0]
    assert (best.path.name, best.labels) == ("labeller old.db", 5)
    assert labels(recovery.put_back(project.root, best.path)) == 5


def test_what_cannot_be_used_is_not_put_back(project: Project) -> None:
    exchange(project.root)
    with pytest.raises(ProjectError, match="another project"):
        recovery.put_back(project.root, project.root / "labeller.db")
    overwrite(project.root)
    with pytest.raises(ProjectError, match="damaged"):
        recovery.put_back(project.root, project.root / "labeller.db")


def test_begin_anew_keeps_the_old_files(project: Project) -> None:
    overwrite(project.root)
    opened = recovery.begin_anew(project.root)
    assert labels(opened) == 0
    assert any("aside" in path.name for path in project.root.iterdir())


def test_the_command_lists_and_puts_back(project: Project) -> None:
    remove(project.root)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "labeller", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    for command in (["status"], ["round"], ["export", "--to", "x.csv"], ["token"], ["worker"]):
        done = run(command[0], str(project.root), *command[1:])
        assert done.returncode != 0, command
        assert "labeller recover" in done.stderr, (command, done.stderr)
        assert "Traceback" not in done.stderr
    assert "3 labels of 8 images" in run("recover", str(project.root)).stdout
    copy = project.root / "labeller.db.before-0000"
    done = run("recover", str(project.root), "--from", str(copy))
    assert (done.returncode, "with 3 labels" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize(
    "left", [["secret.key"], ["secret.key", "labeller.db"], [".project.toml.1.2"]]
)
def test_a_half_made_project_is_made_again(tmp_path: Path, left: list[str]) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    for name in left:
        (folder / name).write_bytes(b"")
    assert labels(create_project(folder, ["a"])) == 0


def test_a_project_that_lost_its_settings_is_not_made_anew(project: Project) -> None:
    (project.root / "project.toml").unlink()
    for name in ("thumbnails", "vectors", "models", "synthetic", "images", "logs"):
        shutil.rmtree(project.root / name)
    with pytest.raises(ProjectError, match="not an empty folder"):
        create_project(project.root, ["a"])
    with closing(sqlite3.connect(project.root / "labeller.db")) as connection:
        assert connection.execute("SELECT count(*) FROM label").fetchone() == (5,)
