from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from labeller.errors import ImportSourceError
from labeller.project import Project, create_project
from labeller.services.importing import import_sources
from tests.labeller.imports import archive, items, reasons
from tests.labeller.pictures import photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", ["cat", "dog"], workers=1)


def test_a_zip_of_class_folders(project: Project, tmp_path: Path) -> None:
    entries = {f"animals/{name}/{i}.jpg": photo(10 * i + len(name)) for i in range(3)
               for name in ("cat", "horse")}  # fmt: skip
    entries |= {"animals/.hidden/x.jpg": photo(99), "__MACOSX/animals/cat/._0.jpg": b"shadow"}
    report = import_sources(project, [archive(tmp_path / "set.zip", entries)])
    assert (report.added, report.labelled, report.failed) == (6, 3, 0)
    found = items(project)
    assert all(item.copied for item in found)
    assert {item.path for item in found} >= {
        "images/set/animals/cat/0.jpg",
        "images/set/animals/horse/2.jpg",
    }
    assert project.file("images/set/animals/cat/1.jpg").read_bytes() == photo(13)
    again = import_sources(project, [tmp_path / "set.zip"])
    assert (again.added, again.known) == (0, 6)
    files = [path for path in (project.root / "images").rglob("*") if path.is_file()]
    assert len(files) == 6
    assert not list((project.root / "images").glob(".incoming*"))


def test_zip_entries_cannot_leave_the_project(project: Project, tmp_path: Path) -> None:
    names = [
        "../../escape.jpg",
        "a/../../escape.jpg",
        "/etc/escape.jpg",
        "C:\\escape.jpg",
        "..\\..\\escape.jpg",
    ]
    before = {path for path in tmp_path.rglob("*") if "project" not in path.parts}
    entries = {name: photo(i) for i, name in enumerate(names)} | {"fine\\good.jpg": photo(9)}
    source = archive(tmp_path / "evil.zip", entries)
    report = import_sources(project, [source])
    assert report.added == 1
    assert items(project)[0].path == "images/evil/fine/good.jpg"
    assert [p.reason for p in report.problems] == ["its name leads out of the archive"] * 5
    after = {path for path in tmp_path.rglob("*") if "project" not in path.parts}
    assert {p for p in after - before if "project" not in str(p.relative_to(tmp_path))} == {source}
    assert not Path("/etc/escape.jpg").exists()


def test_awkward_zip_entries(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "odd.zip"
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as nested:
        nested.writestr("x.jpg", photo(3))
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("good.jpg", photo(1))
        file.writestr("nested.zip", inner.getvalue())
        file.writestr("bomb.bmp", bytes(100 << 20))
        file.writestr("text.jpg", b"words")
        file.writestr("data.json", b"{}")
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
        file.writestr("noname", photo(2))
    data = bytearray(source.read_bytes())
    _encrypt_flag(data, b"text.jpg")
    source.write_bytes(bytes(data))
    report = import_sources(project, [source])
    assert report.added == 2
    told = reasons(report)
    assert told.keys() == {"nested.zip", "bomb.bmp", "text.jpg", "link.jpg"}
    assert "archive" in told["nested.zip"]
    assert "times its size" in told["bomb.bmp"]
    assert "encrypted" in told["text.jpg"]
    assert "link" in told["link.jpg"]


def _encrypt_flag(data: bytearray, name: bytes) -> None:
    """Mark an entry as encrypted in both of its headers."""
    first = data.index(name) - 30
    second = data.index(name, first + 40) - 46
    assert data[first : first + 2] == b"PK"
    assert data[second : second + 2] == b"PK"
    data[first + 6] |= 1
    data[second + 8] |= 1


def test_a_damaged_zip_entry(project: Project, tmp_path: Path) -> None:
    source = archive(tmp_path / "a.zip", {"a.jpg": photo(1, 200), "b.jpg": photo(2)})
    data = bytearray(source.read_bytes())
    data[500:600] = bytes(100)
    source.write_bytes(bytes(data))
    report = import_sources(project, [source])
    assert report.added == 1
    assert "cannot be unpacked" in reasons(report)["a.jpg"]


@pytest.mark.parametrize("cut", [0, 10, 100])
def test_a_zip_that_is_none(project: Project, tmp_path: Path, cut: int) -> None:
    data = archive(tmp_path / "a.zip", {"a.jpg": photo(1)}).read_bytes()
    source = write(tmp_path / "b.zip", data[:cut])
    with pytest.raises(ImportSourceError, match="zip archive"):
        import_sources(project, [source])


def test_an_entry_may_not_be_larger_than_any_image(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a"], workers=1, max_image_pixels=1_000)
    source = tmp_path / "a.zip"
    with zipfile.ZipFile(source, "w") as file:  # stored, so that no ratio gives it away
        file.writestr("a.bmp", bytes(65 << 20))
    assert "more than any image" in reasons(import_sources(project, [source]))["a.bmp"]
