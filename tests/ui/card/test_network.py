"""Nothing is lost and nothing is doubled, whatever happens to page, network and server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from labeller.project import Project, open_project
from labeller.services import budget, classes
from store.records import NewEvent
from tests.browser import RunningApp, start_app
from tests.cards import Card, events_of, labels_of, open_card, until

Make = Callable[..., Project]
Open = Callable[..., Card]
LABELS = "**/api/v1/labels"
API = "**/api/v1/**"


def leased(project: Project) -> int:
    with project.store.read() as unit:
        return unit.queue.counts().leased


def session_keys(page: Page) -> list[str]:
    """Return the sessions that a tab keeps."""
    script = (
        "Object.entries(sessionStorage).filter(([k]) => k.includes('/session/')).map(e => e[1])"
    )
    return list(page.evaluate(script))


def test_labels_wait_out_an_absent_server_and_a_reload(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    project = project_of()
    card = card_of(project).ready()
    window.route(LABELS, lambda route: route.abort())
    names = card.press("1", "2", "3")
    text = card.part("awayText")
    expect(text).to_have_text("Server away — 3 labels kept in this browser, sending again…")
    card.page.reload()
    card.ready()
    assert card.name == "0003.jpg", "what was labelled does not come again"
    expect(text).to_have_text("Server away — 3 labels kept in this browser, sending again…")
    assert events_of(project) == {}
    window.unroute(LABELS)
    card.part("retry").evaluate("button => button.click()")  # it may have tried by itself
    expected = dict(zip(names, ["cat", "dog", "horse"], strict=True))
    until(lambda: labels_of(project) == expected, "all three, as pressed")
    expect(card.part("away")).to_be_hidden()
    assert events_of(project) == {"label": 3}


def test_an_answer_that_got_lost_doubles_nothing(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    project = project_of()
    card = card_of(project).ready()
    lost = 0

    def lose(route: Route) -> None:
        nonlocal lost
        route.fetch()
        lost += 1
        route.abort()

    window.route(LABELS, lose)
    names = card.press("1", "2")
    until(lambda: lost >= 2, "two answers lost", page=card.page)
    window.unroute(LABELS)
    until(lambda: set(labels_of(project)) == set(names), "both labels")
    expect(card.part("away")).to_be_hidden()
    assert events_of(project) == {"label": 2}
    with project.store.read() as unit:
        assert unit.budget.get().spent == 2


def test_undo_of_what_the_server_has_not_seen(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    project = project_of()
    card = card_of(project).ready()
    window.route(LABELS, lambda route: route.abort())
    names = card.press("1", "2")
    card.page.keyboard.press("Backspace")
    expect(card.part("name")).to_have_text(names[1])
    card.press("4")
    window.unroute(LABELS)
    card.part("retry").evaluate("button => button.click()")  # it may have tried by itself
    expected = {names[0]: "cat", names[1]: "ship"}
    until(lambda: labels_of(project) == expected, "the label given after the undo")
    assert events_of(project) == {"label": 3, "undo": 1}


def test_a_closed_tab_leaves_its_labels_to_the_next_one(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    project = project_of()
    card = card_of(project).ready()
    window.route(API, lambda route: route.abort())
    names = card.press("1", "2")
    card.page.close()
    window.unroute(API)
    card_of(project).ready()
    until(lambda: set(labels_of(project)) == set(names), "labels of the closed tab")
    assert events_of(project) == {"label": 2}


def test_two_tabs_and_two_annotators_share_nothing(
    project_of: Make, card_of: Open, chromium: Browser, app: RunningApp
) -> None:
    project = project_of(items=60)
    first, second = card_of(project).ready(), card_of(project).ready()
    other = chromium.new_context()
    other.add_cookies([{"name": "labeller_annotator", "value": "eve", "url": app.url}])
    third = open_card(other, app, project).ready()
    seen = [card.press("1", "2", "3", "4") for card in (first, second, third)]
    assert len({name for names in seen for name in names}) == 12
    until(lambda: events_of(project)["label"] == 12, "twelve labels")
    with project.store.read() as unit:
        rows = list(unit.labels.export())
    assert {row.annotator for row in rows} == {"tester", "eve"}
    assert len(rows) == 12
    other.close()


@pytest.mark.slow
def test_a_duplicated_tab_gets_a_session_of_its_own(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    """A tab opened by another begins with a copy of its sessionStorage."""
    project = project_of(items=60)
    card = card_of(project).ready()
    before = session_keys(card.page)
    with window.expect_page() as opened:
        card.page.evaluate("window.open(location.href)")
    copy = Card(opened.value).ready()
    assert copy.name != card.name
    assert session_keys(copy.page) != before
    card.page.reload()
    card.ready()
    assert session_keys(card.page) == before, "a reload keeps the session"


def test_a_tab_that_leaves_gives_its_items_back(project_of: Make, card_of: Open) -> None:
    project = project_of(items=20)
    card = card_of(project).ready()
    card.press("1")
    until(lambda: leased(project) > 0 and events_of(project)["label"] == 1, "leases")
    card.page.goto("about:blank")
    until(lambda: leased(project) == 0, "no lease left")


@pytest.mark.slow
def test_another_page_of_the_app_gives_them_back_too(project_of: Make, card_of: Open) -> None:
    project = project_of(items=20)
    card = card_of(project).ready()
    card.page.get_by_role("link", name="Rounds", exact=True).first.click()
    until(lambda: leased(project) == 0, "no lease left")
    card.page.get_by_role("link", name="Label", exact=True).first.click()
    card.press("1")
    until(lambda: events_of(project) == {"label": 1}, "one label after coming back")


@pytest.mark.slow
def test_leases_are_renewed_while_the_page_lives(project_of: Make, card_of: Open) -> None:
    project = project_of(items=20, lease_seconds=5)
    card = card_of(project).ready()
    until(lambda: leased(project) == 12, "leases")
    card.page.wait_for_timeout(7_000)
    assert leased(project) == 12


def test_a_refused_label_is_named_and_its_image_comes_back(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project).ready()
    archive(project, "cat")
    card.page.keyboard.press("1")
    expect(card.part("refused")).to_be_visible()
    expect(card.part("refusedList")).to_contain_text("0000.jpg as cat")
    expect(card.part("name")).to_have_text("0000.jpg")
    expect(card.page.locator(".class-name")).to_have_text(["dog", "horse", "ship"])
    card.part("dismiss").click()
    expect(card.part("refused")).to_be_hidden()
    card.press("2")
    until(lambda: labels_of(project) == {"0000.jpg": "dog"}, "the image labelled after all")


def test_a_browser_that_keeps_nothing_warns(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    project = project_of()
    window.add_init_script(
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }"
    )
    card = card_of(project).ready()
    window.route(LABELS, lambda route: route.abort())
    card.press("1")
    expect(card.part("unkept")).to_be_visible()
    expect(card.part("awayText")).to_contain_text("kept in this page only")
    window.unroute(LABELS)
    card.part("retry").evaluate("button => button.click()")  # it may have tried by itself
    until(lambda: events_of(project) == {"label": 1}, "sent all the same")
    expect(card.part("unkept")).to_be_hidden()


def test_a_refused_token_is_replaced_through_the_page(project_of: Make, card_of: Open) -> None:
    project = project_of()
    card = card_of(project).ready()
    (project.root / "secret.key").write_text("f" * 64)
    names = card.press("1", "2")
    until(lambda: set(labels_of(project)) == set(names), "labels under the new token")
    assert events_of(project) == {"label": 2}


def test_a_token_is_renewed_before_it_expires(project_of: Make, card_of: Open) -> None:
    project = project_of(lease_seconds=5)
    card = card_of(project).ready()
    later = time.time() + 7 * 3600
    with card.page.expect_response("**/api/v1/token") as renewed:
        card.page.clock.set_fixed_time(later)
    assert renewed.value.ok
    fresh = renewed.value.json()["token"]
    with card.page.expect_request(LABELS) as sent:
        card.press("1")
    assert sent.value.headers["authorization"] == f"Bearer {fresh}"


@pytest.mark.slow
def test_what_is_refused_while_another_page_is_shown_is_told_later(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    project = project_of()
    card = card_of(project).ready()
    window.route(LABELS, lambda route: route.abort())
    card.press("1")
    expect(card.part("away")).to_be_visible()
    card.page.get_by_role("link", name="Rounds", exact=True).first.click()
    expect(card.part("card")).to_have_count(0)
    archive(project, "cat")
    with card.page.expect_response(LABELS):
        window.unroute(LABELS)
    card.page.get_by_role("link", name="Label", exact=True).first.click()
    expect(card.part("refusedList")).to_contain_text("0000.jpg as")


def test_a_label_that_the_budget_cannot_pay_waits_for_more(
    project_of: Make, card_of: Open, window: BrowserContext
) -> None:
    """The lease ran out while the page had no network, and others spent the budget."""
    project = project_of(items=6, budget=1)
    card = card_of(project).ready()
    window.route(API, lambda route: route.abort())
    card.page.keyboard.press("1")
    with project.store.write() as unit:
        unit.queue.release(unit.queue.entries()[0].leased_by or "")
        other = unit.queue.entries()[1].item_id
        cat = unit.classes.all()[0].id
        unit.labels.record("eve", "e", "api", [NewEvent("e1", "label", other, cat)], 1.0)
    window.unroute(API)
    expect(card.part("refusedList")).to_contain_text("0000.jpg as cat")
    expect(card.part("emptyTitle")).to_have_text("The budget is spent")
    budget.set_total(project, 3)
    expect(card.part("name")).to_have_text("0000.jpg")
    card.part("dismiss").click()
    card.press("2")
    until(lambda: labels_of(project).get("0000.jpg") == "dog", "labelled with more budget")


def archive(project: Project, name: str) -> None:
    with project.store.read() as unit:
        found = unit.classes.by_name(name)
    assert found is not None
    classes.archive(project, found.id)


@pytest.fixture
def mortal(project_of: Make, tmp_path: Path) -> Iterator[RunningApp]:
    """A server of its own, to be killed."""
    project = project_of(items=40)
    running = start_app(project.root, tmp_path / "state")
    yield running
    running.stop()


def test_a_killed_and_restarted_server_has_every_label_once(
    mortal: RunningApp, window: BrowserContext
) -> None:
    assert mortal.project is not None
    project = open_project(mortal.project)
    page = window.new_page()
    page.goto(mortal.url)
    card = Card(page)
    names = card.press("1", "2")
    mortal.kill()
    names += card.press("3", "4", "1")
    expect(card.part("awayText")).to_contain_text("labels kept in this browser")
    expect(page.get_by_text("Connection error")).to_be_hidden()
    page.keyboard.press("Backspace")
    expect(card.part("name")).to_have_text(names[-1])
    names += card.press("2", "3")[1:]
    mortal.start()
    expected = dict(zip(names, ["cat", "dog", "horse", "ship", "dog", "horse"], strict=True))
    until(lambda: labels_of(project) == expected, "every label, once")
    assert events_of(project) == {"label": 7, "undo": 1}
    expect(card.part("away")).to_be_hidden()
    more = card.press("1")
    until(lambda: labels_of(project) == {**expected, more[0]: "cat"}, "labelling goes on")


def test_after_a_long_sleep_the_image_on_screen_is_ours_again(
    project_of: Make, card_of: Open
) -> None:
    """A closed laptop lets its leases run out; others got the image that is still on screen."""
    project = project_of(items=40)
    card = card_of(project).ready()
    with project.store.write() as unit:
        unit.queue.release(unit.queue.entries()[0].leased_by or "")
        unit.queue.claim("eve", "elsewhere", 5, 60, 1)
    card.page.clock.set_fixed_time(time.time() + 3_600)
    card.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(card.part("name")).to_have_text("0005.jpg")
