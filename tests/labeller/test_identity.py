"""An item is its bytes: files that are renamed, replaced or edited never take over a label."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeller.errors import ImageError, LabelFileError, SnapshotError
from labeller.imaging import open_rgb
from labeller.project import Project, create_project
from labeller.services import originals, snapshots, thumbnails
from labeller.services.exporting import export_labels
from labeller.services.import_run import Import
from labeller.services.importing import ImportReport, import_sources
from labeller.services.label_files import label_from_csv
from labeller.services.originals import list_replaced, verify_original, verify_originals
from labeller.services.snapshot_files import Images
from labeller.services.worker_pool import Request
from store.records import ImportProblem
from tests.labeller.imports import items
from tests.labeller.pictures import encoded, folder_of, photo, write

NAME = "img_{:03d}.jpg".format


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def exported(project: Project, name: str = "x.jsonl") -> dict[str, dict[str, str]]:
    """Return the rows of an export by hash, after looking that no path is in it twice."""
    to = project.root.parent / name
    export_labels(project, to)
    rows = [json.loads(line) for line in to.read_text("utf-8").splitlines()]
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["sha256"]: row for row in rows}


def label_all(project: Project, folder: Path) -> dict[str, str]:
    """Give every image a class in turn; returns it by hash."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    classes = {file: ("cat", "dog")[place % 2] for place, file in enumerate(files)}
    text = "path,class\n" + "".join(f"{file},{name}\n" for file, name in classes.items())
    label_from_csv(project, write(folder.parent / "labels.csv", text.encode()), "ann")
    return {sha256(file): name for file, name in classes.items()}


@pytest.fixture
def ds(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "ds", 12, NAME)


@pytest.fixture
def project(tmp_path: Path, ds: Path) -> Project:
    made = create_project(tmp_path / "p", ["cat", "dog"], workers=1)
    import_sources(made, [ds])
    return made


def shift(folder: Path) -> None:
    """Delete the first image and give each other the number before its own."""
    first, *others = sorted(folder.iterdir())
    first.unlink()
    for place, file in enumerate(others):
        file.rename(folder / NAME(place))


def reverse(folder: Path) -> None:
    files = sorted(folder.iterdir())
    for file in files:
        file.rename(file.with_suffix(".moved"))
    for file, name in zip(files, reversed(files), strict=True):
        file.with_suffix(".moved").rename(name)


def swap_two(folder: Path) -> None:
    first, second = sorted(folder.iterdir())[:2]
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)


def edit_in_place(folder: Path) -> None:
    write(folder / NAME(0), photo(900))


def edit_and_keep(folder: Path) -> None:
    """Another image of the same name, the old one under another."""
    (folder / NAME(0)).rename(folder / "old.jpg")
    write(folder / NAME(0), photo(900))


CHANGES: list[tuple[Callable[[Path], None], int]] = [
    (shift, 1),
    (reverse, 0),
    (swap_two, 0),
    (edit_in_place, 1),
    (edit_and_keep, 0),
]


@pytest.mark.parametrize("batch", [300, 1])
@pytest.mark.parametrize(("change", "lost"), CHANGES, ids=[one.__name__ for one, _ in CHANGES])
def test_every_label_stays_with_its_image(
    project: Project,
    ds: Path,
    change: Callable[[Path], None],
    lost: int,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("labeller.services.import_writer.BATCH", batch)
    wanted = label_all(project, ds)
    change(ds)
    report = import_sources(project, [ds])
    told = "\n".join(report.notes)
    assert " another image than at the last import" in told
    assert ("nowhere any more" in told) == bool(lost)
    assert sum("holds another image now" in p.reason for p in _problems(project, report)) == lost
    rows = exported(project)
    assert len(rows) == len(wanted) - lost
    for digest_, row in rows.items():
        assert sha256(Path(row["path"])) == digest_
        assert row["class"] == wanted[digest_]
    again = import_sources(project, [ds])
    assert (again.added, again.failed, again.notes) == (0, 0, ())


def _problems(project: Project, report: ImportReport) -> list[ImportProblem]:
    with project.store.read() as unit:
        return unit.imports.problems(report.import_id)


def test_files_of_one_size_and_time_are_told_apart(tmp_path: Path) -> None:
    """Bitmaps from one archive: renumbered, not one of them differs in size or time of change."""
    ds = tmp_path / "ds"
    for seed in range(6):
        picture = Image.frombytes("RGB", (8, 8), digest(bytes([seed])).encode() * 3)
        file = write(ds / f"{seed}.bmp", encoded(picture, "BMP"))
        os.utime(file, (1_600_000_000, 1_600_000_000))
    project = create_project(tmp_path / "p", ["cat", "dog"], workers=1)
    import_sources(project, [ds])
    wanted = label_all(project, ds)
    (ds / "0.bmp").unlink()
    for seed in range(1, 6):
        (ds / f"{seed}.bmp").rename(ds / f"{seed - 1}.bmp")
    # What only changed names is found under them by looking at the files themselves.
    replaced = list_replaced(project, [one.id for one in items(project)])
    assert list(replaced.values()) == [str(ds / "0.bmp")]
    import_sources(project, [ds])
    rows = exported(project)
    assert {sha: row["class"] for sha, row in rows.items()} == {
        sha: wanted[sha] for sha in map(sha256, ds.iterdir())
    }


def test_an_image_that_comes_back_has_its_label_again(project: Project, ds: Path) -> None:
    wanted = label_all(project, ds)
    old = (ds / NAME(0)).read_bytes()
    write(ds / NAME(0), photo(900))
    import_sources(project, [ds])
    assert digest(old) not in exported(project)
    write(ds / "found.jpg", old)
    report = import_sources(project, [ds])
    assert "1 images that had been moved were found again." in report.notes
    assert exported(project)[digest(old)]["class"] == wanted[digest(old)]


def test_an_export_leaves_out_what_was_replaced_since(project: Project, ds: Path) -> None:
    label_all(project, ds)
    write(ds / NAME(3), photo(901))
    write(ds / NAME(4), photo(902))
    report = export_labels(project, project.root / "x.csv")
    assert report.rows == 10
    assert len(report.notes) == 1
    assert report.notes[0].startswith(
        "2 images were left out, because their files have changed since the import and hold "
        "another image: "
        f"{ds / NAME(3)}, {ds / NAME(4)}. Put the old file back"
    )
    text = (project.root / "x.csv").read_text("utf-8")
    assert NAME(3) not in text
    assert NAME(5) in text


def test_labels_of_files_that_are_gone_are_exported(project: Project, ds: Path) -> None:
    """A disk that is not there today keeps nobody's labels."""
    wanted = label_all(project, ds)
    ds.rename(ds.with_name("unplugged"))
    report = export_labels(project, project.root / "x.csv")
    assert (report.rows, report.notes) == (len(wanted), ())


def test_a_label_by_path_means_what_is_there_now(project: Project, ds: Path) -> None:
    write(ds / NAME(2), photo(903))
    sheet = write(ds.parent / "l.csv", f"path,class\n{NAME(2)},cat\n".encode())
    with pytest.raises(LabelFileError, match=r"line 2: .*img_002.jpg holds another image now"):
        label_from_csv(project, sheet, "ann")
    import_sources(project, [ds])
    label_from_csv(project, sheet, "ann")
    assert list(exported(project)) == [digest(photo(903))]


def test_what_is_as_it_was_is_not_read(
    project: Project, ds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    hashed = originals._hash

    def noted(path: Path) -> str | None:
        read.append(path)
        return hashed(path)

    monkeypatch.setattr(originals, "_hash", noted)
    everything = items(project)
    assert {one.path for one in verify_originals(project, everything).values()} == set(ds.iterdir())
    assert read == []
    (ds / NAME(1)).touch()  # another time, the same bytes
    for _ in range(2):
        assert all(one.problem is None for one in verify_originals(project, everything).values())
    assert read == [ds / NAME(1)]


def test_a_second_import_reads_only_what_is_new(
    project: Project, ds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    request = Import._request

    def noted(self: Import, turn: Any, sift: bool) -> Request:
        asked.append(turn.candidate.path)
        return request(self, turn, sift)

    monkeypatch.setattr(Import, "_request", noted)
    write(ds / "new.jpg", photo(904))
    (ds / NAME(1)).touch()
    report = import_sources(project, [ds])
    assert (report.added, report.known) == (1, 12)
    assert sorted(set(asked)) == sorted(map(str, [ds / "new.jpg", ds / NAME(1)]))


def test_a_project_without_stamps_gets_them_when_they_are_needed(
    project: Project, ds: Path
) -> None:
    wanted = label_all(project, ds)
    forget_stamps(project)
    swap_two(ds)
    report = import_sources(project, [ds])
    assert any("2 files hold another image" in note for note in report.notes)
    forget_stamps(project)
    swap_two(ds)
    rows = exported(project)
    assert {sha: (row["class"], sha256(Path(row["path"]))) for sha, row in rows.items()} == {
        sha: (name, sha) for sha, name in wanted.items()
    }
    with project.store.read() as unit:
        assert len(unit.paths.many([str(path) for path in ds.iterdir()])) == 12


def forget_stamps(project: Project) -> None:
    """Make a project as earlier versions left it."""
    import sqlite3

    project.store.close()
    with sqlite3.connect(project.root / "labeller.db") as connection:
        connection.execute("DELETE FROM item_path")
    connection.close()


def test_another_name_of_an_image_takes_the_place_of_its_file(tmp_path: Path) -> None:
    ds = folder_of(tmp_path / "ds", 2, NAME)
    shutil.copy(ds / NAME(0), ds / "zz.jpg")
    project = create_project(tmp_path / "p", ["cat", "dog"], workers=1)
    report = import_sources(project, [ds])
    assert any(note.startswith("1 file is a copy, byte for byte, of ") for note in report.notes)
    item = next(one for one in items(project) if one.sha256 == digest(photo(0)))
    Path(item.path).unlink()
    other = verify_original(project, item)
    assert sha256(other) == item.sha256
    with project.store.read() as unit:
        kept = unit.items.get(item.id)
    assert kept is not None
    assert Path(kept.path) == other
    write(other, photo(905))
    with pytest.raises(ImageError, match="has changed since it was imported"):
        verify_original(project, kept)


@pytest.mark.parametrize("size", ["thumb", "card", "full"])
def test_no_picture_is_made_of_other_bytes(tmp_path: Path, size: thumbnails.Size) -> None:
    """The new image has the size in bytes, and even the time of change, of the old one."""
    ds, colours = tmp_path / "ds", ((200, 0, 0), (0, 0, 200))
    old, new = (encoded(Image.new("RGB", (700, 500), colour), "BMP") for colour in colours)
    file = write(ds / "a.bmp", old)
    project = create_project(tmp_path / "p", ["cat"], workers=1)
    import_sources(project, [ds])
    shutil.rmtree(project.thumbnails)
    (item,) = items(project)
    before = file.stat()
    write(file, new)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ImageError, match="has changed since it was imported"):
        thumbnails.thumbnail(project, item, size)
    write(file, old)
    path, _ = thumbnails.thumbnail(project, item, size)
    assert np.asarray(open_rgb(path, 10**9))[5, 5, 0] > 150


@pytest.mark.parametrize("images", ["copy", "reference"])
def test_a_snapshot_names_the_file_that_was_replaced(
    project: Project, ds: Path, tmp_path: Path, images: Images
) -> None:
    write(ds / NAME(6), photo(906))
    with pytest.raises(SnapshotError, match=r"img_006.jpg: is not the image that was imported"):
        snapshots.export_snapshot(project, tmp_path / "snapshot", images)


def test_a_copied_image_is_not_touched_by_what_happens_outside(tmp_path: Path) -> None:
    ds = folder_of(tmp_path / "ds", 4, NAME)
    project = create_project(tmp_path / "p", ["cat", "dog"], workers=1)
    assert import_sources(project, [ds], copy=True).notes == ()
    label_all(project, ds)
    shift(ds)
    report = import_sources(project, [ds], copy=True)
    assert (report.added, report.known) == (0, 3)
    rows = exported(project)
    assert len(rows) == 4
    assert all(sha256(Path(row["path"])) == sha for sha, row in rows.items())
    assert not any("nowhere" in note for note in report.notes)


def test_a_copy_that_was_changed_in_the_project_is_noticed(tmp_path: Path) -> None:
    ds = folder_of(tmp_path / "ds", 2, NAME)
    project = create_project(tmp_path / "p", ["cat", "dog"], workers=1)
    import_sources(project, [ds], copy=True)
    label_all(project, ds)
    write(project.root / "images" / "ds" / NAME(0), photo(907))
    import_sources(project, [folder_of(tmp_path / "more", 2, NAME)], copy=True)
    rows = exported(project)
    assert {sha256(Path(row["path"])) for row in rows.values()} == set(rows)
    assert set(rows) == {digest(photo(0)), digest(photo(1))}  # its bytes are at hand elsewhere
    shutil.rmtree(ds)
    shutil.rmtree(tmp_path / "more")
    assert digest(photo(0)) in exported(project)
