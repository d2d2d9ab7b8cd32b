"""The evaluation page: numbers, what labels bought, when to stop, and images behind the seal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect
from streamlit.testing.v1 import AppTest

from labeller.project import Project, create_project, open_project
from labeller.services import audit_seal, classes, headline, importing
from labeller.services.agreement import Agreement
from labeller.services.evaluation_quality import confusions
from labeller.services.evaluation_report import evaluate
from labeller.services.evaluation_scores import Share, share
from labeller.ui import evaluation_class_plots, evaluation_details, evaluation_plots, view
from labeller.ui import evaluation_words as words
from store.records import ModelRecord, NewEvent
from tests import browser as browsers
from tests.audits import add_model, give, probabilities
from tests.browser import RunningApp
from tests.ui.conftest import images

Run = Callable[..., AppTest]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four images, about half of them of the audit set."""
    folder = tmp_path_factory.mktemp("evaluated")
    made = create_project(
        folder / "pets", ["cat", "dog"], 100.0, start_workers=False, batch=6, audit_share=0.5
    )
    importing.import_sources(made, [images(folder / "images", 24)], labels="none")
    made.store.close()
    return made.root


@pytest.fixture
def project(tmp_path: Path, original: Path) -> Project:
    """A copy with an identity of its own."""
    root = tmp_path / "pets"
    shutil.copytree(original, root)
    return open_project(root)


def audit(project: Project) -> list[int]:
    with project.store.read() as unit:
        return [int(i) for i in unit.items.ids(split="audit")]


def ids(project: Project) -> list[int]:
    with project.store.read() as unit:
        return [one.id for one in unit.classes.all()]


def label_audit(project: Project) -> None:
    """Label the audit set: cat and dog in turn, two seconds each."""
    items, named = audit(project), ids(project)
    give(project, items, [named[n % 2] for n in range(len(items))], duration_ms=2_000)


def model(project: Project, wrong: Sequence[int], labels: int) -> ModelRecord:
    """Store a model that is wrong on these of the audit items."""
    items = audit(project)
    said = [(n + (n in wrong)) % 2 for n in range(len(items))]
    return add_model(project, items, probabilities(said, 2), labels)


def evaluated(project: Project) -> ModelRecord:
    """Label the audit set and store five models, each better; the last is wrong on the first."""
    label_audit(project)
    made = [model(project, range(n), labels) for n, labels in ((5, 20), (4, 30), (3, 40), (2, 60))]
    return [*made, model(project, [0], 90)][-1]


def said(app: AppTest) -> str:
    assert not app.exception
    parts = (*app.main.markdown, *app.main.caption, *app.main.warning, *app.main.info)
    return " ".join(text.value for text in parts)


def gallery(app: AppTest) -> list[str]:
    """Return the figures of the images that are shown."""
    bodies = [str(getattr(one, "body", "")) for one in app.main.get("html")]
    found = [body for body in bodies if "lb-gallery" in body]
    return found[0].split("<figure")[1:] if found else []


def test_without_a_model_the_page_says_what_is_missing(open_app: Run, project: Project) -> None:
    app = open_app(project, "evaluation")
    assert "Nothing to evaluate yet." in said(app)
    assert "Label some images of at least two classes" in said(app)


def test_a_model_without_an_audit_label(open_app: Run, project: Project) -> None:
    model(project, [], 5)
    text = said(open_app(project, "evaluation"))
    assert "nobody knows yet" in text
    assert "There is one model so far" in text
    assert "Two splits with labels" in text


def test_a_lead_gets_all_answers_from_one_page(open_app: Run, project: Project) -> None:
    evaluated(project)
    app = open_app(project, "evaluation")
    text = said(app)
    n = len(audit(project))
    accuracy, macro, calibration = app.main.metric
    assert n < headline.LEAST, "so few that there is a range only"
    assert (accuracy.value, accuracy.delta) == view.headline_lines(share(n - 1, n))
    assert macro.value == calibration.value == "Not yet known"
    assert calibration.label == "Calibration error"
    assert f"Measured on {n} labelled images of the audit set" in text
    assert "Round 5 against round 4" in text
    assert "1 became right, 0 became wrong; McNemar's exact test: p = 1.000" in text
    assert "It took 30 more labels" in text
    assert "The next 6 labels, about 12 s, " in text
    assert "was labelled by two of them" in text
    app.number_input(key="evaluation_more").set_value(3).run()
    assert "The next 3 labels, about 6 s, " in said(app)
    left = evaluate(project).unlabelled
    assert f"The next {left} labels are expected to bring" in said(app), "what the advice is about"


def test_another_model_is_compared(open_app: Run, project: Project) -> None:
    last = evaluated(project)
    app = open_app(project, "evaluation")
    first = evaluate(project).models[0]
    app.selectbox(key=f"evaluation_against_{last.id}").select(first.id).run()
    assert "Round 5 against round 1" in said(app)
    assert "4 became right, 0 became wrong" in said(app)
    app.selectbox(key="evaluation_model").select(first.id).run()
    assert "Round 1 against round 5" in said(app)
    assert "It took" not in said(app), "the other model has more labels"


def test_images_stay_sealed_until_a_cell_is_chosen(open_app: Run, project: Project) -> None:
    last = evaluated(project)
    app = open_app(project, "evaluation")
    assert gallery(app) == []
    assert audit_seal.shown(project) == []
    cat, dog = ids(project)
    app.selectbox(key=f"evaluation_true_{last.id}").select(cat).run()
    assert gallery(app) == []
    app.selectbox(key=f"evaluation_predicted_{last.id}").select(dog).run()
    (figure,) = gallery(app)
    assert "<b>cat</b>" in figure
    assert "predicted dog, 80" in figure
    assert 'src="data:image/png;base64,' in figure
    assert "These are audit images." in said(app)
    assert [(s.annotator, s.model) for s in audit_seal.shown(project)] == [("anna", last.id)]
    assert not [b for b in app.main.button if "abel" in b.label], "nothing can be relabelled here"
    app.selectbox(key=f"evaluation_true_{last.id}").select(dog).run()
    app.selectbox(key=f"evaluation_predicted_{last.id}").select(cat).run()
    assert "No audit image is in this cell." in said(app)


def test_a_label_changed_after_that_is_told(open_app: Run, project: Project) -> None:
    last = evaluated(project)
    assert "changed since this model" not in said(open_app(project, "evaluation"))
    audit_seal.note_shown(project, "anna", last.id)
    give(project, audit(project)[:1], [ids(project)[1]])
    text = said(open_app(project, "evaluation"))
    assert "1 audit label has changed since this model was measured." in text
    assert "1 of them changed after mistakes of a model had been shown" in text
    n = len(audit(project))
    assert f"Its own round measured {headline.summary(share(n - 1, n))} of that time" in text


def test_a_label_taken_away_after_that_is_told(open_app: Run, project: Project) -> None:
    last = evaluated(project)
    audit_seal.note_shown(project, "anna", last.id)
    flag, skip = audit(project)[:2]
    with project.store.write() as unit:
        aside = [NewEvent("f", "flag", flag), NewEvent("s", "skip", skip)]
        unit.labels.record("anna", "s", "page", aside, 1.0)
    text = said(open_app(project, "evaluation"))
    assert "2 audit labels have changed since this model was measured, of which 2 were" in text
    assert "2 of them changed after mistakes of a model had been shown" in text
    assert "2 of it were flagged or put aside and do not count" in text


def test_frequent_confusions_are_offered_by_a_button(open_app: Run, project: Project) -> None:
    last = evaluated(project)
    cat, dog = ids(project)
    facts = evaluate(project)
    assert facts.quality is not None
    assert confusions(facts.quality, 6) == [(cat, dog, 1)], "one cat is taken for a dog"
    app = open_app(project, "evaluation")
    app.button(key=f"evaluation_confused_{cat}_{dog}").click().run()
    assert len(gallery(app)) == 1
    assert app.selectbox(key=f"evaluation_true_{last.id}").value == cat
    assert app.selectbox(key=f"evaluation_predicted_{last.id}").value == dog


def test_losses_and_flips_are_shown_when_asked_for(open_app: Run, project: Project) -> None:
    evaluated(project)
    app = open_app(project, "evaluation")
    app.segmented_control(key="evaluation_view_5").set_value("Highest losses").run()
    assert gallery(app) == []
    app.toggle(key="evaluation_losses").set_value(True).run()
    figures = gallery(app)
    assert len(figures) == len(audit(project))
    assert "the label: 20" in figures[0]
    app.toggle(key="evaluation_losses").set_value(False).run()
    other, last = evaluate(project).models[-2:]
    pills = app.pills(key=f"flips_{other.id}_{last.id}")
    assert pills.options == ["Became right 1"], "nothing became wrong"
    pills.set_value("gained").run()
    (flipped,) = gallery(app)
    assert "was cat, 80" in flipped
    assert "now dog, 80" in flipped


@pytest.mark.parametrize("view", ["Classes", "Calibration", "Splits"])
def test_each_view_draws(open_app: Run, project: Project, view: str) -> None:
    evaluated(project)
    app = open_app(project, "evaluation")
    app.segmented_control(key="evaluation_view_5").set_value(view).run()
    assert not app.exception
    charts = len(app.main.get("plotly_chart"))
    assert charts == 2
    if view == "Classes":
        assert list(app.main.dataframe[0].value["Class"]) == ["cat", "dog"]


def test_renamed_merged_and_added_classes_do_not_break_it(open_app: Run, project: Project) -> None:
    evaluated(project)
    cat, dog = ids(project)
    classes.rename(project, cat, "<b>*feline*")
    (owl,) = classes.add(project, ["owl"])
    classes.merge(project, dog, owl.id)
    app = open_app(project, "evaluation")
    assert not app.exception
    app.segmented_control(key="evaluation_view_5").set_value("Classes").run()
    assert list(app.main.dataframe[0].value["Class"]) == ["<b>*feline*", "owl"]


def test_a_model_whose_files_are_gone_says_so(open_app: Run, project: Project) -> None:
    last = evaluated(project)
    shutil.rmtree(project.file(last.path))
    app = open_app(project, "evaluation")
    assert not app.exception
    assert "Start a round to measure a new model" in app.main.error[0].value
    assert "Not measured." in said(app)


def test_agreement_is_shown_with_its_pairs(open_app: Run, project: Project) -> None:
    evaluated(project)
    give(project, audit(project)[:4], [ids(project)[0]] * 4, annotator="ben")
    app = open_app(project, "evaluation")
    assert "On 4 images labelled twice, annotators agree in **50.0" in said(app)
    assert "This one does so" not in said(app), "nine audit labels place no model beside it"
    (table,) = [d.value for d in app.main.dataframe if "Annotators" in d.value]
    assert list(table["Annotators"]) == ["anna, ben"]


def test_splits_that_differ_are_told(open_app: Run, project: Project) -> None:
    evaluated(project)
    with project.store.read() as unit:
        free = [int(i) for i in unit.items.ids(state="unlabelled")]
    give(project, free, [ids(project)[0]] * len(free))
    app = open_app(project, "evaluation")
    assert "The splits differ in their classes" in said(app)
    app.segmented_control(key="evaluation_view_5").set_value("Splits").run()
    assert "Most of all “dog”" in said(app) or "Most of all “cat”" in said(app)


def test_figures_hold_the_numbers(project: Project) -> None:
    evaluated(project)
    facts = evaluate(project)
    assert facts.quality is not None
    table = facts.quality.table
    heat, cells = evaluation_plots.confusion(table, [7, 9], ["<b>a</b>", "a"], False).data
    assert heat.hoverinfo == "skip", "it would take the clicks of the cells"
    assert list(heat.x) == ["&lt;b&gt;a&lt;/b&gt;", "a"]
    assert [list(c[:2]) for c in cells.customdata] == [[7, 7], [7, 9], [9, 7], [9, 9]]
    assert cells.customdata[1][2] == "1 image"
    drawn = evaluation_plots.curve(
        facts.points, facts.curve, facts.stopping(6).expected, facts.agreement, True
    )
    assert [trace.name for trace in drawn.data] == [
        "95 % band",
        "fitted curve",
        "measured",
        "after 6 more",
    ]
    assert list(drawn.data[2].x) == [20, 30, 40, 60, 90]
    alone = evaluation_plots.curve(facts.points[:1], None, None, None, False)
    assert alone.layout.xaxis.range == (0, 40), "ticks of one round would all read 20"
    shares = evaluation_class_plots.class_shares(facts.balance, False)
    assert [trace.name for trace in shares.data] == ["audit"], "no other split has labels"


def test_of_many_classes_those_with_mistakes_are_drawn() -> None:
    table = np.diag([5] * 6)
    table[4, 1] = 2
    table[5, 0] = 1
    assert evaluation_plots.shown_classes(table, 2).tolist() == [1, 4]
    assert evaluation_plots.shown_classes(table, 6).tolist() == [0, 1, 2, 3, 4, 5]


def test_words_are_exact(project: Project) -> None:
    assert words.points(-0.0123) == "−1.2"
    assert words.points(0.003) == "+0.3"
    share, agreed = Share(60, 100, 0.6, 0.502, 0.691), Agreement(80, 0.9, 0.815, 0.948, ())
    assert words.beside(share, agreed).endswith("60.0\u202f%: there is room up to that.")
    better = Share(97, 100, 0.97, 0.915, 0.99)
    assert "97.0\u202f%, about as often: beyond that" in words.beside(better, agreed)
    worse = Agreement(80, 0.7, 0.592, 0.789, ())
    assert "97.0\u202f%, more often: beyond that" in words.beside(better, worse)
    evaluated(project)
    facts = evaluate(project)
    assert facts.quality is not None
    rows = evaluation_details.class_rows(facts, facts.quality)
    n = sum(1 for place in range(len(audit(project))) if place % 2 == 0)
    assert rows[0]["Audit images"] == n
    assert rows[0]["Precision"].startswith("100.0")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if browsers.chromium() is None:
        pytest.skip("no Chromium on this machine")
    with browsers.shared() as started:
        yield started


@pytest.fixture
def app(project: Project, tmp_path: Path) -> Iterator[RunningApp]:
    running = browsers.start_app(project.root, tmp_path / "server")
    yield running
    running.stop()


def still(part: Locator, page: Page) -> FloatRect:
    """Return where a part stands once the page around it no longer grows."""
    before = None
    for _ in range(40):
        part.scroll_into_view_if_needed()
        now = part.bounding_box()
        if now is not None and now == before:
            return now
        before = now
        page.wait_for_timeout(250)
    raise AssertionError("the page does not come to rest")


def test_a_click_on_a_cell_shows_its_images(
    app: RunningApp, chromium: Browser, project: Project
) -> None:
    last = evaluated(project)
    context = chromium.new_context(viewport={"width": 768, "height": 1000})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app.page("evaluation"))
    cells = page.locator("[class*=st-key-evaluation_confusion] .scatterlayer .point")
    expect(cells).to_have_count(4)
    page.wait_for_function("document.documentElement.classList.contains('lb-drawn')")
    # rows are true, columns predicted: the second cell is cat taken for dog
    box = still(cells.nth(1), page)
    # well off the middle of the cell: all of it can be clicked
    page.mouse.move(box["x"] + box["width"] / 2 + 25, box["y"] + box["height"] / 2 + 6)
    page.mouse.click(box["x"] + box["width"] / 2 + 25, box["y"] + box["height"] / 2 + 6)
    figures = page.locator(".lb-gallery figure")
    expect(figures).to_have_count(1)
    expect(figures.first).to_contain_text("predicted dog")
    assert page.locator(".lb-gallery img").evaluate("image => image.naturalWidth") > 0
    expect(page.locator(".lb-gallery img")).to_be_in_viewport()
    expect(page.get_by_text("These are audit images.")).to_be_visible()
    assert [one.model for one in audit_seal.shown(project)] == [last.id]
    too_wide = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]');"
        " return m.scrollWidth - m.clientWidth }"
    )
    assert too_wide <= 0
    assert errors == []
    context.close()
