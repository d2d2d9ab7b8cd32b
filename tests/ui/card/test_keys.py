"""Keys and buttons of the card, in the real app."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from labeller.project import Project
from store.records import NewEvent
from tests.cards import CLASSES, Card, events_of, labels_of, until

Make = Callable[..., Project]
Open = Callable[..., Card]


def test_each_key_labels_the_image_on_screen(project_of: Make, card_of: Open) -> None:
    project = project_of(items=40)
    card = card_of(project)
    keys = [str(n % 4 + 1) for n in range(30)]
    names = card.press(*keys)
    assert len(set(names)) == 30
    expect(card.part("filter")).to_be_hidden()
    expected = {name: CLASSES[int(key) - 1] for name, key in zip(names, keys, strict=True)}
    until(lambda: labels_of(project) == expected, "thirty labels as pressed")
    assert events_of(project) == {"label": 30}


def test_space_accepts_only_where_there_is_a_suggestion(project_of: Make, card_of: Open) -> None:
    project = project_of(items=8, suggest=True)
    card = card_of(project).ready()
    expect(card.part("suggested")).to_have_text("cat")
    expect(card.part("confidence")).to_have_text("75\u202f%")
    card.press("Space", "Space", "Space")
    blind = card.name
    assert blind == "0003.jpg"
    expect(card.part("suggested")).to_have_text("No suggestion")
    expect(card.part("accept")).to_be_disabled()
    expect(card.page.locator(".class.suggested")).to_have_count(0)
    card.page.keyboard.press("Space")
    card.page.wait_for_timeout(300)
    assert card.name == blind
    card.press("2", "Space")
    until(lambda: len(labels_of(project)) == 5, "five labels")
    assert labels_of(project)["0003.jpg"] == "dog"
    assert Counter(labels_of(project).values()) == {"cat": 4, "dog": 1}


def test_undo_goes_back_to_the_start_and_forward_again(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project)
    names = card.press("1", "2", "3", "-")
    page = card.page
    for n, name in enumerate(reversed(names)):
        page.keyboard.press("Control+z" if n % 2 else "Backspace")
        expect(card.part("name")).to_have_text(name)
        page.wait_for_timeout(30)  # no finger presses again faster
    page.keyboard.press("Backspace")
    expect(card.part("noteText")).to_have_text("Nothing to undo in this session.")
    until(lambda: events_of(project)["undo"] == 4, "four undos stored")
    assert labels_of(project) == {}
    assert card.press("4", "4") == names[:2]
    until(lambda: labels_of(project) == dict.fromkeys(names[:2], "ship"), "two labels again")


def test_undo_survives_a_reload(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project)
    names = card.press("1", "2")
    until(lambda: len(labels_of(project)) == 2, "two labels")
    card.page.reload()
    card.ready()
    assert card.name == "0002.jpg"
    expect(card.page.locator(".recent")).to_have_count(2)
    card.page.keyboard.press("Backspace")
    expect(card.part("name")).to_have_text(names[1])
    until(lambda: set(labels_of(project)) == {names[0]}, "the second label taken back")


def test_redo_does_again_what_undo_took_back_also_after_a_reload(
    project_of: Make, card_of: Open
) -> None:
    project = project_of()
    card = card_of(project)
    names = card.press("1", "2", "3", "-")
    page = card.page
    for name in reversed(names):
        page.keyboard.press("Backspace")
        expect(card.part("name")).to_have_text(name)
        page.wait_for_timeout(30)
    until(lambda: events_of(project)["undo"] == 4, "four undos stored", page=page)
    for n, key in enumerate(("Delete", "Control+y"), 1):
        page.keyboard.press(key)
        expect(card.part("name")).to_have_text(names[n])
        page.wait_for_timeout(30)
    until(lambda: len(labels_of(project)) == 2, "two labels again", page=page)
    page.reload()
    card.ready()
    expect(card.part("name")).to_have_text(names[2])
    page.keyboard.press("Control+Shift+z")
    expect(card.part("name")).to_have_text(names[3])
    card.part("redo").click()
    expect(card.part("name")).to_have_text("0004.jpg")
    expect(card.part("redo")).to_be_disabled()
    expected = dict(zip(names, ["cat", "dog", "horse"], strict=False))
    until(lambda: labels_of(project) == expected, "all as it was before the undos")
    told = {"label": 6, "skip": 2, "undo": 4}
    until(lambda: events_of(project) == told, "nothing is written over", page=page)
    page.keyboard.press("Shift+Backspace")
    expect(card.part("noteText")).to_have_text("Nothing to redo in this session.")


def test_redo_is_refused_with_words_where_another_labelled_since(
    project_of: Make, card_of: Open
) -> None:
    project = project_of()
    card = card_of(project)
    (name,) = card.press("1")
    card.page.keyboard.press("Backspace")
    expect(card.part("name")).to_have_text(name)
    until(lambda: events_of(project)["undo"] == 1, "the undo stored", page=card.page)
    with project.store.write() as unit:
        unit.labels.record("bob", None, "page", [NewEvent("b", "label", 1, 2)], 1.0)
    card.page.keyboard.press("Delete")
    expect(card.part("refusedList")).to_contain_text(
        f"{name} as cat: bob has labelled it since, so that stays as it is."
    )
    assert labels_of(project) == {name: "dog"}


def test_a_new_act_leaves_nothing_to_redo(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project)
    names = card.press("1", "2")
    card.page.keyboard.press("Backspace")
    expect(card.part("redo")).to_be_enabled()
    card.press("3")
    expect(card.part("redo")).to_be_disabled()
    until(
        lambda: labels_of(project) == dict(zip(names, ["cat", "horse"], strict=True)),
        "the second image labelled otherwise",
    )


def test_a_click_on_a_recent_label_takes_that_one_back(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project)
    names = card.press("1", "2", "3")
    recent = card.page.get_by_role("group", name="Latest labels").get_by_role("button")
    expect(recent).to_have_count(3)
    recent.nth(2).click()
    expect(card.part("name")).to_have_text(names[0])
    expect(recent).to_have_count(2)
    card.press("4")
    until(
        lambda: labels_of(project) == dict(zip(names, ["ship", "dog", "horse"], strict=True)),
        "the first label replaced, the others kept",
    )


@pytest.mark.parametrize(
    "repeat", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["repeat", "bounce"]
)
def test_a_held_key_labels_no_faster_than_the_interval(
    project_of: Make, card_of: Open, repeat: bool
) -> None:
    """A key that stays down comes as repeats, or on some systems as quick releases and presses."""
    project = project_of(items=60, key_interval_ms=150)
    card = card_of(project).ready()
    card.page.wait_for_timeout(500)
    card.page.evaluate(
        """async (repeat) => {
            const send = (type, repeat) => window.dispatchEvent(
                new KeyboardEvent(type, { key: "1", code: "Digit1", repeat, bubbles: true }));
            for (let i = 0; i < 50; i += 1) {
                send("keydown", repeat && i > 0);
                await new Promise((r) => setTimeout(r, 20));
                if (!repeat) send("keyup", false);
            }
            send("keyup", false);
        }""",
        repeat,
    )
    card.page.wait_for_timeout(500)
    given = events_of(project)["label"]
    assert 2 <= given <= 14, "50 events in 1 to 2 seconds at 150 ms"


@pytest.mark.slow
def test_another_key_while_one_is_down_is_slowed_too(project_of: Make, card_of: Open) -> None:
    project = project_of(key_interval_ms=2_000)
    card = card_of(project).ready()
    page = card.page
    page.keyboard.down("1")
    page.keyboard.down("2")
    page.locator(".class").nth(2).click()
    page.keyboard.up("2")
    page.keyboard.up("1")
    page.wait_for_timeout(600)
    assert list(labels_of(project).values()) == ["cat"]
    page.keyboard.press("2")
    until(lambda: sorted(labels_of(project).values()) == ["cat", "dog"], "free after the release")


def test_typing_elsewhere_does_not_label(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project).ready()
    card.page.get_by_label("You label as", exact=True).click()
    card.page.keyboard.type("123 -")
    card.page.wait_for_timeout(400)
    assert card.name == "0000.jpg"
    assert events_of(project) == {}


def test_shortcuts_of_the_browser_do_not_label(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project).ready()
    for chord in ("Control+c", "Alt+1", "Meta+2", "Control+Shift+3", "Control+-"):
        card.page.keyboard.press(chord)
    card.page.wait_for_timeout(400)
    assert card.name == "0000.jpg"
    assert events_of(project) == {}


def test_keys_work_after_clicks_and_buttons_by_keyboard(project_of: Make, card_of: Open) -> None:
    project = project_of(suggest=True)
    card = card_of(project).ready()
    page = card.page
    card.part("skip").click()
    expect(card.part("name")).to_have_text("0001.jpg")
    page.keyboard.press("Space")
    expect(card.part("name")).to_have_text("0002.jpg")
    until(
        lambda: events_of(project) == {"skip": 1, "label": 1}, "Space accepted, not skipped again"
    )
    card.part("skip").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(card.part("name")).to_have_text("0003.jpg")
    until(lambda: events_of(project) == {"skip": 2, "label": 1}, "Enter on the focused button")


def test_after_a_click_in_the_side_bar_space_accepts(project_of: Make, card_of: Open) -> None:
    """Space must not press the button that was clicked last: it could start another round."""
    project = project_of(suggest=True)
    card = card_of(project).ready()
    switch = card.page.get_by_test_id("stPopoverButton")
    switch.click()
    expect(card.page.get_by_role("button", name="All projects")).to_be_visible()
    switch.click()
    expect(card.page.get_by_role("button", name="All projects")).to_be_hidden()
    assert switch.evaluate("button => button === document.activeElement")
    card.page.keyboard.press("Space")
    expect(card.part("name")).to_have_text("0001.jpg")
    expect(card.page.get_by_role("button", name="All projects")).to_be_hidden()


def test_flag_takes_a_reason_from_the_menu_or_in_words(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project).ready()
    page = card.page
    page.keyboard.press("!")
    expect(card.part("flagDialog")).to_be_visible()
    page.keyboard.press("3")
    expect(card.part("flagDialog")).to_be_hidden()
    expect(card.part("name")).to_have_text("0001.jpg")
    card.part("flag").click()
    card.part("flagText").fill("<b>1 & 2</b>")
    page.keyboard.press("Enter")
    expect(card.part("name")).to_have_text("0002.jpg")
    until(lambda: events_of(project) == {"flag": 2}, "two flags")
    with project.store.read() as unit:
        reasons = {event.reason for event in unit.labels.recent(limit=5)}
        assert unit.items.count().flagged == 2
    assert reasons == {"Fits several classes", "<b>1 & 2</b>"}


def test_many_classes_are_found_by_typing(project_of: Make, card_of: Open) -> None:
    names = [f"kind {n:02d}" for n in range(38)] + ["zebra", "grévy's zebra"]
    project = project_of(classes=names)
    card = card_of(project).ready()
    page = card.page
    expect(card.part("filter")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("zeb")
    shown = page.locator(".class:visible .class-name")
    expect(shown).to_have_text(["zebra", "grévy's zebra"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(card.part("name")).to_have_text("0001.jpg")
    page.keyboard.type("kind 37")
    page.keyboard.press("Enter")
    expect(card.part("name")).to_have_text("0002.jpg")
    page.keyboard.press("Escape")
    card.press("a")
    until(
        lambda: sorted(labels_of(project).values()) == ["grévy's zebra", "kind 10", "kind 37"],
        "labels by typing and by a letter",
    )


def test_help_opens_and_closes_and_keeps_the_keys(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project).ready()
    page = card.page
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="One key is a label and the next image")).to_be_visible()
    page.keyboard.press("1")
    assert card.name == "0000.jpg"
    page.keyboard.press("?")
    expect(card.part("help")).to_be_hidden()
    card.part("helpOpen").click()
    card.part("helpClose").click()
    card.press("1")
    until(lambda: events_of(project) == {"label": 1}, "one label, none while help was open")


@pytest.mark.slow
def test_digits_of_a_french_keyboard_label(project_of: Make, card_of: Open) -> None:
    project = project_of(classes=[f"c{n}" for n in range(1, 8)])
    card = card_of(project).ready()
    for key, code in (("é", "Digit2"), ("-", "Digit6"), ("-", "NumpadSubtract")):
        name = card.name
        card.page.evaluate(
            "([key, code]) => { for (const type of ['keydown', 'keyup']) window.dispatchEvent("
            "new KeyboardEvent(type, { key, code, bubbles: true })); }",
            [key, code],
        )
        expect(card.part("name")).not_to_have_text(name)
        card.page.wait_for_timeout(60)
    until(lambda: events_of(project) == {"label": 2, "skip": 1}, "é is 2, - on the 6 is 6")
    assert sorted(labels_of(project).values()) == ["c2", "c6"]
