"""What an import tells before anything is stored, in the command and in JSON; names made one."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner

from labeller.cli import cli
from labeller.project import Project, create_project
from labeller.services import classes
from labeller.services.class_names import choose_spellings, class_key, class_name
from labeller.services.importing import import_sources
from tests.labeller.imports import class_names, items, labels, table
from tests.labeller.pictures import folder_of, photo, write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "p", [], workers=1)


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, list(map(str, words)))
    return result.exit_code, result.stdout, result.stderr


def data_set(root: Path) -> Path:
    for number, place in enumerate(("train/cat", "train/cat", "train/dog", "test/cat", "."), 1):
        write(root / place / f"{number}.jpg", photo(number))
    return root


def test_a_dry_run_says_it_and_stores_nothing(project: Project, tmp_path: Path) -> None:
    source = data_set(tmp_path / "set")
    code, out, _ = run("import", project.root, source, "--dry-run")
    assert code == 0
    assert "2 classes from folder names (cat 3, dog 1), 1 image without a class" in out
    assert "splits from folder names: train 3, audit 1." in out
    assert "Classes would be made: cat, dog." in out
    assert "5 files would be read. Nothing was stored." in out
    code, out, _ = run("import", project.root, source, "--dry-run", "--json", "--labels", "none")
    data = json.loads(out)
    (decided,) = data["sources"]
    assert (code, data["dry_run"], data["files"], data["new_classes"]) == (0, True, 5, [])
    assert (decided["taken"], decided["splits"], decided["unlabelled"]) == (
        False,
        {"train": 3, "audit": 1},
        5,
    )
    with project.store.read() as unit:
        assert not unit.imports.all()
    assert not items(project)
    assert not class_names(project)


def test_the_decision_is_told_before_anything_is_stored(project: Project, tmp_path: Path) -> None:
    source = data_set(tmp_path / "set")
    seen: list[tuple[list[str], int, list[str]]] = []
    report = import_sources(
        project,
        [source],
        announce=lambda plan: seen.append(
            (plan.describe(), len(items(project)), class_names(project))
        ),
    )
    ((told, stored, made),) = seen
    assert (stored, made) == (0, [])
    assert list(report.notes[: len(told)]) == told
    assert class_names(project) == ["cat", "dog"]
    splits = {Path(item.path).name: item.split for item in items(project)}
    assert [splits[f"{n}.jpg"] for n in (1, 2, 3, 4)] == ["train", "train", "train", "audit"]


def test_the_command_tells_each_thing_once(project: Project, tmp_path: Path) -> None:
    code, out, err = run("import", project.root, data_set(tmp_path / "set"), "--json")
    assert code == 0
    assert err.count("2 classes from folder names") == 1
    data = json.loads(out)
    assert data["sources"][0]["classes"] == {"cat": 3, "dog": 1}
    assert {
        "folder": ["train", "dog"],
        "images": 1,
        "label": "dog",
        "split": "train",
        "why": "",
    } in (data["sources"][0]["folders"])


SPELLINGS = [
    "Sea Gull",
    "sea gull",
    "SEA\u00a0GULL",
    "sea\u200b gull",
    "sea  gull ",
    "\ufeffsea gull",
]


@pytest.mark.parametrize("name", [*SPELLINGS, "se\u00ada gull", "sea\u2009gull"])
def test_spellings_of_one_name(name: str) -> None:
    assert class_key(name) == "sea gull"
    assert class_name(name).casefold() == "sea gull"


def test_names_that_stay_apart() -> None:
    names = ["sea gull", "seagull", "sea_gull", "möwe", "mowe", "1", "01"]
    assert len({class_key(name) for name in names}) == len(names)
    assert class_name("می\u200cخواهم") == "می\u200cخواهم"


def test_folders_that_differ_in_spelling_are_one_class(project: Project, tmp_path: Path) -> None:
    number = 0
    for name, count in (("sea gull", 3), ("Sea Gull", 1), ("sea\u00a0gull", 1), ("tern", 1)):
        for _ in range(count):
            number += 1
            write(tmp_path / "s" / name / f"{number}.jpg", photo(number))
    for form in ("NFC", "NFD"):
        number += 1
        name = unicodedata.normalize(form, "Möwe")
        write(tmp_path / "s" / name / f"{number}.jpg", photo(number))
    report = import_sources(project, [tmp_path / "s"])
    assert class_names(project) == ["Möwe", "sea gull", "tern"]
    assert report.labelled == 8
    notes = " ".join(report.notes)
    assert "3 classes from folder names (Möwe 2, sea gull 5, tern 1)" in notes
    assert "“Sea Gull” (1) is taken for “sea gull”" in notes
    assert "“sea[U+00A0]gull” (1) is taken for “sea gull”" in notes
    assert "(not in NFC) (1) is taken for “Möwe”" in notes


def test_the_project_s_spelling_wins(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["cat", "Dog"], workers=1)
    for number, name in enumerate(("Cat", "CAT", "dog")):
        write(tmp_path / "s" / name / f"{number}.jpg", photo(number))
    report = import_sources(project, [tmp_path / "s"])
    assert labels(project) == {"0.jpg": "cat", "1.jpg": "cat", "2.jpg": "Dog"}
    assert "“CAT” (1) is taken for “cat”; “Cat” (1) is taken for “cat”" in " ".join(report.notes)


def test_classes_that_differ_by_capitals_stay_two(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a", "A"], workers=1)
    folder_of(tmp_path / "img", 3)
    rows = [["path", "label"], ["img/0.jpg", "a"], ["img/1.jpg", "A"], ["img/2.jpg", " A "]]
    import_sources(project, [table(tmp_path / "l.csv", rows)])
    assert labels(project) == {"0.jpg": "a", "1.jpg": "A", "2.jpg": "A"}


def test_a_merged_class_is_meant_by_its_own_spelling(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["kitten", "cat"], workers=1)
    kitten, cat = classes.listed(project)
    classes.merge(project, kitten.id, cat.id)
    write(tmp_path / "s" / "Kitten" / "1.jpg", photo(1))
    import_sources(project, [tmp_path / "s"])
    assert labels(project) == {"1.jpg": "cat"}


def test_of_new_names_the_most_frequent_spelling_wins() -> None:
    spellings = choose_spellings({"Cat": 2, "cat": 5, "DOG": 1, "dog": 1})
    assert spellings == {"Cat": "cat", "cat": "cat", "DOG": "DOG", "dog": "DOG"}


def test_replays_take_split_folders_the_same_way(tmp_path: Path) -> None:
    source = data_set(tmp_path / "set")
    code, _, err = run("simulate", source, "--budget", "6", "--batch", "3", "--seeds", "1")
    assert "2 classes from folder names (cat 3, dog 1)" in err
    assert code == 1
    assert "Too few images" in err
