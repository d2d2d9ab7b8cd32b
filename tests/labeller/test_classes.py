"""Classes as a person changes them, and how every change is taken back."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeller.errors import ClassError
from labeller.project import Project, create_project
from labeller.services import classes, labelling
from labeller.services.labelling import Act
from labeller.services.palette import PALETTE, check_colour, colour, free_colours
from store.records import ClassRecord, NewEvent, NewItem, NewModel


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three classes; six items, three of them cats, one a dog."""
    made = create_project(tmp_path / "p", ["cat", "dog", "bird"])
    items = [
        NewItem(f"{n:064x}", f"/x/{n}.png", False, 8, 8, "PNG", 10, str(n), "train")
        for n in range(6)
    ]
    with made.store.write() as unit:
        unit.items.add(items)
    names = ["cat", "cat", "cat", "dog"]
    acts = [Act(f"k{n}", "label", n + 1, name) for n, name in enumerate(names)]
    labelling.record(made, "anna", "s", "page", acts)
    return made


def named(project: Project) -> dict[str, ClassRecord]:
    return {record.name: record for record in classes.listed(project)}


def state(project: Project) -> list[ClassRecord]:
    return sorted(classes.listed(project, archived=True), key=lambda record: record.id)


def test_new_classes_get_keys_and_colours_in_order(project: Project) -> None:
    records = classes.listed(project)
    assert [(r.name, r.key, r.colour, r.position) for r in records] == [
        ("cat", "1", PALETTE[0], 0),
        ("dog", "2", PALETTE[1], 1),
        ("bird", "3", PALETTE[2], 2),
    ]


def test_keys_are_digits_then_letters_then_none(tmp_path: Path) -> None:
    made = create_project(tmp_path / "many", [f"c{n}" for n in range(40)])
    keys = [record.key for record in classes.listed(made)]
    assert keys[:12] == [*"1234567890", "a", "b"]
    assert keys[35] == "z"
    assert keys[36:] == [None] * 4
    assert len({record.colour for record in classes.listed(made)}) == 40


def test_a_freed_key_and_colour_are_given_again(project: Project) -> None:
    classes.archive(project, named(project)["dog"].id)
    (fox,) = classes.add(project, ["fox"])
    assert (fox.key, fox.colour) == ("2", PALETTE[1])


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a", " a "], "comes twice"),
        (["a", "  "], "is empty"),
        (["x" * 101], "longer than 100"),
        (["a\nb"], "line break or control"),
        (["cafe\u0301", "caf\u00e9"], "comes twice"),
    ],
)
def test_names_that_cannot_be(names: list[str], text: str) -> None:
    with pytest.raises(ClassError, match=text):
        classes.check_names(names)


def test_adding_is_all_or_nothing(project: Project) -> None:
    before = state(project)
    with pytest.raises(ClassError, match="“cat” is a class already"):
        classes.add(project, ["fox", "cat"])
    assert state(project) == before
    assert classes.add(project, []) == []


def test_rename_keeps_labels_and_refuses_a_taken_name(project: Project) -> None:
    cat = named(project)["cat"].id
    classes.rename(project, cat, " kitten ")
    assert classes.counts(project)[cat] == 3
    assert classes.listed(project)[0].name == "kitten"
    with pytest.raises(ClassError, match=r"“dog” is a class already\. Merge the two"):
        classes.rename(project, cat, "dog")


def test_rename_refuses_the_name_of_an_archived_class_that_is_known(project: Project) -> None:
    cat, dog, bird = (named(project)[name].id for name in ("cat", "dog", "bird"))
    classes.archive(project, cat)
    with pytest.raises(ClassError, match=r"“cat” is an archived.* Add “cat” to bring it back"):
        classes.rename(project, dog, "cat")
    classes.archive(project, bird)
    classes.rename(project, dog, "bird")  # which nothing was ever called
    classes.undo_last_change(project)
    with project.store.write() as unit:
        started = unit.rounds.start("margin", 6, None, 0, 0)
        told: tuple[dict[str, Any], ...] = ({}, {}, {}, {})
        made = NewModel("models/1", "a" * 64, 9, 0, "b", "CPU", (dog, bird), *told)
        unit.models.add(made, started.id)
    with pytest.raises(ClassError, match="labels or models know"):
        classes.rename(project, dog, "bird")
    classes.add(project, ["cat"])
    classes.merge(project, cat, dog)
    classes.rename(project, dog, "cat")  # whose labels are its own now


def test_a_taken_key_is_refused_and_free_ones_are_named(project: Project) -> None:
    bird = named(project)["bird"].id
    with pytest.raises(ClassError, match=r"Key 1 already labels “cat”.*free keys: 3, 4, 5, 6, 7"):
        classes.set_key(project, bird, "1")
    with pytest.raises(ClassError, match="cannot label"):
        classes.set_key(project, bird, "?")
    classes.set_key(project, bird, "B")
    assert named(project)["bird"].key == "b"
    classes.set_key(project, bird, None)
    assert named(project)["bird"].key is None


def test_colours_are_checked(project: Project) -> None:
    classes.set_colour(project, 1, "#ABCDEF")
    assert classes.listed(project)[0].colour == "#abcdef"
    for wrong in ("red", "#12345", "#1234567", "url(x)"):
        with pytest.raises(ClassError, match="is no colour"):
            classes.set_colour(project, 1, wrong)


def test_move_changes_the_order_and_leaves_keys(project: Project) -> None:
    bird = named(project)["bird"].id
    classes.move(project, bird, 0)
    assert [(r.name, r.key) for r in classes.listed(project)] == [
        ("bird", "3"),
        ("cat", "1"),
        ("dog", "2"),
    ]
    classes.move(project, bird, 99)
    assert [r.name for r in classes.listed(project)] == ["cat", "dog", "bird"]


def test_merge_counts_under_the_target_and_comes_apart_again(project: Project) -> None:
    before, ids = state(project), {name: record.id for name, record in named(project).items()}
    classes.merge(project, ids["dog"], ids["cat"])
    assert classes.counts(project) == {ids["cat"]: 4}
    assert "dog" not in named(project)
    classes.merge(project, ids["cat"], ids["bird"])
    assert classes.counts(project) == {ids["bird"]: 4}
    assert classes.undo_last_change(project) == "Merged “cat” into “bird”"
    assert classes.undo_last_change(project) == "Merged “dog” into “cat”"
    assert classes.counts(project) == {ids["cat"]: 3, ids["dog"]: 1}
    assert state(project) == before


def test_every_change_can_be_taken_back_and_done_again(project: Project) -> None:
    """Add, rename, key, colour, order, merge and archive: back to the start, and forth again."""
    ids = {name: record.id for name, record in named(project).items()}
    states = [classes.listed(project)]
    for change in (
        lambda: classes.add(project, ["fox", "owl"]),
        lambda: classes.rename(project, ids["cat"], "kitten"),
        lambda: classes.set_key(project, ids["bird"], "b"),
        lambda: classes.set_colour(project, ids["dog"], "#123456"),
        lambda: classes.move(project, ids["bird"], 0),
        lambda: classes.merge(project, ids["dog"], ids["cat"]),
        lambda: classes.archive(project, ids["cat"]),
    ):
        change()
        states.append(classes.listed(project))
    texts = [change.text for change in classes.changes(project)][: len(states) - 1]
    for text, wanted in zip(texts, states[-2::-1], strict=True):
        assert classes.undo_last_change(project) == text
        assert classes.listed(project) == wanted
    for text, wanted in zip(texts[::-1], states[1:], strict=True):
        assert classes.redo_last_change(project) == text
        assert classes.listed(project) == wanted
    assert classes.redo_last_change(project) is None
    assert classes.undo_last_change(project) == texts[0]
    assert classes.listed(project) == states[-2]


def test_a_new_change_leaves_nothing_to_do_again(project: Project) -> None:
    classes.rename(project, 1, "kitten")
    classes.undo_last_change(project)
    classes.set_colour(project, 2, "#123456")
    assert classes.next_redo(project) is None
    assert classes.redo_last_change(project) is None
    assert named(project)["cat"].id == 1


def test_what_puts_labels_out_of_use_says_how_many(project: Project) -> None:
    (fox,) = classes.add(project, ["fox"])
    quiet = classes.next_undo(project)
    assert quiet is not None
    assert (quiet.change.text, quiet.classes, quiet.labels) == ("Added “fox”", (), 0)
    with project.store.write() as unit:
        labels = [NewEvent("f1", "label", 5, fox.id), NewEvent("f2", "label", 6, fox.id)]
        unit.labels.record("ann", None, "page", labels, 1.0)
        unit.labels.record("bob", None, "page", [NewEvent("f3", "label", 5, fox.id)], 1.0)
    step = classes.next_undo(project)
    assert step is not None
    assert (step.classes, step.labels, step.images) == (("fox",), 3, 2)
    assert classes.undo_last_change(project, step.change.number) == "Added “fox”"
    again = classes.next_redo(project)
    assert again is not None
    assert again.labels == 0, "to bring it back puts nothing out of use"
    assert classes.redo_last_change(project) == "Added “fox”"
    assert classes.counts(project)[fox.id] == 2
    classes.archive(project, fox.id)
    classes.undo_last_change(project)
    again = classes.next_redo(project)
    assert again is not None
    assert (again.classes, again.labels, again.images) == (("fox",), 3, 2)


def test_a_change_that_came_meanwhile_is_not_taken_back_instead(project: Project) -> None:
    classes.rename(project, 1, "kitten")
    shown = classes.next_undo(project)
    assert shown is not None
    classes.rename(project, 2, "puppy")
    with pytest.raises(ClassError, match="changed meanwhile"):
        classes.undo_last_change(project, shown.change.number)
    assert [record.name for record in classes.listed(project)][:2] == ["kitten", "puppy"]


def test_a_log_of_an_earlier_version_is_read(project: Project) -> None:
    """Its undos do not say what they replaced: they cannot be done again, and are not offered."""
    classes.rename(project, 1, "kitten")
    classes.undo_last_change(project)
    with project.store.write() as unit:
        log = [
            {k: v for k, v in entry.items() if k != "before" or "text" in entry}
            for entry in unit.settings.get("class_changes", [])
        ]
        unit.settings.set("class_changes", log)
    assert classes.next_redo(project) is None
    assert classes.changes(project)[0].undone


def test_merges_that_cannot_be(project: Project) -> None:
    with pytest.raises(ClassError, match="into itself"):
        classes.merge(project, 1, 1)
    classes.archive(project, 2)
    for pair in ((1, 2), (2, 1), (1, 99)):
        with pytest.raises(ClassError, match="no longer in use"):
            classes.merge(project, *pair)


def test_an_archived_class_keeps_labels_and_comes_back_with_them(project: Project) -> None:
    cat = named(project)["cat"].id
    classes.archive(project, cat)
    act = Act("late", "label", 5, cat)
    answer = labelling.record(project, "anna", "s", "page", [act])
    assert answer["results"][0]["status"] == "refused"
    assert classes.counts(project)[cat] == 3
    (again,) = classes.add(project, ["cat"])
    assert (again.id, again.key) == (cat, "1")


def test_every_change_is_undone_in_turn(project: Project) -> None:
    ids = {name: record.id for name, record in named(project).items()}
    steps: list[Callable[[], object]] = [
        lambda: classes.rename(project, ids["cat"], "lion"),
        lambda: classes.set_key(project, ids["dog"], "d"),
        lambda: classes.set_colour(project, ids["bird"], "#123456"),
        lambda: classes.move(project, ids["bird"], 0),
        lambda: classes.merge(project, ids["dog"], ids["bird"]),
        lambda: classes.archive(project, ids["cat"]),
        lambda: classes.add(project, ["fox"]),
        lambda: classes.add(project, ["lion"]),
    ]
    states = [state(project)]
    for step in steps:
        step()
        states.append(state(project))
    for wanted in reversed(states[:-1]):
        assert classes.undo_last_change(project)
        alive = [r for r in state(project) if r.name != "fox"]
        assert alive == [r for r in wanted if r.name != "fox"]
    assert not any(r.name == "fox" and not r.archived for r in state(project))
    assert classes.undo_last_change(project) == "Added “cat”, “dog”, “bird”"
    assert classes.undo_last_change(project) is None


def test_the_log_only_grows(project: Project) -> None:
    classes.rename(project, 1, "lion")
    classes.undo_last_change(project)
    classes.rename(project, 1, "puma")
    lines = [(line.text, line.undone) for line in classes.changes(project)]
    assert lines == [
        ("Renamed “cat” to “puma”", False),
        ("Renamed “cat” to “lion”", True),
        ("Added “cat”, “dog”, “bird”", False),
    ]
    assert len(classes.changes(project, limit=1)) == 1


def test_a_change_that_changes_nothing_is_not_logged(project: Project) -> None:
    before = classes.changes(project)
    classes.rename(project, 1, "cat")
    classes.set_key(project, 1, "1")
    classes.move(project, 1, 0)
    assert classes.changes(project) == before


def test_an_undo_refuses_a_name_that_was_taken_behind_its_back(project: Project) -> None:
    classes.rename(project, 1, "lion")
    with project.store.write() as unit:
        unit.classes.add("cat", None, "#000000", 9)
    with pytest.raises(ClassError, match="“cat” is a class already"):
        classes.undo_last_change(project)
    assert classes.listed(project)[0].name == "lion"


def test_two_threads_never_give_one_key_twice(project: Project) -> None:
    start = threading.Barrier(4)

    def add(number: int) -> None:
        start.wait()
        classes.add(project, [f"t{number}-{n}" for n in range(3)])

    threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = classes.listed(project)
    assert len(records) == 15
    assert len({r.key for r in records}) == len({r.colour for r in records}) == 15
    assert sorted(r.position for r in records) == list(range(15))
    assert len(classes.changes(project)) == 5


@given(st.lists(st.text(), max_size=6))
@settings(max_examples=60, deadline=None)
def test_checked_names_are_unique_printable_and_stable(names: list[str]) -> None:
    try:
        clean = classes.check_names(names)
    except ClassError:
        return
    assert len(set(clean)) == len(clean) == len(names)
    assert classes.check_names(clean) == clean
    assert all(name == name.strip() and "\n" not in name for name in clean)


# Machado, Oliveira & Fernandes (2009), full severity, on linear RGB.
BLINDNESS = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def lab(code: str, blindness: str | None) -> tuple[float, float, float]:
    """Return CIE L*a*b* (D65) of a colour as seen with a colour blindness."""
    rgb = [int(code[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    if blindness:
        rows = BLINDNESS[blindness]
        linear = [
            min(1, max(0, sum(a * b for a, b in zip(row, linear, strict=True)))) for row in rows
        ]
    to_xyz = (
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    )
    x, y, z = (sum(a * b for a, b in zip(row, linear, strict=True)) for row in to_xyz)

    def f(t: float) -> float:
        return float(t ** (1 / 3)) if t > 0.008856 else 7.787 * t + 16 / 116

    fx, fy, fz = f(x / 0.95047), f(y), f(z / 1.08883)
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("blindness", [None, *BLINDNESS])
def test_the_first_eight_colours_are_told_apart_by_everybody(blindness: str | None) -> None:
    for one, other in itertools.combinations(PALETTE[:8], 2):
        pair = zip(lab(one, blindness), lab(other, blindness), strict=True)
        assert sum((a - b) ** 2 for a, b in pair) ** 0.5 > 12, (one, other, blindness)


def test_the_palette_never_ends_nor_repeats() -> None:
    codes = [colour(n) for n in range(200)]
    assert len(set(codes)) == 200
    assert all(check_colour(code) == code for code in codes)
    assert next(free_colours(set(codes[:50]) - {codes[7]})) == codes[7]


def test_colours_never_run_out() -> None:
    """Twenty thousand classes are more than there are colours to tell apart."""
    colours = list(islice(free_colours(PALETTE), 20_000))
    assert len(colours) == 20_000
    assert len(set(colours[:1_000])) == 1_000
    assert not set(colours[:1_000]) & set(PALETTE)
    assert next(free_colours(colours)) is not None
