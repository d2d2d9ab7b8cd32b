"""Names in archives of the Finder, of Windows in several places, and what is told of them."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from pathlib import Path

import pytest

from labeller.errors import ImportSourceError
from labeller.project import Project, create_project
from labeller.services.importing import ImportReport, import_sources
from tests.labeller.imports import class_names, items
from tests.labeller.pictures import photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", [], workers=1)


def archive(path: Path, names: list[bytes], extra: bytes = b"", flags: int = 0) -> Path:
    """Write stored entries whose names are the given bytes, as no library does."""
    out = index = b""
    for number, name in enumerate(names):
        data, at = photo(number), len(out)
        crc, size = zlib.crc32(data), len(data)
        more = extra and struct.pack("<HHBL", 0x7075, 5 + len(extra), 1, zlib.crc32(name)) + extra
        head = (20, flags, 0, 0, 0x5A21, crc, size, size, len(name), len(more))
        out += struct.pack("<4s5H3L2H", b"PK\3\4", *head) + name + more + data
        index += struct.pack("<4sH5H3L5H2L", b"PK\1\2", 20, *head, 0, 0, 0, 0, at) + name + more
    count = len(names)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(index), len(out), 0)
    return write(path, out + index + end)


def guesses(report: ImportReport) -> list[str]:
    return [note for note in report.notes if "may be damaged" in note]


def test_the_finder_writes_utf8_without_the_flag(project: Project, tmp_path: Path) -> None:
    paths = [f"birds/{n}/{i}.jpg" for n in ("Möwe", "Käuzchen", "鶴") for i in range(2)]
    names = [unicodedata.normalize("NFD", path).encode() for path in paths]
    shadows = [b"__MACOSX/birds/._0.jpg", b"birds/.DS_Store"]
    report = import_sources(project, [archive(tmp_path / "mac.zip", [*names, *shadows])])
    assert (report.labelled, report.failed) == (6, 0)
    assert class_names(project) == ["Käuzchen", "Möwe", "鶴"]
    assert report.sources[0].survey.passed == {"files of macOS": 2}
    assert not guesses(report)
    assert not any("taken for" in note for note in report.notes)


def test_windows_in_western_europe_writes_code_page_437(project: Project, tmp_path: Path) -> None:
    names = [f"{n}\\1.jpg".encode("cp437") for n in ("Möwe", "Straßentaube", "gorrión")]
    report = import_sources(project, [archive(tmp_path / "win.zip", names)])
    assert class_names(project) == ["gorrión", "Möwe", "Straßentaube"]
    assert "3 names" in guesses(report)[0]
    assert "names in UTF-8" in guesses(report)[0]


PAGES = [(("海鸥", "猫头鹰"), "gbk"), (("Möwe", "Käuz"), "cp1252"), (("чайка", "сова"), "cp866")]


@pytest.mark.parametrize(("names", "page"), PAGES)
def test_names_that_became_signs_are_no_classes(
    tmp_path: Path, names: tuple[str, str], page: str
) -> None:
    source = archive(tmp_path / "a.zip", [f"{n}/1.jpg".encode(page) for n in names])
    for mode in ("auto", "folders"):
        project = create_project(tmp_path / mode, [], workers=1)
        report = import_sources(project, [source], labels=mode)
        assert (report.added, report.labelled, class_names(project)) == (2, 0, [])
        assert guesses(report)


def test_the_field_for_unicode_counts(project: Project, tmp_path: Path) -> None:
    name = "海鸥/1.jpg"
    source = archive(tmp_path / "a.zip", [name.encode("gbk")], extra=name.encode())
    report = import_sources(project, [source], labels="folders")
    assert class_names(project) == ["海鸥"]
    assert not guesses(report)


def test_the_field_of_another_name_does_not_count(project: Project, tmp_path: Path) -> None:
    source = archive(tmp_path / "a.zip", ["海鸥/1.jpg".encode("gbk")], extra=b"other/1.jpg")
    data = source.read_bytes().replace(struct.pack("<L", zlib.crc32("海鸥/1.jpg".encode("gbk"))),
                                       b"\1\2\3\4")  # fmt: skip
    source.write_bytes(data)
    assert guesses(import_sources(project, [source]))


def test_encrypted_entries_are_told_by_name(project: Project, tmp_path: Path) -> None:
    source = archive(tmp_path / "a.zip", [b"a/1.jpg", b"a/scan"], flags=1)
    report = import_sources(project, [source])
    assert [(Path(p.path).name, p.reason) for p in report.problems] == [
        ("1.jpg", "it is encrypted"),
        ("scan", "it is encrypted"),
    ]
    assert not items(project)


def test_a_part_of_an_archive_says_how_to_join_it(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "a.z01", b"first")
    with pytest.raises(ImportSourceError, match=r"zip -s 0 a\.zip --out whole\.zip"):
        import_sources(project, [write(tmp_path / "a.zip", b"PK\1\2 the rest")])


def test_an_archive_by_content(project: Project, tmp_path: Path) -> None:
    source = archive(tmp_path / "a.dat", [b"cat/1.jpg", b"dog/1.jpg"])
    assert import_sources(project, [source]).labelled == 2
    report = import_sources(project, [write(tmp_path / "b.zip", b"%PDF-1.7")])
    assert report.problems[0].reason == "it is a PDF"
