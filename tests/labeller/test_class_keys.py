"""A class that is named like a key has it, and no class has the key of another's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeller.errors import ClassError
from labeller.project import Project, create_project
from labeller.services import classes
from labeller.services.class_keys import KEYS, Held, assign_keys, explain_key, key_owners, own_key
from labeller.services.importing import import_sources
from tests.labeller.imports import table
from tests.labeller.pictures import folder_of, photo, write


def keys(project: Project) -> dict[str, str | None]:
    return {record.name: record.key for record in classes.listed(project)}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "p", ["apple", "pear"], workers=1)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("3", "3"),
        ("a", "a"),
        ("A", "a"),
        ("\uff13", "3"),  # a wide 3
        ("\u0663", "3"),  # an Arabic 3
        ("10", None),
        ("\u00e9", None),
        ("\u044f", None),
        ("-", None),
        ("", None),
    ],
)
def test_the_key_that_a_name_is(name: str, key: str | None) -> None:
    assert own_key(name) == key


@pytest.mark.parametrize("names", ["0123456789", "abcdefghijklmnopqrstuvwxyz", "9a8b", "zyx"])
def test_digits_and_letters_have_their_keys(tmp_path: Path, names: str) -> None:
    made = create_project(tmp_path / "p", list(names))
    assert keys(made) == {name: name for name in names}


def test_others_keep_off_the_keys_of_names(tmp_path: Path) -> None:
    made = create_project(tmp_path / "p", ["apple", "1", "b", "A", "10", "2"])
    assert keys(made) == {"apple": "3", "1": "1", "b": "b", "A": "a", "10": "4", "2": "2"}


def test_a_class_that_comes_later_gets_its_key_and_undo_gives_it_back(project: Project) -> None:
    classes.add(project, ["1"])
    assert keys(project) == {"apple": "3", "pear": "2", "1": "1"}
    assert "(other keys: “apple” 3)" in classes.changes(project)[0].text
    classes.undo_last_change(project)
    assert keys(project) == {"apple": "1", "pear": "2"}


def test_a_key_that_a_person_chose_stays(project: Project) -> None:
    apple = classes.listed(project)[0]
    classes.set_key(project, apple.id, "7")
    classes.add(project, ["7", "2"])
    assert keys(project) == {"apple": "7", "pear": "1", "7": "3", "2": "2"}
    found = classes.explain_keys(classes.listed(project))
    assert list(found.values()) == ["The key 7 labels “apple”."]
    classes.archive(project, apple.id)
    classes.add(project, ["q"])
    assert keys(project)["7"] == "7"


def test_a_renamed_class_gets_its_key_and_undo_gives_it_back(project: Project) -> None:
    before = keys(project)
    classes.rename(project, classes.listed(project)[1].id, "1")
    assert keys(project) == {"apple": "2", "1": "1"}
    classes.undo_last_change(project)
    assert keys(project) == before
    classes.rename(project, classes.listed(project)[1].id, "plum")
    assert keys(project) == {"apple": "1", "plum": "2"}


def test_the_key_of_another_s_name_cannot_be_chosen(project: Project) -> None:
    classes.add(project, ["5"])
    five = classes.listed(project)[2].id
    classes.set_key(project, five, None)
    assert keys(project)["5"] is None
    with pytest.raises(ClassError, match=r"Key 5 is kept for the class “5”.*free keys: 1, 3, 4"):
        classes.set_key(project, classes.listed(project)[0].id, "5")
    classes.add(project, ["6", "x"])
    assert keys(project) == {"apple": "1", "pear": "2", "5": None, "6": "6", "x": "x"}


def test_keys_of_classes_that_an_import_brings(tmp_path: Path) -> None:
    folders = create_project(tmp_path / "folders", [], workers=1)
    for number, name in enumerate(("plane", "0", "3", "b")):
        write(tmp_path / "s" / name / "1.jpg", photo(number))
    import_sources(folders, [tmp_path / "s"])
    assert keys(folders) == {"0": "0", "3": "3", "b": "b", "plane": "1"}
    sheet = create_project(tmp_path / "sheet", [], workers=1)
    folder_of(tmp_path / "img", 4)
    rows = [["path", "label"], *([f"img/{n}.jpg", name] for n, name in enumerate("k213"))]
    import_sources(sheet, [table(tmp_path / "l.csv", rows)])
    assert list(keys(sheet).items()) == [("k", "k"), ("2", "2"), ("1", "1"), ("3", "3")]


def test_what_is_said_of_keys_that_cannot_be() -> None:
    assert "skips" in str(explain_key("-", "1", {}))
    assert "none of them" in str(explain_key("é", "1", {}))
    assert explain_key("a", "a", {}) is None
    assert explain_key("cat", "1", {"dog": "2"}) is None


names = st.lists(st.sampled_from([*"0123456789abAB", "cat", "dog", "10", "é"]), unique=True)


@given(names=names, had=st.lists(st.sampled_from([None, *KEYS]), unique=True, max_size=6))
def test_no_class_has_the_key_of_another_s_name(names: list[str], had: list[str | None]) -> None:
    held = [Held(name, had[n] if n < len(had) else None) for n, name in enumerate(names)]
    found = assign_keys(held)
    given_keys = [key for key in found.values() if key]
    assert len(set(given_keys)) == len(given_keys)
    owners = key_owners(names)
    assert all(owners.get(key, name) == name for name, key in found.items() if key)
    assert all(found[name] == key for key, name in owners.items())
