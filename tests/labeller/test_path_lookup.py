"""What a written path means: an imported image, or a file beside the sheet."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest

from labeller.errors import LabelFileError
from labeller.project import Project, create_project
from labeller.services.importing import import_sources
from labeller.services.label_files import label_from_csv
from labeller.services.path_lookup import PathMatches, items_by_path
from tests.labeller.imports import items, labels
from tests.labeller.pictures import photo, write

COMPOSED = unicodedata.normalize("NFC", "Müßig é.jpg")
DECOMPOSED = unicodedata.normalize("NFD", "Grüne Äpfel.jpg")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project over two folders: names of every kind, one image under two names."""
    root = tmp_path_factory.mktemp("paths")
    names = ["0.jpg", "sub/0.jpg", "sub/deep/cat.jpg", "Only.JPG", COMPOSED, f"x/{DECOMPOSED}"]
    for seed, name in enumerate([*names, "twice/1.jpg", "v1.2/a.b.jpg"]):
        write(root / "ds" / name, photo(seed))
    write(root / "other" / "sub" / "0.jpg", photo(50))
    write(root / "other" / "only-here.png", photo(51))
    shutil.copy(root / "ds/twice/1.jpg", root / "ds/twice/again.jpg")
    project = create_project(root / "project", ["cat", "dog"])
    import_sources(project, [root / "ds", root / "other"], labels="none")
    return project


def test_a_second_name_of_the_same_bytes_means_the_same_image(made: Project) -> None:
    names = ["twice/1.jpg", "twice/again.jpg", "again.jpg", "twice\\again.jpg", "again"]
    found, matches = look(made, *names)
    assert len(set(found.values())) == 1
    assert all(isinstance(one, int) for one in matches.by_line.values())


def look(project: Project, *texts: str) -> tuple[dict[str, str], PathMatches]:
    """Return by text the end of the path that it means, or what is wrong; and all of it."""
    stored = {one.id: one.path for one in items(project)}
    with project.store.read() as unit:
        matches = items_by_path(project, unit, dict(enumerate(texts)), [Path("/nowhere")])
    said: Mapping[int, int | str] = matches.by_line
    base = str(project.root.parent) + "/"
    return {
        texts[line]: stored[one].removeprefix(base) if isinstance(one, int) else one
        for line, one in said.items()
    }, matches


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0.jpg", "ds/0.jpg"),  # from the folder that was imported, though others end like it
        ("./0.jpg", "ds/0.jpg"),
        ("sub/deep/cat.jpg", "ds/sub/deep/cat.jpg"),
        ("sub\\deep\\cat.jpg", "ds/sub/deep/cat.jpg"),
        (".\\sub\\deep\\cat.jpg", "ds/sub/deep/cat.jpg"),
        ("ds\\sub\\0.jpg", "ds/sub/0.jpg"),
        ("other/sub/0.jpg", "other/sub/0.jpg"),
        ("sub/../sub/deep//cat.jpg", "ds/sub/deep/cat.jpg"),
        ("deep/cat.jpg", "ds/sub/deep/cat.jpg"),
        (unicodedata.normalize("NFD", COMPOSED), f"ds/{COMPOSED}"),
        (unicodedata.normalize("NFC", DECOMPOSED), f"ds/x/{DECOMPOSED}"),
        (f"x/{unicodedata.normalize('NFC', DECOMPOSED)}", f"ds/x/{DECOMPOSED}"),
    ],
)
def test_a_path_is_understood_as_it_is(made: Project, text: str, path: str) -> None:
    found, matches = look(made, text)
    assert found == {text: path}
    assert matches.notes == ()


@pytest.mark.parametrize(
    ("text", "path", "how"),
    [
        ("cat", "ds/sub/deep/cat.jpg", "without its suffix"),
        ("v1.2/a.b", "ds/v1.2/a.b.jpg", "without its suffix"),
        ("only.jpg", "ds/Only.JPG", "in other letter case"),
        ("SUB/Deep/CAT.jpg", "ds/sub/deep/cat.jpg", "in other letter case"),
        ("ONLY", "ds/Only.JPG", "without its suffix and case"),
        ("C:\\Users\\ann\\ds\\sub\\0.jpg", "ds/sub/0.jpg", "from another machine"),
        ("D:/data/only-here.png", "other/only-here.png", "from another machine"),
        ("\\\\server\\share\\sub\\deep\\cat.jpg", "ds/sub/deep/cat.jpg", "from another machine"),
        ("/deep/cat.jpg", "ds/sub/deep/cat.jpg", "from another machine"),
        ("/home/bob/x/sub/deep/cat.jpg", "ds/sub/deep/cat.jpg", "from another machine"),
    ],
)
def test_what_is_not_taken_to_the_letter_is_told(
    made: Project, text: str, path: str, how: str
) -> None:
    found, matches = look(made, text)
    assert found == {text: path}
    assert len(matches.notes) == 1
    assert f"written {how}: {text!r} is " in matches.notes[0]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("cta.jpg", "no imported image has the path 'cta.jpg'; the nearest is 'cat.jpg'"),
        ("sub/deep/cats.jpg", "no imported image has the path 'sub/deep/cats.jpg'; the nearest"),
        ("sub/0.jpg", "'sub/0.jpg' fits 2 images"),
        ("/home/bob/cat.jpg", "no imported image has the path '/home/bob/cat.jpg'"),
        ("zzzzzz.tif", "no imported image has the path 'zzzzzz.tif'"),
        ("C:\\ds\\test\\none.jpg", "no imported image has the path"),
        ("..", "no imported image has the path '..'"),
        ("/", "no imported image has the path '/'"),
        ("D:\\", "no imported image has the path"),
    ],
)
def test_what_cannot_be_found_is_told_with_the_nearest(
    made: Project, text: str, wrong: str
) -> None:
    found, _ = look(made, text)
    assert found[text].startswith(wrong)


def test_paths_of_another_machine_keep_their_folders_apart(made: Project) -> None:
    """That of a picture which is not here is not the only one of its name that is."""
    found, _ = look(made, "C:\\x\\deep\\cat.jpg", "C:\\x\\test\\cat.jpg")
    assert found["C:\\x\\deep\\cat.jpg"] == "ds/sub/deep/cat.jpg"
    assert found["C:\\x\\test\\cat.jpg"].startswith("no imported image")


def sheet(folder: Path, text: str) -> Path:
    return write(folder / "labels.csv", text.encode())


def test_two_names_of_an_image_may_agree_but_not_disagree(tmp_path: Path) -> None:
    write(tmp_path / "ds/a.jpg", photo(0))
    write(tmp_path / "ds/b.jpg", photo(0))
    project = create_project(tmp_path / "p", ["cat", "dog"])
    import_sources(project, [tmp_path / "ds"])
    with pytest.raises(LabelFileError, match="line 3: names the same image as line 2, with anoth"):
        label_from_csv(project, sheet(tmp_path, "path,class\na.jpg,cat\nb.jpg,dog\n"), "ann")
    report = label_from_csv(project, sheet(tmp_path, "path,class\na.jpg,cat\nb.jpg,cat\n"), "ann")
    assert (report.labelled, report.cost) == (1, 1)
    assert report.notes == (
        "1 row says what a row before it said of the same image, maybe by its other name "
        "(line 3 as line 2).",
    )


@pytest.mark.parametrize("copy", [False, True])
def test_a_sheet_to_import_finds_its_files(tmp_path: Path, copy: bool) -> None:
    names = ["sub/0.jpg", "sub/1.jpg", f"x/{DECOMPOSED}", "Big.JPG", "plain.jpg", "far/2.jpg"]
    for seed, name in enumerate(names):
        write(tmp_path / name, photo(seed))
    written = [
        "sub\\0.jpg",
        ".\\sub\\1.jpg",
        f"x/{unicodedata.normalize('NFC', DECOMPOSED)}",
        "big.jpg",
        "plain",
        "C:\\Users\\ann\\far\\2.jpg",
        "plane.jpg",
    ]
    table = sheet(tmp_path, "path,label\n" + "".join(f"{one},cat\n" for one in written))
    project = create_project(tmp_path / "p", ["cat"])
    report = import_sources(project, [table], copy=copy)
    assert (report.added, report.labelled, report.failed) == (6, 6, 1)
    assert sorted(labels(project)) == sorted(Path(name).name for name in names)
    assert report.problems[0].reason == "there is no such file; the nearest is 'plain.jpg'"
    told = "\n".join(report.notes)
    for how in ("in other letter case", "without its suffix", "from another machine"):
        assert f"written {how}: " in told
