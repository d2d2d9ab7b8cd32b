from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labeller import jobs
from labeller.errors import ImportSourceError
from labeller.imaging import open_rgb
from labeller.project import Project, create_project
from labeller.services import rounds
from labeller.services.import_sources import safe_target
from labeller.services.importing import import_sources, run_import_job
from labeller.services.splits import split_of
from labeller.services.thumbnails import kept_path
from tests.labeller.imports import Recording, items, reasons
from tests.labeller.pictures import colours, encoded, folder_of, photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", ["cat", "dog"], workers=1)


# ---- folders


def test_a_folder_and_what_lies_below(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 5, "a/{0}/b/{0}.jpg".format)
    write(source / "top.PNG", encoded(colours(300, 200), "PNG"))
    write(source / "notes.txt", b"no image, and named like none")
    progress = Recording()
    report = import_sources(project, [source], progress=progress)
    assert (report.added, report.known, report.failed, report.labelled) == (6, 0, 0, 0)
    assert not report.cancelled
    found = {item.path: item for item in items(project)}
    top = found[str(source / "top.PNG")]
    assert (top.width, top.height, top.format, top.copied) == (300, 200, "PNG", False)
    assert top.bytes == (source / "top.PNG").stat().st_size
    assert top.sha256 == hashlib.sha256((source / "top.PNG").read_bytes()).hexdigest()
    assert top.group == top.sha256
    assert top.split == split_of(top.sha256, 0.1, 0.2)
    assert progress.steps[-1] == ("import", 6, 6)
    with project.store.read() as unit:
        record = unit.imports.all()[0]
    assert (record.added, record.failed, record.cancelled) == (6, 0, False)
    assert record.finished_at is not None


def test_importing_twice_adds_nothing(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 6)
    write(source / "twin.jpg", photo(0))
    first = import_sources(project, [source])
    assert (first.added, first.known) == (6, 1)
    before = items(project)
    again = import_sources(project, [source, source / "3.jpg"])
    assert (again.added, again.known, again.failed) == (0, 8, 0)
    assert items(project) == before


def test_new_files_beside_known_ones(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 4)
    import_sources(project, [source])
    folder_of(source, 7)
    report = import_sources(project, [source])
    assert (report.added, report.known) == (3, 4)


def test_hidden_and_foreign_files_are_passed_over(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 2)
    folder_of(source / ".cache", 3, "hidden{}.jpg".format)
    folder_of(source / "__MACOSX", 1, "mac{}.jpg".format)
    write(source / "._0.jpg", b"a Mac's shadow")
    write(source / "Thumbs.db", b"Windows")
    write(source / "readme", b"no suffix, no image")
    write(source / "scan", photo(9))
    write(source / "phone.heic", b"\0\0\0\x18ftypheic")
    report = import_sources(project, [source])
    assert report.added == 3
    assert list(reasons(report)) == ["phone.heic"]
    assert "HEIC" in reasons(report)["phone.heic"]


def test_links_in_a_circle_end(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 3, "a/b/{}.jpg".format)
    (source / "a" / "b" / "up").symlink_to(source)
    (source / "again").symlink_to(source / "a")
    (source / "self").symlink_to(source / "self")
    outside = folder_of(tmp_path / "elsewhere", 5)
    (source / "more").symlink_to(outside)
    report = import_sources(project, [source])
    assert (report.added, report.known) == (5, 3)  # 0-2 are the same bytes in both folders


def test_a_project_inside_the_images_is_not_imported(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 2)
    inner = create_project(source / "labels", ["a"], workers=1)
    write(inner.thumbnails / "x.jpg", photo(7))
    assert import_sources(inner, [source]).added == 2
    for own in (inner.root, inner.thumbnails):
        with pytest.raises(ImportSourceError, match="project's own folder"):
            import_sources(inner, [own])


def test_an_unreadable_folder_is_listed(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "photos", 2)
    folder_of(source / "locked", 1, "x{}.jpg".format)
    scandir = os.scandir

    def locked(path: str) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)  # root may list anything
    report = import_sources(project, [source])
    assert report.added == 2
    assert "Permission denied" in reasons(report)["locked"]


def test_bad_files_are_listed_and_stop_nothing(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 4)
    write(source / "cut.jpg", photo(50, 200)[:1500])
    write(source / "text.jpg", b"dear diary")
    write(source / "empty.png", b"")
    write(source / "page.gif", b"<html><body>404</body></html>")
    os.mkfifo(source / "pipe.jpg")
    (source / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (source / "folder.jpg").mkdir()
    report = import_sources(project, [source])
    assert report.added == 4
    found = reasons(report)
    assert found.keys() == {"cut.jpg", "text.jpg", "empty.png", "page.gif", "pipe.jpg", "gone.jpg"}
    assert "truncated" in found["cut.jpg"]
    assert "text" in found["text.jpg"]
    assert "empty" in found["empty.png"]
    assert "web page" in found["page.gif"]
    assert "pipe" in found["pipe.jpg"]
    assert "no such file" in found["gone.jpg"]
    with project.store.read() as unit:
        stored = unit.imports.problems(report.import_id)
    assert {p.path for p in stored} == {p.path for p in report.problems}


def test_the_pixel_limit_of_the_settings(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a"], workers=1, max_image_pixels=10_000)
    source = write(tmp_path / "large.png", encoded(Image.new("1", (101, 100)), "PNG"))
    report = import_sources(project, [source])
    assert "10,100" not in reasons(report)["large.png"]
    assert "101 × 100" in reasons(report)["large.png"]


def test_names_that_are_not_utf8(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 1)
    (source / os.fsdecode(b"caf\xe9.jpg")).write_bytes(photo(8))
    report = import_sources(project, [source])
    assert report.added == 1
    assert reasons(report) == {"caf\\xe9.jpg": "its name is not UTF-8"}
    copied = import_sources(project, [source], copy=True)
    assert (copied.added, copied.known, copied.failed) == (1, 1, 0)
    assert project.file(items(project)[-1].path).read_bytes() in (photo(0), photo(8))


def test_every_kind_of_image_is_imported(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "kinds"
    kinds = {"a.jpg": "JPEG", "b.png": "PNG", "c.webp": "WEBP", "d.gif": "GIF", "e.bmp": "BMP"}
    for name, format in (kinds | {"f.tif": "TIFF"}).items():
        write(source / name, encoded(colours(), format))
    write(source / "cmyk.jpg", encoded(colours().convert("CMYK"), "JPEG"))
    deep = Image.frombytes("I;16", (8, 8), bytes(range(128)))
    write(source / "deep.png", encoded(deep, "PNG"))
    exif = Image.Exif()
    exif[0x0112] = 6
    write(source / "turned.jpg", encoded(colours(64, 48), "JPEG", exif=exif))
    report = import_sources(project, [source])
    assert (report.added, report.failed) == (9, 0)
    found = {Path(item.path).name: item for item in items(project)}
    assert {name: found[name].format for name in kinds} == kinds
    assert (found["turned.jpg"].width, found["turned.jpg"].height) == (48, 64)
    for name in ("e.bmp", "f.tif", "cmyk.jpg", "deep.png", "turned.jpg"):
        made = kept_path(project.thumbnails, 256, found[name].sha256)
        shown = open_rgb(made, 10**6)
        assert shown.size == (found[name].width, found[name].height)


def test_thumbnails_are_made_on_the_way(project: Project, tmp_path: Path) -> None:
    large = write(tmp_path / "large.jpg", encoded(colours(1200, 900), "JPEG"))
    small = write(tmp_path / "small.jpg", photo(1))
    import_sources(project, [large, small])
    shas = {Path(item.path).name: item.sha256 for item in items(project)}
    made = kept_path(project.thumbnails, 256, shas["large.jpg"])
    assert open_rgb(made, 10**6).size == (256, 192)
    # a small JPEG is its own thumbnail
    assert not kept_path(project.thumbnails, 256, shas["small.jpg"]).exists()


# ---- copies


def test_copies_keep_their_names_and_outlive_the_source(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 2, "a/{}.jpg".format)
    write(source / "bad.jpg", b"words")
    report = import_sources(project, [source], copy=True)
    assert (report.added, report.failed) == (2, 1)
    assert [item.path for item in items(project)] == [
        "images/photos/a/0.jpg",
        "images/photos/a/1.jpg",
    ]
    for path in source.rglob("*.jpg"):
        path.unlink()
    assert project.file("images/photos/a/1.jpg").read_bytes() == photo(1)
    assert len([p for p in (project.root / "images").rglob("*") if p.is_file()]) == 2


def test_two_folders_of_one_name_do_not_overwrite(project: Project, tmp_path: Path) -> None:
    first = folder_of(tmp_path / "a" / "photos", 1)
    second = write(tmp_path / "b" / "photos" / "0.jpg", photo(5)).parent
    assert import_sources(project, [first, second], copy=True).added == 2
    found = {item.sha256: project.file(item.path).read_bytes() for item in items(project)}
    assert all(hashlib.sha256(data).hexdigest() == sha for sha, data in found.items())
    assert len(found) == 2


def test_a_moved_folder_is_found_again(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "old", 3)
    import_sources(project, [source])
    source.rename(tmp_path / "new")
    report = import_sources(project, [tmp_path / "new"])
    assert (report.added, report.known) == (0, 3)
    assert [item.path for item in items(project)] == [
        str(tmp_path / "new" / f"{i}.jpg") for i in range(3)
    ]
    assert any("found again" in note for note in report.notes)


def test_a_moved_folder_is_copied_when_asked(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "old", 2)
    import_sources(project, [source])
    source.rename(tmp_path / "new")
    import_sources(project, [tmp_path / "new"], copy=True)
    assert [item.path for item in items(project)] == ["images/new/0.jpg", "images/new/1.jpg"]
    assert all(item.copied and project.file(item.path).exists() for item in items(project))


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        (["a", "b.jpg"], "a/b.jpg"),
        (["..", "/x", "b.jpg"], "_/_x/b.jpg"),
        ([".hidden", "a:b*?.jpg"], "hidden/a_b__.jpg"),
        (["ä\n\x1b[31m.png"], "ä__[31m.png"),
        (["x" * 300 + ".jpg"], "x" * 200 + ".jpg"),
        (["é" * 300 + ".jpg"], "é" * 100 + ".jpg"),
        (["d"] * 900 + ["b.jpg"], "b.jpg"),
    ],
)
def test_safe_targets(parts: list[str], wanted: str) -> None:
    assert str(safe_target(parts)) == wanted


# ---- afterwards


def test_an_empty_queue_is_filled_and_a_full_one_kept(project: Project, tmp_path: Path) -> None:
    import_sources(project, [folder_of(tmp_path / "a", 5)])
    with project.store.read() as unit:
        first = unit.queue.entries(100, 0)
    assert len(first) == 5
    import_sources(project, [folder_of(tmp_path / "b", 9)])
    with project.store.read() as unit:
        assert unit.queue.entries(100, 0) == first


def test_fully_labelled_images_make_no_queue(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "first_queue", lambda _: pytest.fail("nothing to queue"))
    folder_of(tmp_path / "s" / "cat", 3)
    assert import_sources(project, [tmp_path / "s"]).labelled == 3


def test_the_job(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 3)
    write(source / "bad.jpg", b"words")
    with project.store.write() as unit:
        job = unit.jobs.add("import", {"sources": [str(source)], "copy": True}, True)
    ended = jobs.run(project, job.id)
    assert ended is not None
    assert (ended.state, ended.error) == ("done", None)
    assert ended.result is not None
    assert (ended.result["added"], ended.result["failed"]) == (3, 1)
    assert ended.result["problems"][0]["reason"] == "it is text, no image"
    assert all(item.copied for item in items(project))


def test_a_cancelled_job_says_so(project: Project, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 30)
    with project.store.write() as unit:
        job = unit.jobs.add("import", {"sources": [str(source)]}, True)
    result = run_import_job(project, job, Recording(stop_at=5))
    assert result["cancelled"]
    assert result["added"] == len(items(project))


def test_the_worker_starts_light() -> None:
    code = (
        "import sys, labeller.services.import_worker;"
        "print([m for m in ('sqlalchemy', 'numpy', 'streamlit') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_splits_do_not_depend_on_the_order_of_import(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", 30)
    splits = []
    for name in ("one", "two"):
        project = create_project(tmp_path / name, ["a"], workers=1)
        files = sorted(source.iterdir(), reverse=name == "two")
        half = [files[:15], files[15:]]
        for part in half:
            import_sources(project, part)
        splits.append({item.sha256: item.split for item in items(project)})
    assert splits[0] == splits[1]
    assert len(splits[0]) == 30


def test_requests_survive_odd_names() -> None:
    from labeller.services.worker_pool import Request

    line = Request({"path": "caf\udce9 \n \u2028.jpg"}, None).line()
    assert line.count(b"\n") == 1
    assert line.isascii()
