"""Folders, uploads and plans: the forms' logic without a page."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from labeller.project import Project
from labeller.ui import creation, folders, uploads
from tests.ui.conftest import images


def test_a_listing_counts_images_below(tmp_path: Path) -> None:
    images(tmp_path / "cats", 3)
    images(tmp_path / "cats" / "wild", 2)
    images(tmp_path, 1)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("x")
    (tmp_path / ".hidden").mkdir()
    shown = folders.listing(tmp_path)
    assert [(f.name, f.images, f.more) for f in shown.folders] == [
        ("cats", 5, False),
        ("notes", 0, False),
    ]
    assert (shown.images, shown.error) == (1, None)


def test_a_listing_says_why_it_cannot_be(tmp_path: Path) -> None:
    assert "cannot be opened" in str(folders.listing(tmp_path / "none").error)
    assert "No such file" in str(folders.listing(tmp_path / "none").error)


def test_counting_stops_when_patience_ends(tmp_path: Path) -> None:
    for n in range(3):
        images(tmp_path / "a" / str(n), 2)
    shown = folders.listing(tmp_path, patience=0.0)
    assert shown.folders[0].more
    assert folders.contents(tmp_path, patience=0.0).cut


@pytest.mark.parametrize("container", ["", "train"])
def test_contents_name_the_classes_as_the_import_will(tmp_path: Path, container: str) -> None:
    images(tmp_path / container / "cat", 3)
    images(tmp_path / container / "dog", 2, seed=1)
    found = folders.contents(tmp_path)
    assert found.images == 5
    assert dict(found.classes) == {"cat": 3, "dog": 2}


def test_contents_of_a_flat_folder_have_no_classes(tmp_path: Path) -> None:
    assert folders.contents(images(tmp_path, 2)).classes == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("cat, dog ,, neither", ["cat", "dog", "neither"]),
        ("cat, or kitten\ndog", ["cat, or kitten", "dog"]),
        ("cat\n\n dog \n", ["cat", "dog"]),
        ("cat\n", ["cat"]),
    ],
)
def test_names_in_a_text(text: str, names: list[str]) -> None:
    assert creation.names_in(text) == names


def test_sources_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "x.csv").write_text("path\n")
    assert "Choose the folder" in str(creation.source_error(""))
    assert "whole path" in str(creation.source_error("photos"))
    assert "no such folder" in str(creation.source_error(str(tmp_path / "none")))
    wrong = str(creation.source_error(str(tmp_path / "x.txt")))
    assert "it is text, no image. Choose a folder" in wrong
    (tmp_path / "x.7z").write_bytes(b"7z\xbc\xaf'\x1c" + bytes(20))
    assert "it is a 7z archive. Unpack it" in str(creation.source_error(str(tmp_path / "x.7z")))
    assert creation.source_error(str(tmp_path)) is None
    assert creation.source_error(str(tmp_path / "x.csv")) is None


def test_a_new_project_never_takes_a_folder_that_is_there(tmp_path: Path) -> None:
    assert creation.free_folder("My Photos!") == tmp_path / "projects" / "my-photos"
    (tmp_path / "projects" / "my-photos").mkdir(parents=True)
    assert creation.free_folder("My Photos!").name == "my-photos-2"
    assert creation.free_folder("../..").parent == tmp_path / "projects"
    assert creation.free_folder("///").name == "project"


class Sent(io.BytesIO):
    """What the browser sends."""

    def __init__(self, name: str, data: bytes = b"x") -> None:
        super().__init__(data)
        self.name = name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.png", "a.png"),
        (".bashrc", "bashrc"),
        ("a\x00b\n.png", "a_b_.png"),
        ("..", "file"),
        ("", "file"),
        ('a:b*"c".png', "a_b__c_.png"),
    ],
)
def test_names_of_uploads_stay_in_the_folder(name: str, safe: str) -> None:
    assert uploads.safe_name(name) == safe


def test_long_names_of_uploads_are_cut() -> None:
    assert len(uploads.safe_name("猫" * 300 + ".jpeg").encode()) < 255
    assert uploads.safe_name("猫" * 300 + ".jpeg").endswith(".jpeg")


def test_uploads_are_kept_apart(project: Project) -> None:
    kept = uploads.keep(project, [Sent("a.png", b"1"), Sent("x/a.png", b"2"), Sent("t.csv")])
    assert [path.name for path in kept] == ["a.png", "a-2.png", "t.csv"]
    assert [path.read_bytes() for path in kept[:2]] == [b"1", b"2"]
    assert all(path.is_relative_to(project.root / "uploads") for path in kept)
    assert [path.name for path in kept[0].parents[1].iterdir()] == [kept[0].parent.name]


def test_sources_of_uploads() -> None:
    one, two, table = Path("/u/a.png"), Path("/u/b.png"), Path("/u/t.csv")
    assert uploads.sources([one, two]) == [Path("/u")]
    assert uploads.sources([one, table]) == [table, one]
    assert uploads.sources([]) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_an_error_not_a_crash(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)
    assert folders.listing(locked).error
    assert folders.listing(tmp_path).folders[0].images == 0
