"""Projects and data sets whose folders have names that a URL, a shell or a terminal would cut."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from labeller.cli import cli
from labeller.errors import ProjectError
from labeller.project import create_project, open_project
from labeller.services import recent
from store.engine import file_url
from store.errors import StoreError
from store.store import Store
from tests.labeller.pictures import photo, write

NAMES = [
    "what?x",
    "a%20b",
    "a%b#c",
    "p+q r",
    "q'\"x",
    "a&b=c;d",
    "x:y@z",
    "-dash",
    "nl\nx",
    "né",
    "back\\slash",
    "[g]*",
    "file:x",
]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_a_project_and_a_data_set_may_have_any_name(name: str, tmp_path: Path) -> None:
    data = tmp_path / "data" / name
    for number in range(3):
        write(data / f"{number}{name}.jpg", photo(number))
    made = run("init", "--classes", "a,b", "--", name)
    if name.isprintable():
        shown = f"./{name}" if name.startswith("-") else name
        assert f"labeller import {shlex.quote(shown)} " in made
    assert (tmp_path / name / "labeller.db").is_file()
    run("import", "--", name, data)
    image = data / f"0{name}.jpg"
    column, cell = ("path", image) if name.isprintable() else ("sha256", sha256(image))
    with (labels := tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[column, "class"], [cell, "a"]])
    run("label", "--", name, labels)
    status = json.loads(run("status", "--json", "--", name))
    assert status["items"] == 3
    run("export", "--to", tmp_path / name / "x.jsonl", "--", name)
    line = json.loads((tmp_path / name / "x.jsonl").read_text("utf-8"))
    assert (line["path"], line["class"]) == (str(image), "a")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["labels.csv"]


def test_two_projects_never_share_a_database(tmp_path: Path) -> None:
    first = create_project(tmp_path / "what?x", ["x"])
    second = create_project(tmp_path / "what", [])
    third = create_project(tmp_path / "what?y", ["y"])
    with third.store.read() as unit:
        assert [one.name for one in unit.classes.all()] == ["y"]
    with second.store.read() as unit:
        assert not unit.classes.all()
    assert open_project(first.root).store.url == first.store.url != third.store.url


def test_a_name_that_is_not_utf8_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"n\xff")
    with pytest.raises(ProjectError, match=r"n\\udcff.*not UTF-8. Rename"):
        create_project(folder, ["a"])
    assert not folder.exists()
    with pytest.raises(StoreError, match="not UTF-8"):
        file_url(folder)


def test_the_list_of_projects_takes_any_name(tmp_path: Path) -> None:
    made = create_project(tmp_path / "a%20b?#", [])
    recent.remember(made)
    assert [entry.path for entry in recent.recent()] == [made.root]
    assert recent.by_id(made.id) == made.root


@pytest.mark.parametrize("name", NAMES)
def test_the_url_of_a_database_holds_any_path(name: str, tmp_path: Path) -> None:
    file = tmp_path / name / "labeller.db"
    file.parent.mkdir()
    assert make_url(file_url(file)).database == str(file)
    Store.open(file_url(file)).close()
    assert file.is_file()
