"""Names of classes: what is one class, how it is spelled, and what cells of labels say."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeller.services.class_names import (
    ClassIds,
    choose_spellings,
    class_key,
    class_name,
    describe_spellings,
    readable,
)
from labeller.services.table_labels import LabelCells


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "Cat"),
        ("cat", " CAT "),
        ("polar bear", "polar  bear"),
        ("polar bear", "Polar\u00a0bear"),
        ("polar bear", "polar\tbear"),
        ("cat", "cat\u200b"),
        ("cat", "\ufeffcat"),
        ("cat", "c\u00adat"),
        ("cat", "\u202acat\u202c"),
        ("cat", "cat\ufe0f"),
        ("café", "cafe\u0301"),
        ("fish", "ﬁsh"),
        ("cat", "ｃａｔ"),
        ("straße", "STRASSE"),
        ("Å", "\u212b"),
    ],
)
def test_names_of_one_class(one: str, other: str) -> None:
    assert class_key(one) == class_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("cat", "cats"), ("m2", "m²"), ("1", "①"), ("cat dog", "catdog"), ("a-b", "a b"), ("é", "e")],
)
def test_names_of_two_classes(one: str, other: str) -> None:
    assert class_key(one) != class_key(other)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  cat\u200b ", "cat"),
        ("polar \u00a0 bear", "polar bear"),
        ("cafe\u0301", "café"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("\u200d\u200bcat\u200d", "cat"),
        ("\u200b\ufeff", ""),
        ("\udcff", "\\xff"),
    ],
)
def test_names_as_they_are_stored(text: str, name: str) -> None:
    assert class_name(text) == name


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_storing_twice_changes_nothing(text: str) -> None:
    name = class_name(text)
    assert class_name(name) == name
    assert class_key(name) == class_key(text)
    assert unicodedata.is_normalized("NFC", name)


def test_the_most_frequent_spelling_wins_and_the_first_of_equals() -> None:
    counts = {"Cat": 1, "cat": 3, "CAT ": 1, "DOG": 2, "dog": 2, "owl": 1}
    chosen = choose_spellings(counts)
    assert chosen == {
        "Cat": "cat",
        "cat": "cat",
        "CAT ": "cat",
        "DOG": "DOG",
        "dog": "DOG",
        "owl": "owl",
    }
    told = describe_spellings(counts, chosen)
    assert told is not None
    assert "“Cat” (1) is taken for “cat”" in told
    assert "“dog” (2) is taken for “DOG”" in told
    assert "owl" not in told


def test_the_spelling_of_a_class_wins() -> None:
    assert choose_spellings({"cat": 9, "CAT": 1}, ["Cat", "dog"]) == {"cat": "Cat", "CAT": "Cat"}


def test_classes_that_differ_only_in_case_keep_their_own() -> None:
    chosen = choose_spellings({"cat": 1, "Cat": 1, "CAT": 1}, ["cat", "Cat"])
    assert chosen == {"cat": "cat", "Cat": "Cat", "CAT": "CAT"}
    ids = ClassIds({"cat": 1, "Cat": 2}, {})
    assert (ids.get("cat"), ids.get("Cat"), ids.get("CAT")) == (1, 2, None)
    assert ids.alike("CAT") == ["cat", "Cat"]


def test_a_class_in_use_comes_before_one_that_was_merged() -> None:
    ids = ClassIds({"Cat": 1, "dog": 2}, {"cat": 2, "puppy": 2})
    assert (ids["cat"], ids["CAT"], ids["Puppy"]) == (2, 1, 2)
    assert list(ids) == ["cat", "puppy", "Cat", "dog"]


def test_what_cannot_be_seen_is_written_out() -> None:
    assert readable("c\u200bat\u00a0") == "“c[U+200B]at[U+00A0]”"
    assert readable("cafe\u0301").endswith("(not in NFC)")


# ---- cells


def judge(
    *labels: str, classes: tuple[str, ...] = (), several: bool = False
) -> tuple[dict[str, str | None], list[str]]:
    cells = LabelCells(classes, several)
    for line, label in enumerate(labels, 2):
        cells.count(line, label)
    return {label: cells.name(label) for label in labels}, list(cells.notes())


@pytest.mark.parametrize(
    "word", ["nan", "NaN", "None", "NA", "N/A", "null", "NULL", "<NA>", "#N/A"]
)
def test_words_for_no_label(word: str) -> None:
    names, notes = judge("cat", word, "", "\u200b")
    assert names == {"cat": "cat", word: None, "": None, "\u200b": None}
    assert notes == [f"3 rows without a label (empty, or {word!r}): lines 3, 4, 5."]


@pytest.mark.parametrize("word", ["nan", "None", "NA"])
def test_a_class_of_that_name_is_meant_and_told(word: str) -> None:
    names, notes = judge("cat", word, "", classes=("cat", word))
    assert names[word] == word
    assert notes == [
        "1 row without a label: line 4.",
        f"{word!r} is the name of a class: 1 row is of it.",
    ]


@pytest.mark.parametrize("word", ["none", "na", "Na", "nothing", "-", "0"])
def test_words_that_may_be_classes(word: str) -> None:
    assert judge(word)[0] == {word: word}


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ('["cat"]', "cat"),
        ("['cat']", "cat"),
        ("('cat',)", "cat"),
        ("[7]", "7"),
        ("[cat]", "[cat]"),
        ("[]", None),
        ("[null]", None),
        ('["nan"]', None),
        ('["​"]', None),
        ('["cat", null]', "cat"),
    ],
)
def test_lists(cell: str, name: str | None) -> None:
    names, notes = judge(cell)
    assert names == {cell: name}
    assert any("1 row without a label" in note for note in notes) is (name is None)


@pytest.mark.parametrize("cell", ["cat dog", "cat|dog", "cat, dog", "cat;dog", "['cat', 'dog']"])
def test_several_labels_of_known_words(cell: str) -> None:
    names, notes = judge("cat", "dog", cell)
    assert names[cell] is None
    (told,) = notes
    assert told == f"{readable(cell)} is several labels, and an image has one (line 4)."
    assert judge("cat", cell, classes=("dog",))[0][cell] is None
    assert judge("cat", "dog", cell, classes=(cell,))[0][cell] == cell


@pytest.mark.parametrize("cell", ["polar bear", "cat, tabby", "a|b"])
def test_one_name_of_several_words(cell: str) -> None:
    assert judge("cat", cell)[0][cell] == cell


@pytest.mark.parametrize("cell", ["haze primary", "cat|dog", "cat;dog", "cat,dog"])
def test_in_the_column_labels_words_are_labels(cell: str) -> None:
    names, notes = judge(cell, "cat", several=True)
    assert names == {cell: None, "cat": "cat"}
    assert "name the column `label` if it is one name" in notes[0]


def test_spellings_of_cells_are_told() -> None:
    names, notes = judge("cat", "cat", "Cat", "dog\u200b", '["cat"]')
    assert set(names.values()) == {"cat", "dog"}
    assert len(notes) == 1
    assert "“Cat” (1) is taken for “cat”; “dog[U+200B]” (1) is taken for “dog”" in notes[0]


@pytest.mark.parametrize(
    ("labels", "rows", "captions"),
    [(10, 19, False), (10, 20, False), (11, 20, True), (19, 19, False), (201, 9000, True)],
)
def test_too_many_labels_to_be_classes(labels: int, rows: int, captions: bool) -> None:
    cells, classed = LabelCells((), False), LabelCells(("thing",), False)
    for row in range(rows):
        for each in (cells, classed):
            each.count(row, f"thing {row % labels}")
    cells.count(rows, "")
    assert cells.looks_like_captions is captions
    assert cells.describe_captions() == f"{labels:,} different labels in {rows:,} rows"
    assert not classed.looks_like_captions


@given(st.lists(st.text(max_size=6), max_size=12))
def test_every_cell_is_a_label_missing_or_several(labels: list[str]) -> None:
    cells = LabelCells(("cat",), False)
    for line, label in enumerate(labels):
        cells.count(line, label)
    kinds = Counter[bool]()
    for label in labels:
        kinds[cells.is_missing(label)] += 1
        said = (cells.name(label) is not None, cells.is_missing(label), cells.is_several(label))
        assert sum(said) == 1, label
    list(cells.notes())
