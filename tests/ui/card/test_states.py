"""What the card says when there is nothing to label, and when the queue changes under it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, WebSocketRoute, expect

from labeller.project import Project, create_project
from labeller.services import budget, labelling
from labeller.services.labelling import Act
from store.alive import host
from store.records import NewEvent, NewQueueEntry
from tests.cards import CLASSES, Card, events_of, labels_of, until

Make = Callable[..., Project]
Open = Callable[..., Card]


def replace_queue(project: Project) -> list[str]:
    """Put a new queue of all unlabelled items in place, last ones first, as a round would."""
    with project.store.write() as unit:
        ids = [int(i) for i in unit.items.ids(state="unlabelled")][::-1]
        round_ = unit.rounds.start("entropy", len(ids), None, 0, 0)
        unit.queue.replace([NewQueueEntry(i, "entropy", 0.1) for i in ids], round_.id)
        unit.rounds.finish(round_.id, "done", queued=len(ids))
        return [Path(unit.items.many([i])[i].path).name for i in ids]


def expect_empty(card: Card, title: str, *actions: str) -> None:
    expect(card.part("emptyTitle")).to_have_text(title)
    buttons = card.part("emptyActions").get_by_role("button")
    expect(buttons).to_have_text(list(actions))


def test_a_spent_budget_says_what_was_bought_and_what_to_do(
    project_of: Make, card_of: Open
) -> None:
    project = project_of(budget=3)
    card = card_of(project)
    card.press("1", "2")
    card.page.keyboard.press("3")
    expect_empty(card, "The budget is spent", "Raise the budget", "Export labels", "Retrain round")
    expect(card.part("emptyText")).to_contain_text("3 spent: 3 images labelled.")
    expect(card.part("emptyText")).to_contain_text("You labelled 3 in this session.")
    card.page.keyboard.press("1")
    card.page.wait_for_timeout(300)
    assert len(labels_of(project)) == 3
    budget.set_total(project, 5)
    card.ready()
    card.press("1")
    until(lambda: len(labels_of(project)) == 4, "labelling goes on with more budget")


def test_the_way_to_the_budget_is_a_click(project_of: Make, card_of: Open) -> None:
    card = card_of(project_of(budget=0))
    card.part("emptyActions").get_by_role("button", name="Raise the budget").click()
    expect(card.page).to_have_url(re.compile("/settings"))


def test_a_done_queue_leads_to_the_next_round(project_of: Make, card_of: Open) -> None:
    project = project_of(items=3)
    with project.store.write() as unit:  # one image more than the queue has
        extra = unit.queue.entries()[-1].item_id
        ids = [entry.item_id for entry in unit.queue.entries() if entry.item_id != extra]
        unit.queue.replace([NewQueueEntry(i, "margin", 0.5) for i in ids], None)
    card = card_of(project)
    card.press("1")
    card.page.keyboard.press("2")
    expect_empty(card, "Queue done", "Retrain round", "See the rounds")
    expect(card.part("emptyText")).to_contain_text("You labelled 2 in this session.")
    card.part("emptyActions").get_by_role("button", name="Retrain round").click()
    until(lambda: jobs_of(project) == ["round"], "a round job")
    expect_empty(card, "Queue done", "See the rounds")
    expect(card.part("emptyText")).to_contain_text("Retraining is under way")
    names = replace_queue(project)
    card.ready()
    assert card.name == names[0], "the new queue appears by itself"


def jobs_of(project: Project) -> list[str]:
    with project.store.read() as unit:
        return [job.kind for job in unit.jobs.all()]


def test_undo_from_the_empty_page(project_of: Make, card_of: Open) -> None:
    project = project_of(items=2)
    card = card_of(project)
    card.press("1")
    card.page.keyboard.press("1")
    expect_empty(card, "Every image is done", "Export labels", "Retrain round", "See the rounds")
    card.page.keyboard.press("Backspace")
    expect(card.part("name")).to_have_text("0001.jpg")
    expect(card.part("empty")).to_be_hidden()
    until(lambda: labels_of(project) == {"0000.jpg": "cat"}, "one label left")


@pytest.mark.parametrize(
    ("classes", "title", "action", "url"),
    [
        (CLASSES, "No images yet", "Import images", "/images"),
        ((), "No classes yet", "Add classes", "/classes"),
    ],
)
def test_a_new_project_says_what_to_do_first(
    tmp_path: Path,
    project_of: Make,
    card_of: Open,
    classes: tuple[str, ...],
    title: str,
    action: str,
    url: str,
) -> None:
    project = create_project(tmp_path / "new", classes) if classes else project_of(classes=())
    card = card_of(project)
    expect_empty(card, title, action)
    card.part("emptyActions").get_by_role("button", name=action).click()
    expect(card.page).to_have_url(re.compile(url))


@pytest.mark.slow
def test_what_others_hold_is_said_and_comes_back(project_of: Make, card_of: Open) -> None:
    project = project_of(items=3)
    with project.store.write() as unit:
        unit.queue.claim("eve", "elsewhere", 10, 60, 1)
    card = card_of(project)
    expect_empty(card, "Others have the rest of this queue", "Retrain round", "See the rounds")
    with project.store.write() as unit:
        unit.queue.release("elsewhere")
    card.ready()


def test_what_another_labelled_comes_blind_and_without_a_word(
    project_of: Make, card_of: Open
) -> None:
    project = project_of(items=3, suggest=True, second_opinions=1.0)
    labelling.record(project, "eve", "elsewhere", "page", [Act("e", "label", 1, "dog")])
    card = card_of(project).ready()
    seen = card.press("1", "1")
    assert seen == ["0001.jpg", "0002.jpg"]
    card.ready()
    assert card.name == "0000.jpg"
    card.page.keyboard.press("1")
    until(lambda: events_of(project)["label"] == 4, "the second opinion")
    expect(card.part("emptyTitle")).to_be_visible()
    assert "second opinion" not in (card.part("noteText").text_content() or "")
    assert labels_of(project)["0000.jpg"] == "dog", "the first label counts"


@pytest.mark.slow
def test_a_budget_that_others_reserved_is_said(project_of: Make, card_of: Open) -> None:
    project = project_of(items=6, budget=2)
    with project.store.write() as unit:
        unit.queue.claim("eve", "elsewhere", 10, 60, 1)
    card = card_of(project)
    expect_empty(card, "The rest of the budget is reserved", "Raise the budget", "Export labels")


def test_a_queue_replaced_under_the_card_is_followed(project_of: Make, card_of: Open) -> None:
    """The image on screen stays; those fetched ahead make way for the new queue's."""
    project = project_of(items=40, lease_seconds=600)
    card = card_of(project).ready()
    until(lambda: claimed(project) == 12, "leases")
    replace_queue(project)
    seen = card.press("1")
    expect(card.part("noteText")).to_have_text("A new queue is here: round 1.")
    until(lambda: not held(project, range(3, 13)), "what was dropped is given back")
    seen += card.press("1", "1", "1", "1")
    assert seen == ["0000.jpg", "0001.jpg", "0039.jpg", "0038.jpg", "0037.jpg"]
    until(lambda: events_of(project)["label"] == 5, "five labels")


def test_an_idle_card_takes_the_new_queue_by_itself(project_of: Make, card_of: Open) -> None:
    project = project_of(items=40, lease_seconds=600)  # a renewal every 200 s would be too late
    card = card_of(project).ready()
    until(lambda: claimed(project) == 12, "leases")
    replace_queue(project)
    expect(card.part("noteText")).to_have_text("A new queue is here: round 1.")
    assert card.name == "0000.jpg", "what somebody looks at stays"
    assert card.press("1", "1") == ["0000.jpg", "0039.jpg"]
    until(lambda: len(labels_of(project)) == 2, "both labels")


def test_side_bar_and_card_tell_the_same_budget(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    """Without a word from Streamlit, whose next drawing may be seconds away."""
    muted: list[bool] = []

    def relay(page_side: WebSocketRoute) -> None:
        server = page_side.connect_to_server()
        page_side.on_message(server.send)
        server.on_message(lambda text: None if muted else page_side.send(text))

    window.route_web_socket("**/_stcore/stream", relay)
    project = project_of(budget=30)
    card = card_of(project).ready()
    value = card.page.locator(".st-key-lb_budget .lb-value")
    expect(value).to_have_text("30 left")
    muted.append(True)
    card.press("1", "2")
    for text in ("28", "29", "28"):
        expect(card.part("budget")).to_have_text(text)
        expect(value).to_have_text(f"{text} left")
        if text != "28" or not events_of(project)["undo"]:
            card.page.keyboard.press("Backspace" if text == "28" else "Delete")
    card.press("-")
    with project.store.write() as unit:
        unit.labels.record("bob", None, "page", [NewEvent("b", "label", 20, 2)], 1.0)
    expect(card.part("budget")).to_have_text("27")
    expect(value).to_have_text("27 left")
    expect(card.page.locator(".st-key-lb_budget .lb-note")).to_contain_text("3 of 30 spent")


@pytest.mark.parametrize("width", [1280, 390])
def test_what_a_toast_would_say_is_told_by_the_card(
    project_of: Make, card_of: Open, width: int
) -> None:
    """A toast would lie over classes or buttons: the card's note lies over the image only."""
    project = project_of()
    card = card_of(project)
    card.page.set_viewport_size({"width": width, "height": 800})
    card.ready()
    name = card.name
    with project.store.write() as unit:
        job = unit.jobs.add("round", {}, True)
    with project.store.write() as unit:
        unit.jobs.claim(host(), os.getpid(), job_id=job.id)
    expect(card.page.get_by_text("Retraining")).to_be_attached()
    with project.store.write() as unit:
        unit.jobs.finish(job.id, "cancelled")
    expect(card.part("noteText")).to_have_text("Retraining was cancelled.")
    expect(card.page.get_by_test_id("stToast")).to_have_count(0)
    stage, note = card.part("stage").bounding_box(), card.part("note").bounding_box()
    assert stage
    assert note
    assert stage["y"] <= note["y"]
    assert note["y"] + note["height"] <= stage["y"] + stage["height"]
    assert card.part("note").evaluate("note => getComputedStyle(note).pointerEvents") == "none"
    assert card.name == name


def held(project: Project, items: Iterable[int]) -> list[int]:
    with project.store.read() as unit:
        places = [unit.queue.entry_for(item) for item in items]
    return [place.item_id for place in places if place is not None and place.leased_by]


def claimed(project: Project) -> int:
    with project.store.read() as unit:
        return unit.queue.counts().leased


def test_a_missing_file_is_explained_and_gets_no_label(project_of: Make, card_of: Open) -> None:
    project = project_of(items=4)
    (project.root / "images" / "0000.jpg").unlink()
    card = card_of(project)
    expect(card.part("failed")).to_be_visible()
    expect(card.part("failedText")).to_contain_text("0000.jpg")
    card.page.keyboard.press("1")
    card.page.wait_for_timeout(300)
    assert events_of(project) == {}
    card.page.keyboard.press("-")
    card.ready()
    assert card.name == "0001.jpg"
    until(lambda: events_of(project) == {"skip": 1}, "skipped")
