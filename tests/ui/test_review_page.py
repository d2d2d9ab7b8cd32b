"""The review page: what it offers when, and decisions by key in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from streamlit.testing.v1 import AppTest

from labeller.project import Project
from labeller.services import cleaning, labelling, steps
from labeller.services.labelling import Act
from store.errors import StoreBusy
from tests import browser as browsers

Run = Callable[..., AppTest]


def searched(project: Project, label: bool = True) -> None:
    """Label seven images cat and one dog, and enter a search that doubts three of the cats."""
    if label:
        acts = [Act(f"e{n}", "label", n, "dog" if n == 4 else "cat") for n in range(1, 9)]
        labelling.record(project, "anna", "s", "page", acts)
    with project.store.read() as unit:
        cat, dog = (one.id for one in unit.classes.all())
    base = {"label": cat, "suggested": dog, "confidence": 0.93, "loss": 2.7, "twin": None}
    suspects = [
        {**base, "item": 2, "kinds": [cleaning.LABEL_ERROR, cleaning.LOSS]},
        {**base, "item": 3, "kinds": [cleaning.TWIN], "twin": 4},
        {**base, "item": 5, "kinds": [cleaning.LOSS]},
    ]
    with project.store.write() as unit:
        unit.jobs.add(cleaning.KIND, {}, exclusive=True)
        job = unit.jobs.claim("here", 1)
        assert job is not None
        result = {"suspects": suspects, "checked": 8, "label_errors": 1, "at": time.time()}
        assert unit.jobs.finish(job.id, "done", result)


def label_of(project: Project, item: int) -> str | None:
    with project.store.read() as unit:
        found = unit.labels.current(item)
    return None if found is None else found.class_name


def test_before_the_first_search(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app(project, "review")
    assert not app.exception
    assert any("Labels are wrong now and then" in text.value for text in app.markdown)
    assert app.button(key="review_search").disabled
    with project.store.read() as unit:
        trained = int(unit.items.ids(split="train")[0])
    labelling.record(project, "anna", "s", "page", [Act("e1", "label", trained, "cat")])
    app.run()
    assert app.button(key="review_search").disabled
    assert any("Label 19 more images outside the audit" in text.value for text in app.caption)
    monkeypatch.setattr(cleaning, "FEWEST", 1)
    app.run()
    app.button(key="review_search").click().run()
    assert not app.exception
    assert app.button(key="review_search").disabled
    with project.store.read() as unit:
        assert [job.kind for job in unit.jobs.active()] == [cleaning.KIND]


def test_one_suspect_after_the_other(open_app: Run, project: Project) -> None:
    searched(project)
    app = open_app(project, "review")
    assert not app.exception
    assert "Is this really **cat**?" in app.markdown[0].value
    assert "The models think **dog** (93" in app.markdown[1].value
    app.button(key="review_relabel").click().run()
    assert label_of(project, 2) == "dog"
    assert any("labelled **dog**" in text.value for text in app.caption), "the twin is shown"
    app.button(key="review_pass").click().run()
    app.button(key="review_flag").click().run()
    assert label_of(project, 5) is None
    assert any("Only what you passed over is left" in text.value for text in app.markdown)
    app.button(key="review_undo").click().run()
    assert label_of(project, 5) == "cat"
    app.button(key="review_undo").click().run()
    assert label_of(project, 2) == "cat"
    assert app.button(key="review_undo").disabled
    app = open_app(project, "review")
    app.button(key="review_redo").click().run()
    app.button(key="review_redo").click().run()
    assert (label_of(project, 2), label_of(project, 5)) == ("dog", None), "done again, as before"
    assert app.button(key="review_redo").disabled
    app.button(key="review_undo").click().run()
    assert label_of(project, 5) == "cat"
    app.button(key="review_keep").click().run()
    assert app.button(key="review_redo").disabled, "something new was decided"
    assert not app.exception


def test_a_redo_that_came_too_late_is_refused_with_words(open_app: Run, project: Project) -> None:
    searched(project)
    app = open_app(project, "review")
    app.button(key="review_relabel").click().run()
    app.button(key="review_undo").click().run()
    acts = [Act("b1", "clear", 2), Act("b2", "flag", 2)]
    labelling.record(project, "ben", "s", "page", acts)
    app.button(key="review_redo").click().run()
    assert any("ben has flagged it since" in error.value for error in app.error)
    assert label_of(project, 2) is None


def test_one_kind_at_a_time(open_app: Run, project: Project) -> None:
    searched(project)
    app = open_app(project, "review")
    assert app.segmented_control(key="review_kind").options == [
        "All 3",
        "Strong doubts 1",
        "Near-duplicates 1",
        "High losses 2",
    ]
    app.segmented_control(key="review_kind").set_value(cleaning.TWIN).run()
    assert any("Looks the same" in text.value for text in app.caption)
    app.button(key="review_keep").click().run()
    assert any("2 of other kinds are left" in text.value for text in app.markdown)
    assert app.segmented_control(key="review_kind").options[2] == "Near-duplicates 0"
    assert not app.exception


def test_what_was_decided_can_be_undone_after_a_reload(open_app: Run, project: Project) -> None:
    searched(project)
    open_app(project, "review").button(key="review_relabel").click().run()
    app = open_app(project, "review")
    assert app.button(key="review_undo").label.startswith("Undo: relabelled")
    app.button(key="review_undo").click().run()
    assert label_of(project, 2) == "cat"
    assert app.button(key="review_undo").disabled


def test_of_two_alike_the_other_label_is_offered_where_the_models_agree(
    open_app: Run, project: Project
) -> None:
    searched(project)
    with project.store.write() as unit:  # what the models say of it is what it is labelled
        cat, _ = (one.id for one in unit.classes.all())
        find = {"item": 3, "label": cat, "suggested": cat, "confidence": 0.9, "loss": 0.1}
        unit.jobs.add(cleaning.KIND, {}, exclusive=True)
        job = unit.jobs.claim("here", 1)
        assert job is not None
        found = [{**find, "kinds": [cleaning.TWIN], "twin": 4}]
        unit.jobs.finish(job.id, "done", {"suspects": found, "checked": 8, "at": time.time()})
    app = open_app(project, "review")
    assert app.button(key="review_relabel").label.startswith("It is dog")
    app.button(key="review_relabel").click().run()
    assert label_of(project, 3) == "dog"


def test_a_decision_that_is_refused_says_why(open_app: Run, project: Project) -> None:
    searched(project)
    app = open_app(project, "review")
    with project.store.write() as unit:  # meanwhile, in another tab
        unit.classes.update(unit.classes.all()[1].id, archived=True)
    app.button(key="review_relabel").click().run()
    assert any("archived" in error.value for error in app.error)
    assert label_of(project, 2) == "cat"


def test_of_two_tabs_the_second_is_told_and_shows_what_is_there(
    open_app: Run, project: Project
) -> None:
    searched(project)
    app, other = open_app(project, "review"), open_app(project, "review")
    other.button(key="review_relabel").click().run()
    app.button(key="review_flag").click().run()
    assert any("Image 2 was changed meanwhile by anna" in error.value for error in app.error)
    assert label_of(project, 2) == "dog"
    assert any("Looks the same" in text.value for text in app.caption), "the next one is shown"
    assert app.button(key="review_undo").label.startswith("Undo: relabelled")


def test_an_undo_that_fails_stays_offered(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(project)
    app = open_app(project, "review")
    app.button(key="review_relabel").click().run()

    def busy(*_: object) -> None:
        raise StoreBusy("Another write took too long. Try again.")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "_record", busy)
        app.button(key="review_undo").click().run()
    assert any("Try again" in error.value for error in app.error)
    assert not app.button(key="review_undo").disabled
    app.button(key="review_undo").click().run()
    assert label_of(project, 2) == "cat"
    assert app.button(key="review_undo").disabled


def test_labels_that_could_not_be_judged_are_told(open_app: Run, project: Project) -> None:
    searched(project)
    app = open_app(project, "review")
    assert not any("could not be judged" in text.value for text in app.caption)
    with project.store.write() as unit:
        cat, _ = (one.id for one in unit.classes.all())
        alike = {"item": 3, "label": cat, "kinds": [cleaning.TWIN], "twin": 4}
        blank = dict.fromkeys(("suggested", "confidence", "loss"))
        unit.jobs.add(cleaning.KIND, {}, exclusive=True)
        job = unit.jobs.claim("here", 1)
        assert job is not None
        result = {"suspects": [alike | blank], "checked": 8, "unjudged": 2, "at": time.time()}
        unit.jobs.finish(job.id, "done", result)
    app = open_app(project, "review")
    assert any("2 labels could not be judged" in text.value for text in app.caption)
    assert any("no label of this class to compare" in text.value for text in app.markdown)
    app.button(key="review_relabel").click().run()
    assert not app.exception
    assert label_of(project, 3) == "dog", "what the other image is labelled"


@pytest.fixture
def page(project: Project, tmp_path: Path) -> Iterator[Page]:
    if browsers.chromium() is None:
        pytest.skip("no Chromium on this machine")
    running = browsers.start_app(project.root, tmp_path / "server")
    try:
        with browsers.shared() as chromium:
            opened = _opened(chromium)
            opened.goto(running.page("review"))
            yield opened
            opened.context.close()
    finally:
        running.stop()


def _opened(chromium: Browser) -> Page:
    made = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    made.set_default_timeout(browsers.PATIENCE)
    return made


def test_by_keys_in_a_browser(project: Project, page: Page, tmp_path: Path) -> None:
    searched(project)
    page.reload()
    expect(page.get_by_text("0 of 3 decided")).to_be_visible(timeout=browsers.PATIENCE)
    expect(page.get_by_role("heading", name="Is this really cat?")).to_be_visible()
    page.screenshot(path=tmp_path / "review.png")
    keep = page.get_by_role("button", name="Keep the label")
    expect(keep).to_have_attribute("aria-keyshortcuts", "Space")  # keys are there
    page.keyboard.press("2")  # dog, as on every page
    expect(page.get_by_text("1 of 3 decided")).to_be_visible(timeout=browsers.PATIENCE)
    assert label_of(project, 2) == "dog"
    expect(page.get_by_text("Looks the same, labelled")).to_be_visible()
    page.screenshot(path=tmp_path / "twin.png")
    page.keyboard.press("Space")
    expect(page.get_by_text("2 of 3 decided")).to_be_visible(timeout=browsers.PATIENCE)
    page.keyboard.press("Backspace")
    expect(page.get_by_text("1 of 3 decided")).to_be_visible(timeout=browsers.PATIENCE)
    expect(page.get_by_text("Looks the same, labelled")).to_be_visible()
    place = page.get_by_role("button", name="Keep the label").bounding_box()
    page.keyboard.press(".")
    expect(page.get_by_text("2 of 3 decided")).to_be_visible(timeout=browsers.PATIENCE)
    assert label_of(project, 3) is None
    assert page.get_by_role("button", name="Keep the label").bounding_box() == place
    last = page.get_by_role("button", name="Undo").bounding_box()
    assert last
    assert last["y"] + last["height"] <= 800, "all decisions are in sight"
    page.reload()
    undo = page.get_by_role("button", name="Undo: put aside")
    expect(undo).to_be_enabled()
    expect(undo).to_have_attribute("aria-keyshortcuts", "Backspace Control+z")  # keys are there
    page.keyboard.press("Backspace")
    expect(page.get_by_text("1 of 3 decided")).to_be_visible(timeout=browsers.PATIENCE)
    expect(page.locator(".st-key-review_redo button")).to_be_enabled()
    page.keyboard.press("Delete")
    expect(page.get_by_text("2 of 3 decided")).to_be_visible(timeout=browsers.PATIENCE)
    assert label_of(project, 3) is None
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog")
    expect(help_).to_contain_text("keep the label")
    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()
