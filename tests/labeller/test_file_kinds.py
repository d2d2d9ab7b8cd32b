"""What files are by their bytes, and what an import says of those that are no images."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labeller.file_kinds import identify, is_image
from labeller.project import Project, create_project
from labeller.services.importing import import_sources
from tests.labeller.imports import items, reasons
from tests.labeller.pictures import colours, encoded, photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", ["cat", "dog"], workers=1)


def tar(mode: Any = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        entry = tarfile.TarInfo("a.jpg")
        entry.size = len(photo(0))
        archive.addfile(entry, io.BytesIO(photo(0)))
    return buffer.getvalue()


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


COCO = {"info": {}, "images": [{"id": 1}], "annotations": [], "categories": []}
STUDIO = [{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}]
FILES = [
    ("a.tar", tar(), "a tar archive", "tar -xf"),
    ("a.tar.gz", tar("w:gz"), "a tar archive packed with gzip", "tar -xf"),
    ("a.tgz", tar("w:gz"), "a tar archive packed with gzip", "tar -xf"),
    ("a.bin", tar("w:bz2"), "a tar archive packed with bzip2", "tar -xf"),
    ("a.tar.xz", tar("w:xz"), "a tar archive packed with xz", "tar -xf"),
    ("a.csv.gz", gzip.compress(b"path,label\n"), "packed with gzip", "gunzip"),
    ("a.bz2", bz2.compress(b"x"), "packed with bzip2", "bunzip2"),
    ("a.xz", lzma.compress(b"x"), "packed with xz", "unxz"),
    ("images.gz", gzip.compress(b"\0\0\x08\x03" + bytes(9)), "an IDX file", "as PNG"),
    ("a.7z", b"7z\xbc\xaf'\x1c" + bytes(9), "a 7z archive", "7z x"),
    ("a.rar", b"Rar!\x1a\x07\1\0", "a RAR archive", "unrar x"),
    ("a.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel sheet", "CSV UTF-8"),
    ("b.xlsx", zipped("[Content_Types].xml"), "an Excel sheet", "CSV UTF-8"),
    ("labels.csv", zipped("[Content_Types].xml", "xl/a.xml"), "an Excel sheet", "CSV UTF-8"),
    ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(9), "an Excel sheet", "CSV UTF-8"),
    ("a.docx", zipped("[Content_Types].xml", "word/a.xml"), "a Word document", "PNG"),
    ("a.npz", zipped("arr_0.npy"), "NumPy arrays", "PNG"),
    ("a.parquet", b"PAR1" + bytes(20), "a Parquet file", "PNG"),
    ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file", "PNG"),
    ("a.npy", b"\x93NUMPY\1\0", "a NumPy array", "PNG"),
    ("coco.json", json.dumps(COCO).encode(), "COCO JSON", "columns path and label"),
    ("ls.json", json.dumps(STUDIO).encode(), "a Label Studio export", "CSV"),
    ("other.json", b'{"a": [1, 2]}', "JSON", "columns path and label"),
    ("l.txt", b'{"a": 1}\n{"a": 2}\n', "a file of JSON Lines", "labeller label"),
    ("voc.xml", b"<annotation><object/></annotation>", "a Pascal VOC annotation", "path and label"),
    ("a.pdf", b"%PDF-1.7", "a PDF", "pages"),
    ("a.mp4", b"\0\0\0\x18ftypmp42", "a video", "ffmpeg"),
    ("a.mkv", b"\x1aE\xdf\xa3" + bytes(9), "a video", "ffmpeg"),
    ("a.avi", b"RIFF\0\0\0\0AVI ", "a video", "ffmpeg"),
    ("a.wav", b"RIFF\0\0\0\0WAVE", "a sound file", "Leave"),
    ("a.txt", b"some words\n", "text, no image", ".csv"),
    ("a.heic", b"\0\0\0\x18ftypheic", "a HEIC image", "JPEG or PNG"),
    ("a.dcm", bytes(128) + b"DICM", "a DICOM image", "JPEG or PNG"),
]


@pytest.mark.parametrize(("name", "data", "kind", "mend"), FILES, ids=[f[0] for f in FILES])
def test_a_file_that_is_named_is_told_what_it_is(
    project: Project, tmp_path: Path, name: str, data: bytes, kind: str, mend: str
) -> None:
    report = import_sources(project, [write(tmp_path / name, data)])
    (problem,) = report.problems
    assert problem.reason.startswith(f"it is {kind}")
    assert mend in problem.mend
    if "image" not in kind:
        assert "JPEG" not in problem.mend


def test_one_foreign_file_stops_no_others(project: Project, tmp_path: Path) -> None:
    sources = [write(tmp_path / "a b.tgz", tar("w:gz")), write(tmp_path / "c.jpg", photo(1))]
    report = import_sources(project, sources)
    assert (report.added, report.failed) == (1, 1)
    assert "tar -xf 'a b.tgz'" in report.problems[0].mend


def test_images_by_content(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "s"
    kinds = {"jpeg.dat": "JPEG", "png.txt": "PNG", "gif": "GIF", "bmp.bin": "BMP", "t.x": "TIFF"}
    for number, (name, kind) in enumerate(kinds.items()):
        write(source / name, encoded(colours(20 + number, 20), kind))
    write(source / "webp.jpg", encoded(colours(50, 20), "WEBP"))
    write(source / "words.jpg", b"just words")
    write(source / "film.png", b"\0\0\0\x18ftypmp42" + bytes(9))
    write(source / "photo", b"\0\0\0\x18ftypheic")
    write(source / "BMW.txt", b"BMW makes cars, and motors")
    report = import_sources(project, [source])
    assert {Path(i.path).name: i.format for i in items(project)} == kinds | {"webp.jpg": "WEBP"}
    told = reasons(report)
    assert told.keys() == {"words.jpg", "film.png", "photo"}
    assert told["words.jpg"] == "it is text, no image"
    assert told["film.png"] == "it is a video"
    assert "HEIC" in told["photo"]


def test_what_is_passed_over_is_counted_by_kind(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "s"
    for name in ("a.jpg", ".hidden.jpg", "b/.cache/c.jpg", "v.THM"):
        write(source / name, photo(len(name)))
    write(source / "Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    write(source / "v.mp4", b"\0\0\0\x18ftypmp42")
    write(source / "a.xml", b"<annotation/>")
    write(source / "b/one.txt", b"0 0.5 0.5 1 1")
    write(source / "b/two.txt", b"1 0.5 0.5 1 1")
    write(source / "labels.csv", b"path,label\na.jpg,cat\n")
    write(source / "more.zip", zipped("a.jpg"))
    write(source / "empty", b"")
    create_project(source / "other", [])
    (source / "c").symlink_to(source / "b")
    report = import_sources(project, [source])
    assert report.added == 1
    assert report.sources[0].survey.passed == {
        "hidden files": 1,
        "hidden folders": 1,
        "thumbnails of videos": 1,
        "files of the system": 1,
        "videos": 1,
        "annotations (JSON, XML)": 1,
        "text files": 2,
        "tables": 1,
        "archives": 1,
        "files that are empty or cannot be read": 1,
        "folders of labelling projects": 1,
        "links to folders that are read already": 1,
    }
    (note,) = [note for note in report.notes if "passed over" in note]
    assert "text files 2 (b/one.txt and others)" in note
    assert "save their frames" in note


def images() -> Iterator[bytes]:
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        yield encoded(colours(), kind)
    yield encoded(Image.new("1", (9, 9)), "BMP")


def test_heads_of_images() -> None:
    assert all(is_image(data[:64]) for data in images())
    assert not any(
        is_image(data) for data in (b"", b"BM", b"BMW is a car, and that is text", b"GIF")
    )
    assert identify(b"").family == "file"
